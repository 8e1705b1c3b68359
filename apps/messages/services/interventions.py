"""What an operator does to chosen recipients beside a running engine: hold, release, retry now, cancel.

Each verb takes the claim, from a worker if need be: a higher fence, which the engine's gate compares before anything
goes out. So what was stopped here stays stopped; what is past the gate already is left alone, and the answer says so.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F

from apps.core import clock
from apps.messages.models import Recipient
from apps.messages.services.outcomes import Holding, Outcome, lock_messages, record
from apps.messages.states import FINAL, Status
from apps.messages.waits import FOR_A_PERSON, Wait, WaitCode

CANCELED = "Canceled by an operator"
GONE = "It exists no more."
ENDED = "It has ended already: {}."
IN_DOUBT = "It is being handed to the receiving server at this moment; nobody can stop that."
IN_HAND = "A worker has it in hand at this moment."
DIED_IN_DOUBT = "A worker died while handing it to the receiving server; that is settled as soon as a worker runs."
DIED_IN_HAND = "The worker that had it in hand died; it is due again as soon as a worker runs."
HELD = "It is held: release it."
HELD_ALREADY = "It is held already."
QUARANTINED = "It is in quarantine: it goes nowhere until it is released."
NOT_HELD = "Nobody holds it."


@dataclass(frozen=True, slots=True)
class Intervention:
    """The recipients that were changed, and for each of the others why it was not."""

    changed: frozenset[UUID]
    refused: Mapping[UUID, str]
    # Messages of which somebody else had something at that moment; only where nobody was to be waited for.
    busy: frozenset[UUID] = frozenset()


Decision = Callable[[Recipient], Outcome | str]
# Called with the recipients that change, as they were, in the transaction that changes them: both or neither.
Note = Callable[[Sequence[Recipient]], None]


def no_note(rows: Sequence[Recipient]) -> None:
    """For who keeps no account of what changes."""


def hold(recipient_ids: Collection[UUID], *, reason: str = "", note: Note = no_note) -> Intervention:
    """Stops these until an operator releases them. Their workspace sees the reason, and not who gave it."""
    wait = Wait(WaitCode.HOLD, reason)

    def decide(row: Recipient) -> Outcome | str:
        if row.wait_code in FOR_A_PERSON:
            return HELD_ALREADY if row.wait_code == WaitCode.HOLD else QUARANTINED
        return Outcome(_taken_over(row), Status.DEFERRED, wait=wait)

    return _intervene(recipient_ids, decide, note)


def release(recipient_ids: Collection[UUID], *, note: Note = no_note) -> Intervention:
    """Makes due now what is held or in quarantine."""
    return _intervene(recipient_ids, lambda row: _due_anew(row) if row.wait_code in FOR_A_PERSON else NOT_HELD, note)


def retry_now(recipient_ids: Collection[UUID], *, note: Note = no_note) -> Intervention:
    """Makes due now what waits, whatever for; what somebody holds is for release."""
    return _intervene(recipient_ids, _retried, note)


def cancel(recipient_ids: Collection[UUID], *, reason: str = "", note: Note = no_note) -> Intervention:
    """Ends these as failed: they are not sent, and nothing is held against the addresses."""
    error = f"{CANCELED}: {reason}" if reason else f"{CANCELED}."
    return _intervene(recipient_ids, lambda row: Outcome(_taken_over(row), Status.FAILED, error=error), note)


def withdraw(message_ids: Collection[UUID], *, reason: str, may_wait: bool = True) -> Intervention:
    """Ends as failed what is not sent yet of these messages, for who made them: nobody needs them any more."""
    open_rows = Recipient.objects.across_workspaces().filter(message_id__in=message_ids).exclude(status__in=FINAL)
    message_of = dict(open_rows.values_list("pk", "message_id"))

    def decide(row: Recipient) -> Outcome:
        return Outcome(_taken_over(row), Status.FAILED, error=reason)

    if may_wait:
        return _intervene(message_of, decide, no_note)
    answers = _settle(message_of, decide, no_note, may_wait=False)
    return Intervention(
        changed=frozenset(pk for pk, refusal in answers.items() if not refusal),
        refused={pk: refusal for pk, refusal in answers.items() if refusal},
        busy=frozenset(message_id for pk, message_id in message_of.items() if pk not in answers),
    )


def make_due_after(code: WaitCode) -> None:
    """Makes due at once whatever waits for this reason."""
    waiting = Recipient.objects.across_workspaces().filter(wait_code=code, lease_until=None).exclude(status__in=FINAL)
    waiting.exclude(next_attempt_at=None).update(next_attempt_at=clock.database_now())


def is_abandoned(row: Recipient, now: datetime) -> bool:
    """Whether its claim ran out, so that it was a worker's that died or lost the database."""
    return row.lease_until is not None and row.lease_until <= now


