"""Captured syncs played again."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.transcript import CaptureUnreadable, read_sessions
from device_profiles.virtual_device import Effect, Indicate, Notify, Silence, VirtualDevice, from_transcript

CAPTURED = Path(__file__).parents[2] / "gateway" / "demonstration" / "accuchek_guide_full_read.json"
TRANSCRIPT: dict[str, Any] = json.loads(CAPTURED.read_text())
DONE = Indicate(0x2A52, bytes.fromhex("06000101"))


def sent(characteristic: str, raw: str, operation: str = "notify") -> dict[str, Any]:
    return {"t_ms": 0.0, "dir": "device", "op": operation, "char": characteristic, "hex": raw}


def transcript(*sessions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"sessions": list(sessions)}


def played(device: VirtualDevice, request: str = "0101") -> list[Effect]:
    for characteristic, value in ((0x2A18, 1), (0x2A34, 1), (0x2A52, 2)):
        device.subscribe(characteristic, value)
    return list(device.write(0x2A52, bytes.fromhex(request)))


def test_a_captured_read_is_played_frame_by_frame() -> None:
    (device,) = from_transcript(TRANSCRIPT)
    captured = [event for event in TRANSCRIPT["sessions"][0] if event["dir"] == "device"]
    assert [
        effect.value.hex().upper() for effect in played(device) if isinstance(effect, Notify | Indicate)
    ] == [event["hex"] for event in captured]
    assert len(device) == 11


def test_a_captured_read_can_be_read_on_from_a_sequence_number() -> None:
    (device,) = from_transcript(TRANSCRIPT)
    assert [type(effect) for effect in played(device, "0103010C00")] == [
        Notify,
        Notify,
        Notify,
        Notify,
        Indicate,
    ]
    assert played(device, "0103010F00") == [Indicate(0x2A52, bytes.fromhex("06000106"))]
    assert played(device, "0401") == [Indicate(0x2A52, bytes.fromhex("05000B00"))]


def test_it_needs_no_pairing_and_shows_no_clock() -> None:
    (device,) = from_transcript(TRANSCRIPT)
    declared = [each for service in device.gatt_table() for each in service.characteristics]
    assert not any(each.protected for each in declared)
    assert 0x2A2B not in {each.uuid for each in declared}


@pytest.mark.parametrize("malformed", ["", "00", "FF" * 40, "1B0400C3A407070E0B06055A0277C2B0C3B80000"])
def test_a_malformed_frame_is_played_as_it_was(malformed: str) -> None:
    (device,) = from_transcript(transcript([sent("2A18", malformed), sent("2A52", "06000101", "indicate")]))
    assert played(device) == [Notify(0x2A18, bytes.fromhex(malformed)), DONE]


def test_a_frame_too_short_for_a_number_keeps_its_place() -> None:
    whole = "0B0E00E607051E0E371B3C000208F84000"
    (device,) = from_transcript(transcript([sent("2A18", whole), sent("2A18", "0B")]))
    assert played(device, "0103010E00")[:2] == [Notify(0x2A18, bytes.fromhex(whole)), Notify(0x2A18, b"\x0b")]


def test_a_capture_that_ends_without_an_answer_ends_in_silence() -> None:
    (device,) = from_transcript(transcript([sent("2A52", "05000100", "indicate"), sent("2A18", "00")]))
    assert played(device) == [Notify(0x2A18, b"\x00"), Silence()]


def test_a_capture_without_records_ends_as_it_ended() -> None:
    refused = "06000108"
    empty, silent = from_transcript(transcript([sent("2A52", refused, "indicate")], []))
    assert played(empty) == [Indicate(0x2A52, bytes.fromhex(refused))]
    assert played(silent) == [Silence()]


def test_what_is_no_record_is_left_out() -> None:
    (device,) = from_transcript(
        transcript([sent("2A19", "50"), sent("2A34", "020C0001"), sent("2A18/CCCD", "01")])
    )
    assert played(device) == [Notify(0x2A34, bytes.fromhex("020C0001")), Silence()]


@pytest.mark.parametrize(
    ("unreadable", "where"),
    [
        (None, "$.sessions"),
        ([], "$.sessions"),
        ({}, "$.sessions"),
        ({"sessions": []}, "$.sessions"),
        ({"sessions": "none"}, "$.sessions"),
        ({"sessions": [{}]}, "$.sessions[0]"),
        (transcript([], ["frame"]), "$.sessions[1][0]"),  # type: ignore[list-item]
        (transcript([sent("2A18", "00") | {"dir": "up"}]), "$.sessions[0][0].dir"),
        (transcript([sent("2A18", "00") | {"dir": []}]), "$.sessions[0][0].dir"),
        (transcript([sent("2A18", "00", "shout")]), "$.sessions[0][0].op"),
        (transcript([sent("2A18", "00", {})]), "$.sessions[0][0].op"),  # type: ignore[arg-type]
        (transcript([sent("2A1", "00")]), "$.sessions[0][0].char"),
        (transcript([sent("2A18", "0")]), "$.sessions[0][0].hex"),
        (transcript([sent("2A18", "GG")]), "$.sessions[0][0].hex"),
        (transcript([sent("2A18", 7)]), "$.sessions[0][0].hex"),  # type: ignore[arg-type]
    ],
)
def test_a_capture_that_is_none_is_refused_with_the_place(unreadable: object, where: str) -> None:
    with pytest.raises(CaptureUnreadable) as refused:
        from_transcript(unreadable)
    assert refused.value.where == where
    assert where in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(at=st.integers(0, 16), key=st.sampled_from(["dir", "op", "char", "hex", "t_ms"]), value=JSON)
def test_any_damage_to_an_event_is_played_or_refused(at: int, key: str, value: object) -> None:
    damaged = deepcopy(TRANSCRIPT)
    damaged["sessions"][0][at][key] = value
    where = ""
    try:
        read_sessions(damaged)
    except CaptureUnreadable as refused:
        where = refused.where
    assert where in ("", f"$.sessions[0][{at}].{key}")
