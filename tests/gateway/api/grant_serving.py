"""Who reads a space under a grant, over real HTTP."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx

from device_profiles.reading import ReadingSeries
from tests.gateway.api.space_serving import FeedingGateway, RunningSpace, sent

Json = dict[str, Any]

CLIENT = httpx.Client(timeout=60)
"""One for all: to make one costs more than to ask."""


@dataclass(frozen=True)
class GrantHolder:
    """Somebody with the token of a grant."""

    space: RunningSpace
    grant_id: str
    token: str
    patient: str
    """The FHIR id of the person."""

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask below the FHIR base, or at a whole address that a link gave."""
        url = path if path.startswith("http") else f"{self.space.url}/fhir{path}"
        return CLIENT.get(url, headers={"Authorization": f"Bearer {self.token}"} | headers)

    def post(self, path: str, form: dict[str, str]) -> httpx.Response:
        return CLIENT.post(
            f"{self.space.url}/fhir{path}", data=form, headers={"Authorization": f"Bearer {self.token}"}
        )

    def pages(self, path: str) -> list[Json]:
        """All pages of a search, by their links."""
        found = []
        url: str | None = path
        while url is not None:
            answer = self.get(url)
            assert answer.status_code == 200, answer.text
            found.append(answer.json())
            url = next((one["url"] for one in found[-1]["link"] if one["relation"] == "next"), None)
        return found

    def observations(self, path: str) -> list[Json]:
        """The Observations of all pages."""
        return [one for page in self.pages(path) for one in resources(page, "Observation")]


def resources(bundle: Json, of_type: str) -> list[Json]:
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    return [one for one in found if one["resourceType"] == of_type]


def link(bundle: Json, relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def terms(space: RunningSpace, uuid: UUID, token: str, **more: object) -> Json:
    """What a gateway sends for a new grant."""
    return {
        "patient": str(uuid),
        "grantee": "Dr Weiss",
        "organisation": "A clinic",
        "purpose": "care",
        "kinds": None,
        "period_start": None,
        "period_end": None,
        "ends_at": (space.now() + timedelta(days=30)).isoformat(),
        "token_hash": sha256(token.encode()).hexdigest(),
        **{name: one.isoformat() if isinstance(one, datetime) else one for name, one in more.items()},
    }


def grant(gateway: FeedingGateway, uuid: UUID, **more: object) -> GrantHolder:
    """A grant of a person whom the gateway feeds, given through it."""
    token = secrets.token_urlsafe(32)
    answer = gateway.request("POST", "/grants", json=terms(gateway.space, uuid, token, **more))
    assert answer.status_code == 201, answer.text
    said = answer.json()
    return GrantHolder(gateway.space, said["id"], token, said["patient"])


def fed(space: RunningSpace, *told: ReadingSeries) -> FeedingGateway:
    """A gateway of a tenant of its own that told these."""
    gateway = space.register()
    for one in told:
        answer = gateway.feed(sent(one))
        assert answer.status_code == 200, answer.text
    return gateway
