"""Seals what a link carries; the only place that holds a link's key.

A sealed link is a SMART Health Link (HL7 SMART Health Cards and Links, "links-specification"): an address on
a shelf, and a key that only the link's fragment holds. The gateway keeps the key wrapped under the home's
secret, so that it can seal the same link again after each sync.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from joserfc import jwe
from joserfc.jwk import OctKey

from device_profiles.errors import PasserelleError, SpaceError
from gateway.file_errors import why

FHIR_JSON: Final = "application/fhir+json"
"""`cty` of a sealed file and its `contentType` in the manifest: a fixed value of the specification."""

SMART_API_ACCESS: Final = "application/smart-api-access"
"""The same of a file that carries the access to a FHIR server, in the place of readings."""

LABEL_MAX: Final = 80
PASSCODE_MIN: Final = 4
"""With ten tries for the life of a link, four digits are guessed once in a thousand links."""
PASSCODE_MAX: Final = 200
URL_MAX: Final = 128
_KEY_BYTES: Final = 32
_OPENED_MAX: Final = 256 * 1024 * 1024  # a bundle of ten years of five-minute readings inflates to about that


class LinkMalformed(SpaceError):
    """A text that is no sealed link."""

    sentence = (
        "This is not a complete sharing link. Copy the whole link, to its last character, and try again."
    )


class SealBroken(SpaceError):
    """A sealed file that the link's key does not open: altered on its way, or not of this link."""

    sentence = (
        "What was shared cannot be opened: it was altered, or the link is not its own. Ask for a new link."
    )


class LabelTooLong(SpaceError):
    """A label longer than the specification allows."""

    sentence = "The label of a share has at most {longest} characters. Choose a shorter one."


class ShelfAddressTooLong(SpaceError):
    """A shelf whose address leaves no room for a link: the whole address has at most 128 characters."""

    sentence = "The address of the shelf is too long for a sharing link. Set a shorter PASSERELLE_SHELF_URL."


class PasscodeUnusable(SpaceError):
    """A passcode that anybody guesses, or that no shelf takes."""

    sentence = (
        "A passcode has {shortest} to {longest} characters, besides spaces. Choose another, or write "
        "--passcode alone: then one is chosen."
    )


class HomeSecretUnusable(PasserelleError):
    """The file that holds the home's secret is there and cannot be used."""

    sentence = (
        "The file {file}, which keeps the keys of what is shared, cannot be used: {why}. "
        "Put it back from a backup of this folder."
    )


