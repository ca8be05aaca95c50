"""Runs a command of `passerelle` in a Python without what Windows lacks; started by test_without_posix.

It is no Windows: paths, sockets and processes are this system's. It shows that nothing of ours is loaded that
is not there, and that what cannot be done yet is said in a sentence.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pkgutil
import sys
import types

# What others wrote is loaded before: it has ways of its own on each system.
OTHERS = (
    "apscheduler babel bleak bumble.device bumble.transport.tcp_client cryptography fastapi fhir.resources "
    "httpx jinja2 joserfc multiprocessing numpy prometheus_client psycopg psycopg_pool pyrage rich segno "
    "shutil subprocess tempfile typer tzlocal uvicorn"
)
ABSENT = {"fcntl", "grp", "pwd", "resource", "termios", "dbus_fast"}
MISSING = (
    "O_DIRECTORY",
    "O_NOFOLLOW",
    "chown",
    "fchmod",
    "fork",
    "getegid",
    "geteuid",
    "getgid",
    "getuid",
    "killpg",
)
FOR_LINUX = {"gateway.ble.bluez", "gateway.ble.bluez_agent"}


class _Absent:
    """Finds none of the modules that Windows has not."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def become_windows() -> None:
    for name in OTHERS.split():
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in ABSENT]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Absent())  # type: ignore[arg-type]
    sys.platform = "win32"
    for name in MISSING:
        delattr(os, name)
    locking = types.ModuleType("msvcrt")
    locking.LK_NBLCK, locking.locking = 2, lambda *_: None  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = locking
    asyncio.WindowsSelectorEventLoopPolicy = asyncio.DefaultEventLoopPolicy  # type: ignore[misc, attr-defined]


def modules_that_fail() -> list[str]:
    failed = []
    for package in map(importlib.import_module, ("device_profiles", "fhir_mapping", "storage", "gateway")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__") or module.name in FOR_LINUX:
                continue
            try:
                importlib.import_module(module.name)
            except ImportError:
                failed.append(module.name)
    return failed


become_windows()
if sys.argv[1:] == ["modules"]:
    print(json.dumps(modules_that_fail()))
else:
    importlib.import_module("gateway.cli").main()
