"""Grants for gateways: a person's gateway gives, narrows and ends what others may read of them in this space.

Only of persons that the gateway feeds. Who never was, and who is another gateway's, get one same answer. The
gateway makes the token; this space knows its hash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Self, TypeVar
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from device_profiles.errors import PasserelleError
from device_profiles.reading import Kind
from device_profiles.text import one_line
from gateway import granting
from gateway.api.auth import Feeding, still_holds
from gateway.api.problems import Problem, not_found, not_understood, place_of
from gateway.granting import Terms
from storage import grants, tenants
from storage.connection import Connection
from storage.errors import GrantOver, PatientOfAnother, UnknownGrant
from storage.gateways import Bearer

LONGEST: Final = timedelta(days=36525)
"""A hundred years, as for a share."""
_TEXT_MAX: Final = 200

Label = Annotated[str, AfterValidator(lambda said: one_line(said, _TEXT_MAX)), Field(max_length=_TEXT_MAX)]
_Model = TypeVar("_Model", bound=BaseModel)


class Narrowing(BaseModel):
    """Which part of a grant stays: null leaves a bound as it is."""

    model_config = ConfigDict(extra="forbid")

    kinds: Annotated[list[str], Field(max_length=len(Kind))] | None = None
    period_start: AwareDatetime | None = None
    period_end: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    @field_validator("kinds")
    @classmethod
    def known(cls, kinds: list[str] | None) -> list[str] | None:
        """Refuses a kind that there is not, and an empty list, which would open all."""
        try:
            if kinds is not None and granting.kinds_named(kinds) is None:
                raise ValueError("no kind")
        except PasserelleError:
            raise ValueError("no such kind") from None
        return kinds

    @model_validator(mode="after")
    def ordered(self) -> Self:
        """Refuses a period that ends before it begins."""
        if self.period_start and self.period_end and self.period_start >= self.period_end:
            raise ValueError("the period is empty")
        return self

    def chosen(self) -> tuple[Kind, ...] | None:
        """The kinds."""
        return None if self.kinds is None else granting.kinds_named(self.kinds)


class GrantAsked(Narrowing):
    """A new grant of a person."""

    patient: UUID
    grantee: Annotated[Label, Field(min_length=1)]
    organisation: Label | None = None
    purpose: Annotated[Label, Field(min_length=1)]
    ends_at: AwareDatetime
    token_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

    def terms(self) -> Terms:
        """What the person decided."""
        return Terms(
            self.grantee,
            self.organisation or None,
            self.purpose,
            self.chosen(),
            self.period_start,
            self.period_end,
            self.ends_at,
        )


async def _at_their_rate(request: Request, gateway: Feeding) -> None:
    """A dependency. Raises `Problem` (429) for a gateway that asks more often than it may."""
    request.app.state.pressure.counted(gateway.gateway_id)


router = APIRouter(prefix="/grants", dependencies=[Depends(_at_their_rate)])

_Whose = Annotated[UUID, Query(alias="patient")]


@asynccontextmanager
async def _patient(request: Request, gateway: Bearer, uuid: UUID) -> AsyncIterator[tuple[Connection, int]]:
    """The number of a person that this gateway feeds. Raises `Problem` (401, 404)."""
    async with request.app.state.database.writer() as conn:
        await still_holds(request, conn)
        try:
            found = await tenants.patient_of(conn, gateway.tenant_id, gateway.gateway_id, uuid)
        except PatientOfAnother:
            found = None
        if found is None:
            raise not_found()
        yield conn, found.patient_id


@router.post("")
async def create(request: Request, gateway: Feeding) -> Response:
    """A new grant; the same token again is the same grant."""
    asked = _read(GrantAsked, await request.body())
    now: datetime = request.app.state.settings.now()
    if not now < asked.ends_at < now + LONGEST:
        raise not_understood("ends_at")
    async with _patient(request, gateway, asked.patient) as (conn, patient_id):
        hashed = bytes.fromhex(asked.token_hash)
        grant_id = await granting.keep(conn, patient_id, asked.terms(), hashed, now, gateway.gateway_id)
    said = {"id": str(grant_id), "patient": request.app.state.ids.patient(patient_id)}
    return Response(orjson.dumps(said), HTTPStatus.CREATED, media_type="application/json")


@router.get("")
async def listed(request: Request, gateway: Feeding, patient: _Whose) -> Response:
    """A person's grants, ended ones too, and who looked when at what."""
    async with _patient(request, gateway, patient) as (conn, patient_id):
        found = await granting.told(conn, patient_id)
    return Response(orjson.dumps({"grants": found}), media_type="application/json")


@router.patch("/{grant_id}")
async def narrow(grant_id: UUID, request: Request, gateway: Feeding, patient: _Whose) -> Response:
    """A grant opens less from now on."""
    asked = _read(Narrowing, await request.body())
    async with _patient(request, gateway, patient) as (conn, patient_id):
        try:
            await grants.narrow(
                conn,
                patient_id,
                grant_id,
                request.app.state.settings.now(),
                kinds=asked.chosen(),
                period_start=asked.period_start,
                period_end=asked.period_end,
                ends_at=asked.ends_at,
            )
        except UnknownGrant:
            raise not_found() from None
        except GrantOver as error:
            raise Problem(HTTPStatus.CONFLICT, error.sentence) from None
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete("/{grant_id}")
async def revoke(grant_id: UUID, request: Request, gateway: Feeding, patient: _Whose) -> Response:
    """A grant ends, and its tokens open nothing from this moment."""
    async with _patient(request, gateway, patient) as (conn, patient_id):
        try:
            await grants.revoke(conn, patient_id, grant_id, request.app.state.settings.now())
        except UnknownGrant:
            raise not_found() from None
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _read(model: type[_Model], body: bytes) -> _Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise not_understood(place_of(error)) from None
