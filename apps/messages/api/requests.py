"""What callers send (wire contract 2.1, 2.4), checked down to the last character."""

from typing import Any

from django.core.validators import validate_slug
from rest_framework import serializers

from apps.core.api.serializers import BoundedListField, StrictBooleanField, StrictCharField, WireSerializer
from apps.keys.api.fields import MAX_DATA_BYTES, BodyField, LineField, ObjectField
from apps.messages.api.fields import AddressField, AddressListField, HeadersField, TextMapField
from apps.messages.services.draft import MAX_SUBJECT
from apps.protocols.mime_attachments import AttachmentError, check_content_type, check_filename

MAX_ATTACHMENTS = 10
SCENARIOS = ("delivered", "delayed", "bounced", "complained")


class FilenameField(StrictCharField):
    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        try:
            check_filename(name)
        except AttachmentError as error:
            raise serializers.ValidationError(error.reason) from error
        return name


class ContentTypeField(StrictCharField):
    def to_internal_value(self, data: Any) -> str:
        content_type = super().to_internal_value(data)
        try:
            check_content_type(content_type)
        except AttachmentError as error:
            raise serializers.ValidationError(error.reason) from error
        return content_type


class AttachmentRequest(WireSerializer):
    asset_id = StrictCharField(required=False, max_length=255)
    upload_id = StrictCharField(required=False, max_length=255)
    filename = FilenameField(max_length=255)
    content_type = ContentTypeField(required=False, max_length=255)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("asset_id" in attrs) == ("upload_id" in attrs):
            raise serializers.ValidationError({"assetId": ["give exactly one of assetId and uploadId"]})
        return attrs


class TrackingRequest(WireSerializer):
    opens = StrictBooleanField(required=False)
    clicks = StrictBooleanField(required=False)


class SimulationRequest(WireSerializer):
    scenario = serializers.ChoiceField(choices=SCENARIOS)


class EnvelopeFields(WireSerializer):
    """What every request to send may have, whatever it says."""

    to = AddressListField()
    cc = AddressListField(required=False, allow_null=True)
    bcc = AddressListField(required=False, allow_null=True)
    reply_to = AddressField(required=False, allow_null=True)
    idempotency_key = StrictCharField(required=False, allow_null=True, allow_blank=True)
    attachments = BoundedListField(child=AttachmentRequest(), required=False, max_length=MAX_ATTACHMENTS)
    headers = HeadersField(required=False, max_items=50, max_name=60, max_text=998)
    tags = TextMapField(required=False, max_items=50, max_name=128, max_text=512)
    stream = StrictCharField(required=False, max_length=80, validators=[validate_slug])
    tracking = TrackingRequest(required=False)
    simulation = SimulationRequest(required=False)


class SendRequest(EnvelopeFields):
    """A message to send now."""

    subject = LineField(max_length=MAX_SUBJECT)
    html = BodyField(required=False)
    text = BodyField(required=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        # `from` is a Python keyword, so it cannot be declared above.
        sender = AddressField(source="sender")
        return {"from": sender, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("html") and not attrs.get("text"):
            raise serializers.ValidationError({"text": ["give text, html or both"]})
        return attrs


class TemplateFields(EnvelopeFields):
    """A message made by a template; without `from` the workspace's default sender sends it."""

    version_id = StrictCharField(required=False, allow_null=True, max_length=36)
    data = ObjectField(MAX_DATA_BYTES)  # type: ignore[assignment]  # a wire name that Serializer has too

    def get_fields(self) -> dict[str, serializers.Field]:
        sender = AddressField(source="sender", required=False, allow_null=True)
        return {"from": sender, **super().get_fields()}


class TemplateSendRequest(TemplateFields):
    """A message to send now, made by the template with this id or slug."""

    template = StrictCharField(max_length=255)


class TestSendRequest(WireSerializer):
    """A template with sample data, sent to see what it looks like."""

    to = AddressListField()
    data = ObjectField(MAX_DATA_BYTES)  # type: ignore[assignment]  # a wire name that Serializer has too
    version_id = StrictCharField(required=False, allow_null=True, max_length=36)
    simulation = SimulationRequest(required=False)

    def get_fields(self) -> dict[str, serializers.Field]:
        sender = AddressField(source="sender", required=False, allow_null=True)
        return {"from": sender, **super().get_fields()}
