"""Turns stored messages into letters: the same bytes for every attempt (MIME by RFC 5322, DKIM by RFC 6376)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from apps.core.crypto import derived_keys
from apps.delivery.work import Letter, Parcel
from apps.domains.services.sending import KeyRing
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services.outcomes import Holding
from apps.messages.states import Kind
from apps.protocols import dkim, mime, verp
from apps.protocols.address import Mailbox
from apps.protocols.sender_records import RETURN_PATH_LABEL

# Longer than the longest retry, shorter than is useful to somebody who replays our signature.
SIGNATURE_LIFETIME = timedelta(days=7)

Keys = Mapping[UUID, KeyRing]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of a message that is to go out."""

    content: MessageContent
    named: Sequence[Recipient]

    @property
    def message(self) -> Message:
        return self.content.message

    def names(self, email: str) -> bool:
        """Whether a header names this recipient; a bcc is named in none."""
        return any(recipient.email == email for recipient in self.named)


def load(message_ids: Collection[UUID]) -> dict[UUID, Stored]:
    """The messages with the recipients that their headers name."""
    named: dict[UUID, list[Recipient]] = defaultdict(list)
    shown = Recipient.objects.across_workspaces().filter(message_id__in=message_ids).exclude(kind=Kind.BCC)
    for recipient in shown.only("message_id", "kind", "email", "name").order_by("position"):
        named[recipient.message_id].append(recipient)
    contents = MessageContent.objects.filter(pk__in=message_ids).select_related("message")
    return {content.pk: Stored(content, named[content.pk]) for content in contents}


def letter_of(stored: Stored, keys: Keys) -> Letter:
    """The letter; composing and signing wait until somebody asks for its content."""
    ring = keys.get(stored.message.domain_id) if stored.message.domain_id else None
    # By the time of acceptance, so that a key that changes between two tries changes nothing about this mail.
    signing = ring.at(stored.message.created_at) if ring else ()
    return Letter(stored.message.pk, stored.content.scenario, partial(_write, stored, signing))


def parcel_of(letter: Letter, stored: Stored, holdings: Sequence[Holding]) -> Parcel:
    """One transaction. Its return path names the first recipient, signed, so that a bounce finds its way back."""
    host = f"{RETURN_PATH_LABEL}.{stored.message.from_email.rpartition('@')[2]}"
    sender = verp.make(holdings[0].recipient_id, secret=derived_keys("verp")[0], host=host)
    return Parcel(letter, sender, tuple(holdings))


def _write(stored: Stored, keys: Sequence[dkim.SigningKey]) -> tuple[bytes, bool]:
    mail = _mail(stored)
    message = mime.compose(mail)
    if keys:
        signed_at = stored.message.created_at
        message = dkim.sign(message, keys, signed_at=signed_at, expires_at=signed_at + SIGNATURE_LIFETIME) + message
    return message, mime.needs_smtputf8(mail)


def _mail(stored: Stored) -> mime.Mail:
    content, message = stored.content, stored.message
    named = {
        kind: tuple(Mailbox(r.email, r.name) for r in stored.named if r.kind == kind) for kind in (Kind.TO, Kind.CC)
    }
    reply_to = Mailbox(content.reply_to_email, content.reply_to_name) if content.reply_to_email else None
    return mime.Mail(
        sender=Mailbox(message.from_email, message.from_name),
        to=named[Kind.TO],
        cc=named[Kind.CC],
        reply_to=reply_to,
        subject=message.subject,
        text=content.text,
        html=content.html,
        headers=tuple(content.headers.items()),
        message_id=message.rfc_message_id,
        date=message.created_at,
    )
