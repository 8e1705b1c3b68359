"""The rows of a message that is being accepted: message, content, attachments, recipients, events, its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.core import clock
from apps.core.crypto import seal
from apps.core.ids import new_id
from apps.core.rows import Part
from apps.events.models import Event
from apps.events.services import NewEvent, rows_of
from apps.events.types import EventType, ResourceType
from apps.keys import idempotency
from apps.messages.models import Attachment, Message, MessageContent, Recipient
from apps.messages.services.draft import Accepted, Draft
from apps.messages.states import Status


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is not stored yet."""

    draft: Draft
    use: idempotency.Use | None
    row: Mapping[str, Any]
    suppressed: frozenset[str]

    @property
    def message_id(self) -> UUID:
        identifier: UUID = self.row["id"]
        return identifier

    @property
    def open_count(self) -> int:
        """Recipients that it is to be sent to; these count against limits."""
        return sum(addressee.mailbox.key not in self.suppressed for addressee in self.draft.recipients)

    @property
    def answer(self) -> Accepted:
        recipients = self.draft.recipients
        return Accepted(
            message_id=self.message_id,
            status=self.row["status"],
            idempotency_status="created" if self.use else "none",
            rfc_message_id=self.row["rfc_message_id"],
            created_at=self.row["created_at"],
            suppressed=tuple(a.mailbox.email for a in recipients if a.mailbox.key in self.suppressed),
        )


def new_message(
    workspace_id: UUID,
    draft: Draft,
    use: idempotency.Use | None,
    *,
    domain_id: UUID | None,
    suppressed: frozenset[str],
) -> NewMessage:
    """`suppressed`: comparison keys, of whatever recipients."""
    message_id, now = new_id(), clock.now()
    all_suppressed = all(addressee.mailbox.key in suppressed for addressee in draft.recipients)
    row = {
        "id": message_id,
        "workspace_id": workspace_id,
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
        "template_id": draft.origin.template_id,
        "template_version_id": draft.origin.template_version_id,
        "batch_id": draft.origin.batch_id,
        "scheduled_id": draft.origin.scheduled_id,
        "size": draft.size,
        "expires_at": draft.expires_at,
        "created_at": now,
        "updated_at": now,
    }
    return NewMessage(draft, use, row, suppressed)


def parts_of(new: Sequence[NewMessage], *, now: datetime) -> list[Part]:
    """All rows of these messages by table. `now` is the database's time."""
    events = [event for message in new for event in _events(message)]
    keys = [(message.use, message.message_id) for message in new if message.use]
    return [
        (Message, [message.row for message in new]),
        (MessageContent, [_content_row(message.row, message.draft) for message in new]),
        (Attachment, [row for message in new for row in _attachment_rows(message)]),
        (Recipient, [row for message in new for row in _recipient_rows(message, now)]),
        (Event, rows_of(events, at=new[0].row["created_at"]) if new else []),
        idempotency.part(keys),
    ]


def sealed_name(message_id: UUID) -> str:
    """What a sealed text is bound to."""
    return f"message:{message_id}"


def _content_row(message: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    text, html = draft.text, draft.html
    if draft.is_sealed:
        is_over = message["status"] == Status.SUPPRESSED  # it goes nowhere, so nobody will need it
        text, html = (_sealed(part, message["id"]) if part and not is_over else None for part in (text, html))
    return {
        "message_id": message["id"],
        "reply_to_email": draft.reply_to.email if draft.reply_to else "",
        "reply_to_name": draft.reply_to.name if draft.reply_to else "",
        "headers": dict(draft.headers or {}),
        "text": text,
        "html": html,
        "is_sealed": draft.is_sealed,
        "scenario": draft.scenario,
    }


def _sealed(text: str, message_id: UUID) -> str:
    return seal(text, bound_to=sealed_name(message_id))


def _attachment_rows(message: NewMessage) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(),
            "workspace_id": message.row["workspace_id"],
            "message_id": message.message_id,
            "position": position,
            "asset_id": enclosure.asset_id,
            "filename": enclosure.filename,
            "content_type": enclosure.content_type,
            "size": enclosure.size,
            "checksum": enclosure.checksum,
        }
        for position, enclosure in enumerate(message.draft.attachments)
    ]


def _recipient_rows(message: NewMessage, database_now: datetime) -> list[dict[str, Any]]:
    now = message.row["created_at"]
    # Due by the database's clock, which claims compare it with, should this host's be ahead.
    due_at = min(now, database_now)
    rows = []
    for position, addressee in enumerate(message.draft.recipients):
        is_suppressed = addressee.mailbox.key in message.suppressed
        rows.append(
            {
                "id": new_id(),
                "workspace_id": message.row["workspace_id"],
                "message_id": message.message_id,
                "kind": addressee.kind.value,
                "position": position,
                "email": addressee.mailbox.email,
                "name": addressee.mailbox.name,
                "status": Status.SUPPRESSED.value if is_suppressed else Status.QUEUED.value,
                "lane": int(message.draft.lane),
                "next_attempt_at": None if is_suppressed else due_at,
                "queued_at": now,
                "finished_at": now if is_suppressed else None,
            }
        )
    return rows


def _events(message: NewMessage) -> list[NewEvent]:
    draft, suppressed, message_id = message.draft, message.suppressed, message.message_id
    workspace_id: UUID = message.row["workspace_id"]
    events = []
    if message.row["status"] == Status.QUEUED:
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
