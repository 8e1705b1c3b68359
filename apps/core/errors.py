"""The root of every refusal that a caller is told about."""

from collections.abc import Mapping, Sequence
from typing import Any


class Problem(Exception):
    """A refusal with a stable code, an HTTP status, a sentence that says what to do, and structured details."""

    code = "internal_error"
    status = 500
    message = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message
        self.details = dict(details or {})
        self.retry_after_seconds = retry_after_seconds


class Invalid(Problem):
    """Fields that cannot be accepted, by wire name."""

    code = "validation_error"
    status = 400
    message = "The request is not valid."

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        first, reasons = next(iter(fields.items()))
        super().__init__(
            f"{first}: {reasons[0]}", details={"fields": {name: list(why) for name, why in fields.items()}}
        )


class NotFound(Problem):
    code = "not_found"
    status = 404
    message = "There is no such resource in this workspace."


class Conflict(Problem):
    code = "conflict"
    status = 409
    message = "This already exists."


class PayloadTooLarge(Problem):
    code = "payload_too_large"
    status = 413
    message = "The request body is too large."


class TemporarilyUnavailable(Problem):
    code = "temporarily_unavailable"
    status = 503
    message = "The service cannot answer right now; try again in a few seconds."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, retry_after_seconds=5)
