"""Endpoints, deliveries and replays on the wire (wire contract 2.9)."""

import json
from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core import clock
from apps.core.api.serializers import BoundedListField, StrictCharField, TimeField, WireSerializer
from apps.core.ids import parse_id
from apps.protocols.web_address import MAX_LENGTH
from apps.webhooks.models import MAX_DESCRIPTION, Delivery, DeliveryAttempt
from apps.webhooks.payload import body_of
from apps.webhooks.schedule import AT_ONCE
from apps.webhooks.states import STATUSES, DeliveryStatus

MAX_TYPES, MAX_IDS = 100, 1_000


class EndpointRequest(WireSerializer):
    """An endpoint to be made."""

    url = StrictCharField(max_length=MAX_LENGTH, help_text="Public and https; redirects are not followed.")
    event_types = BoundedListField(child=StrictCharField(max_length=60), max_length=MAX_TYPES)
    description = StrictCharField(max_length=MAX_DESCRIPTION, required=False, allow_null=True, allow_blank=True)


class EndpointChanges(WireSerializer):
    """What is given is changed; an empty description takes it away."""

    url = StrictCharField(max_length=MAX_LENGTH, required=False)
    event_types = BoundedListField(child=StrictCharField(max_length=60), max_length=MAX_TYPES, required=False)
    description = StrictCharField(max_length=MAX_DESCRIPTION, required=False, allow_null=True, allow_blank=True)
    status = serializers.ChoiceField(choices=STATUSES, required=False)


class ReplayRequest(WireSerializer):
    """Either `eventIds`, or a range of time; `types` are those of the endpoint unless they are named."""

    event_ids = BoundedListField(child=StrictCharField(), max_length=MAX_IDS, required=False, allow_null=True)
    from_ = TimeField(required=False, allow_null=True)
    to = TimeField(required=False, allow_null=True)
    types = BoundedListField(
        child=StrictCharField(max_length=60), max_length=MAX_TYPES, required=False, allow_null=True
    )
    idempotency_key = StrictCharField(required=False, allow_null=True, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of the two ways."""
        ids, since, until = attrs.get("event_ids"), attrs.get("from_"), attrs.get("to")
        if (ids is None) == (since is None):
            raise serializers.ValidationError({"eventIds": "give either eventIds, or from with to and types"})
        if ids is not None and (until is not None or attrs.get("types") is not None):
            raise serializers.ValidationError({"eventIds": "cannot be narrowed by to and types"})
        if since is not None and since >= (until or clock.now()):
            raise serializers.ValidationError({"to": "must be later than from"})
        return attrs

    def validate_eventIds(self, texts: list[str] | None) -> list[Any] | None:
        if texts is None:
            return None
        ids = [parse_id(text) for text in texts]
        if not ids:
            raise serializers.ValidationError("must not be empty")
        if None in ids:
            raise serializers.ValidationError(f"{texts[ids.index(None)][:100]} is no id of an event")
        return ids


@extend_schema_serializer(component_name="Webhook")
class EndpointResource(WireSerializer):
    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=STATUSES)
    event_types = serializers.ListField(child=serializers.CharField())
    failure_count = serializers.IntegerField(help_text="Tries that failed since the last one that succeeded.")
    failing_since = TimeField(allow_null=True)
    last_success_at = TimeField(allow_null=True)
    last_failure_at = TimeField(allow_null=True)
    last_error = serializers.SerializerMethodField()
    disabled_at = TimeField(allow_null=True)
    disabled_reason = serializers.SerializerMethodField()
    created_at = TimeField()
    updated_at = TimeField()

    def get_description(self, row: Any) -> str | None:
        return row.description or None

    def get_last_error(self, row: Any) -> str | None:
        return row.last_error or None

    def get_disabled_reason(self, row: Any) -> str | None:
        return row.get_disabled_by_display() or None


@extend_schema_serializer(component_name="WebhookWithSecret")
class EndpointWithSecretResource(EndpointResource):
    """The secret is shown this once."""

    secret = serializers.CharField()


@extend_schema_serializer(component_name="WebhookDelivery")
class DeliveryResource(WireSerializer):
    id = serializers.UUIDField()
    webhook_id = serializers.UUIDField(source="endpoint_id")
    event_id = serializers.UUIDField()
    event_type = serializers.CharField()
    status = serializers.ChoiceField(choices=DeliveryStatus.values)
    attempt_count = serializers.IntegerField()
    last_status_code = serializers.IntegerField(allow_null=True)
    last_error = serializers.SerializerMethodField()
    next_attempt_at = serializers.SerializerMethodField()
    delivered_at = TimeField(allow_null=True)
    created_at = TimeField()
    payload = serializers.SerializerMethodField()

    def get_last_error(self, row: Delivery) -> str | None:
        return row.last_error or None

    def get_next_attempt_at(self, row: Delivery) -> str | None:
        return clock.wire_time(clock.now() if row.next_attempt_at == AT_ONCE else row.next_attempt_at)

    def get_payload(self, row: Delivery) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(bytes(row.body) if row.body else body_of(row.event))
        return payload


@extend_schema_serializer(component_name="WebhookAttempt")
class AttemptResource(WireSerializer):
    attempt_number = serializers.IntegerField(source="number")
    status_code = serializers.IntegerField(allow_null=True)
    error_code = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    duration_ms = serializers.IntegerField()
    response_snippet = serializers.CharField(help_text="The first 1,024 bytes of what the server answered.")
    created_at = TimeField()

    def get_error_code(self, row: DeliveryAttempt) -> str | None:
        return row.error_code or None

    def get_error(self, row: DeliveryAttempt) -> str | None:
        return row.error or None


@extend_schema_serializer(component_name="WebhookDeliveryDetail")
class DeliveryDetailResource(DeliveryResource):
    """With every attempt, oldest first."""

    attempts = serializers.SerializerMethodField()

    @extend_schema_field(AttemptResource(many=True))
    def get_attempts(self, row: Delivery) -> Any:
        found: Sequence[DeliveryAttempt] = self.context["attempts"]
        return AttemptResource(found, many=True).data


@extend_schema_serializer(component_name="WebhookReplay")
class ReplayResource(WireSerializer):
    id = serializers.UUIDField()
    webhook_id = serializers.UUIDField(source="endpoint_id")
    event_count = serializers.IntegerField()
    from_ = TimeField(source="since", allow_null=True)
    to = TimeField(source="until", allow_null=True)
    created_at = TimeField()
    idempotency_status = serializers.SerializerMethodField()

    def get_idempotency_status(self, row: Any) -> str:
        return str(self.context["idempotency_status"])
