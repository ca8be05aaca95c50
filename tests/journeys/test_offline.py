from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.offline import A_WEEK, WEEKS, go, two_homes


@pytest.mark.timeout(240)
def test_six_weeks_offline_and_three_kills_leave_every_reading_at_the_space_once(tmp_path: Path) -> None:
    with two_homes(tmp_path) as (gateway, space):
        outcome = go(gateway, space, tmp_path, lambda _: None, weeks_at_once=3)
    assert outcome.stored == outcome.at_the_space == outcome.told == WEEKS * A_WEEK
    assert outcome.same
    assert outcome.waiting == 0
    assert outcome.changed_versions == 0
    kills = zip(outcome.acknowledged_at_kills, outcome.seen_at_kills, strict=True)
    assert all(known <= seen < outcome.stored for known, seen in kills)
