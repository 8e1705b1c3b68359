"""How much a workspace may send in a day and an hour, counted exactly also when requests race for the last place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core import clock
from apps.core.errors import Problem
from apps.core.rows import Statement
from apps.workspaces.errors import DailyLimitExceeded, HourlyLimitExceeded
from apps.workspaces.models import DAILY_LIMITS, Period, UsageCount, Workspace

MAX_RECIPIENTS_PER_MESSAGE = 50
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


@dataclass(frozen=True, slots=True)
class Reservation:
    """Recipients to be counted against the limits of one workspace, in the transaction that stores them."""

    workspace_id: UUID
    recipients: int
    limits: Limits
    now: datetime

    def statements(self) -> list[Statement]:
        """One for each period that counts. Raises a Problem where more is asked for than a limit ever allows."""
        return [self._statement(period) for period in self.periods()]

    def check(self, counts: Sequence[int]) -> None:
        """Takes how many rows each statement wrote. Raises DailyLimitExceeded or HourlyLimitExceeded."""
        for period, count in zip(self.periods(), counts, strict=True):
            if count == 0:
                raise self.refusal(period)

    def periods(self) -> list[Period]:
        """Those that are counted."""
        if self.recipients == 0:
            return []
        return [Period.DAY] if self.limits.hourly is None else [Period.DAY, Period.HOUR]

    def ceiling(self, period: Period) -> int:
        """The most recipients that the period may have."""
        limit = self.limits.daily if period is Period.DAY else self.limits.hourly
        return NO_LIMIT if limit is None else limit

    def refusal(self, period: Period) -> Problem:
        """For who finds that the period has had as many."""
        ceiling, end = self.ceiling(period), _start(period, self.now) + LENGTH[period]
        return REFUSAL[period](
            f"The limit of {ceiling} recipients per {period.value} is used up; it starts anew when the "
            f"{period.value} (UTC) ends. Ask the operator of this server for a higher one.",
            details={"limit": ceiling, "period": period.value},
            retry_after_seconds=int((end - self.now).total_seconds()) + 1,
        )

    def _statement(self, period: Period) -> Statement:
        ceiling = self.ceiling(period)
        if self.recipients > ceiling:  # the first INSERT of a period has no row to compare with
            raise self.refusal(period)
        start = _database_time(_start(period, self.now))
        return COUNT, [_database_id(self.workspace_id), period.value, start, self.recipients, ceiling]


def usage(workspace: Workspace) -> Usage:
    now = clock.now()
    used = _used(workspace.pk, now)
    return Usage(
        limits=limits_of(workspace.tier, workspace.daily_limit, workspace.hourly_limit),
        daily_used=used[Period.DAY],
        hourly_used=used[Period.HOUR],
        resets_at=_start(Period.DAY, now) + LENGTH[Period.DAY],
    )


def room(workspace_id: UUID, limits: Limits) -> int:
    """How many more recipients may be addressed now; others may use it up before we do."""
    used = _used(workspace_id, clock.now())
    daily = NO_LIMIT if limits.daily is None else limits.daily - used[Period.DAY]
    hourly = NO_LIMIT if limits.hourly is None else limits.hourly - used[Period.HOUR]
    return max(0, min(daily, hourly))


def used_up(workspace_id: UUID, limits: Limits) -> Problem | None:
    """What any request would be refused with now; None where there is room for one more recipient."""
    asked = Reservation(workspace_id, 1, limits, clock.now())
    used = _used(workspace_id, asked.now)
    return next((asked.refusal(period) for period in asked.periods() if used[period] >= asked.ceiling(period)), None)


def _used(workspace_id: UUID, now: datetime) -> dict[Period, int]:
    counts = UsageCount.objects.filter(workspace_id=workspace_id)
    return {
        period: counts.filter(period=period, starts_at=_start(period, now)).values_list("recipients", flat=True).first()
        or 0
        for period in Period
    }


def _start(period: Period, moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if period is Period.HOUR else hour.replace(hour=0)


def _database_id(identifier: UUID) -> Any:
    return UsageCount._meta.get_field("workspace").get_db_prep_save(identifier, connection)


def _database_time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
