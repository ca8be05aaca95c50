"""`passerelle report`: the numbers of a person's sensor readings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from gateway.reports.request import SensorReport

FIGURES = {
    "Share of the expected readings": "%",
    "Mean": "mg/dL",
    "Standard deviation": "mg/dL",
    "Coefficient of variation": "%",
    "Glucose management indicator": "%",
}
"""What `report` prints, in its order, each with its unit."""

RANGES = (
    "Time below 54 mg/dL",
    "Time from 54 to 69 mg/dL",
    "Time from 70 to 180 mg/dL",
    "Time from 181 to 250 mg/dL",
    "Time above 250 mg/dL",
)
RANGES_IN_PREGNANCY = (
    "Time below 54 mg/dL",
    "Time from 54 to 62 mg/dL",
    "Time from 63 to 140 mg/dL",
    "Time from 141 to 250 mg/dL",
    "Time above 250 mg/dL",
)
"""And the percentages of time, which are 100 together."""


EPISODES = {
    "lt70": "Episodes below 70 mg/dL",
    "lt54": "Episodes below 54 mg/dL",
    "gt180": "Episodes above 180 mg/dL",
    "gt250": "Episodes above 250 mg/dL",
}
"""The same for episodes, by their names in the report."""

SITUATIONS = ("standard", "older", "pregnancy-type-1", "pregnancy-other")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="report")(report)


def report(
    patient: PatientName,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=3660, help="So many days, ending with the last that has sensor data."),
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Last day, included."),
    ] = None,
    situation: Annotated[
        str,
        typer.Option(metavar="|".join(SITUATIONS), help="Whose targets."),
    ] = SITUATIONS[0],
    as_json: Json = False,
) -> None:
    """The numbers of the consensus for a person's sensor readings."""
    if days is not None and (first or last):
        raise typer.BadParameter("give --days, or --from and --to", param_hint="--days")
    if (first is None) != (last is None):
        raise typer.BadParameter("--from and --to go together", param_hint="--from")
    if first and last and first > last:
        raise typer.BadParameter("--from comes after --to", param_hint="--from")
    if situation not in SITUATIONS:
        raise typer.BadParameter(
            "standard, older, pregnancy-type-1 or pregnancy-other", param_hint="--situation"
        )

    async def command() -> SensorReport:
        from gateway.home import opened
        from gateway.reports.request import sensor_report
        from gateway.reports.targets import Situation

        bounds = (first.date(), last.date()) if first and last else None
        async with opened() as home:
            return await sensor_report(home.database, patient, bounds or (days or 14), Situation(situation))

    found = terminal.run(command())
    if as_json:
        terminal.write_json(answer_of(found))
    else:
        _write(found)


def answer_of(found: SensorReport) -> dict[str, Any]:
    """The report as JSON; percents unrounded, moments in UTC."""
    return {
        "from": found.period.first.isoformat(),
        "to": found.period.last.isoformat(),
        "timezone": found.period.zone.key,
        "situation": found.situation.value,
        **asdict(found.statistics),
        "interval_minutes": found.interval_minutes,
        "targets": [
            {
                "ranges": list(goal.ranges),
                "at_least_percent" if goal.at_least else "below_percent": goal.percent,
                "met": met,
            }
            for goal, met in found.goals
        ],
        "episodes": {
            name: [
                {"start": each.start.isoformat(), "end": each.end.isoformat(), "minutes": each.minutes}
                for each in of_kind
            ]
            for name, of_kind in found.episodes.items()
        },
        "percentiles": [asdict(block) for block in found.profile],
        "finger_stick": asdict(found.finger_sticks),
        "home_blood_pressure": _pressure(found),
    }


def _pressure(found: SensorReport) -> dict[str, Any] | None:
    mean = found.home_blood_pressure
    if mean is None:
        return None
    days = {"first": mean.first.isoformat(), "last": mean.last.isoformat()}
    return asdict(mean) | days | {"above": mean.above}


def _write(found: SensorReport) -> None:
    statistics = found.statistics
    terminal.say(
        "{first} to {last}, sensor readings: {n}",
        first=found.period.first.isoformat(),
        last=found.period.last.isoformat(),
        n=statistics.n,
    )
    if not statistics.n:
        terminal.say("There is no sensor reading in these days.")
        return
    figures = asdict(statistics)
    names = ("completeness_percent", "mean_mg_dl", "sd_mg_dl", "cv_percent", "gmi_percent")
    for (title, unit), value in zip(FIGURES.items(), (figures[name] for name in names), strict=True):
        _line(title, terminal.tr("not enough readings") if value is None else terminal.number(value, unit))
    ranges = RANGES_IN_PREGNANCY if found.situation.value.startswith("pregnancy") else RANGES
    for title, percent in zip(ranges, _summing_to_100(figures["time_in_range"].values()), strict=True):
        _line(title, terminal.number(percent, "%"))
    for name, title in EPISODES.items():
        of_kind = found.episodes[name]
        minutes = sum(each.minutes for each in of_kind)
        _line(title, terminal.tr("{count}, {minutes} min in all", count=len(of_kind), minutes=minutes))


def _line(name: str, figure: str) -> None:
    print(f"  {terminal.tr(name):<38} {figure}")  # noqa: T201


def _summing_to_100(percents: Iterable[float]) -> list[float]:
    """The percentages with one decimal each that together are 100 (largest remainder)."""
    tenths = [10 * percent for percent in percents]
    shown = [math.floor(value) for value in tenths]
    by_remainder = sorted(range(len(tenths)), key=lambda row: shown[row] - tenths[row])
    for row in by_remainder[: 1000 - sum(shown)]:
        shown[row] += 1
    return [value / 10 for value in shown]
