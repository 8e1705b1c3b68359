"""Sender domains on the wire."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, TimeField, WireSerializer
from apps.domains.models import Domain, DomainRecord, Status
from apps.protocols.sender_records import CheckStatus, Purpose, RecordType

RECORD_STATUSES = [status.value for status in CheckStatus]
SUGGESTED_TTL = 300  # seconds; short while a customer is still correcting records


class DomainRequest(WireSerializer):
    domain = StrictCharField(max_length=1000, help_text="Such as example.com.")


class RecordResource(WireSerializer):
    purpose = serializers.ChoiceField(choices=[purpose.value for purpose in Purpose])
    type = serializers.ChoiceField(choices=[kind.value for kind in RecordType])
    name = serializers.CharField()
    value = serializers.CharField()
    status = serializers.ChoiceField(choices=RECORD_STATUSES)
    required = serializers.BooleanField()  # type: ignore[assignment]  # a wire name that Field has too
    explanation = serializers.CharField(allow_null=True)
    ttl = serializers.IntegerField()
    priority = serializers.IntegerField(allow_null=True)


class DomainResource(WireSerializer):
    id = serializers.UUIDField()
    domain = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.values)
    spf_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    dkim_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    dmarc_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    return_path_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    records = RecordResource(many=True)
    managed_dns = serializers.BooleanField()
    created_at = TimeField()
    updated_at = TimeField()
    verified_at = TimeField(allow_null=True)
    last_checked_at = TimeField(allow_null=True)


def show_domain(domain: Domain, records: Sequence[DomainRecord]) -> dict[str, Any]:
    """The facts of a domain in the shape that DomainResource reads."""
    same = ("id", "status", "created_at", "updated_at", "verified_at", "last_checked_at")
    return {
        **{name: getattr(domain, name) for name in same},
        "domain": domain.name,
        "records": [_record(record) for record in records],
        "managed_dns": False,
        **{f"{record.purpose}_status": record.status for record in records},
    }


def _record(record: DomainRecord) -> dict[str, Any]:
    names = ("purpose", "type", "name", "value", "status", "required")
    shown = {name: getattr(record, name) for name in names}
    return shown | {"explanation": record.explanation or None, "ttl": SUGGESTED_TTL, "priority": None}
