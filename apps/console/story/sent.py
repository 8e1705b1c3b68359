"""What was sent, shown only to those who may see it, with a note of each look."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from apps.assets.errors import AssetGone
from apps.core.looks import note_look
from apps.delivery.compose import Stored, letter_of, load
from apps.delivery.inbox.letter import Letter, printable_source, read
from apps.delivery.services.prepare import keys_of
from apps.messages.models import Message
from apps.messages.story import SEALED
from apps.workspaces.models import User

TABS = ("html", "text", "headers", "source", "attachments")
PERMISSIONS = ("mail_messages.view_message", "mail_messages.view_messagecontent")
LOOKED = "Looked at what was sent."
REFUSED = "Was refused a look at what was sent."
UNSIGNED_TEST = "It carries no signature: it was accepted without a verified domain, for a test key."
UNSIGNED_NOW = "Shown without its signature: the key of the sender's domain is gone, or cannot be opened."
SIGNED_ANEW = "Shown with the signature of the domain's present key: the one of that time is gone."
UNREADABLE = "It cannot be composed: {}"


@dataclass(frozen=True)
class Sent:
    """One tab's worth of a message; it is composed, signed and parsed when somebody asks for that, and once."""

    tab: str
    stored: Stored

    @property
    def source(self) -> bytes:
        return self._composed[0]

    @property
    def note(self) -> str:
        """What is not as it was."""
        return self._composed[1]

    @cached_property
    def letter(self) -> Letter:
        return read(self.source)

    @cached_property
    def _composed(self) -> tuple[bytes, str]:
        return _composed(self.stored)

    @property
    def source_shown(self) -> str:
        return printable_source(self.source)

    @property
    def has_html(self) -> bool:
        return self.stored.content.html is not None


def may_look(request: HttpRequest) -> bool:
    return cast(User, request.user).has_perms(PERMISSIONS)


def look(request: HttpRequest, message: Message, tab: str) -> Sent:
    """The message as it goes out. Raises PermissionDenied, and Http404 where the content is gone; both looks noted."""
    if not may_look(request):
        note_look(request, message, REFUSED)
        raise PermissionDenied
    stored = load({message.pk}).get(message.pk)
    if stored is None or tab not in TABS:
        raise Http404
    note_look(request, message, LOOKED)
    if stored.content.is_sealed:
        stored.content.text = stored.content.html = None
    return Sent(tab, stored)


def _composed(stored: Stored) -> tuple[bytes, str]:
    """The message's bytes, and what is not as it was."""
    if stored.content.is_sealed:
        return b"", SEALED
    keys, _ = keys_of({stored.message.pk: stored})
    try:
        source, note = letter_of(stored, keys).content, ""
    except (ValueError, AssetGone) as error:
        return b"", UNREADABLE.format(error)
    ring = keys.get(stored.message.domain_id) if stored.message.domain_id else None
    if ring is None:
        note = UNSIGNED_NOW if stored.message.domain_id else UNSIGNED_TEST
    elif not ring.reaches_back_to(stored.message.created_at):
        note = SIGNED_ANEW
    return source, note
