"""Inbound domains and messages on the wire (wire contract 2.13)."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, TimeField, WireSerializer
from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage
from apps.inbound.services.domains import records_of
from apps.inbound.states import Status
from apps.protocols.authentication.types import Verdict
from apps.protocols.sender_records import CheckStatus

VERDICTS = [verdict.value for verdict in Verdict]
RECORD_STATUSES = [status.value for status in CheckStatus]
SUGGESTED_TTL = 300  # seconds


class InboundDomainRequest(WireSerializer):
    domain = StrictCharField(max_length=1000, help_text="Such as inbound.example.com.")


class InboundRecordResource(WireSerializer):
    purpose = serializers.ChoiceField(choices=["mx", "ownership"])
    type = serializers.ChoiceField(choices=["MX", "TXT"])
    name = serializers.CharField()
    value = serializers.CharField()
    priority = serializers.IntegerField(allow_null=True)
    ttl = serializers.IntegerField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # a wire name that Field has too
    status = serializers.ChoiceField(choices=RECORD_STATUSES)
    explanation = serializers.CharField(allow_null=True, help_text="In plain words, with what to do.")
    found = serializers.ListField(child=serializers.CharField(), help_text="What the DNS had at the last look.")


class InboundDomainResource(WireSerializer):
    id = serializers.UUIDField()
    domain = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.values)
    records = InboundRecordResource(many=True)
    created_at = TimeField()
    updated_at = TimeField()
    verified_at = TimeField(allow_null=True)
    last_checked_at = TimeField(allow_null=True)


class PersonResource(WireSerializer):
    email = serializers.CharField()
    name = serializers.CharField(allow_null=True)


class HeaderResource(WireSerializer):
    name = serializers.CharField(help_text="In lower case.")
    value = serializers.CharField()


class InboundAttachmentResource(WireSerializer):
    id = serializers.UUIDField()
    asset_id = serializers.UUIDField(allow_null=True, help_text="Null for an empty file.")
    filename = serializers.CharField()
    content_type = serializers.CharField()
    content_id = serializers.CharField(allow_null=True)
    is_inline = serializers.BooleanField()
    size = serializers.IntegerField()


class InboundMessageResource(WireSerializer):
    id = serializers.UUIDField()
    domain_id = serializers.UUIDField()
    recipient = serializers.CharField(help_text="Whom the mail was handed in for.")
    sender = serializers.CharField(allow_null=True, help_text="Of the envelope; null for a bounce.")
    from_ = PersonResource(allow_null=True)
    to = PersonResource(many=True)
    cc = PersonResource(many=True)
    reply_to = PersonResource(many=True)
    subject = serializers.CharField()
    rfc_message_id = serializers.CharField(allow_null=True)
    attachments = InboundAttachmentResource(many=True)
    spf = serializers.ChoiceField(choices=VERDICTS)
    dkim = serializers.ChoiceField(choices=VERDICTS)
    dmarc = serializers.ChoiceField(choices=VERDICTS)
    is_automatic = serializers.BooleanField(help_text="Nobody should answer it by itself (RFC 3834).")
    parse_error = serializers.CharField(
        allow_null=True, help_text="Why it could not be read; then the whole mail is its attachment."
    )
    size = serializers.IntegerField()
    received_at = TimeField()


class InboundMessageDetail(InboundMessageResource):
    text = serializers.CharField(allow_null=True)
    html = serializers.CharField(allow_null=True)
    headers = HeaderResource(many=True)
    authentication = serializers.DictField(help_text="Each check with its domain and its reason.")


def show_domain(domain: InboundDomain) -> dict[str, Any]:
    """The facts of a domain in the shape that InboundDomainResource reads."""
    same = ("id", "status", "created_at", "updated_at", "verified_at", "last_checked_at")
    names = ("purpose", "type", "name", "value", "priority", "status", "found")
    return {name: getattr(domain, name) for name in same} | {
        "domain": domain.name,
        "records": [
            {name: getattr(record, name) for name in names}
            | {"ttl": SUGGESTED_TTL, "required": True, "explanation": record.explanation or None}
            for record in records_of(domain)
        ],
    }


def show_message(message: InboundMessage, attachments: Sequence[InboundAttachment]) -> dict[str, Any]:
    """The facts of a mail as lists show them."""
    same = ("id", "domain_id", "recipient", "subject", "spf", "dkim", "dmarc", "is_automatic", "size", "received_at")
    people = message.people
    return {name: getattr(message, name) for name in same} | {
        "sender": message.envelope_sender or None,
        "from_": people["from"][0] if people["from"] else None,
        "to": people["to"],
        "cc": people["cc"],
        "reply_to": people["replyTo"],
        "rfc_message_id": message.rfc_message_id or None,
        "parse_error": message.fault or None,
        "attachments": [show_attachment(attachment) for attachment in attachments],
    }


def show_detail(message: InboundMessage, attachments: Sequence[InboundAttachment]) -> dict[str, Any]:
    return show_message(message, attachments) | {
        "text": message.text,
        "html": message.html,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "authentication": message.authentication,
    }


def show_attachment(attachment: InboundAttachment) -> dict[str, Any]:
    same = ("id", "asset_id", "filename", "content_type", "is_inline", "size")
    return {name: getattr(attachment, name) for name in same} | {"content_id": attachment.content_id or None}
