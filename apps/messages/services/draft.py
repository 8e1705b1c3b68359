"""The values that go into accepting a message and come out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.core.errors import Problem
from apps.keys.idempotency import Use
from apps.messages.states import Kind, Lane
from apps.protocols.address import Mailbox

MAX_SUBJECT = 998  # RFC 5322, 2.1.1
# What all mails of one request may have together: until they are stored they are in memory, and somebody waits.
MAX_TOGETHER_BYTES, MAX_TOGETHER_SECONDS = 50_000_000, 20
# Of HTML and text together, and of all files before they are encoded; both in bytes.
MAX_CONTENT_BYTES = 10_000_000
MAX_ATTACHMENTS_BYTES = 25 * 1024 * 1024
# Base64 in lines of 76 characters and a line end: 57 bytes become 78.
ENCODED = 78 / 57


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient as the caller named it."""

    kind: Kind
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Enclosure:
    """One attachment: an asset as it is now. `size` in bytes, `checksum` SHA-256 in hexadecimal."""

    asset_id: UUID
    filename: str
    content_type: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a message, where that was not a plain request to send."""

    template_id: UUID | None = None
    template_version_id: UUID | None = None
    batch_id: UUID | None = None
    scheduled_id: UUID | None = None


NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked request to send. Recipients are distinct.

    `is_sealed`: the texts are a secret between us and the recipient. After `expires_at` it is not sent any more.
    """

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
    attachments: Sequence[Enclosure] = ()
    origin: Origin = NO_ORIGIN
    lane: Lane = Lane.TRANSACTIONAL
    is_sealed: bool = False
    expires_at: datetime | None = None

    @property
    def text_size(self) -> int:
        """Bytes of text and HTML."""
        return sum(len(part.encode()) for part in (self.text, self.html) if part)

    @property
    def size(self) -> int:
        """Bytes of text, HTML and encoded attachments."""
        return self.text_size + sum(int(enclosure.size * ENCODED) for enclosure in self.attachments)


@dataclass(frozen=True, slots=True)
class Order:
    """A draft to be accepted, once for its idempotency key.

    Where no draft could be made, it is why not: that is the answer, unless the key has been used for the same request
    before. So a repeat is recognised also when the template or the files of the first have gone since.
    """

    draft: Draft | Problem
    use: Use | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request: a new message, or the one that an earlier request with its key made."""

    message_id: UUID
    status: str
    idempotency_status: str
    rfc_message_id: str
    created_at: datetime
    suppressed: tuple[str, ...] = ()

    @property
    def is_replay(self) -> bool:
        return self.idempotency_status == "replayed"