def _retried(row: Recipient) -> Outcome | str:
    if row.wait_code == WaitCode.HOLD:
        return HELD
    if row.lease_until is not None:
        return DIED_IN_HAND if is_abandoned(row, clock.database_now()) else IN_HAND
    if row.wait_code == WaitCode.QUARANTINE:
        return _due_anew(row)
    holding = _taken_over(row)
    return Outcome(holding, _status_again(row), wait=holding.waited_for, retry_in=timedelta(0))


def _due_anew(row: Recipient) -> Outcome:
    """Due without a reason to wait, and under no suspicion: the one claim counted here is our own."""
    return Outcome(replace(_taken_over(row), crashes=1), _status_again(row), retry_in=timedelta(0))


def _status_again(row: Recipient) -> Status:
    return Status.DEFERRED if row.attempt_count else Status.QUEUED


def _intervene(recipient_ids: Collection[UUID], decide: Decision, note: Note) -> Intervention:
    """In one go all that nobody else is writing to; then the others, one at a time.

    A worker that renews its leases locks many recipients in no order. Who waits for one of them while it holds no
    other cannot be part of a deadlock. Each go notes what it changed itself, since a later one may fail.
    """
    chosen = list(dict.fromkeys(recipient_ids))
    answers = _settle(chosen, decide, note, may_wait=False)
    for recipient_id in chosen:
        if recipient_id not in answers:
            answers |= _settle([recipient_id], decide, note, may_wait=True)
    return Intervention(
        changed=frozenset(recipient_id for recipient_id in chosen if answers.get(recipient_id) == ""),
        refused={recipient_id: reason for recipient_id in chosen if (reason := answers.get(recipient_id, GONE))},
    )


def _settle(recipient_ids: Collection[UUID], decide: Decision, note: Note, *, may_wait: bool) -> dict[UUID, str]:
    """Decides, writes and notes in one transaction: for each recipient seen nothing, or why it was refused."""
    rows = Recipient.objects.across_workspaces().filter(pk__in=recipient_ids)
    with transaction.atomic():
        # Messages first, as every recorder does.
        messages = lock_messages(set(rows.values_list("message_id", flat=True)), may_wait=may_wait)
        locked = rows.filter(message_id__in=messages.keys()).order_by("pk").select_for_update(skip_locked=not may_wait)
        decisions = {row.pk: _refusal(row) or decide(row) for row in locked}
        outcomes = [decision for decision in decisions.values() if isinstance(decision, Outcome)]
        _claim({outcome.holding.recipient_id for outcome in outcomes})
        record(outcomes)
        if outcomes:
            note([row for row in locked if isinstance(decisions[row.pk], Outcome)])
    return {pk: decision if isinstance(decision, str) else "" for pk, decision in decisions.items()}


def _refusal(row: Recipient) -> str:
    """What stands in the way of every verb, or nothing."""
    if row.status in FINAL:
        return ENDED.format(Status(row.status).label.lower())
    if row.in_doubt:
        return DIED_IN_DOUBT if is_abandoned(row, clock.database_now()) else IN_DOUBT
    return ""


def _claim(recipient_ids: Collection[UUID]) -> None:
    """Makes the claims ours for the rest of this transaction; whoever had one finds its fence outdated."""
    claimed = Recipient.objects.across_workspaces().filter(pk__in=recipient_ids)
    claimed.update(fence=F("fence") + 1, lease_until=clock.database_now())


def _taken_over(row: Recipient) -> Holding:
    """The claim as `_claim` makes it. A worker's claim was counted as a possible crash, and is given back as none."""
    return Holding(
        recipient_id=row.pk,
        message_id=row.message_id,
        workspace_id=row.workspace_id,
        fence=row.fence + 1,
        email=row.email,
        lane=row.lane,
        attempt_count=row.attempt_count,
        tries=row.tries,
        crashes=row.crashes + (row.lease_until is None),
        queued_at=row.queued_at,
        waited_for=Wait(WaitCode(row.wait_code), row.wait_detail) if row.wait_code else None,
        waiting_since=row.waiting_since,
        last_error=row.last_error,
    )
