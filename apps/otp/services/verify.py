"""Checks a code. One conditional UPDATE counts the guess before anything is compared, and keeps all others waiting.

The row stays locked until what the guess led to is stored, so guesses are compared one after the other: the first five
are, and no more, however many arrive at once (ASVS 5.0, 6.5.1, 6.6.3).
"""

from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from apps.core import clock
from apps.core.errors import Invalid, NotFound, Problem
from apps.events.services import record
from apps.events.types import EventType
from apps.messages.services.interventions import withdraw
from apps.otp.codes import DEFAULT_LENGTH, is_code
from apps.otp.errors import Expired, InvalidCode, Locked, NotOpen
from apps.otp.models import Challenge
from apps.otp.services.endings import ENDED, end
from apps.otp.services.happenings import happened
from apps.otp.states import OPEN, Status

COUNT = """
UPDATE otp_challenge SET attempts = attempts + 1
WHERE id = %s AND workspace_id = %s AND status IN ('pending', 'sent') AND attempts < max_attempts AND expires_at > %s
RETURNING attempts
"""


def verify(workspace_id: UUID, challenge_id: UUID, code: str) -> Challenge:
    """The challenge, verified with this code. Raises NotFound, Invalid, InvalidCode, Locked, Expired and NotOpen."""
    challenge = Challenge.objects.of(workspace_id).filter(pk=challenge_id).first()
    if challenge is None:
        raise NotFound
    return _verify(challenge, code)


def verify_for(workspace_id: UUID, key: str, purpose: str, code: str) -> Challenge:
    """As `verify`, for the newest challenge of an address and a purpose.

    Where there is none the answer is that of a wrong code, so that nobody can ask which addresses were sent one.
    """
    rows = Challenge.objects.of(workspace_id).filter(key=key, purpose=purpose)
    challenge = rows.filter(status__in=OPEN).first() or rows.order_by("-pk").first()
    if challenge is None:
        _check_length(code, DEFAULT_LENGTH)
        raise InvalidCode(details={"attemptsRemaining": 0, "challengeId": None})
    return _verify(challenge, code)


def _verify(challenge: Challenge, code: str) -> Challenge:
    _check_length(code, challenge.code_length)
    # Raised only when the transaction is over: a refusal must not take the count back.
    refusal = _guess(challenge, code)
    if refusal is not None:
        raise refusal
    return challenge


def _check_length(code: str, length: int) -> None:
    """A typing mistake is no guess: it cannot be right, so it does not count as one."""
    if len(code) != length:
        raise Invalid({"code": [f"must have {length} digits"]})


def _guess(challenge: Challenge, code: str) -> Problem | None:
    """Counts one guess and stores what it led to; None: it was right."""
    with transaction.atomic():
        now = clock.database_now()
        if (attempts := _count(challenge, now)) is None:
            challenge.refresh_from_db()
            return _why_not(challenge, now)
        challenge.attempts = attempts
        if is_code(code, challenge.pk, challenge.code_hash):
            _end(challenge, Status.VERIFIED, now)
            record([happened(EventType.OTP_VERIFIED, challenge, attempts=attempts)], at=now)
            return None
        return _count_as_wrong(challenge, now)


def _count(challenge: Challenge, now: datetime) -> int | None:
    """Which guess this is; None: there is none left, or no time, or it is not open."""
    as_stored = Challenge._meta.pk.get_db_prep_save
    values = [
        as_stored(challenge.pk, connection),
        as_stored(challenge.workspace_id, connection),
        connection.ops.adapt_datetimefield_value(now),
    ]
    with connection.cursor() as cursor:
        cursor.execute(COUNT, values)
        row = cursor.fetchone()
    return row[0] if row else None


def _count_as_wrong(challenge: Challenge, now: datetime) -> InvalidCode:
    remaining = challenge.max_attempts - challenge.attempts
    events = [happened(EventType.OTP_FAILED_ATTEMPT, challenge, attemptsRemaining=remaining)]
    if not remaining:
        _end(challenge, Status.FAILED, now)
        events.append(happened(EventType.OTP_FAILED, challenge))
    record(events, at=now)
    return InvalidCode(details={"attemptsRemaining": remaining, "challengeId": str(challenge.pk)})


def _end(challenge: Challenge, status: Status, now: datetime) -> None:
    more = {"verified_at": now} if status is Status.VERIFIED else {}
    end(challenge, status, **more)
    withdraw([challenge.message_id], reason=ENDED.format(status.value))


def _why_not(challenge: Challenge, now: datetime) -> Problem:
    details = {"challengeId": str(challenge.pk), "status": challenge.status}
    if challenge.status == Status.FAILED:
        return Locked(details=details)
    if challenge.status == Status.EXPIRED or (challenge.status in OPEN and challenge.expires_at <= now):
        return Expired(details=details | {"status": Status.EXPIRED.value})
    return NotOpen(f"This challenge is {challenge.status} already; ask for a new code.", details=details)
