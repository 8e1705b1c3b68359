"""Refusals about workspaces and their limits."""

from apps.core.errors import Problem


class DailyLimitExceeded(Problem):
    code = "daily_limit_exceeded"
    status = 429


class HourlyLimitExceeded(Problem):
    code = "hourly_limit_exceeded"
    status = 429


class SendingDisabled(Problem):
    code = "sending_disabled"
    status = 403
    message = "This workspace may not send; ask the operator of this server."
