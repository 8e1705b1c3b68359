"""The one door for every outcome of a delivery: state, attempt, bounce, suppression and event, or none of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from apps.messages.models import Attempt, Message, MessageContent, Recipient
from apps.messages.services.evidence import Evidence, keep
from apps.messages.states import FINAL, AttemptStatus, BounceSource, BounceType, Lane, Status, message_status
from apps.messages.waits import EXPLANATIONS, Wait
from apps.suppressions.models import Reason

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Evidence):
    """What a report says of one recipient, long after the outcome; a `bounce` takes back that it was sent."""

    report_id: UUID
    event: EventType
    details: Mapping[str, Any] = field(default_factory=dict)


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
            _roll_up(messages, {outcome.holding.message_id for outcome in ours}, now)
            _wipe(ours)
            record_events([event for outcome in ours for event in _events(outcome, now)], at=now)
            keep([_evidence(o, now) for o in ours if o.bounce is not None or o.suppress is not None], now)
    return changed


def record_reports(findings: Sequence[Finding]) -> set[UUID]:
    """Writes what reports say of recipients whose mail was handed over; in the caller's transaction, or its own.

    Returns the recipients that a report has ended: those that were `sent`. Others have no other end, and what is said
    of them is still told and may still suppress the address.
    """
    with transaction.atomic():
        messages = lock_messages({finding.message_id for finding in findings})
        now = clock.database_now()
        ends = [_ended_row(finding, now) for finding in findings if finding.bounce is not None]
        ended = update(Recipient, ends, match=("id",), where=f"t.status = '{Status.SENT.value}'")
        known = [f if f.recipient_id in ended else replace(f, bounce=None) for f in findings]
        for finding in known:
            if finding.bounce is not None:
                messages[finding.message_id]["last_error"] = finding.diagnostic
        _roll_up(messages, {finding.message_id for finding in known if finding.bounce is not None}, now)
        news = [new for new, old in zip(known, findings, strict=True) if (new.bounce is None) == (old.bounce is None)]
        record_events([_report_event(finding) for finding in news], at=now)
        keep(known, now)
    return ended


def _ended_row(finding: Finding, now: datetime) -> dict[str, Any]:
    status, error = Status.BOUNCED.value, finding.diagnostic
    return {"id": finding.recipient_id, "status": status, "last_error": error, "finished_at": now}


def _report_event(finding: Finding) -> NewEvent:
    data: dict[str, Any] = {
        "recipient": finding.email,
        "smtpCode": finding.smtp_code,
        "enhancedCode": finding.enhanced_code or None,
        "response": finding.diagnostic or None,
        "source": finding.source.value,
        "reportId": str(finding.report_id),
        "occurredAt": clock.wire_time(finding.occurred_at),
    }
    if finding.bounce is not None:
        data["bounceType"] = finding.bounce.value
    message = finding.message_id
    return NewEvent(
        finding.workspace_id, finding.event, ResourceType.MESSAGE, message, message, data | dict(finding.details)
    )


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


def _evidence(outcome: Outcome, now: datetime) -> Evidence:
    holding, facts = outcome.holding, outcome.attempt
    return Evidence(
        workspace_id=holding.workspace_id,
        message_id=holding.message_id,
        recipient_id=holding.recipient_id,
        email=holding.email,
        bounce=outcome.bounce,
        suppress=outcome.suppress,
        source=BounceSource.SMTP_LOG,
        smtp_code=facts.smtp_code if facts else None,
        enhanced_code=facts.enhanced_code if facts else "",
        diagnostic=facts.response if facts else outcome.error,
        occurred_at=facts.finished_at if facts else now,
    )


def _count(messages: dict[UUID, dict[str, Any]], outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        message = messages[outcome.holding.message_id]
        message["attempt_count"] += outcome.attempt is not None
        message["last_error"] = outcome.error or message["last_error"]


def _roll_up(messages: Mapping[UUID, Mapping[str, Any]], touched: Collection[UUID], now: datetime) -> None:
    """Lets each message's status follow from its recipients."""
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
