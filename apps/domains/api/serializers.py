"""Sender domains on the wire."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from apps.core import clock
from apps.core.api.serializers import StrictCharField, TimeField, WireSerializer
from apps.domains.models import Domain, DomainRecord
from apps.domains.services.records import explain
from apps.domains.states import Algorithm, KeyState, Status
from apps.protocols.doctor import Diagnosis
from apps.protocols.sender_records import CheckStatus, Purpose, RecordType

DIAGNOSES = [word.value for word in Diagnosis]
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
    explanation = serializers.CharField(allow_null=True, help_text="In plain words, with what to do.")
    diagnosis = serializers.ChoiceField(choices=DIAGNOSES, allow_null=True, help_text="The same as a word.")
    found = serializers.ListField(child=serializers.CharField(), help_text="What the DNS had at the last look.")
    cached_until = TimeField(allow_null=True, help_text="Resolvers may go on giving the earlier answer until then.")
    key_state = serializers.ChoiceField(choices=KeyState.values, allow_null=True, help_text="Of a DKIM record's key.")
    ttl = serializers.IntegerField()
    priority = serializers.IntegerField(allow_null=True)


class KeyResource(WireSerializer):
    selector = serializers.CharField()
    algorithm = serializers.ChoiceField(choices=Algorithm.values)
    state = serializers.ChoiceField(choices=KeyState.values)
    activated_at = TimeField(allow_null=True)
    retires_at = TimeField(allow_null=True, help_text="The record of an old key has to stay until then.")


class DomainResource(WireSerializer):
    id = serializers.UUIDField()
    domain = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.values)
    spf_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    dkim_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    dmarc_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    return_path_status = serializers.ChoiceField(choices=RECORD_STATUSES)
    records = RecordResource(many=True)
    keys = KeyResource(many=True)
    managed_dns = serializers.BooleanField()
    created_at = TimeField()
    updated_at = TimeField()
    verified_at = TimeField(allow_null=True)
    last_checked_at = TimeField(allow_null=True)
    next_check_at = TimeField(allow_null=True)
    failing_since = TimeField(allow_null=True, help_text="A required record has been wrong since; mail still goes out.")
    sending_stops_at = TimeField(allow_null=True, help_text="The domain loses its status then, unless that is mended.")


def show_domain(domain: Domain, records: Sequence[DomainRecord]) -> dict[str, Any]:
    """The facts of a domain in the shape that DomainResource reads."""
    same = ("id", "status", "created_at", "updated_at", "verified_at", "last_checked_at", "next_check_at")
    return {
        **{name: getattr(domain, name) for name in (*same, "failing_since", "sending_stops_at")},
        "domain": domain.name,
        "records": [_record(record) for record in records],
        "keys": [record.key for record in records if record.key is not None],
        "managed_dns": False,
        # Of several DKIM records, the key's that every mail is signed with now.
        **{f"{record.purpose}_status": record.status for record in records if not _is_of_further_key(record)},
    }


def _record(record: DomainRecord) -> dict[str, Any]:
    names = ("purpose", "type", "name", "value", "status", "required", "found")
    return {name: getattr(record, name) for name in names} | {
        "explanation": explain(record, clock.now()) or None,
        "diagnosis": record.diagnosis or None,
        "cached_until": record.held_until,
        "key_state": record.key.state if record.key is not None else None,
        "ttl": SUGGESTED_TTL,
        "priority": None,
    }


def _is_of_further_key(record: DomainRecord) -> bool:
    key = record.key
    return key is not None and (key.state != KeyState.ACTIVE or key.algorithm != Algorithm.RSA)
