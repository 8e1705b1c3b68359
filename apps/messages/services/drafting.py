"""Makes drafts of checked requests: what templates make of their data, the files behind attachments, who sends.

A request's `data` has the names and values that `messages.api.requests` gives: mailboxes, texts, objects.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import UUID

from apps.assets.services import attaching
from apps.assets.services.attaching import Found, Reference
from apps.core.errors import Invalid, Problem
from apps.messages.errors import AttachmentsTooLarge, ContentTooLarge, TooMuchTogether
from apps.messages.services.draft import (
    MAX_ATTACHMENTS_BYTES,
    MAX_CONTENT_BYTES,
    MAX_SUBJECT,
    MAX_TOGETHER_BYTES,
    MAX_TOGETHER_SECONDS,
    NO_ORIGIN,
    Addressee,
    Draft,
    Enclosure,
    Origin,
)
from apps.messages.states import Kind, Lane
from apps.protocols.address import Mailbox
from apps.protocols.mime_attachments import AttachmentError, check_content_type
from apps.protocols.text import TextError, check_text
from apps.templates.services import rendering
from apps.templates.services.rendering import Prepared
from apps.workspaces.limits import MAX_RECIPIENTS_PER_MESSAGE
from apps.workspaces.services import default_sender

DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Pinned:
    """The bytes that an asset had: how many, and their SHA-256 in hexadecimal."""

    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is the same for all requests that are read together.

    `template`: rendered instead of the one that each names. `files`: what assets were when the mail was taken in, for
    mail that is made later than that.
    """

    origin: Origin = NO_ORIGIN
    lane: Lane = Lane.TRANSACTIONAL
    template: Prepared | None = None
    files: Mapping[UUID, Pinned] = field(default_factory=dict)


