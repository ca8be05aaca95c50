"""How resources name one another: by `urn:uuid:` in a Bundle that stands alone, by URL on a server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))


@dataclass(frozen=True, slots=True)
class Address:
    """Where resources live. `base`: the URL of the FHIR server, None in a Bundle that stands alone.

    An id is 32 hexadecimal characters, so it reads as a UUID too: in a Bundle without a server the same id
    makes the `urn:uuid:` of `fullUrl`, and references resolve inside the Bundle (FHIR R4, Bundle 2.36.4).
    """

    base: str | None = None

    def reference(self, resource_type: str, fhir_id: str) -> str:
        """The text of Reference.reference."""
        return f"{resource_type}/{fhir_id}" if self.base else self.full_url(resource_type, fhir_id)

    def full_url(self, resource_type: str, fhir_id: str) -> str:
        """The text of Bundle.entry.fullUrl."""
        if self.base:
            return f"{self.base.rstrip('/')}/{resource_type}/{fhir_id}"
        return "urn:uuid:" + "-".join(fhir_id[start:end] for start, end in _GROUPS)

    def prefix(self, resource_type: str) -> str:
        """What all full URLs of a type begin with."""
        return self.full_url(resource_type, "").rstrip("-")

    def last_parts(self, ids: npt.NDArray[np.bytes_]) -> list[bytes]:
        """What follows the prefix in the full URL of each id."""
        if self.base or not len(ids):
            return list(ids.tolist())
        characters = ids.view(np.uint8).reshape(len(ids), 32)
        spelled = np.full((len(ids), 36), ord("-"), dtype=np.uint8)
        for group, (start, end) in enumerate(_GROUPS):
            spelled[:, start + group : end + group] = characters[:, start:end]
        return list(spelled.view("S36").ravel().tolist())


ALONE = Address()
"""In a Bundle that stands alone: what a sealed link carries."""
