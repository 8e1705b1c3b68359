"""The one door for every outcome of a delivery: state, attempt, bounce, suppression and event, or none of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import insert, update
from apps.events.services import NewEvent
from apps.events.services import record as record_events
from apps.events.types import EventType, ResourceType
from apps.messages.models import Attempt, Bounce, Message, MessageContent, Recipient
from apps.messages.services.repeats import repeated
from apps.messages.states import FINAL, AttemptStatus, BounceSource, BounceType, Lane, Status, message_status
from apps.messages.waits import EXPLANATIONS, Wait
from apps.protocols.address import comparison_key
from apps.suppressions import services as suppressions
from apps.suppressions.models import Reason, Source
from apps.suppressions.services import NewSuppression

EVENT_OF = {
    Status.SENT: EventType.MESSAGE_SENT,
    Status.DEFERRED: EventType.MESSAGE_DEFERRED,
    Status.FAILED: EventType.MESSAGE_FAILED,
    Status.BOUNCED: EventType.MESSAGE_BOUNCED,
    Status.SUPPRESSED: EventType.MESSAGE_SUPPRESSED,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A recipient that somebody has claimed, as it was at the claim."""

    recipient_id: UUID
    message_id: UUID
    workspace_id: UUID
    fence: int
    email: str
    lane: int
    attempt_count: int
    tries: int
    crashes: int
    queued_at: datetime
    waited_for: Wait | None
    waiting_since: datetime | None
    last_error: str

    @property
    def attempt_number(self) -> int:
        return self.attempt_count + 1


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What is remembered of one try."""

    status: AttemptStatus
    started_at: datetime
    finished_at: datetime
    transport: str = ""
    remote_host: str = ""
    remote_address: str = ""
    tls: str = ""
    smtp_code: int | None = None
    enhanced_code: str = ""
    response: str = ""
    fault: str = ""
    rule: str = ""
    explanation: str = ""
    conversation: Sequence[Sequence[str | int]] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a claimed recipient. `retry_in` of a deferred one; None: it waits for a person."""

    holding: Holding
    status: Status
    attempt: AttemptFacts | None = None
    wait: Wait | None = None
    retry_in: timedelta | None = None
    is_charged: bool = False
    has_crashed: bool = False
    # The refusal is about this server or its sender, so somebody here has to act.
    needs_operator: bool = False
    bounce: BounceType | None = None
    suppress: Reason | None = None
    error: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_news(self) -> bool:
        """Whether there is something to tell: an end, or a reason to wait that was not the reason before."""
        return self.is_final or (self.wait is not None and not _is_same_kind(self.wait, self.holding.waited_for))


def _is_same_kind(wait: Wait, before: Wait | None) -> bool:
    return before is not None and before.code == wait.code


def record(outcomes: Sequence[Outcome]) -> set[UUID]:
    """Writes outcomes in one transaction; returns the recipients that were still held by the claim named.

    An outcome whose claim has been taken over meanwhile changes nothing: that is a normal answer.
    """
    with transaction.atomic():
        messages = lock_messages({outcome.holding.message_id for outcome in outcomes})
        now = clock.database_now()
        changed = update(
            Recipient,
            [_recipient_row(outcome, now) for outcome in outcomes],
            match=("id", "fence"),
            where="t.lease_until IS NOT NULL",
        )
        ours = [outcome for outcome in outcomes if outcome.holding.recipient_id in changed]
        if ours:
            _insert_attempts(ours, now)
            _count(messages, ours)
            roll_up(messages, {outcome.holding.message_id for outcome in ours}, now)
            _wipe(ours)
            record_events([event for outcome in ours for event in _events(outcome, now)], at=now)
            _insert_bounces(ours, now)
    return changed


def lock_messages(message_ids: Collection[UUID], *, may_wait: bool = True) -> dict[UUID, dict[str, Any]]:
    """Locks in one order, so that two recorders that share messages cannot wait for each other in a circle.

    Who may not wait gets those that nobody else has.
    """
    rows = Message.objects.across_workspaces().filter(pk__in=message_ids).order_by("pk")
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(skip_locked=not may_wait)
    return {row["id"]: row for row in rows.values("id", "attempt_count", "last_error", "sent_at", "failed_at")}


