"""The one place that asks what time it is; always aware and in UTC, and easy for a test to turn."""

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
