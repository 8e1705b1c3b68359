"""Picks up what dead workers left behind: claims whose lease has run out."""

import logging
from datetime import datetime, timedelta

from django.db import connection

from apps.core import clock
from apps.delivery.services.claim import HOLDING_COLUMNS, read_holding
from apps.messages.services.outcomes import AttemptFacts, Holding, Outcome, record
from apps.messages.states import AttemptStatus, Lane, Status
from apps.messages.waits import Wait, WaitCode

logger = logging.getLogger(__name__)

MAX_ROWS = 500
# A recipient whose every claim ends in a crash is what kills the workers: for the last two it was kept apart from
# others like it (claim.COMPANY). Fewer would convict bystanders when workers are killed from outside.
MAX_CRASHES = 4
EXPIRED = f"""
SELECT {HOLDING_COLUMNS}, in_doubt, lease_until
FROM mail_messages_recipient WHERE lease_until < %s ORDER BY lease_until LIMIT %s
"""  # noqa: S608 - only constants
UNKNOWN_END = "The worker died between handing the message over and reading the answer: perhaps it was delivered."


def recover() -> int:
    """Makes work again of every claim that has run out; returns how many there were.

    A recipient past the point of no return gets an ambiguous attempt and is tried again with the same bytes,
    except in the OTP lane, where a second copy does more harm than none.
    """
    recovered = 0
    while True:
        # Without locks: of two that recover the same claim, the fence lets one write.
        expired = _expired()
        if expired:
            recovered += len(record(expired))
        if len(expired) < MAX_ROWS:
            break
    if recovered:
        logger.warning("%d claims had run out and were taken back", recovered)
    return recovered


def _expired() -> list[Outcome]:
    now = clock.database_now()
    with connection.cursor() as cursor:
        cursor.execute(EXPIRED, [connection.ops.adapt_datetimefield_value(now), MAX_ROWS])
        rows = cursor.fetchall()
    outcomes = []
    for *columns, in_doubt, lease_until in rows:
        holding = read_holding(columns)
        facts = _ambiguous(clock.as_time(lease_until)) if in_doubt else None
        outcomes.append(_outcome(holding, facts))
    return outcomes


def _outcome(holding: Holding, facts: AttemptFacts | None) -> Outcome:
    if facts is not None and holding.lane == Lane.OTP:
        return Outcome(holding, Status.FAILED, facts, error=UNKNOWN_END)
    if holding.crashes >= MAX_CRASHES:
        wait = Wait(WaitCode.QUARANTINE, f"{holding.crashes} claims in a row ended in a crash.")
        return Outcome(holding, Status.DEFERRED, facts, wait, has_crashed=True, error=wait.detail)
    again = Status.DEFERRED if holding.waited_for or facts else Status.QUEUED
    return Outcome(
        holding,
        again,
        facts,
        holding.waited_for or (Wait(WaitCode.RETRY, UNKNOWN_END) if facts else None),
        retry_in=timedelta(0),
        has_crashed=True,
        error=UNKNOWN_END if facts else "",
    )


def _ambiguous(ended_at: datetime) -> AttemptFacts:
    return AttemptFacts(
        status=AttemptStatus.AMBIGUOUS,
        started_at=ended_at,
        finished_at=ended_at,
        response=UNKNOWN_END,
        fault="infrastructure",
        rule="lease_expired",
    )
