"""When a failed try is repeated, as data (field: 1 min to 48 h for transactional mail; jitter against herds)."""

import random
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from apps.messages.states import Lane

JITTER = 0.2
# The last try is due before the lifetime ends; by this part of it a busy worker may be late for it.
LATENESS = 0.1
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds between tries; the last gap repeats until the lifetime ends, unless the tries are counted out."""

    gaps: tuple[int, ...]
    lifetime: timedelta
    repeats: bool = True
    jitter: float = JITTER

    def next_gap(self, tries: int, age: timedelta, *, slower: bool = False) -> timedelta | None:
        """How long to wait after this many tries of a message this old; None: give up.

        `slower`: the server asked us to slow down, so the gap is that of one try more.
        """
        if not self.repeats and tries > len(self.gaps):
            return None
        gap = self.gap(tries + slower)
        return gap if age + gap <= self.lifetime else None

    def has_outlived(self, age: timedelta) -> bool:
        """Whether a message this old is not even to be tried: beyond what any of its own tries can be late by."""
        return age > self.lifetime * (1 + LATENESS)

    def gap(self, position: int) -> timedelta:
        """The gap at this place (1 is the first), the last one from there on."""
        return self.jittered(self.gaps[min(position, len(self.gaps)) - 1])

    def jittered(self, seconds: int) -> timedelta:
        # Not a secret, only a spread.
        return timedelta(seconds=seconds * random.uniform(1 - self.jitter, 1 + self.jitter))  # noqa: S311 - no secret

    def spread(self, pause: timedelta) -> timedelta:
        """A little later than asked for, each time differently, lest all who wait knock at the same moment."""
        return pause * random.uniform(1, 1 + self.jitter)  # noqa: S311 - no secret


SCHEDULES = {
    # No code is good for longer; most end earlier, and the message with them (Message.expires_at).
    Lane.OTP: Schedule((10, 20, 40, 60, 120), timedelta(hours=1)),
    Lane.TRANSACTIONAL: Schedule(
        (
            *(1 * MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE),
            *(1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR),
        ),
        timedelta(hours=48),
    ),
    Lane.BULK: Schedule((15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR), timedelta(hours=72)),
}
# How long a destination rests after so many failed connections in a row.
PAUSES = Schedule((30, 60, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE), timedelta.max)


def schedule_of(lane: int) -> Schedule:
    """The lane's schedule; MAIL_RETRY_SCHEDULE replaces the transactional one, without jitter or repetition."""
    if settings.MAIL_RETRY_SCHEDULE and lane == Lane.TRANSACTIONAL:
        lifetime = SCHEDULES[Lane.TRANSACTIONAL].lifetime
        return Schedule(settings.MAIL_RETRY_SCHEDULE, lifetime, repeats=False, jitter=0)
    return SCHEDULES[Lane(lane)]


def pause_after(failures: int) -> timedelta:
    """The rest of a destination after this many failed connections in a row (1 or more)."""
    given = settings.MAIL_RETRY_SCHEDULE
    pauses = Schedule(given, timedelta.max, jitter=0) if given else PAUSES
    return pauses.jittered(pauses.gaps[min(failures, len(pauses.gaps)) - 1])
