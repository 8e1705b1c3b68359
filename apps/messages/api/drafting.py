"""Turns bodies into orders: what templates make of their data, the files behind attachments, who sends.

Many are read as cheaply as one: a template is looked up once, and all attachments together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

from rest_framework.serializers import ValidationError

from apps.assets.services import attaching
from apps.assets.services.attaching import Found, Reference
from apps.core.api.errors import as_problem
from apps.core.api.serializers import WireSerializer
from apps.core.errors import Invalid, Problem
from apps.keys import idempotency
from apps.keys.api.limits import MAX_RECIPIENTS_PER_MESSAGE
from apps.keys.services import Caller
from apps.messages.api.requests import MAX_SUBJECT, SendRequest, TemplateSendRequest
from apps.messages.errors import AttachmentsTooLarge, ContentTooLarge
from apps.messages.services.draft import NO_ORIGIN, Addressee, Draft, Enclosure, Order, Origin
from apps.messages.states import Kind, Lane
from apps.protocols.address import Mailbox
from apps.protocols.mime_attachments import AttachmentError, check_content_type
from apps.protocols.text import TextError, check_text
from apps.templates.services import rendering
from apps.templates.services.rendering import Prepared
from apps.workspaces.services import default_sender

MAX_CONTENT_BYTES = 10_000_000
MAX_ATTACHMENTS_BYTES = 25_000_000
Result = TypeVar("Result")
DEFAULT_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of request to send. Serializers keep nothing of what they validate this way, so one serves all;
    building the fields anew for each request would cost more than the rest of the view."""

    family: str
    serializer: WireSerializer


SEND = Form("send", SendRequest())
SEND_TEMPLATE = Form("send-template", TemplateSendRequest())


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is the same for all requests that are read together.

    `template`: rendered instead of the one that each names.
    """

    origin: Origin = NO_ORIGIN
    lane: Lane = Lane.TRANSACTIONAL
    template: Prepared | None = None


ORDINARY = Circumstances()


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, and the template that said so."""

    subject: str
    text: str | None
    html: str | None
    template: Prepared | None = None


@dataclass(frozen=True, slots=True)
class _Checked:
    """A body whose every field is right by itself."""

    data: Mapping[str, Any]
    use: idempotency.Use | None


def read_order(
    form: Form,
    body: Mapping[str, Any],
    caller: Caller,
    *,
    key_in_header: str | None = None,
    circumstances: Circumstances = ORDINARY,
) -> Order:
    """The order in one body. Raises Invalid and other Problems, unless its key may have been used before."""
    (order,) = _orders([_check(form, body, caller, key_in_header)], caller, circumstances)
    if isinstance(order.draft, Problem) and order.use is None:
        raise order.draft
    return order


def read_orders(
    form: Form, bodies: Sequence[Mapping[str, Any]], caller: Caller, *, circumstances: Circumstances = ORDINARY
) -> list[Order]:
    """The order in each body, or in its place why there is none; what is wrong with one harms no other."""
    checked = [_attempt(partial(_check, form, body, caller)) for body in bodies]
    return _orders(checked, caller, circumstances)


def check_simulation(data: Mapping[str, Any], caller: Caller) -> None:
    """Raises Invalid where a key that sends real mail asks for it."""
    if data.get("simulation") and not caller.is_test:
        raise Invalid({"simulation": ["works with test keys (sspat_test_...) only"]})


def check_attachments(data: Mapping[str, Any], caller: Caller) -> None:
    """Raises the Problem with attachments that are to go with many messages."""
    _Maker(caller, ORDINARY, [data]).enclosures(data)


def _orders(checked: Sequence[_Checked | Problem], caller: Caller, circumstances: Circumstances) -> list[Order]:
    maker = _Maker(caller, circumstances, [item.data for item in checked if isinstance(item, _Checked)])
    return [
        Order(item) if isinstance(item, Problem) else Order(_attempt(partial(maker.draft, item.data)), item.use)
        for item in checked
    ]


def _attempt(call: Callable[[], Result]) -> Result | Problem:
    """What the call gives, or the refusal for which it gives nothing."""
    try:
        return call()
    except (Problem, ValidationError) as error:
        return as_problem(error) or Problem()


def _check(form: Form, body: Mapping[str, Any], caller: Caller, key_in_header: str | None = None) -> _Checked:
    data: Mapping[str, Any] = form.serializer.run_validation(body)
    check_simulation(data, caller)
    key = idempotency.choose_key(in_body=data.get("idempotency_key"), in_header=key_in_header)
    if key is None:
        return _Checked(data, None)
    keyless = {name: value for name, value in body.items() if name != "idempotencyKey"}
    return _Checked(data, idempotency.Use(caller.workspace_id, form.family, key, idempotency.fingerprint(keyless)))


class _Maker:
    """Makes drafts of checked requests, with what all of them need looked up once."""

    def __init__(self, caller: Caller, circumstances: Circumstances, requests: Sequence[Mapping[str, Any]]) -> None:
        self._workspace_id, self._circumstances = caller.workspace_id, circumstances
        self._templates: dict[tuple[str, str | None], Prepared] = {}
        references = {_reference(item) for data in requests for item in data.get("attachments") or ()}
        self._found = attaching.find(self._workspace_id, references) if references else {}

    def draft(self, data: Mapping[str, Any]) -> Draft:
        """Raises Problems."""
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
        return Enclosure(
            asset_id=found.asset_id,
            filename=item["filename"],
            content_type=item.get("content_type") or _sendable_type(found),
            size=found.size,
            checksum=found.checksum,
        )


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