def _recipient_row(outcome: Outcome, now: datetime) -> dict[str, Any]:
    holding, wait = outcome.holding, outcome.wait
    return {
        "id": holding.recipient_id,
        "fence": holding.fence,
        "status": outcome.status.value,
        "next_attempt_at": now + outcome.retry_in if outcome.retry_in is not None else None,
        "lease_until": None,
        "in_doubt": False,
        "attempt_count": holding.attempt_count + (outcome.attempt is not None),
        "tries": holding.tries + outcome.is_charged,
        "crashes": _crashes(outcome),
        "wait_code": wait.code.value if wait else "",
        "wait_detail": wait.detail if wait else "",
        "waiting_since": _waiting_since(outcome, now),
        "last_error": outcome.error or ("" if outcome.attempt else holding.last_error),
        "finished_at": now if outcome.is_final else None,
    }


def _crashes(outcome: Outcome) -> int:
    """A recorded try ends the suspicion; giving a claim back only takes back what the claim itself added."""
    if outcome.has_crashed:
        return outcome.holding.crashes
    return 0 if outcome.attempt is not None else outcome.holding.crashes - 1


def _waiting_since(outcome: Outcome, now: datetime) -> datetime | None:
    """A wait that goes on for the same reason began when the reason did."""
    if outcome.wait is None:
        return None
    goes_on = _is_same_kind(outcome.wait, outcome.holding.waited_for)
    return outcome.holding.waiting_since if goes_on else now


def _insert_attempts(outcomes: Sequence[Outcome], now: datetime) -> None:
    rows = [_attempt_row(outcome, outcome.attempt, now) for outcome in outcomes if outcome.attempt is not None]
    if rows:
        insert(Attempt, rows)


def _attempt_row(outcome: Outcome, facts: AttemptFacts, now: datetime) -> dict[str, Any]:
    holding = outcome.holding
    return {
        "id": new_id(),
        "workspace_id": holding.workspace_id,
        "message_id": holding.message_id,
        "recipient_id": holding.recipient_id,
        "email": holding.email,
        "number": holding.attempt_number,
        "status": facts.status.value,
        "transport": facts.transport,
        "remote_host": facts.remote_host,
        "remote_address": facts.remote_address,
        "tls": facts.tls,
        "smtp_code": facts.smtp_code,
        "enhanced_code": facts.enhanced_code,
        "response": facts.response,
        "fault": facts.fault,
        "rule": facts.rule,
        "conversation": facts.conversation,
        "started_at": facts.started_at,
        "finished_at": facts.finished_at,
        "next_attempt_at": now + outcome.retry_in if outcome.retry_in is not None else None,
    }


def _insert_bounces(outcomes: Sequence[Outcome], now: datetime) -> None:
    """Bounces, and the suppressions for which they (or a complaint) are the evidence."""
    bounces, new = [], []
    for outcome in outcomes:
        bounce_id = new_id() if outcome.bounce is not None else None
        if bounce_id is not None:
            bounces.append(_bounce_row(bounce_id, outcome, now))
        if outcome.suppress is not None:
            new.append(_suppression(outcome, outcome.suppress, bounce_id))
    if bounces or new:
        store_bounces(bounces, new, now)


def store_bounces(bounces: Sequence[dict[str, Any]], new: Sequence[NewSuppression], now: datetime) -> None:
    """Stores rows of Bounce, and suppresses what follows from them and these; in the caller's transaction."""
    too_many = repeated(bounces, now)
    new = [*new, *(found.suppression for found in too_many)]
    # Together, so that all addresses are taken in one order.
    suppressions.add(new, at=now)
    in_force = suppressions.in_force({(s.workspace_id, comparison_key(s.email)) for s in new})
    # Each bounce names the suppression that holds now, whoever made it.
    ids = {address: suppression.pk for address, suppression in in_force.items()}
    insert(Bounce, [{**row, "suppression_id": ids.get((row["workspace_id"], row["key"]))} for row in bounces])
    earlier = {
        bounce_id: ids[found.suppression.workspace_id, comparison_key(found.suppression.email)]
        for found in too_many
        for bounce_id in found.earlier
    }
    update(Bounce, [{"id": pk, "suppression_id": suppression} for pk, suppression in earlier.items()], match=("id",))


