"""How often the watcher listens, how long it leaves a meter in peace, and when it tries again: argued here.

A laptop has one antenna for Bluetooth and Wi-Fi, and often a battery: listening all day costs both. A meter
has a button cell that is to last a year: being called without need costs that. And a person who has just
pricked a finger looks at the screen. All are in seconds. docs/decisions/0056 has the whole argument.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """The limits of one watcher; tests shorten them, nobody else."""

    listen: float = 2.0
    """One window. Who wants to be connected to advertises every 30 to 60 ms for its first 30 s, and then at
    least every 2.5 s (GLP §5.1.1): a window hears the first surely, and the second four times in five."""

    rest: float = 6.0
    """Between two windows while nobody looks: a quarter of the time is listened. Three windows fall into
    the first 30 s of a meter, so that it is read within seconds of a measurement."""

    rest_attended: float = 0.5
    """Between two windows while a page is open: a person waits, and sees a finger-stick within 2 s. Some rest
    remains, so that Wi-Fi has its turn."""

    tick: float = 0.25
    """How often it is looked, while listening and resting, whether the laptop slept, or whether a command in
    a terminal waits for the radio."""

    silence: float = 5.0
    """So many seconds *of listening* without a device mean that it fell silent: twice the longest interval
    between two advertisements. What is heard after that is heard anew: it has something, or was woken."""

    least_gap: float = 5.0
    """Between the beginnings of two reads of a meter, even of one that is heard anew: at the edge of the
    range a meter is heard anew all the time."""

    pause: float = 20.0
    """After a read, for a meter that goes on advertising without falling silent: some do so for a minute or
    two, and may have been used again. Each read that brings nothing doubles it, ..."""

    longest_pause: float = 300.0
    """... up to this: 288 calls a day, of a second each, for a device that advertises day and night."""

    backoff: float = 5.0
    """After a read that failed, while the meter goes on advertising: often it was moved, or a telephone was
    faster. Each further failure doubles it, ..."""

    longest_backoff: float = 900.0
    """... up to this. It is also what follows a failure that only a person can end (a lost bond): that is
    told at once, and asking again four times an hour costs nothing."""

    jitter: float = 0.25
    """All waits for another try differ by so large a part, by chance: two gateways in one home that failed
    because of one another must not meet again for ever."""

    read: float = 600.0
    """One whole read, as a last resort: each call in it has a limit of its own (`gateway.ble.limits`), and
    65 000 records at the slowest rate seen are read in less."""

    radio_backoff: float = 1.0
    """Before the radio is tried again that did not answer; each failure doubles it, ..."""

    longest_radio_backoff: float = 30.0
    """... up to this: whoever plugs an adapter in, or turns Bluetooth on, watches what happens."""

    lent: float = 0.5
    """How often it is tried to have the radio back from a command in a terminal: two system calls."""

    slept: float = 5.0
    """A tick that takes longer by this, or two clocks that part by this: the laptop slept. A machine that
    is only slow is listened to at once too, which harms nobody."""

    known: float = 15.0
    """How often it is asked anew which devices are known: a command may have added one."""

    progress: float = 0.2
    """Between two events that tell how many records have arrived: more often nobody can read it."""

    stop: float = 3.0
    """What a read has to end in when the gateway is stopped: most take less, and one that is cut short is
    read again next time."""


WATCH_LIMITS = WatchLimits()
