"""When mail may be due, and how long dispatch goes on trying, as data."""

from datetime import datetime, timedelta

# A caller's clock may be this much off in either direction.
GRACE = timedelta(seconds=5)
FURTHEST = timedelta(days=30)
# What cannot be dispatched by then after its time is given up: nobody waits for it any more.
LIFETIME = timedelta(hours=48)
# Between two looks at what waits: a part of the time it has waited already, within these bounds.
SHORTEST_PAUSE, LONGEST_PAUSE, PART = timedelta(minutes=1), timedelta(minutes=15), 0.1


def pause_after(waited: timedelta) -> timedelta:
    """Short at first, since somebody may be mending what is wrong; a whole workspace's mail must not be looked at
    every minute for two days."""
    return min(max(waited * PART, SHORTEST_PAUSE), LONGEST_PAUSE)


def gives_up_at(send_at: datetime) -> datetime:
    return send_at + LIFETIME
