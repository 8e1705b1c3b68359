"""When a delivery is tried again, how an endpoint that fails is spared, and when it is given up: all of it as data."""

import random
from datetime import datetime, timedelta

from django.conf import settings

MINUTE, HOUR = 60, 3600
# Seconds between tries: the last of eleven comes 74.7 hours after the first, so that a weekend's outage loses nothing.
# WEBHOOK_RETRY_SCHEDULE replaces them.
WAITS = (30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, 16 * HOUR, 18 * HOUR, 20 * HOUR)
# Each wait is made longer by up to this part of it, so that what failed together does not come back together.
JITTER = 0.1
# After so many bad rounds in a row an endpoint gets nothing for so many seconds, however much is waiting for it, and
# then one request that shows whether it has recovered. One bad answer among good ones holds nothing up.
PAUSES = (0, 0, 2, 5, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE)
# What a server may ask for with Retry-After.
SHORTEST_WISH, LONGEST_WISH = timedelta(seconds=1), timedelta(hours=12)
# An endpoint is disabled when so many deliveries in a row were given up, or when nothing has succeeded for so long
# although it was tried at least so often.
FAILED_IN_A_ROW = 50
FAILING_FOR, FAILING_TRIES = timedelta(days=3), 10
# What is to be sent before everything that waits has a due time long past.
AT_ONCE = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def waits() -> tuple[int, ...]:
    return settings.WEBHOOK_RETRY_SCHEDULE or WAITS


def wait_after(tries: int) -> timedelta | None:
    """How long after the `tries`-th try the next one comes; None when there is none."""
    schedule = waits()
    if tries > len(schedule):
        return None
    jitter = 0.0 if settings.WEBHOOK_RETRY_SCHEDULE else random.uniform(0, JITTER)  # noqa: S311 - spreads load
    return timedelta(seconds=schedule[tries - 1] * (1 + jitter))


def lifetime() -> timedelta:
    """How long a delivery is tried, at least."""
    return timedelta(seconds=sum(waits()))


def pause_after(strikes: int) -> timedelta:
    """Never longer than the longest wait, so that a schedule of seconds is one."""
    return timedelta(seconds=min(PAUSES[min(strikes, len(PAUSES) - 1)], max(waits())))


def wish(seconds: float) -> timedelta:
    """What a server asked for, within bounds."""
    return min(max(timedelta(seconds=min(seconds, 10**9)), SHORTEST_WISH), LONGEST_WISH)


def is_lasting(*, failing_since: datetime | None, failures: int, failed_in_a_row: int, now: datetime) -> bool:
    """Whether an endpoint has failed for so long that it is to be disabled."""
    if failed_in_a_row >= FAILED_IN_A_ROW:
        return True
    return failing_since is not None and failures >= FAILING_TRIES and now - failing_since >= FAILING_FOR
