"""How many codes one mailbox may be sent, counted exactly also when requests race for the last one.

Codes are a way to flood somebody's mailbox, and every further code is another five guesses.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from django.conf import settings
from django.db import connection

from apps.core import clock
from apps.otp.errors import AskedTooOften
from apps.otp.models import Challenge
from apps.protocols.address import comparison_key

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# They drop the dots of a local part, and one is the other's old name.
ONE_NAME = {"googlemail.com": "gmail.com"}


@dataclass(frozen=True, slots=True)
class Wait:
    """A limit that is used up, and since when a further code would be within it."""

    until: datetime
    limit: int
    period: str


def counted_as(email: str) -> str:
    """The form in which spellings that may reach one mailbox are equal; for counting codes and for nothing else.

    Case, what follows a plus, and dots before the @ are dropped, at every domain: which provider ignores them cannot be
    seen from outside. Where two people share a form they share a limit; who could use that against them could just as
    well ask for codes for the address itself. A hyphen is too common in names to be taken for a separator.
    """
    local, _, domain = comparison_key(email).rpartition("@")
    base = local.partition("+")[0] or local
    return f"{base.replace('.', '')}@{ONE_NAME.get(domain, domain)}"


def take_turns(workspace_id: UUID, mailbox: str) -> None:
    """Lets the requests for one mailbox pass one at a time, until the end of the transaction.

    On SQLite a transaction has the whole database to itself from its beginning.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"otp {workspace_id} {mailbox}"])


def check(workspace_id: UUID, mailbox: str, purpose: str, now: datetime) -> None:
    """Raises AskedTooOften. Exact only for who has taken turns; `now` is the database's time since then."""
    counted = Challenge.objects.of(workspace_id).filter(counted_as=mailbox, created_at__gt=now - DAY)
    most = max(settings.MAIL_OTP_DAILY_LIMIT, settings.MAIL_OTP_HOURLY_LIMIT)
    earlier = list(counted.order_by("-created_at").values_list("created_at", "purpose")[:most])
    times = [created_at for created_at, _ in earlier]
    same = [created_at for created_at, its_purpose in earlier if its_purpose == purpose]
    cool_down = timedelta(seconds=settings.MAIL_OTP_COOLDOWN_SECONDS)
    waits = [
        *_used_up(same, 1, cool_down, "cooldown", now),
        *_used_up(times, settings.MAIL_OTP_HOURLY_LIMIT, HOUR, "hour", now),
        *_used_up(times, settings.MAIL_OTP_DAILY_LIMIT, DAY, "day", now),
    ]
    if waits:
        raise _refusal(max(waits, key=lambda wait: wait.until), now)


def _used_up(times: list[datetime], limit: int, span: timedelta, period: str, now: datetime) -> list[Wait]:
    """`times`: the newest first. The limit-th newest has to be out of the span before there may be another."""
    if len(times) < limit or times[limit - 1] + span <= now:
        return []
    return [Wait(times[limit - 1] + span, limit, period)]


def _refusal(wait: Wait, now: datetime) -> AskedTooOften:
    seconds = max(1, ceil((wait.until - now).total_seconds()))
    why = (
        "This address was sent a code for this purpose a moment ago"
        if wait.period == "cooldown"
        else f"This address was sent {wait.limit} codes within {'an hour' if wait.period == 'hour' else 'a day'}"
    )
    return AskedTooOften(
        f"{why}; the next one may be asked for in {seconds} seconds.",
        details={"limit": wait.limit, "period": wait.period, "retryAt": clock.wire_time(wait.until)},
        retry_after_seconds=seconds,
    )
