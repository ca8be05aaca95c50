"""The commands that use the radio: `scan`, `pair`, `sync`, `devices`, `virtual-meter`, `replay`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands import clocks
from gateway.commands.options import Json, PatientName, Zone, tell_of_erased
from gateway.commands.people import tell_if_new

if TYPE_CHECKING:
    from gateway.sync import SyncOutcome

SERIAL = "VIRTUAL-1"

DeviceArgument = Annotated[
    str, typer.Argument(metavar="DEVICE", help="Its name or address, as `scan` shows it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (scan, pair, sync, replay):
        app.command()(command)
    app.command(name="virtual-meter")(virtual_meter)
    group = typer.Typer(help="The devices that are known here.", invoke_without_command=True)
    group.callback()(_list_by_default)
    group.command(name="list")(list_devices)
    group.command(name="forget")(forget)
    group.command(name="clock")(clocks.clock)
    app.add_typer(group, name="devices")


def scan(
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="How long to listen.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Which devices are near."""

    async def command() -> list[dict[str, Any]]:
        from gateway import settings as configuration
        from gateway.ble.radio import open_radio

        settings = configuration.load()
        configuration.prepare_home(settings.home)
        async with open_radio(settings.ble, settings.home) as radio:
            return [
                {
                    "address": found.address,
                    "name": found.name,
                    "profile": found.profile.name if found.profile else None,
                    "title": found.profile.title if found.profile else None,
                    "signal_dbm": found.signal_dbm,
                }
                for found in await radio.discover(seconds)
            ]

    heard = terminal.run(command())
    if as_json:
        terminal.write_json(heard)
        return
    known = [device for device in heard if device["profile"]]
    for device in known:
        title = terminal.tr(str(device["title"]))
        print(f"{device['name'] or '–'}  {device['address']}  {title}  {device['signal_dbm']} dBm")  # noqa: T201
    if not known:
        terminal.say("No meter was heard. Wake it, turn its Bluetooth on, bring it near, and scan again.")
    if len(heard) > len(known):
        terminal.say(
            "{count} other devices are near that Passerelle does not know.", count=len(heard) - len(known)
        )


