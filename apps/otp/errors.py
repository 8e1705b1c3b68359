"""Refusals about one-time codes. None of them repeats what was given as a code."""

from apps.core.errors import Problem


class InvalidCode(Problem):
    code = "otp_invalid_code"
    status = 400
    message = "This is not the code; have it read again, or ask for a new one."


class Locked(Problem):
    """Not 429: clients would try again by themselves."""

    code = "otp_locked"
    status = 409
    message = "All tries for this code are used up; ask for a new one."


class Expired(Problem):
    code = "otp_expired"
    status = 410
    message = "The time of this code is over; ask for a new one."


class NotOpen(Problem):
    code = "invalid_state"
    status = 409


class AskedTooOften(Problem):
    code = "rate_limited"
    status = 429
