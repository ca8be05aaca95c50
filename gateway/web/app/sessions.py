"""Who may see the person's page: sessions, and the codes that begin one. Held in memory, nothing on the disk.

A session is begun by a code that the program gives to its own user (`gateway.opening`), good once and for a
minute. What a browser holds is a random token, of which only the hash is kept here. A restart of the program
ends all sessions: the icon opens a new one.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

CODE_SECONDS: Final = 60.0
"""From the program that asks for a code to the browser that shows it: a slow laptop starts its browser within
half a minute. What is longer only serves who finds an address that was left lying."""

IDLE_SECONDS: Final = 24 * 3600.0
"""A page that nobody touched for a day asks to be opened again. The lock of the person's account is the lock
of the laptop; this one ends what was forgotten, and a shorter one would stand between a mother and a value
at night."""

LONGEST_SECONDS: Final = 7 * 24 * 3600.0
"""And a page that is used each day is opened anew once a week: no cookie that was copied is good for ever."""

CODES_MOST: Final = 8
"""Codes that wait at once; the oldest is forgotten."""

SESSIONS_MOST: Final = 32
"""Browsers of one person at once; the one that was used least recently is ended."""


SHOWN: Final = "shown_person"
"""In the scope of a form's request: the number of whom the page with the form showed."""


@dataclass(slots=True, eq=False)
class Session:
    """One browser's. `person`: the number of whom the page shows, None until one is chosen."""

    csrf: str
    began: float
    used: float
    person: int | None = None
    said: list[str] = field(default_factory=list)
    """Sentences that the next page shows once: what the last form did."""
    ended: bool = False


@dataclass(slots=True)
class Sessions:
    """The sessions of one process. `now`: seconds that only go forward."""

    now: Callable[[], float] = time.monotonic
    _sessions: dict[bytes, Session] = field(default_factory=dict)
    _codes: dict[bytes, float] = field(default_factory=dict)

    def new_code(self) -> str:
        """A code that begins one session within CODE_SECONDS."""
        code = secrets.token_urlsafe(32)
        while len(self._codes) >= CODES_MOST:
            del self._codes[next(iter(self._codes))]
        self._codes[_hash(code)] = self.now() + CODE_SECONDS
        return code

    def begin(self, code: str) -> str | None:
        """The token of a new session; None for a code that is unknown, used or too old."""
        until = self._codes.pop(_hash(code), None)
        if until is None or self.now() > until:
            return None
        token = secrets.token_urlsafe(32)
        now = self.now()
        self._end_old()
        self._sessions[_hash(token)] = Session(secrets.token_urlsafe(32), now, now)
        return token

    def find(self, token: str | None, *, touch: bool = True) -> Session | None:
        """The session of a token, if it has not ended; `touch`: it is used now."""
        session = self._sessions.get(_hash(token)) if token else None
        if session is None or not self.is_open(session):
            return None
        if touch:
            session.used = self.now()
        return session

    def is_open(self, session: Session) -> bool:
        """Whether a session has not ended yet."""
        now = self.now()
        return (
            not session.ended and now - session.used < IDLE_SECONDS and now - session.began < LONGEST_SECONDS
        )

    def end_all(self) -> None:
        """Close the page for everybody, codes that nobody has shown yet included."""
        for session in self._sessions.values():
            session.ended = True
        self._sessions.clear()
        self._codes.clear()

    def _end_old(self) -> None:
        for token in [token for token, session in self._sessions.items() if not self.is_open(session)]:
            del self._sessions[token]
        while len(self._sessions) >= SESSIONS_MOST:
            oldest = min(self._sessions, key=lambda token: self._sessions[token].used)
            self._sessions.pop(oldest).ended = True


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
