"""What would be written on each system: judged by that system's own tools where they run here."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import struct
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.install import linux, macos, windows
from gateway.install.pictures import icns, ico
from gateway.install.plan import File, Plan, Program, drawing, picture

ODD = 'a folder/50% $off "quoted" `ticked` back\\slash'
"""A place in which every character that is special somewhere stands."""

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze (apt: systemd)"
)
needs_desktop = pytest.mark.skipif(
    not shutil.which("desktop-file-validate"), reason="needs desktop-file-validate (apt: desktop-file-utils)"
)


@pytest.fixture(params=["plain", ODD], ids=["plain", "odd"])
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    """A program that prints what it is started with, in a plain place or an odd one."""
    script = tmp_path / request.param / "passerelle"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\necho "$PASSERELLE_HOME|$*"\n')
    script.chmod(0o755)
    return Program((str(script),), {"PASSERELLE_HOME": str(tmp_path / ODD / "home")})


def written(plan: Plan, name: str) -> File:
    (file,) = (each for each in plan.files if each.path.name == name)
    return file


def started(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, env={}).stdout


@needs_systemd
def test_systemd_accepts_the_unit(program: Program, tmp_path: Path) -> None:
    plan = linux.plan(program, {}, tmp_path, user_manager=True)
    unit = tmp_path / linux.UNIT
    unit.write_bytes(written(plan, linux.UNIT).content)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert linux.UNIT not in told.stderr, told.stderr


@pytest.mark.parametrize("user_manager", [True, False])
@needs_desktop
def test_the_desktop_accepts_its_entries(program: Program, tmp_path: Path, user_manager: bool) -> None:
    plan = linux.plan(program, {}, tmp_path, user_manager=user_manager)
    entries = [file for file in plan.files if file.path.suffix == ".desktop"]
    assert len(entries) == 2 - user_manager
    for file in entries:
        path = tmp_path / file.path.name
        path.write_bytes(file.content)
        told = subprocess.run(
            ["desktop-file-validate", "--warn-kde", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert (told.returncode, told.stdout) == (0, "")


def test_a_menu_entry_starts_the_program_wherever_it_lies(program: Program, tmp_path: Path) -> None:
    plan = linux.plan(program, {}, tmp_path, user_manager=True)
    (line,) = (
        line
        for line in written(plan, "passerelle.desktop").content.decode().splitlines()
        if line.startswith("Exec=")
    )
    assert (
        started(*as_the_desktop_reads(line.removeprefix("Exec=")))
        == f"{program.settings['PASSERELLE_HOME']}|\n"
    )


def as_the_desktop_reads(value: str) -> list[str]:
    """The words of Exec by the Desktop Entry specification: a string's escapes, then quotes, then %%."""
    string = value.replace("\\\\", "\\")
    words, word, quoted, letters = [], "", False, iter(string)
    for letter in letters:
        if letter == '"':
            quoted = not quoted
        elif letter == "\\" and quoted:
            word += next(letters)
        elif letter == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += letter
    return [each.replace("%%", "%") for each in (*words, word)]


def test_the_base_directories_of_the_person_are_followed(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": "relative"}
    plan = linux.plan(Program(("passerelle",)), environment, tmp_path / "home", user_manager=True)
    assert written(plan, linux.UNIT).path == tmp_path / "config" / "systemd" / "user" / linux.UNIT
    usual = tmp_path / "home" / ".local" / "share"
    assert written(plan, "passerelle.desktop").path == usual / "applications" / "passerelle.desktop"


def test_the_mac_application_says_why_it_asks_for_bluetooth_in_both_languages(tmp_path: Path) -> None:
    plan = macos.plan(Program(("/opt/passerelle",)), tmp_path, 501, "1.2.3")
    info = plistlib.loads(written(plan, "Info.plist").content)
    assert info["NSBluetoothAlwaysUsageDescription"] == macos.BLUETOOTH
    assert macos.BLUETOOTH_FRENCH in written(plan, "InfoPlist.strings").content.decode()
    starter = tmp_path / "Applications" / "Passerelle.app" / "Contents" / "MacOS" / info["CFBundleExecutable"]
    assert written(plan, "Passerelle").path == starter
    assert written(plan, "Passerelle").mode == 0o755


def test_the_mac_agent_starts_the_application_with_the_session(tmp_path: Path) -> None:
    plan = macos.plan(Program(("/opt/passerelle",)), tmp_path, 501, "1.2.3")
    agent = plistlib.loads(written(plan, f"{macos.LABEL}.plist").content)
    assert agent["ProgramArguments"] == [str(written(plan, "Passerelle").path), "serve"]
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert plan.begin == (
        ("launchctl", "bootstrap", "gui/501", str(written(plan, f"{macos.LABEL}.plist").path)),
    )


def test_the_script_of_the_mac_application_starts_the_program_wherever_it_lies(
    program: Program, tmp_path: Path
) -> None:
    script = tmp_path / "starter"
    script.write_text(macos.script(program))
    assert started("/bin/sh", str(script), "serve") == f"{program.settings['PASSERELLE_HOME']}|serve\n"


def test_the_windows_task_starts_the_program_at_logon_without_a_window(tmp_path: Path) -> None:
    program = Program(("C:\\Users\\Zoé & Léa\\venv\\Scripts\\passerelle.exe",))
    environment = {"USERDOMAIN": "HOME<1>", "USERNAME": "Zoé & Léa", "LOCALAPPDATA": str(tmp_path)}
    plan = windows.plan(program, environment, tmp_path)
    content = written(plan, "start-with-session.xml").content
    assert content[:2] in {b"\xff\xfe", b"\xfe\xff"}
    task = ElementTree.fromstring(content)
    name = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    assert task.findtext(f".//{name}Exec/{name}Command") == "C:\\Users\\Zoé & Léa\\venv\\Scripts\\pythonw.exe"
    assert task.findtext(f".//{name}Exec/{name}Arguments") == "-I -m gateway serve"
    assert task.findtext(f".//{name}LogonTrigger/{name}UserId") == "HOME<1>\\Zoé & Léa"
    assert task.findtext(f".//{name}RunLevel") == "LeastPrivilege"
    assert task.findtext(f".//{name}ExecutionTimeLimit") == "PT0S"


def test_the_windows_shortcut_is_made_with_quotes_that_nothing_breaks(tmp_path: Path) -> None:
    program = Program(("C:\\O'Hara $x\\Scripts\\passerelle.exe",))
    plan = windows.plan(program, {"APPDATA": str(tmp_path)}, tmp_path)
    (shell,) = (command for command in plan.begin if command[0] == "powershell")
    assert "$link.TargetPath = 'C:\\O''Hara $x\\Scripts\\pythonw.exe'" in shell[-1]
    assert plan.makes == (tmp_path / "Microsoft/Windows/Start Menu/Programs/Passerelle.lnk",)


def test_the_icon_is_wrapped_for_every_system() -> None:
    png = picture()
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (256, 256)
    assert ElementTree.fromstring(drawing()).tag.endswith("svg")
    kind, length = struct.unpack(">4sI", icns(png)[8:16])
    assert (kind, length, icns(png)[16:]) == (b"ic08", len(png) + 8, png)
    size, begin = struct.unpack("<II", ico(png)[14:22])
    assert ico(png)[begin : begin + size] == png


def test_the_program_of_this_process_is_its_own_script() -> None:
    program = Program.of_this_process()
    assert shlex.join(program.command).endswith("passerelle")
    assert Path(program.command[0]).is_file()
