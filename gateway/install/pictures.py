"""The icon in the wrappings of macOS and Windows: both take a PNG as it is."""

from __future__ import annotations

import struct


def icns(png: bytes) -> bytes:
    """An icon of macOS that holds one PNG of 256 by 256 points (type `ic08`)."""
    entry = b"ic08" + struct.pack(">I", 8 + len(png)) + png
    return b"icns" + struct.pack(">I", 8 + len(entry)) + entry


def ico(png: bytes) -> bytes:
    """An icon of Windows that holds one PNG of 256 by 256 points, which its header writes as 0."""
    head = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(png), len(head) + 16)
    return head + entry + png
