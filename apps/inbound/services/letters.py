"""Takes mail for inbound domains: read, checked, stored once for each recipient with its files, and told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from apps.assets import naming
from apps.assets.models import OCTETS, Asset, AssetStatus, Blob
from apps.assets.services import blobs, library
from apps.assets.services.receiving import Received
from apps.core import clock
from apps.core.ids import new_id
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.inbound.errors import FileGone, NoSuchRecipient
from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage
from apps.inbound.reading import authenticate_in_child, read_letter_in_child
from apps.inbound.services.arrival import Arrival, fingerprint_of
from apps.inbound.services.domains import receiving
from apps.protocols.address import AddressError, comparison_key, mailbox
from apps.protocols.authentication.types import Authentication, Origin
from apps.protocols.letters.types import Correspondent, File, Letter
from apps.protocols.text import storable

BUCKET = "inbound"
# RFC 8601 section 5: what others claim to have checked must not be taken for our own checks.
_CLAIMS = frozenset({"authentication-results", "x-authentication-results", "arc-authentication-results"})
UNNAMED, WHOLE = "attachment", "message.eml"


@dataclass(frozen=True, slots=True)
class Addressed:
    """A recipient of an inbound domain."""

    email: str
    domain: InboundDomain


@dataclass(frozen=True, slots=True)
class Understood:
    """What was read in a mail and found about its origin."""

    letter: Letter
    checks: Authentication


def addressed(recipients: Sequence[str]) -> dict[str, Addressed]:
    """Those of these addresses that receive mail here, by the address as it was given."""
    canonical: dict[str, str] = {}
    for address in recipients:
        try:
            canonical[address] = mailbox(address).email
        except AddressError:
            continue
    domains = receiving([email.rpartition("@")[2] for email in canonical.values()])
    return {
        address: Addressed(email, domains[email.rpartition("@")[2]])
        for address, email in canonical.items()
        if email.rpartition("@")[2] in domains
    }


def take(arrival: Arrival, origin: Origin) -> dict[str, UUID]:
    """Stores the mail for each recipient that is one; the ids by address. The same mail again gives the same ids.

    Raises NoSuchRecipient where none is, StorageUnavailable, TemporarilyUnavailable; then all of it may come again.
    """
    known = addressed(arrival.recipients)
    if not known:
        raise NoSuchRecipient
    prints = {address: fingerprint_of(comparison_key(one.email), arrival.raw) for address, one in known.items()}
    ids = {address: _earlier(one, prints[address]) for address, one in known.items()}
    understood: Understood | None = None
    for address, one in known.items():
        if ids[address] is None:
            understood = understood or _understand(arrival, origin)
            ids[address] = _keep(one, arrival, understood, prints[address])
    return {address: identifier for address, identifier in ids.items() if identifier is not None}


def file_of(attachment: InboundAttachment) -> Asset | None:
    """The asset with its bytes; None for an empty file. Raises FileGone."""
    if attachment.asset_id is None:
        return None
    ready = Asset.objects.of(attachment.workspace_id).filter(pk=attachment.asset_id, status=AssetStatus.READY)
    asset: Asset | None = ready.select_related("blob").first()
    if asset is None:
        raise FileGone
    return asset


def _understand(arrival: Arrival, origin: Origin) -> Understood:
    asked = Origin(origin.client_address, origin.helo, arrival.sender, settings.MAIL_DNS_SERVERS)
    return Understood(read_letter_in_child(arrival.raw), authenticate_in_child(arrival.raw, asked))


def _earlier(one: Addressed, fingerprint: str) -> UUID | None:
    rows = InboundMessage.objects.of(one.domain.workspace_id).filter(fingerprint=fingerprint)
    return rows.values_list("pk", flat=True).first()


def _keep(one: Addressed, arrival: Arrival, understood: Understood, fingerprint: str) -> UUID:
    message = _message(one, arrival, understood)
    message.fingerprint = fingerprint
    files = _files(understood.letter, arrival.raw)
    received = [_received(file.content) for file in files if file.content]
    try:
        blobs.store_each(one.domain.workspace_id, received, partial(_insert, message, files))
    except IntegrityError:
        # The same mail came twice at once, and the other was faster.
        earlier = _earlier(one, fingerprint)
        if earlier is None:
            raise
        return earlier
    return message.pk


def _insert(message: InboundMessage, files: Sequence[File], stored: Sequence[Blob]) -> None:
    """The rows of a mail whose files lie in the storage, in the transaction that keeps these."""
    with transaction.atomic():
        message.save(force_insert=True)
        places = iter(stored)
        rows = [
            _attachment(message, number, file, next(places) if file.content else None)
            for number, file in enumerate(files)
        ]
        InboundAttachment.objects.of(message.workspace_id).bulk_create(rows)
        record([_event(message, len(files))], at=message.received_at)


def _attachment(message: InboundMessage, number: int, file: File, blob: Blob | None) -> InboundAttachment:
    name, kind = _file_name(file.name), _media_type(file.content_type)
    asset = None
    if blob is not None:
        description = library.Description(name, kind, bucket=BUCKET, key=f"{message.pk}/{number}")
        asset = library.add(description, blob)
    return InboundAttachment(
        workspace_id=message.workspace_id,
        message=message,
        position=number,
        asset_id=asset.pk if asset else None,
        filename=name,
        content_type=kind,
        content_id=file.content_id,
        is_inline=file.is_inline,
        size=len(file.content),
    )


def _files(letter: Letter, raw: bytes) -> Sequence[File]:
    """What cannot be taken apart is kept as it came."""
    return [File(WHOLE, "message/rfc822", "", False, raw)] if letter.fault else letter.files


def _received(content: bytes) -> Received:
    received = Received(len(content), BytesIO())
    received.write(content)
    return received


def _message(one: Addressed, arrival: Arrival, understood: Understood) -> InboundMessage:
    letter, checks = understood.letter, understood.checks
    author = letter.from_[0] if letter.from_ else Correspondent("")
    return InboundMessage(
        id=new_id(),
        workspace_id=one.domain.workspace_id,
        domain_id=one.domain.pk,
        recipient=one.email,
        envelope_sender=storable(arrival.sender)[:320],
        from_email=author.email,
        from_name=author.name,
        people={
            "from": _shown(letter.from_),
            "to": _shown(letter.to),
            "cc": _shown(letter.cc),
            "replyTo": _shown(letter.reply_to),
        },
        subject=letter.subject,
        rfc_message_id=letter.message_id,
        text=letter.text,
        html=letter.html,
        headers=[[name, value] for name, value in letter.headers if name not in _CLAIMS],
        spf=checks.spf.verdict.value,
        dkim=checks.dkim.verdict.value,
        dmarc=checks.dmarc.verdict.value,
        authentication=_details(checks),
        is_automatic=letter.is_automatic,
        fault=letter.fault,
        size=len(arrival.raw),
        received_at=clock.now(),
    )


def _details(checks: Authentication) -> dict[str, Any]:
    told = asdict(checks)
    return {name: _plain(told[name]) for name in ("spf", "dkim", "dmarc", "policy", "signatures")}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {("result" if name == "verdict" else name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return storable(str(value))


def _shown(people: Sequence[Correspondent]) -> list[dict[str, str | None]]:
    return [{"email": one.email, "name": one.name or None} for one in people]


def _event(message: InboundMessage, count: int) -> NewEvent:
    data = {
        "domainId": str(message.domain_id),
        "recipient": message.recipient,
        "from": {"email": message.from_email, "name": message.from_name or None},
        "subject": message.subject,
        "size": message.size,
        "attachmentCount": count,
        "spf": message.spf,
        "dkim": message.dkim,
        "dmarc": message.dmarc,
        "isAutomatic": message.is_automatic,
        "receivedAt": clock.wire_time(message.received_at),
    }
    return NewEvent(
        message.workspace_id, EventType.INBOUND_RECEIVED, ResourceType.INBOUND_MESSAGE, message.pk, data=data
    )


def _file_name(name: str) -> str:
    try:
        return naming.file_name(name) if name else UNNAMED
    except ValueError:
        # Too long: the end of a name says of what kind the file is.
        return naming.file_name(name[-200:])


def _media_type(kind: str) -> str:
    try:
        return naming.media_type(kind)
    except ValueError:
        return OCTETS
