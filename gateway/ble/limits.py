"""How long each call to the radio may take, argued here and nowhere else.

Some calls never return: on Linux a protected read without an agent, or over a bond made by Just Works,
hangs for ever while the link looks alive, and a connection attempt to a device that is away stays pending.
So no call goes without a limit. All are in seconds. A limit is a promise to the person who waits as much
as a technical bound: it ends a wait that has become hopeless, and never one that usually succeeds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one radio; tests shorten them, nobody else."""

    open: float = 15.0
    """Opening a radio: a reset and some thirty commands of a few milliseconds each; the Core specification
    lets a controller take up to 1 s for a command, and a dongle that loads its firmware some seconds."""

    handover: float = 60.0
    """Until the watcher in the background makes room for a command: it looks four times a second, but lets a
    read that has begun end first, which for a full meter's first read takes most of a minute."""

    scan: float = 15.0
    """Hearing a device: a meter advertises at least every 1 to 2.5 s (GLP §5.1.1) and a scanner misses
    some; six chances in a row are enough, and a person has time to wake it."""

    connect: float = 30.0
    """Connecting and discovering: seen on Linux up to 19 s, with several reconnections inside, when the
    meter had forgotten its bond; bleak itself chose 30 s."""

    listen_again: float = 5.0
    """After a connection that failed: whether the device is still there. Two of the longest intervals at
    which a meter advertises; it decides what the person is told, so it must not cost them much."""

    encrypt: float = 10.0
    """Switching encryption on with a known key: two round trips; the longest supervision timeout in use
    with meters is 6 s, after which the link ends by itself."""

    pair: float = 60.0
    """Pairing: a person reads six digits and types them. The Security Manager gives 30 s to each step
    (Core Vol 3 Part H §3.4), and the typing is one of two that may take their time."""

    asked: float = 15.0
    """From the start of pairing to the question for the passkey: two exchanges, 0.1 to 0.4 s seen on Linux.
    Where BlueZ is stuck after a pairing that was broken off, the question never comes."""

    operation: float = 10.0
    """One read, write or subscription: the attribute protocol allows 30 s (Core Vol 3 Part F §3.3.3), the
    captured meter took 20 ms; whoever is silent for 10 s has been silent for ever (see above)."""

    silence: float = 10.0
    """Between two notifications, and from the last one to the end of the procedure. The captured meter
    paused 40 ms at most and began after 45 ms; GLS allows 30 s, which nobody watches to its end. What had
    arrived is stored, so giving up early costs a second run and no record."""

    pushed: float = 3.0
    """Until a device that sends by itself sends the first measurement, and between two: it begins as soon as
    somebody listens (BLP §5.2), and what it kept follows at once. It keeps what it could not send."""

    stream: float = 30.0
    """How long a sensor that is worn and sends a value every second is listened to: a rate or a saturation
    needs a dozen seconds to settle, and whoever waits beside it should see it end."""

    context: float = 1.0
    """For contexts that were announced and are still missing when the meter says that it has finished. A
    context comes right after its measurement (GLS §3.2); one that is late comes within a few connection
    intervals, and one that never comes must not stop the rest."""

    disconnect: float = 5.0
    """Saying goodbye: one round trip, else the supervision timeout does it. It may raise or hang after a
    fault; the link is then given up without it."""


LIMITS = Limits()

REPLAYED = Limits(silence=2.0)
"""For a captured sync that is played back: its frames follow one another at once, so two seconds without one
mean that the capture ends there."""

ON_THE_BENCH = Limits(scan=10.0, connect=10.0, listen_again=1.0, pushed=0.5, silence=0.5, context=0.3)
"""For a virtual device in this process (`gateway.conformance`): whoever is going to answer does so in
milliseconds, on a busy computer in tens of them, and a fault that is silence is waited for each time."""
