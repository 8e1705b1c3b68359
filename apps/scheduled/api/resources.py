"""Scheduled mail on the wire (wire contract 2.11)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import TimeField, WireSerializer
from apps.messages.states import Status as MessageStatus
from apps.scheduled.models import Scheduled
from apps.scheduled.reading import wait_of
from apps.scheduled.states import Kind, Status
from apps.scheduled.waits import EXPLANATIONS, WaitCode


@extend_schema_serializer(component_name="ScheduledWait")
class WaitResource(WireSerializer):
    """Why it has not been sent yet, since and until when, and who can change it."""

    code = serializers.ChoiceField(choices=WaitCode.values)
    reason = serializers.CharField()
    detail = serializers.CharField(allow_null=True)
    since = TimeField(allow_null=True)
    until = TimeField()
    who_can_change_it = serializers.CharField()


@extend_schema_serializer(component_name="ScheduledError")
class ErrorResource(WireSerializer):
    code = serializers.CharField()
    message = serializers.CharField()


@extend_schema_serializer(component_name="Scheduled")
class ScheduledResource(WireSerializer):
    """Scheduled mail in a list."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.values)
    send_at = TimeField()
    kind = serializers.ChoiceField(choices=Kind.values)
    subject = serializers.CharField(help_text="As it was rendered when the mail was scheduled.")
    recipients = serializers.ListField(child=serializers.CharField())
    template_version_id = serializers.UUIDField(allow_null=True)
    message_id = serializers.UUIDField(allow_null=True)
    message_status = serializers.ChoiceField(choices=MessageStatus.values, allow_null=True)
    idempotency_key = serializers.CharField(allow_null=True)
    wait = WaitResource(allow_null=True)
    error = ErrorResource(allow_null=True)
    created_at = TimeField()
    updated_at = TimeField()
    canceled_at = TimeField(allow_null=True)


@extend_schema_serializer(component_name="ScheduledDetail")
class ScheduledDetailResource(ScheduledResource):
    """With what the caller asked for; each upload is named by the asset that it made."""

    payload = serializers.DictField()


@extend_schema_serializer(component_name="ScheduledCreated")
class ScheduledCreatedResource(ScheduledDetailResource):
    idempotency_status = serializers.ChoiceField(choices=["created", "replayed", "none"])


def show_scheduled(row: Scheduled, message_statuses: Mapping[UUID, str]) -> dict[str, Any]:
    """The facts of a row in the shape that ScheduledResource reads; its payload is another's to add."""
    names = ("id", "status", "send_at", "kind", "subject", "template_version_id", "message_id")
    return {
        **{name: getattr(row, name) for name in (*names, "created_at", "updated_at", "canceled_at")},
        "recipients": row.addresses,
        "message_status": message_statuses.get(row.message_id) if row.message_id else None,
        "idempotency_key": row.idempotency_key or None,
        "wait": _wait(row),
        "error": {"code": row.error_code, "message": row.error} if row.error_code else None,
    }


def _wait(row: Scheduled) -> dict[str, Any] | None:
    if (code := wait_of(row)) is None:
        return None
    return {
        "code": code.value,
        "reason": EXPLANATIONS[code].sentence,
        "detail": row.wait_detail or None,
        "since": row.waiting_since or (row.send_at if code == WaitCode.QUEUED else row.created_at),
        "until": row.due_at,
        "who_can_change_it": EXPLANATIONS[code].who_can_change_it,
    }
