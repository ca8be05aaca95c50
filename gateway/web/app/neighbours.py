"""Whose program is at the other end of a connection on this machine, where the system says so.

Loopback is shared by all users of a laptop, and a cookie knows no port: a page that another user serves on
another port of 127.0.0.1 is sent ours, when the person can be led to it. On Linux the kernel lists each
socket with its user, so what another user's program sends is refused whatever it shows.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def is_another_users(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether the connection `client` → `server` is known to be another user's.

    False where the system does not tell: not on Linux, or a table that cannot be read. Root may do what it
    wants on this machine anyway.
    """
    if sys.platform != "linux":
        return False
    owner = _owner(client, server)
    return owner is not None and owner not in {os.geteuid(), 0}


def _owner(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    wanted = (_packed(client), _packed(server))
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if (_unpacked(fields[1]), _unpacked(fields[2])) == wanted:
                return int(fields[7])
    return None


def _packed(end: tuple[str, int]) -> tuple[bytes, int]:
    address = ipaddress.ip_address(end[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).packed, end[1]


def _unpacked(written: str) -> tuple[bytes, int]:
    """An address of the table: each four bytes as a number of this machine, in hexadecimal."""
    host, _, port = written.partition(":")
    words = [bytes.fromhex(host[at : at + 8]) for at in range(0, len(host), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(packed) == 16:
        mapped = ipaddress.IPv6Address(packed).ipv4_mapped
        packed = mapped.packed if mapped else packed
    return packed, int(port, 16)
