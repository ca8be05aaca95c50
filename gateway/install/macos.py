"""macOS: a launchd agent, and a small application for the menu that also asks for Bluetooth.

macOS gives Bluetooth to applications, and ends a program without a usage description that asks for it. So the
agent starts the program through the application, whose Info.plist says why. Not run on a Mac yet.
"""

from __future__ import annotations

import plistlib
import shlex
from pathlib import Path
from typing import Final

from gateway.install.pictures import icns
from gateway.install.plan import File, Plan, Program, picture

LABEL: Final = "passerelle.gateway"
BUNDLE: Final = "passerelle.application"

BLUETOOTH: Final = "Passerelle reads your meter over Bluetooth."
BLUETOOTH_FRENCH: Final = "Passerelle lit votre lecteur par Bluetooth."


def plan(program: Program, home: Path, user: int, version: str) -> Plan:
    """What to write. `home`: the person's home directory; `user`: their number (uid)."""
    contents = home / "Applications" / "Passerelle.app" / "Contents"
    starter = contents / "MacOS" / "Passerelle"
    agent = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    log = home / "Library" / "Logs" / "Passerelle.log"
    session = f"gui/{user}"
    french = f'"NSBluetoothAlwaysUsageDescription" = "{BLUETOOTH_FRENCH}";\n'
    return Plan(
        (
            File(contents / "Info.plist", application(version)),
            File(contents / "Resources" / "fr.lproj" / "InfoPlist.strings", french.encode()),
            File(contents / "Resources" / "Passerelle.icns", icns(picture())),
            File(starter, script(program).encode(), 0o755),
            File(agent, launch_agent(starter, log)),
        ),
        # An agent that is loaded already is taken out first; where there is none that fails.
        first=(("launchctl", "bootout", f"{session}/{LABEL}"),),
        begin=(("launchctl", "bootstrap", session, str(agent)),),
        end=(("launchctl", "bootout", f"{session}/{LABEL}"),),
    )


def launch_agent(starter: Path, log: Path) -> bytes:
    """The agent: started with the session, and again when it fails."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [str(starter), "serve"],
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 60,
            "Umask": 0o077,
            "StandardErrorPath": str(log),
            "AssociatedBundleIdentifiers": [BUNDLE],
        }
    )


def application(version: str) -> bytes:
    """The Info.plist of the application: its name, and why it asks for Bluetooth."""
    return plistlib.dumps(
        {
            "CFBundleIdentifier": BUNDLE,
            "CFBundleName": "Passerelle",
            "CFBundleDisplayName": "Passerelle",
            "CFBundleExecutable": "Passerelle",
            "CFBundleIconFile": "Passerelle.icns",
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": version,
            "CFBundleVersion": version,
            "CFBundleDevelopmentRegion": "en",
            "LSMinimumSystemVersion": "11.0",
            "LSUIElement": True,
            "NSBluetoothAlwaysUsageDescription": BLUETOOTH,
        }
    )


def script(program: Program) -> str:
    """What the application runs: the program itself, with the settings it is given."""
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in program.settings.items())
    return f'#!/bin/sh\n{settings}exec {shlex.join(program.command)} "$@"\n'
