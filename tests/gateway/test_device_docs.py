"""What the pages for makers say is true: the table is what is known, the commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from device_profiles import catalogue

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "devices.md"
HEAD = """# Devices that are known

Made of `passerelle profiles list` by `tests/gateway/test_device_docs.py`; `WRITE_DOCS=1` writes it anew.
A test fails where it is not so. *Known by*: how sure it is. A device of any maker that keeps to a standard
profile is known by that. To add one: [add-a-device.md](add-a-device.md).

| Name | Device | Maker | Known by | Gives | Source |
|---|---|---|---|---|---|
"""


def table() -> str:
    rows = [
        f"| `{one.name}` | {one.title} | {one.manufacturer or '–'} | {one.known_by} | "
        f"{', '.join(kind.slug for kind in one.kinds)} | {one.source} |\n"
        for one in catalogue.BUILT_IN
    ]
    return HEAD + "".join(rows)


def test_the_table_of_devices_is_what_is_known() -> None:
    if os.environ.get("WRITE_DOCS"):
        TABLE.write_text(table())
    assert TABLE.read_text() == table()


def test_each_command_of_the_page_for_makers_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "add-a-device.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    for command in blocks:
        words = shlex.split(command)
        ended = subprocess.run(
            [sys.executable, "-m", "gateway", *words[1:]],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    assert (tmp_path / "acme_one.html").exists()
    assert (tmp_path / "passerelle-acme-two" / "pyproject.toml").exists()