def _bounce_row(bounce_id: UUID, outcome: Outcome, now: datetime) -> dict[str, Any]:
    holding, facts = outcome.holding, outcome.attempt
    assert outcome.bounce is not None  # noqa: S101 - the caller's condition, for the type checker
    return {
        "id": bounce_id,
        "workspace_id": holding.workspace_id,
        "message_id": holding.message_id,
        "recipient_id": holding.recipient_id,
        "email": holding.email,
        "key": comparison_key(holding.email),
        "type": outcome.bounce.value,
        "source": BounceSource.SMTP_LOG.value,
        "smtp_code": facts.smtp_code if facts else None,
        "enhanced_code": facts.enhanced_code if facts else "",
        "diagnostic": facts.response if facts else outcome.error,
        "rule": facts.rule if facts else "",
        "suppression_id": None,
        "occurred_at": facts.finished_at if facts else now,
        "created_at": now,
    }


def _suppression(outcome: Outcome, reason: Reason, bounce_id: UUID | None) -> NewSuppression:
    holding = outcome.holding
    is_complaint = reason is Reason.COMPLAINT
    return NewSuppression(
        workspace_id=holding.workspace_id,
        email=holding.email,
        reason=reason,
        source=Source.COMPLAINT_PROCESSOR if is_complaint else Source.BOUNCE_PROCESSOR,
        message_id=holding.message_id,
        bounce_id=bounce_id,
    )


def _count(messages: dict[UUID, dict[str, Any]], outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        message = messages[outcome.holding.message_id]
        message["attempt_count"] += outcome.attempt is not None
        message["last_error"] = outcome.error or message["last_error"]


def roll_up(messages: Mapping[UUID, Mapping[str, Any]], touched: Collection[UUID], now: datetime) -> None:
    """Lets each message's status follow from its recipients; in the transaction that has locked the messages."""
    statuses: dict[UUID, set[str]] = defaultdict(set)
    recipients = Recipient.objects.across_workspaces().filter(message_id__in=touched)
    for message_id, status in recipients.values_list("message_id", "status"):
        statuses[message_id].add(status)
    rows = [_message_row(messages[message_id], message_status(found), now) for message_id, found in statuses.items()]
    update(Message, rows, match=("id",))


def _wipe(outcomes: Sequence[Outcome]) -> None:
    """Takes away the texts that were kept sealed, once nobody is left to get them. Only codes are kept so."""
    ended = {o.holding.message_id for o in outcomes if o.is_final and o.holding.lane == Lane.OTP}
    if ended:
        sealed = MessageContent.objects.filter(pk__in=ended, is_sealed=True, message__status__in=FINAL)
        sealed.update(text=None, html=None)


def _message_row(message: Mapping[str, Any], status: Status, now: datetime) -> dict[str, Any]:
    is_sent, is_lost = status == Status.SENT, status in {Status.FAILED, Status.BOUNCED}
    return {
        **message,
        "status": status.value,
        "last_error": "" if is_sent else message["last_error"],
        "sent_at": message["sent_at"] or (now if is_sent else None),
        "failed_at": message["failed_at"] or (now if is_lost else None),
        "updated_at": now,
    }


def _events(outcome: Outcome, now: datetime) -> list[NewEvent]:
    holding = outcome.holding
    kinds = []
    if outcome.attempt is not None and outcome.attempt.status == AttemptStatus.AMBIGUOUS:
        kinds.append(EventType.DELIVERY_AMBIGUOUS)
    if outcome.is_news:
        kinds.append(EVENT_OF[outcome.status])
    if outcome.status == Status.SENT and outcome.suppress is Reason.COMPLAINT:
        kinds.append(EventType.MESSAGE_COMPLAINED)
    data = _event_data(outcome, now) if kinds else {}
    return [
        NewEvent(holding.workspace_id, kind, ResourceType.MESSAGE, holding.message_id, holding.message_id, data)
        for kind in kinds
    ]


def _event_data(outcome: Outcome, now: datetime) -> dict[str, Any]:
    facts, wait = outcome.attempt, outcome.wait
    data: dict[str, Any] = {"recipient": outcome.holding.email}
    if facts is not None:
        data |= {
            "attemptNumber": outcome.holding.attempt_number,
            "smtpCode": facts.smtp_code,
            "enhancedCode": facts.enhanced_code or None,
            "response": facts.response,
            "explanation": facts.explanation or None,
            "remoteHost": facts.remote_host or None,
        }
    if wait is not None:
        data |= {"reason": wait.code.value, "detail": wait.detail or EXPLANATIONS[wait.code].sentence}
    if outcome.retry_in is not None:
        data["nextAttemptAt"] = clock.wire_time(now + outcome.retry_in)
    if outcome.bounce is not None:
        data["bounceType"] = outcome.bounce.value
    if outcome.error and facts is None:
        data["detail"] = outcome.error
    return data
