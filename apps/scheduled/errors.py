"""Refusals about scheduled mail."""

from apps.core.errors import Problem


class NotScheduledAnyMore(Problem):
    code = "invalid_state"
    status = 409

    def __init__(self, status: str) -> None:
        super().__init__(f"It is {status}; only what is still scheduled can be changed.", details={"status": status})
