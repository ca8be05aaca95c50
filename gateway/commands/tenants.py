"""`passerelle tenants`, `passerelle gateways`: whose people a space keeps, and who feeds it."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from storage.gateways import Gateway
    from storage.tenants import Tenant

CODE_DAYS = 7
"""Long enough for a letter, short enough to be forgotten in."""


def register(app: typer.Typer) -> None:
    """Add the groups to `app`."""
    tenants = typer.Typer(
        help="For who runs a space: practices or hospitals whose people are kept apart.", no_args_is_help=True
    )
    tenants.command(name="add")(add)
    tenants.command(name="list")(list_all)
    tenants.command(name="code")(code)
    app.add_typer(tenants, name="tenants")
    gateways = typer.Typer(help="For who runs a space: the gateways that feed it.", no_args_is_help=True)
    gateways.command(name="list")(list_gateways)
    gateways.command(name="revoke")(revoke)
    app.add_typer(gateways, name="gateways")


def add(
    name: Annotated[str, typer.Argument(help="How you call this tenant.")],
    patients: Annotated[int | None, typer.Option(min=0, help="How many people it may have at most.")] = None,
    readings: Annotated[
        int | None, typer.Option(min=0, help="How many readings each of them may have at most.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a tenant; its people are seen by nobody of another one."""

    async def command() -> None:
        from gateway.space.serving import opened_database
        from storage import tenants

        async with opened_database() as (_, database), database.writer() as conn:
            tenant = await tenants.add(
                conn, name, datetime.now(UTC), most_patients=patients, most_readings=readings
            )
        if as_json:
            terminal.write_json(_tenant(tenant))
        else:
            terminal.say(
                "{name} is a tenant now. For a gateway's code: passerelle tenants code {quoted}",
                name=tenant.name,
                quoted=shlex.quote(tenant.name),
            )

    terminal.run(command())


def list_all(as_json: Json = False) -> None:
    """The tenants of this space, and how many people each has."""

    async def command() -> None:
        from gateway.space.serving import opened_database
        from storage import tenants

        async with opened_database() as (_, database), database.writer() as conn:
            found = await tenants.list_all(conn)
        if as_json:
            terminal.write_json([_tenant(tenant) for tenant in found])
        elif not found:
            terminal.say("No tenant yet. Make a code for the first one with: passerelle tenants code")
        else:
            for tenant in found:
                terminal.say("{name}: {patients} people", name=tenant.name, patients=tenant.patients)

    terminal.run(command())


def code(
    name: Annotated[
        str, typer.Argument(help="The tenant; the one called default is made when needed.")
    ] = "default",
    patient: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="For this person only, whom another gateway may feed already."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How long the code may be used.")] = CODE_DAYS,
    as_json: Json = False,
) -> None:
    """Make a code by which one gateway registers, once."""
    person = _uuid(patient, "--patient") if patient else None

    async def command() -> None:
        from gateway.space.serving import opened_database
        from storage import tenants

        now = datetime.now(UTC)
        ends_at = now + timedelta(days=days)
        async with opened_database() as (_, database), database.writer() as conn:
            tenant = await tenants.find(conn, name, now)
            made = await tenants.new_code(conn, tenant, now, ends_at, person)
        if as_json:
            ends = ends_at.isoformat(timespec="seconds")
            terminal.write_json({"code": made, "expires_at": ends, "tenant": tenant.name})
        else:
            terminal.say(
                "{code} (shown this once, for one gateway of {name}, until {end})",
                code=made,
                name=tenant.name,
                end=ends_at.date(),
            )

    terminal.run(command())


def list_gateways(as_json: Json = False) -> None:
    """The gateways that registered here, the newest first."""

    async def command() -> None:
        from gateway.space.serving import opened_database
        from storage import gateways, tenants

        async with opened_database() as (_, database), database.writer() as conn:
            found = await gateways.list_all(conn)
            names = {tenant.tenant_id: tenant.name for tenant in await tenants.list_all(conn)}
        answers = [_gateway(gateway, names) for gateway in found]
        if as_json:
            terminal.write_json(answers)
        elif not answers:
            terminal.say("No gateway has registered here yet.")
        else:
            for answer in answers:
                ended = terminal.tr("revoked") if answer["revoked_at"] else ""
                print(answer["id"], answer["tenant"], answer["name"], answer["software"], ended, sep="  ")  # noqa: T201

    terminal.run(command())


def revoke(
    gateway: Annotated[str, typer.Argument(metavar="ID", help="The gateway, as gateways list shows it.")],
    with_grants: Annotated[bool, typer.Option("--with-grants", help="End the grants it made too.")] = False,
    as_json: Json = False,
) -> None:
    """End a gateway's registration at once; what it brought stays."""
    gateway_id = _uuid(gateway, "ID")

    async def command() -> None:
        from gateway.space.serving import opened_database
        from storage import gateways, grants

        now = datetime.now(UTC)
        async with opened_database() as (_, database), database.writer() as conn:
            await gateways.revoke(conn, gateway_id, now)
            if with_grants:
                await grants.revoke_of_gateway(conn, gateway_id, now)
            live = await grants.live_of_gateway(conn, gateway_id, now)
        if as_json:
            terminal.write_json({"id": str(gateway_id), "revoked": True, "live_grants": live})
            return
        terminal.say("The gateway is turned away from now on. What it brought stays.")
        if live:
            terminal.say(
                "Grants that it made and that still open something: {count}. To end them too: "
                "passerelle gateways revoke {id} --with-grants",
                count=live,
                id=gateway_id,
            )

    terminal.run(command())


def _uuid(written: str, where: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise typer.BadParameter("this is no UUID", param_hint=where) from None


def _tenant(tenant: Tenant) -> dict[str, object]:
    return {
        "id": str(tenant.tenant_id),
        "name": tenant.name,
        "most_patients": tenant.most_patients,
        "most_readings": tenant.most_readings,
        "patients": tenant.patients,
    }


def _gateway(gateway: Gateway, names: dict[UUID, str]) -> dict[str, object]:
    return {
        "id": str(gateway.gateway_id),
        "tenant": names.get(gateway.tenant_id, ""),
        "name": gateway.name,
        "software": gateway.software,
        "registered_at": gateway.registered_at.isoformat(timespec="seconds"),
        "revoked_at": gateway.revoked_at and gateway.revoked_at.isoformat(timespec="seconds"),
        "patient": gateway.patient_uuid and str(gateway.patient_uuid),
    }
