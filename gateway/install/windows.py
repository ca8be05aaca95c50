"""Windows: a task at logon, and a shortcut in the start menu. Not run on Windows yet."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Final
from xml.sax.saxutils import escape

from gateway.install.pictures import ico
from gateway.install.plan import File, Plan, Program, picture

TASK: Final = "Passerelle"

_TASK: Final = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Passerelle reads your meters and keeps your readings.</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
    <Hidden>false</Hidden>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def plan(program: Program, environment: Mapping[str, str], home: Path) -> Plan:
    """What to write. `home`: the person's profile folder."""
    local = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Passerelle"
    roaming = Path(environment.get("APPDATA") or home / "AppData" / "Roaming")
    shortcut = roaming / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "Passerelle.lnk"
    definition, icon = local / "start-with-session.xml", local / "passerelle.ico"
    user = "\\".join(filter(None, (environment.get("USERDOMAIN"), environment.get("USERNAME"))))
    return Plan(
        (
            File(definition, task(program, user)),
            File(icon, ico(picture())),
        ),
        begin=(
            ("schtasks", "/Create", "/TN", TASK, "/XML", str(definition), "/F"),
            ("powershell", "-NoProfile", "-NonInteractive", "-Command", menu_entry(program, shortcut, icon)),
            ("schtasks", "/Run", "/TN", TASK),
        ),
        end=(("schtasks", "/End", "/TN", TASK), ("schtasks", "/Delete", "/TN", TASK, "/F")),
        makes=(shortcut,),
    )


def task(program: Program, user: str) -> bytes:
    """The task's definition, as `schtasks /XML` wants it: UTF-16 with a byte order mark."""
    command, *arguments = windowless(program)
    text = _TASK.format(
        user=escape(user),
        program=escape(command),
        arguments=escape(subprocess.list2cmdline([*arguments, "serve"])),
    )
    return text.replace("\n", "\r\n").encode("utf-16")


def menu_entry(program: Program, shortcut: Path, icon: Path) -> str:
    """The PowerShell that makes the shortcut: only Windows itself writes its format surely."""
    command, *arguments = windowless(program)
    return (
        f"$link = (New-Object -ComObject WScript.Shell).CreateShortcut({_quoted(str(shortcut))}); "
        f"$link.TargetPath = {_quoted(command)}; "
        f"$link.Arguments = {_quoted(subprocess.list2cmdline(arguments))}; "
        f"$link.IconLocation = {_quoted(str(icon))}; "
        "$link.Description = 'Passerelle'; $link.Save()"
    )


def windowless(program: Program) -> tuple[str, ...]:
    """The Python beside the program that opens no black window, isolated from the folder it starts in.

    It is given no settings: Windows gives a task no variables of its own, only those of the account.
    """
    return (str(PureWindowsPath(program.command[0]).with_name("pythonw.exe")), "-I", "-m", "gateway")


def _quoted(text: str) -> str:
    """A string of PowerShell in which nothing is looked up."""
    return "'" + text.replace("'", "''") + "'"
