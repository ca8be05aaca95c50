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
REASONS = {"trailing_or_invalid": "trailing_bytes", "invalid_crc_field": "invalid_crc"}
"""p010 has too many bytes for its flags and an impossible date: the length is judged first."""
READ_THOUGH_ITS_SOURCE_REFUSES = {"p086": {"hr": 257, "contact": True, "rr_1024": []}}
"""The flags announce beat intervals and none is there: the specification is silent, and the rate is sound."""


def test_every_vector_has_its_decoder() -> None:
    every = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text())
    assert len(VECTORS) == len(every) >= 117


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_a_vector_means_what_its_source_says(vector: dict[str, Any]) -> None:
    decode, raw, expected = (
        decoder(vector["characteristic"]),
        bytes.fromhex(vector["hex"]),
        READ_THOUGH_ITS_SOURCE_REFUSES.get(vector["id"], vector["expected"]),
    )
    if "error" in expected:
        with pytest.raises(MalformedMeasurement) as refused:
            decode(raw)
        assert refused.value.reason == REASONS.get(expected["error"], expected["error"])
        return
    value = decode(raw)
    for name, wanted in expected.items():
        if name == "records":
            assert len(value[name]) == len(wanted)
            for record, fields in zip(value[name], wanted, strict=True):
                assert {key: record[key] for key in fields} == pytest.approx(fields, rel=1e-6)
        else:
            assert value[name] == (
                pytest.approx(wanted, rel=1e-6) if isinstance(wanted, float) else wanted
            ), name
