"""Accepts a message: every check, then all its rows in one transaction. Accepted means stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.core.rows import Part, insert_all
from apps.domains.errors import DomainNotVerified
from apps.domains.services.sending import require_verified
from apps.events.models import Event
from apps.events.services import NewEvent, rows_of
from apps.events.types import EventType, ResourceType
from apps.keys import idempotency
from apps.keys.services import Caller
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services.admission import Admission, ask
from apps.messages.states import Kind, Lane, Status
from apps.protocols.address import Mailbox
from apps.workspaces import limits
from apps.workspaces.errors import SendingDisabled

# `bounces.` and the domain have to fit into a name of 253 octets.
LONGEST_DOMAIN = 245


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient as the caller named it."""

    kind: Kind
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked request to send. Recipients are distinct."""

    sender: Mailbox
    recipients: Sequence[Addressee]
    subject: str
    reply_to: Mailbox | None = None
    text: str | None = None
    html: str | None = None
    headers: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    stream: str = ""
    scenario: str = ""
    lane: Lane = Lane.TRANSACTIONAL

    @property
    def size(self) -> int:
        """Bytes of text and HTML."""
        return sum(len(part.encode()) for part in (self.text, self.html) if part)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request: a new message, or the one that an earlier request with its key made."""

    message_id: UUID
    status: str
    idempotency_status: str
    rfc_message_id: str
    created_at: datetime
    suppressed: tuple[str, ...]

    @property
    def is_replay(self) -> bool:
        return self.idempotency_status == "replayed"


def accept(caller: Caller, draft: Draft, *, use: idempotency.Use | None) -> Accepted:
    """Stores a message and everything that its delivery needs.

    Raises IdempotencyConflict, SendingDisabled, DomainNotVerified, DailyLimitExceeded, HourlyLimitExceeded; then
    nothing is stored and the key may be used again.
    """
    admission = _admission(caller, draft, use)
    if use is not None and admission.earlier is not None:
        return _replayed(use.workspace_id, idempotency.check_same(use, admission.earlier))
    if caller.is_suspended:
        raise SendingDisabled
    domain_id = _sender_domain(caller, draft.sender.domain, admission)
    try:
        return _store(caller, draft, use, admission, domain_id=domain_id)
    except IntegrityError:
        # Another request with the same key was faster, by less than our own look could see.
        admission = _admission(caller, draft, use)
        if use is None or admission.earlier is None:
            raise
        return _replayed(use.workspace_id, idempotency.check_same(use, admission.earlier))


def _admission(caller: Caller, draft: Draft, use: idempotency.Use | None) -> Admission:
    keys = {addressee.mailbox.key for addressee in draft.recipients}
    return ask(caller.workspace_id, domain=draft.sender.domain, keys=keys, use=use)


def _sender_domain(caller: Caller, name: str, admission: Admission) -> UUID | None:
    try:
        return require_verified(name, admission.domain)
    except DomainNotVerified:
        if caller.is_test:  # nothing that a test key sends leaves this server
            if len(name) > LONGEST_DOMAIN:
                raise Invalid({"from": ["has a domain that is too long for a return path below it"]}) from None
            return None
        raise


def _store(
    caller: Caller, draft: Draft, use: idempotency.Use | None, admission: Admission, *, domain_id: UUID | None
) -> Accepted:
    suppressed = admission.suppressed
    message = _message_row(caller, draft, use, domain_id=domain_id, suppressed=suppressed)
    # Due by the database's clock, which claims compare it with, should this host's be ahead.
    due_at = min(message["created_at"], admission.now)
    recipients = _recipient_rows(message, draft, suppressed, due_at=due_at)
    open_count = sum(row["next_attempt_at"] is not None for row in recipients)
    reservation = limits.Reservation(caller.workspace_id, open_count, caller.limits, message["created_at"])
    parts: list[Part] = [
        (Message, [message]),
        (MessageContent, [_content_row(message, draft)]),
        (Recipient, recipients),
        (Event, rows_of(_events(message, draft, suppressed), at=message["created_at"])),
    ]
    if use is not None:
        parts.append(idempotency.part(use, message["id"]))
    reservation.check(insert_all(parts, counting=reservation.statements()))
    return Accepted(
        message_id=message["id"],
        status=message["status"],
        idempotency_status="created" if use else "none",
        rfc_message_id=message["rfc_message_id"],
        created_at=message["created_at"],
        suppressed=tuple(a.mailbox.email for a in draft.recipients if a.mailbox.key in suppressed),
    )


