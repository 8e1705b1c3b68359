"""When a domain is looked at by itself, as data."""

import random
from datetime import timedelta

# After the domain was added, a record began to fail, or a key began to change: minutes between the first looks.
FIRST = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 30))
# Then hourly while a customer may still be at work on it, and in the long run only now and then.
OFTEN, OFTEN_FOR = timedelta(hours=1), timedelta(hours=72)
RARELY = timedelta(hours=6)
JITTER = 0.2

# A second failing look counts once this has passed since the first: one moment's trouble is no reason to alarm anybody.
CONFIRM_AFTER = timedelta(seconds=50)
# How long a verified domain whose records are confirmed to be wrong may go on sending.
GRACE = timedelta(hours=48)
# How long an old key's record stays after its successor has taken over: longer than any mail is under way.
KEEP_OLD_KEY = timedelta(days=7)


def next_look(looks: int, watched_for: timedelta | None) -> timedelta:
    """The time to the next look, after so many since the domain began to be watched; None: nothing is expected."""
    if watched_for is None or watched_for > OFTEN_FOR:
        return RARELY * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret, only a spread
    return FIRST[looks] if looks < len(FIRST) else OFTEN
