"""What happened to a message and what comes next, in sentences a person reads."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.messages.models import Message, Recipient
from apps.messages.operations import Verb, offered
from apps.messages.services.interventions import DIED_IN_DOUBT, DIED_IN_HAND, IN_HAND, is_abandoned
from apps.messages.states import FINAL, Status
from apps.messages.waits import EXPLANATIONS, FOR_A_PERSON, Explanation, WaitCode
from apps.suppressions.models import Suppression

# Whose turn it is, the most pressing first: what waits for a person is told before what mends itself.
URGENCY = (*sorted(FOR_A_PERSON), WaitCode.CONFIGURATION, WaitCode.WORKSPACE_SUSPENDED, WaitCode.DOMAIN_NOT_VERIFIED)
DAY = timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)
# Workers look for due mail many times a second; where much is due it takes its turn, for longer nobody has looked.
OVERDUE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Card:
    """One recipient as the page shows it."""

    row: Recipient
    sentence: str
    detail: str
    since: datetime | None
    until: datetime | None
    until_in: str
    who: str
    verbs: Sequence[Verb]
    # Of its address, if that is suppressed now; and whether this mail was stopped by one that is lifted since.
    suppression: Suppression | None
    is_lifted: bool


def card(row: Recipient, suppression: Suppression | None, *, now: datetime) -> Card:
    """What there is to know about one recipient now."""
    is_open = row.status not in FINAL
    is_waiting = is_open and row.lease_until is None
    return Card(
        row=row,
        sentence=_state(row, now),
        detail=row.wait_detail if is_open else row.last_error,
        since=(row.waiting_since or row.queued_at) if is_open else row.finished_at,
        until=row.next_attempt_at if is_waiting else None,
        until_in=_until_in(row, now) if is_waiting else "",
        who=_explanation(row, now).who_can_change_it if is_waiting else "",
        verbs=offered(row),
        suppression=suppression,
        is_lifted=row.status == Status.SUPPRESSED and suppression is None,
    )


def headline(message: Message, rows: Sequence[Recipient], *, now: datetime) -> str:
    """What happened, what is next, or why it waits: one line for the whole message."""
    waiting = [row for row in rows if row.status not in FINAL]
    ended = Counter(Status(row.status).label.lower() for row in rows if row.status in FINAL)
    told = [f"{count} of {len(rows)} {label}." for label, count in ended.items()] if len(rows) > 1 else []
    if waiting:
        return " ".join([*told, _next(min(waiting, key=_urgency), now)])
    return " ".join(told) if told else " ".join(_state(row, now) for row in rows) or "It has no recipients."


def span(length: timedelta) -> str:
    """`31 ms`, `1.2 s`, `4 min`, `2 h 5 min`: as exact as somebody wants to know it."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _urgency(row: Recipient) -> tuple[int, datetime]:
    """The most pressing reason first; of the same the one that is due soonest."""
    position = URGENCY.index(WaitCode(row.wait_code)) if row.wait_code in URGENCY else len(URGENCY)
    return position, row.next_attempt_at or NEVER


def _overdue_by(row: Recipient, now: datetime) -> timedelta | None:
    late = now - row.next_attempt_at if row.next_attempt_at is not None else timedelta(0)
    return late if late > OVERDUE_AFTER else None


def _explanation(row: Recipient, now: datetime) -> Explanation:
    """What is overdue waits for a worker, whatever it waited for before."""
    code = WaitCode.QUEUED if _overdue_by(row, now) else row.wait_code or WaitCode.QUEUED
    return EXPLANATIONS[WaitCode(code)]


def _until_in(row: Recipient, now: datetime) -> str:
    if row.next_attempt_at is None:
        return ""
    late = _overdue_by(row, now)
    return f"overdue by {span(late)}" if late else f"in {span(row.next_attempt_at - now)}"


def _state(row: Recipient, now: datetime) -> str:
    if row.in_doubt:
        return DIED_IN_DOUBT if is_abandoned(row, now) else "It is being handed to the receiving server at this moment."
    if row.status == Status.SENT:
        return "Taken by the receiving server."
    if row.status == Status.BOUNCED:
        return "Refused because of the recipient."
    if row.status == Status.SUPPRESSED:
        return "Not sent: the recipient is suppressed."
    if row.status == Status.FAILED:
        return "Given up."
    if row.lease_until is not None:
        return DIED_IN_HAND if is_abandoned(row, now) else IN_HAND
    return EXPLANATIONS[WaitCode(row.wait_code or WaitCode.QUEUED)].sentence


def _inside(sentence: str) -> str:
    """A sentence as a part of another one."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _next(row: Recipient, now: datetime) -> str:
    """Why the most pressing recipient waits, until when, and whose turn it is."""
    if row.in_doubt or row.lease_until is not None:
        return _state(row, now)
    detail = f" ({row.wait_detail})" if row.wait_detail else ""
    told = f"Waiting for {row.email.rpartition('@')[2]}: {_inside(_state(row, now))}{detail}."
    if row.wait_code in FOR_A_PERSON:
        return f"{told} It goes nowhere until it is released."
    if row.next_attempt_at is not None and row.next_attempt_at > now:
        form = "%H:%M:%S" if row.next_attempt_at - now < DAY else "%Y-%m-%d %H:%M:%S"
        told += f" Next try in {span(row.next_attempt_at - now)}, at {row.next_attempt_at:{form}} UTC."
    late, explanation = _overdue_by(row, now), _explanation(row, now)
    if late:
        told += f" It is overdue by {span(late)}."
    elif explanation.ends_by_itself:
        return f"{told} Nobody needs to do anything."
    return f"{told} Who can change it: {explanation.who_can_change_it}."
