"""What callers send (wire contract 2.1), checked down to the last character."""

from collections.abc import Mapping
from typing import Any

from django.core.validators import validate_slug
from rest_framework import serializers

from apps.assets.errors import AttachmentNotFound
from apps.core.api.serializers import StrictBooleanField, StrictCharField, WireSerializer
from apps.core.errors import Invalid
from apps.keys.api.limits import MAX_RECIPIENTS_PER_MESSAGE
from apps.keys.services import Caller
from apps.messages.api.fields import AddressField, AddressListField, HeadersField, TextMapField
from apps.messages.errors import ContentTooLarge
from apps.messages.services.accept import Addressee, Draft
from apps.messages.states import Kind
from apps.protocols.text import TextError, check_text

MAX_SUBJECT = 998
MAX_CONTENT_BYTES = 10_000_000
SCENARIOS = ("delivered", "delayed", "bounced", "complained")


class LineField(StrictCharField):
    """One line of text without control characters."""

    def to_internal_value(self, data: Any) -> str:
        return _checked(super().to_internal_value(data), multiline=False)


class BodyField(StrictCharField):
    """A text of many lines; an empty one is no content."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": True, "allow_null": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        return _checked(super().to_internal_value(data), multiline=True)


class AttachmentRequest(WireSerializer):
    asset_id = StrictCharField(required=False, max_length=255)
    upload_id = StrictCharField(required=False, max_length=255)
    filename = LineField(max_length=255)
    content_type = LineField(required=False, max_length=255)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("asset_id" in attrs) == ("upload_id" in attrs):
            raise serializers.ValidationError({"assetId": ["give exactly one of assetId and uploadId"]})
        return attrs


class TrackingRequest(WireSerializer):
    opens = StrictBooleanField(required=False)
    clicks = StrictBooleanField(required=False)


class SimulationRequest(WireSerializer):
    scenario = serializers.ChoiceField(choices=SCENARIOS)


class SendRequest(WireSerializer):
    """A message to send now."""

    to = AddressListField()
    cc = AddressListField(required=False, allow_null=True)
    bcc = AddressListField(required=False, allow_null=True)
    reply_to = AddressField(required=False, allow_null=True)
    subject = LineField(max_length=MAX_SUBJECT)
    html = BodyField(required=False)
    text = BodyField(required=False)
    idempotency_key = StrictCharField(required=False, allow_null=True, allow_blank=True)
    attachments = AttachmentRequest(many=True, required=False)
    headers = HeadersField(required=False, max_items=50, max_name=60, max_text=998)
    tags = TextMapField(required=False, max_items=50, max_name=128, max_text=512)
    stream = StrictCharField(required=False, max_length=80, validators=[validate_slug])
    tracking = TrackingRequest(required=False)
    simulation = SimulationRequest(required=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        # `from` is a Python keyword, so it cannot be declared above.
        sender = AddressField(source="sender")
        return {"from": sender, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("html") and not attrs.get("text"):
            raise serializers.ValidationError({"text": ["give text, html or both"]})
        return attrs


# Serializers keep nothing of the data they validate this way, so one serves all requests; building the fields
# anew for each would cost more than the rest of the view.
_SEND = SendRequest()


def read_send(body: Mapping[str, Any], caller: Caller) -> tuple[Draft, str | None]:
    """The checked draft and the idempotency key in the body. Raises Invalid and other Problems."""
    data = _SEND.run_validation(body)
    _check_size(data)
    if data.get("attachments"):
        raise AttachmentNotFound(details={"fields": {"attachments.0": ["there is no such asset in this workspace"]}})
    if data.get("simulation") and not caller.is_test:
        raise Invalid({"simulation": ["works with test keys (sspat_test_...) only"]})
    return _draft(data), data.get("idempotency_key")


def _check_size(data: Mapping[str, Any]) -> None:
    parts = [part for part in ("html", "text") if data.get(part)]
    if sum(len(data[part].encode()) for part in parts) > MAX_CONTENT_BYTES:
        reason = f"html and text may have at most {MAX_CONTENT_BYTES} bytes together"
        raise ContentTooLarge(f"{reason}.", details={"fields": {part: [reason] for part in parts}})


def _draft(data: Mapping[str, Any]) -> Draft:
    return Draft(
        sender=data["sender"],
        recipients=_distinct(data),
        subject=data["subject"],
        reply_to=data.get("reply_to"),
        text=data.get("text") or None,
        html=data.get("html") or None,
        headers=data.get("headers"),
        tags=data.get("tags"),
        stream=data.get("stream", ""),
        scenario=data.get("simulation", {}).get("scenario", ""),
    )


def _distinct(data: Mapping[str, Any]) -> list[Addressee]:
    """Each address once, where it is named first: to before cc before bcc."""
    seen: dict[str, Addressee] = {}
    for kind in Kind:
        for box in data.get(kind.value) or ():
            seen.setdefault(box.key, Addressee(kind, box))
    if len(seen) > MAX_RECIPIENTS_PER_MESSAGE:
        raise Invalid({"to": [f"to, cc and bcc may name at most {MAX_RECIPIENTS_PER_MESSAGE} recipients together"]})
    return list(seen.values())


def _checked(text: str, *, multiline: bool) -> str:
    try:
        check_text(text, multiline=multiline)
    except TextError as error:
        raise serializers.ValidationError(error.reason) from error
    return text