def base64url(octets: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The octets of unpadded base64url. Raises ValueError for anything else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error


@dataclass(frozen=True, slots=True)
class SealedLink:
    """A SMART Health Link: what its payload says. The key stands in the link's fragment and nowhere else.

    `manifest_url` is its address, of at most 128 characters; a label has at most 80. `long_term` is the flag
    L: what is behind the link may change.
    """

    manifest_url: str = field(repr=False)
    key: bytes = field(repr=False)
    label: str | None = None
    expires_at: datetime | None = None
    passcode: bool = False
    long_term: bool = False

    def __post_init__(self) -> None:
        if self.label is not None and _utf16_units(self.label) > LABEL_MAX:
            raise LabelTooLong(longest=LABEL_MAX)
        if len(self.manifest_url) > URL_MAX:
            raise ShelfAddressTooLong
        if len(self.key) != _KEY_BYTES:
            raise LinkMalformed

    @property
    def flags(self) -> str:
        """The payload's flags, in alphabetical order. A link with a passcode is never a direct file (U)."""
        return ("L" if self.long_term else "") + ("P" if self.passcode else "")

    def shlink(self) -> str:
        """The link without a viewer: `shlink:/…`."""
        payload: dict[str, object] = {"url": self.manifest_url, "key": base64url(self.key)}
        if self.expires_at is not None:
            payload["exp"] = int(self.expires_at.timestamp())
        if self.flags:
            payload["flag"] = self.flags
        if self.label:
            payload["label"] = self.label
        payload["v"] = 1
        minified = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        return f"shlink:/{base64url(minified.encode())}"

    def url(self, shelf_url: str) -> str:
        """The link as a person opens it: the shelf's viewer, and behind the `#` what no server receives."""
        return f"{shelf_url.rstrip('/')}/view#{self.shlink()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a link with or without a viewer in front. Raises `LinkMalformed`."""
        _, found, encoded = text.strip().rpartition("shlink:/")
        try:
            payload = json.loads(from_base64url(encoded)) if found else None
            if (
                not isinstance(payload, dict)
                or payload.get("v", 1) != 1
                or not isinstance(payload["url"], str)
            ):
                raise LinkMalformed
            flags = str(payload.get("flag", ""))
            expires = payload.get("exp")
            return cls(
                manifest_url=payload["url"],
                key=from_base64url(payload["key"]),
                label=payload.get("label"),
                expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
                passcode="P" in flags,
                long_term="L" in flags,
            )
        except (LabelTooLong, ShelfAddressTooLong):
            raise LinkMalformed from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
            raise LinkMalformed from None


def _utf16_units(text: str) -> int:
    """Characters as JavaScript counts them, which is how receivers check the length of a label."""
    return len(text.encode("utf-16-le")) // 2


def new_manifest_id() -> str:
    """43 characters of base64url: 256 random bits, what nobody guesses of a link's address."""
    return secrets.token_urlsafe(32)


def new_key() -> bytes:
    """A link's key: 32 random octets, for A256GCM."""
    return secrets.token_bytes(_KEY_BYTES)


def token_hash(token: str) -> bytes:
    """SHA-256 of a random token: what is kept of it where it is checked, and a shelf's name for a link."""
    return hashlib.sha256(token.encode()).digest()


def manifest_url(shelf_url: str, manifest_id: str) -> str:
    """Where the manifest of a link is asked for."""
    return f"{shelf_url.rstrip('/')}/shl/{manifest_id}"


def seal(content: bytes, key: bytes, content_type: str = FHIR_JSON) -> str:
    """Deflate and encrypt a file under a link's key: compact JWE, `dir` and `A256GCM`, a new IV each time."""
    header = {"alg": "dir", "enc": "A256GCM", "cty": content_type, "zip": "DEF"}
    return jwe.encrypt_compact(header, content, OctKey.import_key(key), algorithms=["dir", "A256GCM", "DEF"])


def unseal(sealed: str, key: bytes) -> bytes:
    """The file inside a compact JWE. Raises `SealBroken` when the key does not open it.

    Read by hand (RFC 7516 section 5.2): joserfc reads no more than 64 KB, and one real week is larger.
    """
    try:
        protected, encrypted_key, iv, ciphertext, tag = sealed.strip().split(".")
        header = json.loads(from_base64url(protected))
        if (header["alg"], header["enc"], encrypted_key) != ("dir", "A256GCM", "") or "crit" in header:
            raise SealBroken
        sealed_octets = from_base64url(ciphertext) + from_base64url(tag)
        content = AESGCM(key).decrypt(from_base64url(iv), sealed_octets, protected.encode("ascii"))
        return _inflated(content) if header.get("zip") == "DEF" else content
    except (ValueError, KeyError, TypeError, InvalidTag, zlib.error):
        raise SealBroken from None


def _inflated(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    content = inflater.decompress(deflated, _OPENED_MAX)
    if not inflater.eof:
        raise SealBroken
    return content


class HomeSecret:
    """The secret of one home: 32 random octets in a file that only its owner reads.

    Each use has a key of its own, derived by HKDF-SHA256 (RFC 5869): who learns one learns no other.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, home: Path) -> Self:
        """The secret of the folder that holds a home, made if it is absent. Raises `HomeSecretUnusable`."""
        path = home / "secret"
        try:
            if not path.exists():
                create_private_file(path, secrets.token_bytes(_KEY_BYTES))
            secret = path.read_bytes()
        except OSError as error:
            raise HomeSecretUnusable(file=str(path), why=why(error)) from None
        if len(secret) != _KEY_BYTES:
            raise HomeSecretUnusable(file=str(path), why="it is not whole")
        return cls(secret)

    def wrap(self, secret: bytes, bound_to: str) -> bytes:
        """A link's secret, to be kept: a nonce of 12 octets, then AES-256-GCM.

        It opens again only for the same `bound_to`, the name of what it belongs to.
        """
        nonce = secrets.token_bytes(12)
        return nonce + self._wrapping().encrypt(nonce, secret, bound_to.encode())

    def unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        """What `wrap` wrapped. Raises `SealBroken` for another home's, or one bound to another name."""
        try:
            return self._wrapping().decrypt(wrapped[:12], wrapped[12:], bound_to.encode())
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def fhir_ids(self) -> bytes:
        """The secret under which FHIR ids are made of readings' keys: 32 octets."""
        return self._derived(b"passerelle fhir ids", 32)

    def _wrapping(self) -> AESGCM:
        return AESGCM(self._derived(b"passerelle link keys", 32))

    def _derived(self, use: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=None, info=use).derive(self._secret)


def create_private_file(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that is whole or absent; of two processes at once, the first one's stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()


# Fixed, never taken from outside: 16 MB and about 50 ms a try (RFC 7914). A link dies of a few wrong ones,
# and a passcode alone opens nothing: the key is in the link.
_SCRYPT: Final[Mapping[str, Any]] = {"length": 32, "n": 2**14, "r": 8, "p": 1}


def hash_passcode(passcode: str) -> str:
    """What a shelf keeps of a passcode: `scrypt$salt$hash`. The gateway makes it, the shelf only compares.

    Raises `PasscodeUnusable`.
    """
    if len("".join(passcode.split())) < PASSCODE_MIN or len(passcode) > PASSCODE_MAX:
        raise PasscodeUnusable(shortest=PASSCODE_MIN, longest=PASSCODE_MAX)
    salt = secrets.token_bytes(16)
    return f"scrypt${base64url(salt)}${base64url(_stretched(passcode, salt))}"


def passcode_matches(passcode: str, kept: str) -> bool:
    """Whether a passcode is the one that was hashed; takes the same time for any."""
    _, salt, expected = kept.split("$")
    return hmac.compare_digest(_stretched(passcode, from_base64url(salt)), from_base64url(expected))


def _stretched(passcode: str, salt: bytes) -> bytes:
    # What a person types: accents composed or not, a space behind, are the same passcode.
    typed = unicodedata.normalize("NFKC", passcode).strip().encode()
    return Scrypt(salt=salt, **_SCRYPT).derive(typed)
