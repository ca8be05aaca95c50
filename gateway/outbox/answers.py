"""What a space answers, read with suspicion: it may be anybody's, half there, or not JSON at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from device_profiles.text import one_line
from gateway.outbox.errors import WORDS_MAX, SpaceAnswersOddly

_LOCATION: Final = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]{1,40})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$"
)
_ENTRY: Final = re.compile(r"(?:^|\b)Bundle\.entry\[(\d{1,6})\]")
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,64}"')


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry. Texts are empty where the space says nothing.

    `identifiers`: of the resource, where the space shows it.
    """

    status: int
    resource_type: str = ""
    fhir_id: str = ""
    etag: str = ""
    words: str = ""
    identifiers: frozenset[str] = frozenset()

    @property
    def done(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transaction was refused, and which entries are named for it; none where it does not say."""

    words: str
    entries: tuple[int, ...] = ()


def outcomes(answer: httpx.Response, sent: int, space: str) -> list[Outcome]:
    """What became of each of `sent` entries, in their order. Raises SpaceAnswersOddly."""
    try:
        body = orjson.loads(answer.content)
        entries = body["entry"]
        if body["resourceType"] != "Bundle" or len(entries) != sent:
            raise SpaceAnswersOddly(space=space)
        return [_outcome(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise SpaceAnswersOddly(space=space) from None


def refusal(answer: httpx.Response) -> Refusal:
    """What an answer that is no success says of it, in the space's own words, on one line."""
    try:
        body = orjson.loads(answer.content)
    except ValueError:
        return Refusal("")
    issues = list(_issues(body))
    places = [
        int(found[1])
        for issue in issues
        for place in (*_texts(issue.get("expression")), *_texts(issue.get("location")))
        if (found := _ENTRY.search(place))
    ]
    return Refusal(_words(body), tuple(sorted(set(places))))


def version_of(resource: Mapping[str, Any]) -> str:
    """The ETag of a resource by its version; empty where it tells none."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, Mapping) else None
    return f'W/"{version}"' if isinstance(version, str) and _ETAG.fullmatch(f'"{version}"') else ""


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    response = entry["response"]
    status = int(str(response["status"])[:3])
    resource = entry.get("resource")
    resource = resource if isinstance(resource, Mapping) else {}
    found = _LOCATION.search(str(response.get("location") or ""))
    kind, fhir_id, version = found.groups() if found else ("", "", None)
    etag = str(response.get("etag") or "")
    if not _ETAG.fullmatch(etag):
        etag = f'W/"{version}"' if version else version_of(resource)
    named = resource.get("id")
    if not fhir_id and isinstance(named, str) and _FHIR_ID.fullmatch(named):  # it is in addresses from now on
        kind, fhir_id = str(resource.get("resourceType")), named
    words = "" if 200 <= status < 300 else _words(response.get("outcome") or {})
    return Outcome(status, kind, fhir_id, etag, words, _identifiers(resource))


def _identifiers(resource: Mapping[str, Any]) -> frozenset[str]:
    found = resource.get("identifier")
    return frozenset(
        one["value"]
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, Mapping) and isinstance(one.get("value"), str)
    )


def _issues(body: Any) -> Iterator[Mapping[str, Any]]:
    issues = body.get("issue") if isinstance(body, Mapping) else None
    for issue in issues if isinstance(issues, Sequence) and not isinstance(issues, str) else ():
        if isinstance(issue, Mapping):
            yield issue


def _words(body: Any) -> str:
    """What an OperationOutcome says to people, once each; else the code of its issues."""
    said: dict[str, None] = {}
    for issue in _issues(body):
        details = issue.get("details")
        text = details.get("text") if isinstance(details, Mapping) else None
        for words in (issue.get("diagnostics"), text):
            if isinstance(words, str) and words.strip():
                said.setdefault(words.strip())
                break
        else:
            if isinstance(issue.get("code"), str):
                said.setdefault(issue["code"])
    return one_line(" · ".join(said), WORDS_MAX)


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
