"""Refusals about scheduled mail."""

from apps.core.errors import Problem


class TooMuchScheduled(Problem):
    code = "scheduled_limit_exceeded"
    status = 429
    message = "This workspace has as much mail waiting for its time as it may; cancel some of it, or schedule it later."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=3_600)


class NotScheduledAnyMore(Problem):
    code = "invalid_state"
    status = 409

    def __init__(self, status: str) -> None:
        super().__init__(f"It is {status}; only what is still scheduled can be changed.", details={"status": status})