def pair(
    device: DeviceArgument,
    patient: PatientName,
    passkey: Annotated[
        str | None,
        typer.Option(metavar="N", help="The six digits that the meter shows; asked for unless given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pair with a meter, once: from then on `sync` reads it for this person."""

    async def command() -> dict[str, Any]:
        from gateway.home import opened
        from gateway.known_devices import pair_near
        from gateway.platform_words import of_system

        async with opened() as home:
            if home.settings.ble is None and (system := of_system()) is not None:
                terminal.note(system.permission)
                terminal.note(system.pairing)
            stored = await pair_near(home, device, patient, passkey or _ask_passkey)
        return _device(stored)

    answer = terminal.run(command())
    if as_json:
        terminal.write_json(answer)
    else:
        terminal.say("Paired. Read it with: passerelle sync")


async def _ask_passkey() -> str | None:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip() or None
    asking = terminal.tr("The six digits that the meter shows: ")
    return (await asyncio.to_thread(input, asking)).strip() or None


def sync(
    device: Annotated[
        str | None, typer.Argument(metavar="[DEVICE]", help="All that are near unless given.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Ask for every record, not only the new ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read what is new on the paired meters, and store it once."""

    async def command() -> SyncOutcome:
        from gateway import sharing
        from gateway.home import opened
        from gateway.known_devices import sync_known

        async with opened() as home:
            with terminal.progress("Reading: {count} records") as on_record, _kept_is_told(as_json):
                outcome = await sync_known(home, device, full=full, progress=on_record)
            await sharing.deliver_waiting(home)
            return outcome

    _write_outcome(terminal.run(command()), as_json)


def replay(
    transcript: Annotated[Path, typer.Argument(metavar="TRANSCRIPT.json")],
    patient: PatientName,
    timezone: Zone = None,
    as_json: Json = False,
) -> None:
    """Play a captured sync as a virtual meter, and sync it for real."""

    async def command() -> SyncOutcome:
        from gateway.home import opened
        from gateway.replay import replay_transcript

        async with opened() as home:
            await tell_if_new(home.database, patient)
            with terminal.progress("Reading: {count} records") as on_record, _kept_is_told(as_json):
                return await replay_transcript(home, transcript, patient, timezone, on_record)

    _write_outcome(terminal.run(command()), as_json)


@contextmanager
def _kept_is_told(as_json: bool) -> Iterator[None]:
    """A read that breaks off has stored what came before: the answer says so too."""
    try:
        yield
    except PasserelleError as error:
        if as_json and "stored" in error.details:
            counts = {name: error.details[name] for name in ("stored", "known", "refused", "missing")}
            terminal.write_json(counts | {"error": terminal.tr(error.sentence, **error.details)})
        raise


def _write_outcome(outcome: SyncOutcome, as_json: bool) -> None:
    counts = outcome.counts()
    if as_json:
        erased = {"erased": outcome.erased} if outcome.erased else {}
        terminal.write_json(counts | erased | clocks.answer_of_sync(outcome))
        return
    tell_of_erased(outcome.erased)
    if outcome.missing == 1:
        terminal.note("1 reading is missing from your meter's memory: it was gone before we could read it.")
    elif outcome.missing:
        terminal.note(
            "{count} readings are missing from your meter's memory: "
            "they were gone before we could read them.",
            count=outcome.missing,
        )
    for frame in counts["refused"]:
        terminal.note("Record {line} could not be read ({reason}); it is kept aside.", **frame)
    terminal.say(
        "{stored} readings stored, {known} were already there.", stored=outcome.stored, known=outcome.known
    )
    clocks.tell_of_clocks(outcome)


def _list_by_default(context: typer.Context, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_devices(as_json)


def list_devices(as_json: Json = False) -> None:
    """The devices, whose they are, and when they were last read."""

    async def command() -> list[dict[str, Any]]:
        from gateway.home import opened
        from gateway.known_devices import all_known

        async with opened() as home:
            return [_device(stored) | {"patient": name} for name, stored in await all_known(home)]

    known = terminal.run(command())
    if as_json:
        terminal.write_json(known)
    elif not known:
        terminal.say("No device yet. Find one with passerelle scan, then passerelle pair.")
    else:
        for device in known:
            title = " ".join(filter(None, (device["manufacturer"], device["model"])))
            read = device["last_synced_at"] or terminal.tr("never read")
            print(f"{device['name'] or '–'}  {title}  {device['patient']}  {read}")  # noqa: T201


def forget(device: DeviceArgument, as_json: Json = False) -> None:
    """Read a device no more; its readings stay, and pairing it again goes on where it was."""

    async def command() -> int:
        from gateway.home import opened
        from gateway.known_devices import forget_device

        async with opened() as home:
            return await forget_device(home, device)

    count = terminal.run(command())
    if as_json:
        terminal.write_json({"forgotten": count})
    else:
        terminal.say("Forgotten. Its readings are still here.")


def _device(stored: Any) -> dict[str, Any]:
    device = stored.device
    return {
        "name": stored.radio_name,
        "address": stored.radio_address,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "serial": device.serial,
        "profile": device.profile,
        "clock_error_seconds": stored.clock_error_seconds,
        "battery_percent": stored.battery_percent,
        "last_synced_at": stored.last_synced_at.isoformat() if stored.last_synced_at else None,
        "missing": [
            {"first": gap.first, "last": gap.last, "count": gap.count, "found_at": gap.found_at.isoformat()}
            for gap in stored.gaps
            if gap.found_at is not None
        ],
    }


def virtual_meter(
    profile: Annotated[
        list[str] | None, typer.Option(help="The profile of the meter; several make several meters.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The records of a captured sync.")
    ] = None,
    generate: Annotated[int | None, typer.Option(metavar="N", min=0, help="So many made-up records.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where gateways find it; 0 chooses one.")] = 0,
    serial: Annotated[str, typer.Option(help="Its serial number: another number is another meter.")] = SERIAL,
) -> None:
    """A meter on a virtual radio, for any gateway on this machine to sync against."""
    if records is not None and generate is not None:
        raise typer.BadParameter("give --records or --generate", param_hint="--generate")

    async def command() -> None:
        from gateway.serve import stop_on_signals
        from gateway.virtual_meter import serve_virtual_meter

        stop = stop_on_signals()
        await serve_virtual_meter(profile or ["glucose-meter"], records, generate, port, serial, stop)

    terminal.run(command())