ORDINARY = Circumstances()


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, and the template that said so."""

    subject: str
    text: str | None
    html: str | None
    template: Prepared | None = None


class Drafting:
    """Makes drafts of checked requests, with what all of them need looked up once."""

    def __init__(self, workspace_id: UUID, circumstances: Circumstances, requests: Sequence[Mapping[str, Any]]) -> None:
        self._workspace_id, self._circumstances = workspace_id, circumstances
        self._bytes, self._began = 0, time.thread_time()
        self._templates: dict[tuple[str, str | None], Prepared] = {}
        references = {_reference(item) for data in requests for item in data.get("attachments") or ()}
        self._found = attaching.find(self._workspace_id, references) if references else {}

    def draft(self, data: Mapping[str, Any]) -> Draft:
        """Raises Problems; TooMuchTogether after as much as one request may make."""
        if self._bytes > MAX_TOGETHER_BYTES or time.thread_time() - self._began > MAX_TOGETHER_SECONDS:
            raise TooMuchTogether
        draft = self._draft(data)
        self._bytes += draft.text_size
        return draft

    def _draft(self, data: Mapping[str, Any]) -> Draft:
        recipients = _distinct(data)
        sender = data.get("sender") or self._default_sender
        content = self._content(data)
        _check_content(content)
        return Draft(
            sender=sender,
            recipients=recipients,
            subject=content.subject,
            reply_to=data.get("reply_to"),
            text=content.text,
            html=content.html,
            headers=data.get("headers"),
            tags=data.get("tags"),
            stream=data.get("stream", ""),
            scenario=data.get("simulation", {}).get("scenario", ""),
            attachments=self.enclosures(data),
            origin=self._origin(content),
            lane=self._circumstances.lane,
        )

    @cached_property
    def _default_sender(self) -> Mailbox:
        return default_sender(self._workspace_id)

    def _content(self, data: Mapping[str, Any]) -> Content:
        if "template" not in data:
            return Content(data["subject"], data.get("text") or None, data.get("html") or None)
        template = self._circumstances.template or self._template(data["template"], data.get("version_id"))
        rendered = template.render(data.get("data", {}))
        return Content(rendered.subject, rendered.text or None, rendered.html or None, template)

    def _template(self, reference: str, version_id: str | None) -> Prepared:
        named = (reference, version_id)
        if named not in self._templates:
            self._templates[named] = rendering.prepare(self._workspace_id, reference, version_id)
        return self._templates[named]

    def _origin(self, content: Content) -> Origin:
        origin, template = self._circumstances.origin, content.template
        if template is None:
            return origin
        return replace(origin, template_id=template.template_id, template_version_id=template.version_id)

    def enclosures(self, data: Mapping[str, Any]) -> list[Enclosure]:
        """Raises Problems."""
        enclosures = [self._enclosure(place, item) for place, item in enumerate(data.get("attachments") or ())]
        if sum(enclosure.size for enclosure in enclosures) > MAX_ATTACHMENTS_BYTES:
            reason = f"attachments may have at most {MAX_ATTACHMENTS_BYTES} bytes together"
            raise AttachmentsTooLarge(f"{reason}.", details={"fields": {"attachments": [reason]}})
        return enclosures

    def _enclosure(self, place: int, item: Mapping[str, Any]) -> Enclosure:
        reference = _reference(item)
        found = self._found[reference]
        if isinstance(found, Problem):
            name = "assetId" if reference.asset_id is not None else "uploadId"
            raise type(found)(found.message, details={"fields": {f"attachments.{place}.{name}": [found.message]}})
        as_taken = self._circumstances.files.get(found.asset_id)
        return Enclosure(
            asset_id=found.asset_id,
            filename=item["filename"],
            content_type=item.get("content_type") or _sendable_type(found),
            size=as_taken.size if as_taken else found.size,
            checksum=as_taken.checksum if as_taken else found.checksum,
        )


def check_attachments(data: Mapping[str, Any], workspace_id: UUID) -> None:
    """Raises the Problem with attachments that are to go with many messages."""
    Drafting(workspace_id, ORDINARY, [data]).enclosures(data)


def _reference(item: Mapping[str, Any]) -> Reference:
    return Reference(asset_id=item.get("asset_id"), upload_id=item.get("upload_id"))


def _sendable_type(found: Found) -> str:
    """The asset's own type, where mail can carry it as it is."""
    try:
        check_content_type(found.content_type)
    except AttachmentError:
        return DEFAULT_CONTENT_TYPE
    return found.content_type


def _check_content(content: Content) -> None:
    parts = {name: part for name, part in (("html", content.html), ("text", content.text)) if part}
    if sum(len(part.encode()) for part in parts.values()) > MAX_CONTENT_BYTES:
        reason = f"html and text may have at most {MAX_CONTENT_BYTES} bytes together"
        raise ContentTooLarge(f"{reason}.", details={"fields": {name: [reason] for name in parts}})
    if content.template is not None:
        _check_rendered(content, parts)


def _check_rendered(content: Content, parts: Mapping[str, str]) -> None:
    """What a plain request would be refused for, a value must not bring in through a template."""
    if len(content.subject) > MAX_SUBJECT:
        raise Invalid({"data": [f"makes a subject of more than {MAX_SUBJECT} characters"]})
    try:
        check_text(content.subject)
        for part in parts.values():
            check_text(part, multiline=True)
    except TextError as error:
        raise Invalid({"data": [error.reason]}) from error


def _distinct(data: Mapping[str, Any]) -> list[Addressee]:
    """Each address once, where it is named first: to before cc before bcc."""
    seen: dict[str, Addressee] = {}
    for kind in Kind:
        for box in data.get(kind.value) or ():
            seen.setdefault(box.key, Addressee(kind, box))
    if len(seen) > MAX_RECIPIENTS_PER_MESSAGE:
        raise Invalid({"to": [f"to, cc and bcc may name at most {MAX_RECIPIENTS_PER_MESSAGE} recipients together"]})
    return list(seen.values())
