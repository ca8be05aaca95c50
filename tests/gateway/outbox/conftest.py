from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.outbox import limits


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, so that a test of fifty failures does not take an hour."""
    monkeypatch.setattr(limits, "FIRST_PAUSE", timedelta(milliseconds=1))
    monkeypatch.setattr(limits, "LONGEST_PAUSE", timedelta(milliseconds=5))
    monkeypatch.setattr(limits, "PATIENCE", timedelta(milliseconds=50))
