"""What a process tells of its work: one line per event, and no person in any of them.

`PASSERELLE_LOG=json` tells each event as a line of JSON, `text` as words; where it is not set, only what is
wrong is told. An event has a name and fields that its place in the source chose. Of what another library logs
only the place and the kind of an error are told, never its words: an exception's text may quote a row, a path
may open a link.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, get_args

_OURS: Final = ("device_profiles", "fhir_mapping", "gateway", "passerelle", "storage")
_ROOT: Final = Path(__file__).parents[1]
_DEEPEST: Final = 6
"""Places of a traceback that are told, the innermost last."""

_request: ContextVar[str | None] = ContextVar("request", default=None)

Shape = Literal["json", "text"]
_SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)


def configure(wanted: str | None) -> Shape | None:
    """Tell on standard error what this process does, in the shape that is wanted; gives the shape.

    For any other word only warnings and errors are told. May be called again: the last call counts.
    """
    shape: Shape | None = wanted if wanted in _SHAPES else None
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
    handler = _Handler(sys.stderr)
    handler.setFormatter(formatter(shape))
    root.addHandler(handler)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO if shape else logging.WARNING)
    return shape


def formatter(shape: Shape | None) -> logging.Formatter:
    """What writes a line in this shape; None: for a person at a terminal, without the time."""
    return {"json": _Json, "text": _Text, None: _Plain}[shape]()


def event(
    logger: logging.Logger,
    name: str,
    *,
    level: int = logging.INFO,
    error: BaseException | None = None,
    **fields: object,
) -> None:
    """Tell an event. Neither its name nor a field may hold what is a person's: an id, a name, a path."""
    told = None if error is None else (type(error), error, error.__traceback__)
    logger.log(level, name, exc_info=told, extra={"fields": fields})


@contextmanager
def of_request(request: str) -> Iterator[None]:
    """What is told within the block belongs to this request."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Ours, so that `configure` knows it again."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging gives it
        """A log that cannot be written ends no work, and is no reason to print what was in it."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_told(record), ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = _told(record)
        head = f"{told.pop('at')} {told.pop('level')} {told.pop('event')}"
        fields = (f"{name}={value}" for name, value in told.items())
        return " ".join((head, *fields)).replace("\n", " ")


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = _told(record)
        del told["at"], told["level"], told["logger"]
        head = str(told.pop("event"))
        return " ".join((head, *(f"{name}={value}" for name, value in told.items()))).replace("\n", " ")


def _told(record: logging.LogRecord) -> dict[str, object]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    told: dict[str, object] = {"at": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
    if record.name.partition(".")[0] in _OURS:
        told |= {"event": record.getMessage(), "logger": record.name}
    else:
        told |= {"event": "library", "logger": record.name, "place": f"{record.module}:{record.lineno}"}
    if (request := _request.get()) is not None:
        told["request"] = request
    told |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[0]:
        told |= {"error": record.exc_info[0].__name__, "places": _places(record.exc_info[2])}
    return told


def _places(traceback: TracebackType | None) -> list[str]:
    """Where an error went through: file, line and function, and none of their values."""
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{_short(code.co_filename)}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return places[-_DEEPEST:]


def _short(filename: str) -> str:
    """A file of ours by its place in the house, another by its name: the folders say whose machine it is."""
    path = Path(filename)
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name
