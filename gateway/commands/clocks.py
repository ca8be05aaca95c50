"""What a person says and asks of time: `devices clock`, `readings time`, `patients zone`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from gateway.outcomes import SyncOutcome
    from gateway.setting_clock import ClockSetting
    from storage.devices import StoredDevice


def clock(
    device: Annotated[
        str, typer.Argument(metavar="DEVICE", help="Its name or address, as `devices` shows it.")
    ],
    set_it: Annotated[
        bool, typer.Option("--set", help="Set it: now if the device is near, else when it is read next.")
    ] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="Set it whenever it is more than ten minutes wrong.")
    ] = False,
    tell: Annotated[bool, typer.Option("--tell", help="Only tell how wrong it is (so it begins).")] = False,
    never: Annotated[bool, typer.Option("--never", help="Never set it, even where it is asked for.")] = False,
    as_json: Json = False,
) -> None:
    """How right the clock of a device is, and whether it may be set; it is set only after it was read."""
    if sum((set_it, auto, tell, never)) > 1:
        raise typer.BadParameter("give one of --set, --auto, --tell, --never", param_hint="--set")

    async def command() -> tuple[StoredDevice, ClockSetting | None]:
        from gateway.clock_policy import allow, named
        from gateway.home import opened
        from storage.devices import ClockPolicy

        policy = (
            ClockPolicy.AUTO if auto else ClockPolicy.NEVER if never else ClockPolicy.TELL if tell else None
        )
        async with opened() as home:
            if policy is not None or set_it:
                await allow(home, device, policy, asked=set_it)
            setting = await _read_now(home, device) if set_it else None
            return await named(home, device), setting

    known, setting = terminal.run(command())
    if as_json:
        terminal.write_json(_answer(known, setting))
        return
    tell_of_setting(setting)
    if setting is None and set_it:
        terminal.say("The device is not near. Its clock will be set when it is read next.")
    elif setting is None:
        terminal.say(**_error_said(known.clock_error_seconds))


async def _read_now(home: Any, device: str) -> ClockSetting | None:
    """Read it, which sets its clock afterwards; None where it is not near: it waits for the next time."""
    from gateway.ble.errors import NotInRange
    from gateway.known_devices import sync_known

    with suppress(NotInRange):
        outcome: SyncOutcome = await sync_known(home, device)
        return outcome.set_clock
    return None


def _answer(known: StoredDevice, setting: ClockSetting | None) -> dict[str, Any]:
    return {
        "clock_error_seconds": known.clock_error_seconds,
        "policy": known.clock_policy.name.lower(),
        "asked": known.clock_set_asked_at is not None,
        "outcome": None if setting is None else setting.outcome.value,
        "error_before": None if setting is None else setting.error_before,
        "error_after": None if setting is None else setting.error_after,
    }


def tell_of_setting(setting: ClockSetting | None) -> None:
    """Say what became of a clock that was to be set; nothing where it was left alone."""
    from gateway.setting_clock import ClockOutcome

    match setting.outcome if setting else ClockOutcome.LEFT:
        case ClockOutcome.SET:
            terminal.say("The clock of the device was set, and it shows the right time.")
        case ClockOutcome.NOT_CHANGED:
            terminal.note(
                "The device said that its clock was set, but it still shows another time. "
                "Please set it with its own buttons."
            )
        case ClockOutcome.REFUSED | ClockOutcome.NOT_WRITABLE:
            terminal.note("This device lets no one set its clock from outside. Please use its own buttons.")
        case ClockOutcome.NO_CLOCK:
            terminal.note("This device shows no clock to us, so it cannot be set from here.")


def tell_of_clocks(outcome: SyncOutcome) -> None:
    """Say after a sync what is to be said of clocks: this computer's, and that of the device read last."""
    from gateway.setting_clock import PLAINLY_WRONG_SECONDS, ClockOutcome
    from storage.devices import ClockPolicy

    if outcome.own_clock_in_doubt:
        terminal.note(
            "The clock of this computer looks wrong, so no time was corrected by it. "
            "Set the date and time of this computer, then read the device again."
        )
    tell_of_setting(outcome.set_clock)
    error = outcome.clock_error_seconds
    left = outcome.set_clock.outcome is ClockOutcome.LEFT and outcome.device.clock_policy is ClockPolicy.TELL
    if left and error is not None and abs(error) > PLAINLY_WRONG_SECONDS:
        terminal.note(**_error_said(error))
        name = outcome.device.radio_name
        if name is not None:
            terminal.note(
                "The times were corrected. To set it: passerelle devices clock '{name}' --set", name=name
            )


def answer_of_sync(outcome: SyncOutcome) -> dict[str, Any]:
    """The same in JSON, where there is something to say."""
    from gateway.setting_clock import ClockOutcome

    answer: dict[str, Any] = {}
    if outcome.set_clock.outcome is not ClockOutcome.LEFT:
        answer["clock"] = outcome.set_clock.outcome.value
    if outcome.own_clock_in_doubt:
        answer["own_clock_in_doubt"] = True
    return answer


def _error_said(error: int | None) -> dict[str, Any]:
    if error is None:
        return {"sentence": "The clock of this device was never read."}
    if abs(error) < 60:
        return {"sentence": "The clock of this device is right."}
    sentence = (
        "The clock of this device is {minutes} min ahead."
        if error > 0
        else "The clock of this device is {minutes} min behind."
    )
    return {"sentence": sentence, "minutes": round(abs(error) / 60)}


def say_when(
    reading: Annotated[
        str, typer.Argument(metavar="ID", help="The id, as passerelle readings list shows it.")
    ],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="When it was, such as '2026-11-20 08:30'.")],
    as_json: Json = False,
) -> None:
    """Say when a reading was. If its time is uncertain, the others of the same stretch move with it."""

    async def command() -> int:
        from gateway import correcting, sharing
        from gateway.home import opened

        async with opened() as home:
            person = await correcting.person_of(home, reading)
            placed = await correcting.say_when(home, reading, correcting.time_of(at, person))
            await sharing.deliver_waiting(home)
            return placed

    placed = terminal.run(command())
    if as_json:
        terminal.write_json({"placed": placed})
    elif placed == 1:
        terminal.say("The time of this reading is now as you said.")
    else:
        terminal.say("The times of {count} readings are now as you said.", count=placed)


def live_in(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose zone.")],
    timezone: Annotated[str, typer.Argument(metavar="ZONE", help="Where they live, such as Europe/Paris.")],
    as_json: Json = False,
) -> None:
    """A person lives in another time zone: days are counted by it, and no reading moves."""

    async def command() -> str:
        from gateway import household, sharing
        from gateway.home import opened
        from storage import patients

        async with opened() as home:
            async with home.database.writer() as connection:
                person = await patients.find(connection, name)
            await household.live_in(home, person, timezone)
            await sharing.deliver_waiting(home)
            return person.name

    found = terminal.run(command())
    if as_json:
        terminal.write_json({"name": found, "timezone": timezone})
    else:
        terminal.say("{name} lives in the time zone {zone} now.", name=found, zone=timezone)
