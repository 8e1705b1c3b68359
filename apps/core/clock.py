"""The one place that asks what time it is; always aware and in UTC."""

from datetime import UTC, datetime

from django.db import connection


def now() -> datetime:
    """This host's time: for creation stamps and answers."""
    return datetime.now(UTC)


def database_now() -> datetime:
    """The database's time: for leases and due times, which hosts with skewed clocks compare.

    SQLite has no server, so its clock is this host's.
    """
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


def as_time(value: datetime | str) -> datetime:
    """A time as raw SQL gave it: SQLite keeps them as text in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def wire_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds and `Z`; null for an absent time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z" if moment else None
