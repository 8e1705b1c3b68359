"""How messages, attempts, logs, timelines and bounces look on the wire (wire contract 2.2)."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import TimeField, WireSerializer
from apps.messages.models import Attachment, Attempt, Bounce, Message, MessageContent, Recipient
from apps.messages.states import IN_CLEAR, AttemptStatus, BounceSource, BounceType, Kind, Status
from apps.messages.waits import EXPLANATIONS, WaitCode


class AcceptedResource(WireSerializer):
    id = serializers.UUIDField(source="message_id")
    status = serializers.ChoiceField(choices=Status.values)
    idempotency_status = serializers.ChoiceField(choices=["created", "replayed", "none"])
    rfc_message_id = serializers.CharField()
    created_at = TimeField()
    suppressed_recipients = serializers.ListField(child=serializers.CharField(), source="suppressed")


@extend_schema_serializer(component_name="TestSent")
class TestSentResource(WireSerializer):
    message_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.values)


@extend_schema_serializer(component_name="MessageAttachment")
class AttachmentResource(WireSerializer):
    asset_id = serializers.UUIDField()
    filename = serializers.CharField()
    content_type = serializers.CharField()
    size = serializers.IntegerField()
    checksum = serializers.CharField(help_text="SHA-256 of the bytes, in hexadecimal.")


class MailboxResource(WireSerializer):
    email = serializers.CharField()
    name = serializers.CharField(allow_null=True)


class WaitResource(WireSerializer):
    """Why a recipient waits, since and until when, and who can change it."""

    code = serializers.ChoiceField(choices=WaitCode.values)
    reason = serializers.CharField()
    detail = serializers.CharField(allow_null=True)
    since = TimeField(allow_null=True)
    until = TimeField(allow_null=True)
    who_can_change_it = serializers.CharField()


class RecipientResource(WireSerializer):
    email = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(choices=Kind.values)
    status = serializers.ChoiceField(choices=Status.values)
    attempt_count = serializers.IntegerField()
    last_error = serializers.CharField(allow_null=True)
    next_attempt_at = TimeField(allow_null=True)
    finished_at = TimeField(allow_null=True)
    wait = WaitResource(allow_null=True)


class MessageFields(WireSerializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.values)
    to = MailboxResource(many=True)
    cc = MailboxResource(many=True)
    bcc = MailboxResource(many=True)
    reply_to = MailboxResource(allow_null=True)
    subject = serializers.CharField()
    template_id = serializers.UUIDField(allow_null=True)
    template_version_id = serializers.UUIDField(allow_null=True)
    batch_id = serializers.UUIDField(allow_null=True)
    scheduled_id = serializers.UUIDField(allow_null=True)
    idempotency_key = serializers.CharField(allow_null=True)
    attachments = AttachmentResource(many=True)
    rfc_message_id = serializers.CharField()
    stream = serializers.CharField(allow_null=True)
    tags = serializers.DictField(child=serializers.CharField())
    recipients = RecipientResource(many=True)
    attempt_count = serializers.IntegerField()
    last_error = serializers.CharField(allow_null=True)
    created_at = TimeField()
    queued_at = TimeField()
    sent_at = TimeField(allow_null=True)
    failed_at = TimeField(allow_null=True)
    updated_at = TimeField()

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        return {"id": fields.pop("id"), "from": MailboxResource(source="sender"), **fields}


@extend_schema_serializer(component_name="Message")
class MessageResource(MessageFields):
    """A message in a list."""


@extend_schema_serializer(component_name="MessageDetail")
class MessageDetailResource(MessageFields):
    """A message with its texts; those of a one-time code are never shown."""

    html = serializers.CharField(allow_null=True)
    text = serializers.CharField(allow_null=True)
    headers = serializers.DictField(child=serializers.CharField())


@extend_schema_serializer(component_name="Attempt")
class AttemptResource(WireSerializer):
    id = serializers.UUIDField()
    message_id = serializers.UUIDField()
    recipient = serializers.CharField(source="email")
    attempt_number = serializers.IntegerField(source="number")
    status = serializers.ChoiceField(choices=AttemptStatus.values)
    smtp_code = serializers.IntegerField(allow_null=True)
    enhanced_code = serializers.CharField(allow_null=True)
    response = serializers.CharField(allow_null=True)
    transport = serializers.CharField(allow_null=True)
    remote_host = serializers.CharField(allow_null=True)
    remote_address = serializers.CharField(allow_null=True)
    tls = serializers.SerializerMethodField(help_text="Version and cipher; null where it went in clear.")
    tls_decision = serializers.CharField(source="tls", allow_null=True, help_text="The same, or why it went in clear.")
    fault = serializers.CharField(allow_null=True)
    started_at = TimeField()
    finished_at = TimeField()
    next_attempt_at = TimeField(allow_null=True)

    def get_tls(self, attempt: Attempt) -> str | None:
        return None if attempt.tls.startswith(IN_CLEAR) else attempt.tls

    def to_representation(self, attempt: Attempt) -> dict[str, Any]:
        return {name: None if value == "" else value for name, value in super().to_representation(attempt).items()}


@extend_schema_serializer(component_name="Log")
class LogResource(WireSerializer):
    id = serializers.UUIDField()
    message_id = serializers.UUIDField()
    level = serializers.ChoiceField(choices=["info", "warning", "error"])
    message = serializers.CharField()
    metadata = serializers.DictField()
    created_at = TimeField()


@extend_schema_serializer(component_name="TimelineItem")
class TimelineResource(WireSerializer):
    id = serializers.UUIDField()
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a wire name that Field has too
    created_at = TimeField()
    metadata = serializers.DictField()


@extend_schema_serializer(component_name="Bounce")
class BounceResource(WireSerializer):
    id = serializers.UUIDField()
    message_id = serializers.UUIDField()
    email = serializers.CharField()
    type = serializers.ChoiceField(choices=BounceType.values)
    source = serializers.ChoiceField(choices=BounceSource.values)  # type: ignore[assignment]  # as above
    smtp_code = serializers.IntegerField(allow_null=True)
    enhanced_code = serializers.CharField(allow_null=True)
    diagnostic = serializers.CharField()
    suppression_id = serializers.UUIDField(allow_null=True)
    occurred_at = TimeField()
    created_at = TimeField()

    def to_representation(self, bounce: Bounce) -> dict[str, Any]:
        return {name: None if value == "" else value for name, value in super().to_representation(bounce).items()}


def show_message(
    message: Message, recipients: Sequence[Recipient], attachments: Sequence[Attachment]
) -> dict[str, Any]:
    """The facts of a message in the shape that MessageFields reads."""
    named = {kind: [_mailbox(r.email, r.name) for r in recipients if r.kind == kind] for kind in Kind}
    content = message.content
    return {
        **{name: getattr(message, name) for name in _SAME},
        "sender": _mailbox(message.from_email, message.from_name),
        "to": named[Kind.TO],
        "cc": named[Kind.CC],
        "bcc": named[Kind.BCC],
        "reply_to": _mailbox(content.reply_to_email, content.reply_to_name) if content.reply_to_email else None,
        "idempotency_key": message.idempotency_key or None,
        "attachments": attachments,
        "stream": message.stream or None,
        "last_error": message.last_error or None,
        "queued_at": message.created_at,
        "recipients": [_recipient(recipient) for recipient in recipients],
    }


def show_content(content: MessageContent) -> dict[str, Any]:
    """What the detail adds."""
    html, text = (None, None) if content.is_sealed else (content.html, content.text)
    return {"html": html, "text": text, "headers": content.headers}


_SAME = (
    *("id", "status", "subject", "rfc_message_id", "tags", "attempt_count"),
    *("template_id", "template_version_id", "batch_id", "scheduled_id"),
    *("created_at", "sent_at", "failed_at", "updated_at"),
)


def _mailbox(email: str, name: str) -> dict[str, Any]:
    return {"email": email, "name": name or None}


def _recipient(recipient: Recipient) -> dict[str, Any]:
    names = ("email", "kind", "status", "attempt_count", "next_attempt_at", "finished_at")
    return {
        **{name: getattr(recipient, name) for name in names},
        "name": recipient.name or None,
        "last_error": recipient.last_error or None,
        "wait": _wait(recipient),
    }


def _wait(recipient: Recipient) -> dict[str, Any] | None:
    if recipient.status not in {Status.QUEUED, Status.DEFERRED}:
        return None
    code = WaitCode(recipient.wait_code or WaitCode.QUEUED)
    explanation = EXPLANATIONS[code]
    return {
        "code": code.value,
        "reason": explanation.sentence,
        "detail": recipient.wait_detail or None,
        "since": recipient.waiting_since or recipient.queued_at,
        "until": recipient.next_attempt_at,
        "who_can_change_it": explanation.who_can_change_it,
    }