def _message_row(
    caller: Caller, draft: Draft, use: idempotency.Use | None, *, domain_id: UUID | None, suppressed: frozenset[str]
) -> dict[str, Any]:
    message_id, now = new_id(), clock.now()
    all_suppressed = all(addressee.mailbox.key in suppressed for addressee in draft.recipients)
    return {
        "id": message_id,
        "workspace_id": caller.workspace_id,
        "status": Status.SUPPRESSED.value if all_suppressed else Status.QUEUED.value,
        "domain_id": domain_id,
        "from_email": draft.sender.email,
        "from_name": draft.sender.name,
        "subject": draft.subject,
        # Fixed now, so that every attempt carries the same one and receivers can recognise a repeat.
        "rfc_message_id": f"{message_id}@{draft.sender.domain}",
        "idempotency_key": use.key if use else "",
        "stream": draft.stream,
        "tags": dict(draft.tags or {}),
        "size": draft.size,
        "created_at": now,
        "updated_at": now,
    }


def _content_row(message: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    return {
        "message_id": message["id"],
        "reply_to_email": draft.reply_to.email if draft.reply_to else "",
        "reply_to_name": draft.reply_to.name if draft.reply_to else "",
        "headers": dict(draft.headers or {}),
        "text": draft.text,
        "html": draft.html,
        "scenario": draft.scenario,
    }


def _recipient_rows(
    message: Mapping[str, Any], draft: Draft, suppressed: frozenset[str], *, due_at: datetime
) -> list[dict[str, Any]]:
    now = message["created_at"]
    rows = []
    for position, addressee in enumerate(draft.recipients):
        is_suppressed = addressee.mailbox.key in suppressed
        rows.append(
            {
                "id": new_id(),
                "workspace_id": message["workspace_id"],
                "message_id": message["id"],
                "kind": addressee.kind.value,
                "position": position,
                "email": addressee.mailbox.email,
                "name": addressee.mailbox.name,
                "status": Status.SUPPRESSED.value if is_suppressed else Status.QUEUED.value,
                "lane": int(draft.lane),
                "next_attempt_at": None if is_suppressed else due_at,
                "queued_at": now,
                "finished_at": now if is_suppressed else None,
            }
        )
    return rows


def _events(message: Mapping[str, Any], draft: Draft, suppressed: frozenset[str]) -> list[NewEvent]:
    workspace_id, message_id = message["workspace_id"], message["id"]
    events = []
    if message["status"] == Status.QUEUED:
        data = {
            "from": draft.sender.email,
            "subject": draft.subject,
            "recipients": [a.mailbox.email for a in draft.recipients if a.mailbox.key not in suppressed],
        }
        queued = EventType.MESSAGE_QUEUED
        events.append(NewEvent(workspace_id, queued, ResourceType.MESSAGE, message_id, message_id, data))
    for addressee in draft.recipients:
        if addressee.mailbox.key in suppressed:
            data = {"recipient": addressee.mailbox.email}
            kind = EventType.MESSAGE_SUPPRESSED
            events.append(NewEvent(workspace_id, kind, ResourceType.MESSAGE, message_id, message_id, data))
    return events


def _replayed(workspace_id: UUID, message_id: UUID) -> Accepted:
    message = Message.objects.of(workspace_id).get(pk=message_id)
    suppressed = Recipient.objects.of(workspace_id).filter(message_id=message_id, status=Status.SUPPRESSED)
    return Accepted(
        message_id=message.pk,
        status=message.status,
        idempotency_status="replayed",
        rfc_message_id=message.rfc_message_id,
        created_at=message.created_at,
        suppressed=tuple(suppressed.order_by("position").values_list("email", flat=True)),
    )
