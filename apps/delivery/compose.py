"""Turns stored messages into letters: the same bytes for every attempt (MIME by RFC 5322, DKIM by RFC 6376)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID

from apps.assets.errors import AssetGone
from apps.assets.models import Blob
from apps.assets.services.attaching import Held, locate, read
from apps.core.crypto import derived_keys, unseal
from apps.delivery.work import Letter, Parcel
from apps.domains.services.sending import KeyRing
from apps.messages.models import Attachment, Message, MessageContent, Recipient
from apps.messages.services.new_rows import sealed_name
from apps.messages.services.outcomes import Holding
from apps.messages.states import Kind
from apps.protocols import dkim, mime, verp
from apps.protocols.address import Mailbox
from apps.protocols.mime_attachments import Attachment as Attached
from apps.protocols.sender_records import RETURN_PATH_LABEL

# Longer than the longest retry, shorter than is useful to somebody who replays our signature.
SIGNATURE_LIFETIME = timedelta(days=7)

Keys = Mapping[UUID, KeyRing]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of a message that is to go out."""

    content: MessageContent
    named: Sequence[Recipient]
    attachments: Sequence[Attachment] = ()
    # Where the bytes of the attachments are, by checksum; what is gone is not among them.
    files: Mapping[str, Blob] = field(default_factory=dict)

    @property
    def message(self) -> Message:
        return self.content.message

    @property
    def missing(self) -> Sequence[str]:
        """The names of the attachments whose asset or whose bytes are gone."""
        return [attachment.filename for attachment in self.attachments if attachment.checksum not in self.files]

    def names(self, email: str) -> bool:
        """Whether a header names this recipient; a bcc is named in none."""
        return any(recipient.email == email for recipient in self.named)


def load(message_ids: Collection[UUID]) -> dict[UUID, Stored]:
    """The messages with the recipients that their headers name and the files that they carry."""
    named: dict[UUID, list[Recipient]] = defaultdict(list)
    shown = Recipient.objects.across_workspaces().filter(message_id__in=message_ids).exclude(kind=Kind.BCC)
    for recipient in shown.only("message_id", "kind", "email", "name").order_by("position"):
        named[recipient.message_id].append(recipient)
    contents = MessageContent.objects.filter(pk__in=message_ids).select_related("message")
    carried = _carried(message_ids)
    return {content.pk: Stored(content, named[content.pk], *carried.get(content.pk, ())) for content in contents}


def _carried(message_ids: Collection[UUID]) -> dict[UUID, tuple[list[Attachment], dict[str, Blob]]]:
    """The attachments of the messages that have any, and where their bytes are."""
    attachments: dict[UUID, list[Attachment]] = defaultdict(list)
    rows = Attachment.objects.across_workspaces().filter(message_id__in=message_ids)
    for attachment in rows.order_by("message_id", "position"):
        attachments[attachment.message_id].append(attachment)
    files = locate([_held(a) for of in attachments.values() for a in of])
    return {
        message_id: (of, {a.checksum: files[_held(a)] for a in of if _held(a) in files})
        for message_id, of in attachments.items()
    }


def _held(attachment: Attachment) -> Held:
    return attachment.workspace_id, attachment.asset_id, attachment.checksum


def letter_of(stored: Stored, keys: Keys) -> Letter:
    """The letter; composing and signing wait until somebody asks for its content."""
    ring = keys.get(stored.message.domain_id) if stored.message.domain_id else None
    # By the time of acceptance, so that a key that changes between two tries changes nothing about this mail.
    signing = ring.at(stored.message.created_at) if ring else ()
    is_heavy = bool(stored.attachments)
    return Letter(stored.message.pk, stored.content.scenario, partial(_write, stored, signing), is_heavy)


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
        text=_opened(content, content.text),
        html=_opened(content, content.html),
        headers=tuple(content.headers.items()),
        message_id=message.rfc_message_id,
        date=message.created_at,
        attachments=tuple(_file(stored, attachment) for attachment in stored.attachments),
    )


def _opened(content: MessageContent, text: str | None) -> str | None:
    """Raises SealBroken."""
    return unseal(text, bound_to=sealed_name(content.pk)) if text and content.is_sealed else text


def _file(stored: Stored, attachment: Attachment) -> Attached:
    """Raises AssetGone, also where the bytes are not those that the message was accepted with."""
    blob = stored.files.get(attachment.checksum)
    if blob is None:
        raise AssetGone(f"The attachment {attachment.filename} is gone.")
    return Attached(attachment.filename, attachment.content_type, read(blob))
