"""Every public vector of the characteristics that exist: bytes to fields, or the reason to refuse them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.decode import characteristics, decoder
from device_profiles.errors import MalformedMeasurement

VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text())
    if vector["characteristic"] in characteristics()
]
REASONS = {"trailing_or_invalid": "trailing_bytes"}
"""p010 has too many bytes for its flags and an impossible date: the length is judged first."""


def test_the_vectors_cover_all_that_a_glucose_meter_speaks() -> None:
    covered = {vector["characteristic"] for vector in VECTORS}
    assert covered >= {"0x2A18", "0x2A34", "0x2A51", "0x2A52", "0x2A08", "0x2A2B", "SFLOAT", "FLOAT", "CRC16"}
    assert len(VECTORS) >= 45


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_a_vector_means_what_its_source_says(vector: dict[str, Any]) -> None:
    decode, raw, expected = (
        decoder(vector["characteristic"]),
        bytes.fromhex(vector["hex"]),
        vector["expected"],
    )
    if "error" in expected:
        with pytest.raises(MalformedMeasurement) as refused:
            decode(raw)
        assert refused.value.reason == REASONS.get(expected["error"], expected["error"])
        return
    value = decode(raw)
    for name, wanted in expected.items():
        assert value[name] == (pytest.approx(wanted, rel=1e-6) if isinstance(wanted, float) else wanted), name
