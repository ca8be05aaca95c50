"""Why a file cannot be read or written, in sentences of the catalogue: the system speaks its own language."""

from __future__ import annotations

import errno
from typing import Final

REASONS: Final = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "it is not allowed",
    errno.EPERM: "it is not allowed",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "part of its path is no folder",
    errno.EEXIST: "it is there already",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EROFS: "the disk takes no writing",
    errno.EFBIG: "it is too large",
    errno.EIO: "the disk answers with an error",
    errno.EBUSY: "another program uses it",
    errno.ETXTBSY: "another program uses it",
    errno.ELOOP: "it leads back to itself",
}
OTHER: Final = "the system refuses it"


def why(error: OSError) -> str:
    """The reason of an error, as a part of a sentence."""
    return REASONS.get(error.errno or 0, OTHER)
