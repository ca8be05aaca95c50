"""Linux: a systemd user unit, or the desktop's autostart where no systemd serves the session; a menu entry.

The places are those of the XDG Base Directory and Desktop Entry specifications.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from gateway.install.plan import File, Plan, Program, drawing, picture

UNIT: Final = "passerelle.service"

_UNIT: Final = """\
# Written by: passerelle install. Taken away by: passerelle uninstall.
[Unit]
Description=Passerelle reads your meters and keeps your readings

[Service]
ExecStart={command}
{environment}Restart=on-failure
RestartSec=10
TimeoutStopSec=60
# It ends its own processes, but for a database that another command still works with.
KillMode=process
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""

_MENU: Final = """\
[Desktop Entry]
Type=Application
Name=Passerelle
GenericName=Health readings
GenericName[fr]=Mesures de santé
Comment=Read your meter, see your readings, share them
Comment[fr]=Lire votre lecteur, voir vos mesures, les partager
Exec={command}
Icon=passerelle
Terminal=false
StartupNotify=true
Categories=Utility;
Keywords=glucose;diabetes;blood pressure;meter;
Keywords[fr]=glycémie;diabète;tension;lecteur;
"""

_AUTOSTART: Final = """\
[Desktop Entry]
Type=Application
Name=Passerelle
Comment=Reads your meters and keeps your readings
Comment[fr]=Lit vos lecteurs et garde vos mesures
Exec={command}
Icon=passerelle
Terminal=false
NoDisplay=true
"""


def plan(program: Program, environment: Mapping[str, str], home: Path, *, user_manager: bool) -> Plan:
    """What to write. `home`: the person's home directory; `user_manager`: systemd serves this session."""
    config = _place(environment, "XDG_CONFIG_HOME", home / ".config")
    share = _place(environment, "XDG_DATA_HOME", home / ".local" / "share")
    icons = share / "icons" / "hicolor"
    shown = (
        File(
            share / "applications" / "passerelle.desktop",
            _MENU.format(command=desktop_command(program)).encode(),
        ),
        File(icons / "scalable" / "apps" / "passerelle.svg", drawing()),
        File(icons / "256x256" / "apps" / "passerelle.png", picture()),
    )
    if not user_manager:
        entry = _AUTOSTART.format(command=desktop_command(program, "serve"))
        return Plan((File(config / "autostart" / "passerelle-serve.desktop", entry.encode()), *shown))
    return Plan(
        (File(config / "systemd" / "user" / UNIT, unit(program).encode()), *shown),
        begin=(_systemctl("daemon-reload"), _systemctl("enable", UNIT), _systemctl("restart", UNIT)),
        end=(_systemctl("disable", "--now", UNIT),),
        afterwards=(_systemctl("daemon-reload"),),
        makes=(config / "systemd" / "user" / "default.target.wants" / UNIT,),
    )


def unit(program: Program) -> str:
    """The systemd unit."""
    settings = (f"Environment={_unit_word(f'{name}={value}')}\n" for name, value in program.settings.items())
    # systemd takes no such letter in the name of what it starts, and any in a word behind it.
    odd = any(letter in program.command[0] for letter in "\"'\\$%")
    words = (*(("/usr/bin/env",) if odd else ()), *program.command, "serve")
    command = " ".join(_unit_word(word, dollar="$$") for word in words)
    return _UNIT.format(command=command, environment="".join(settings))


def desktop_command(program: Program, *arguments: str) -> str:
    """A command as the key Exec has it, with the settings it is given through `env`."""
    settings = [f"{name}={value}" for name, value in program.settings.items()]
    words: Iterable[str] = (*(("env", *settings) if settings else ()), *program.command, *arguments)
    return " ".join(_desktop_word(word) for word in words)


def _unit_word(word: str, dollar: str = "$") -> str:
    """As systemd.syntax(7) quotes: C escapes within quotes, a percent sign doubled; in a command, `$` too."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"'


def _desktop_word(word: str) -> str:
    """As the Desktop Entry specification quotes an argument of Exec, escaped once more as a string value."""
    if word and all(letter.isalnum() or letter in "/._-=:@+," for letter in word):
        return word
    for special in '\\"`$':
        word = word.replace(special, f"\\{special}")
    quoted = '"' + word.replace("%", "%%") + '"'
    return quoted.replace("\\", "\\\\")


def _place(environment: Mapping[str, str], variable: str, usual: Path) -> Path:
    """A base directory; the specification says to ignore one that is not absolute."""
    named = Path(environment.get(variable, ""))
    return named if named.is_absolute() else usual


def _systemctl(*words: str) -> tuple[str, ...]:
    return ("systemctl", "--user", *words)
