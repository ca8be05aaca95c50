"""Every time limit and size of the way to a space, each with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import httpx

REQUEST: Final = httpx.Timeout(30.0, connect=5.0, pool=5.0)
"""Seconds. Between two packets 30: a home on a phone's connection sends 1 MB in ten. A server that accepts no
connection in 5 is not there."""

WHOLE_ANSWER: Final = 120.0
"""Seconds for a whole exchange: a busy server stores a few hundred readings in less than one; one that drips
a byte every 29 seconds would hold the feeder for ever."""

ANSWER_BYTES: Final = 32 << 20
"""An answer is 200 bytes an entry; a server that sends more than this is not listened to."""

TOKEN_EARLY: Final = timedelta(seconds=60)
"""A token is renewed so long before its end: it must hold for the whole exchange that begins with it."""

TOKEN_LIFE: Final = timedelta(minutes=5)
"""Where a token endpoint does not say how long its token holds (RFC 6749: expires_in is only recommended)."""

PAGE: Final = 2000
"""Readings that are looked at together: about 1 MB of columns and what was told of them, however long the
history."""

BATCH: Final = 500
"""Readings of one transaction. Our space takes 1,000 entries and 8 MB; in smaller batches each reading costs
more, since fewer share the day's summary and the commit."""

GROWTH: Final = 1.5
"""A batch grows by this after each one that was taken, so that one that was halved is tried again soon."""

FIRST_PAUSE: Final = timedelta(seconds=5)
"""After a first failure; doubled by each one more."""

LONGEST_PAUSE: Final = timedelta(minutes=30)
"""A space that comes back is fed within this, and a laptop that is shut does not wait longer for its lid."""

LONGEST_WAIT: Final = timedelta(days=1)
"""What a space may ask for with Retry-After; beyond it somebody mistyped."""

PATIENCE: Final = timedelta(seconds=60)
"""How long `passerelle space feed` waits altogether where a space asks for patience and takes nothing."""

REFUSED_IN_A_ROW: Final = 50
"""So many single readings refused with none taken between: it is the space, and not the readings."""

CLAIM_LIFE: Final = timedelta(seconds=20)
"""A feeder that is killed is replaced after this. It renews its claim three times as often."""

FAILURES_OF_CHANCE: Final = 3
"""After so many failures one after the other it may be a certain reading at which a space fails (status 500)
and no other."""

CONFLICTS: Final = 2
"""How often versions of one page are looked at again: who changes them all the time is let be for a while."""

ROUNDS: Final = 5
"""How often a page is looked at: created, corrected, and looked at again after conflicts."""

DRAINING: Final = timedelta(seconds=5)
"""How often the outbox is looked at while the gateway works: what was stored is told about so soon."""

SPACES_AT_ONCE: Final = 4
"""Spaces that are fed side by side, so that a slow one keeps no other waiting."""
