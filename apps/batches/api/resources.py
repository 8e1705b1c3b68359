"""How batches and their items look on the wire (wire contract 2.12)."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.batches.models import Batch, BatchItem, BatchType
from apps.batches.services.accepting import AcceptedBatch
from apps.batches.states import BatchStatus, Tally
from apps.core.api.serializers import TimeField, WireSerializer
from apps.core.clock import wire_time
from apps.messages.api.resources import MailboxResource
from apps.messages.states import Status


class ItemErrorResource(WireSerializer):
    code = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField()


@extend_schema_serializer(component_name="BatchItem")
class BatchItemResource(WireSerializer):
    """One item: its message, or why there is none."""

    id = serializers.UUIDField()
    batch_id = serializers.UUIDField()
    index = serializers.IntegerField()
    message_id = serializers.UUIDField(allow_null=True)
    to = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(choices=Status.values)
    error = ItemErrorResource(allow_null=True)
    idempotency_key = serializers.CharField(allow_null=True)
    idempotency_status = serializers.ChoiceField(choices=["created", "replayed", "none"])


@extend_schema_serializer(component_name="Batch")
class BatchResource(WireSerializer):
    """A batch; the counts add up to `messageCount`."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(choices=BatchType.values)
    status = serializers.ChoiceField(choices=BatchStatus.values)
    message_count = serializers.IntegerField()
    queued_count = serializers.IntegerField(help_text="Nothing final is known of these yet.")
    sent_count = serializers.IntegerField()
    failed_count = serializers.IntegerField(help_text="Refused, failed or bounced.")
    suppressed_count = serializers.IntegerField()
    template_id = serializers.UUIDField(allow_null=True)
    template_version_id = serializers.UUIDField(allow_null=True)
    created_at = TimeField()
    completed_at = TimeField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        return {"id": fields.pop("id"), "from": MailboxResource(allow_null=True), **fields}


@extend_schema_serializer(component_name="AcceptedBatch")
class AcceptedBatchResource(BatchResource):
    """A batch with the result of each of its items."""

    items = BatchItemResource(many=True)


# The answer to 500 items is written without the serializers above, which would cost as much as storing them.


def show_batch(batch: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    email, name = batch["from_email"], batch["from_name"]
    return {
        "id": batch["id"],
        "from": {"email": email, "name": name or None} if email else None,
        "type": batch["type"],
        "status": tally.status.value,
        "messageCount": tally.total,
        "queuedCount": tally.queued,
        "sentCount": tally.sent,
        "failedCount": tally.failed,
        "suppressedCount": tally.suppressed,
        "templateId": batch["template_id"],
        "templateVersionId": batch["template_version_id"],
        "createdAt": wire_time(batch["created_at"]),
        "completedAt": wire_time(tally.completed_at),
    }


def show_item(item: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {
        "id": item["id"],
        "batchId": item["batch_id"],
        "index": item["index"],
        "messageId": item["message_id"],
        "to": item["to"],
        "status": state,
        "error": _error(item) if item["error_code"] else None,
        "idempotencyKey": item["idempotency_key"] or None,
        "idempotencyStatus": item["idempotency_status"],
    }


def show_accepted(accepted: AcceptedBatch) -> dict[str, Any]:
    items = [show_item(item, state) for item, state in zip(accepted.items, accepted.states, strict=True)]
    return {**show_batch(accepted.batch, accepted.tally), "items": items}


def values_of(row: Batch | BatchItem) -> dict[str, Any]:
    """A stored row as those are that were just made."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _error(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": item["error_code"], "message": item["error_message"], "details": item["error_details"]}
