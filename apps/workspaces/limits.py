"""How much a workspace may send in a day and an hour, counted exactly also when requests race for the last place."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from apps.core import clock
from apps.core.errors import Problem
from apps.workspaces.errors import DailyLimitExceeded, HourlyLimitExceeded
from apps.workspaces.models import DAILY_LIMITS, Period, UsageCount, Workspace

NO_LIMIT = 2**31 - 1
LENGTH = {Period.DAY: timedelta(days=1), Period.HOUR: timedelta(hours=1)}
REFUSAL: dict[Period, type[Problem]] = {Period.DAY: DailyLimitExceeded, Period.HOUR: HourlyLimitExceeded}
# The condition stands in the statement that counts, so two racing requests cannot both take the last place.
COUNT = """
INSERT INTO workspaces_usagecount (workspace_id, period, starts_at, recipients) VALUES (%s, %s, %s, %s)
ON CONFLICT (workspace_id, period, starts_at) DO UPDATE
SET recipients = workspaces_usagecount.recipients + excluded.recipients
WHERE workspaces_usagecount.recipients + excluded.recipients <= %s
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Recipients that a workspace may address in each period; None: no limit."""

    daily: int | None
    hourly: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used of the limits in the present day and hour, and when the day ends."""

    limits: Limits
    daily_used: int
    hourly_used: int
    resets_at: datetime


def limits_of(tier: str, daily_limit: int | None, hourly_limit: int | None) -> Limits:
    return Limits(daily_limit if daily_limit is not None else DAILY_LIMITS[tier], hourly_limit)


def reserve(workspace_id: UUID, recipients: int, limits: Limits) -> None:
    """Counts recipients in the caller's transaction. Raises DailyLimitExceeded or HourlyLimitExceeded."""
    if recipients == 0:
        return
    now = clock.now()
    _count(workspace_id, Period.DAY, recipients, limit=limits.daily, now=now)
    if limits.hourly is not None:
        _count(workspace_id, Period.HOUR, recipients, limit=limits.hourly, now=now)


def usage(workspace: Workspace) -> Usage:
    now = clock.now()
    used = {
        period: UsageCount.objects.filter(workspace=workspace, period=period, starts_at=_start(period, now))
        .values_list("recipients", flat=True)
        .first()
        for period in Period
    }
    return Usage(
        limits=limits_of(workspace.tier, workspace.daily_limit, workspace.hourly_limit),
        daily_used=used[Period.DAY] or 0,
        hourly_used=used[Period.HOUR] or 0,
        resets_at=_start(Period.DAY, now) + LENGTH[Period.DAY],
    )


def _count(workspace_id: UUID, period: Period, recipients: int, *, limit: int | None, now: datetime) -> None:
    ceiling = NO_LIMIT if limit is None else limit
    start = _start(period, now)
    counted = 0
    if recipients <= ceiling:
        with connection.cursor() as cursor:
            values = [_database_id(workspace_id), period.value, _database_time(start), recipients, ceiling]
            cursor.execute(COUNT, values)
            counted = cursor.rowcount
    if counted == 0:
        raise REFUSAL[period](
            f"The limit of {ceiling} recipients per {period.value} is used up; it starts anew when the {period.value} "
            "(UTC) ends. Ask the operator of this server for a higher one.",
            details={"limit": ceiling, "period": period.value},
            retry_after_seconds=int((start + LENGTH[period] - now).total_seconds()) + 1,
        )


def _start(period: Period, moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if period is Period.HOUR else hour.replace(hour=0)


def _database_id(identifier: UUID) -> object:
    return UsageCount._meta.get_field("workspace").get_db_prep_save(identifier, connection)


def _database_time(moment: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(moment)
