"""What strangers write is shown on terminals: nothing in it may move the cursor or turn the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.services.device_information import MODEL_NUMBER, DeviceInformation
from device_profiles.text import one_line


def test_what_does_not_print_is_left_out() -> None:
    assert one_line(" A\x1b[2J\n\tmeter\u202e\0 ") == "A[2J meter"
    assert one_line("\u200b \x07") == ""


def test_a_text_is_cut_where_it_is_too_long() -> None:
    assert one_line("x" * 500, 120) == "x" * 120


@given(st.text())
def test_whatever_is_written_comes_out_printable_on_one_line(text: str) -> None:
    assert one_line(text).isprintable()


def test_a_device_that_writes_zeros_into_its_model_is_still_known_by_it() -> None:
    assert DeviceInformation.of({MODEL_NUMBER: b"Model\0 1\x1b\0\0"}).model == "Model 1"
