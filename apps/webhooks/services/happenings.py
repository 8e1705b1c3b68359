"""The events about endpoints and deliveries."""

from collections.abc import Mapping
from typing import Any

from apps.core.clock import wire_time
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.webhooks.models import Endpoint

# Told to whoever names them, and to nobody for taking one of them: two endpoints would keep each other busy for ever.
ABOUT_DELIVERIES = frozenset({EventType.WEBHOOK_DELIVERY_SUCCEEDED.value, EventType.WEBHOOK_DELIVERY_FAILED.value})


def tell(event_type: EventType, endpoint: Endpoint, **more: Any) -> None:
    """Records what happened to an endpoint, in the caller's transaction; never with its secret."""
    data = {
        "webhookId": str(endpoint.pk),
        "url": endpoint.url,
        "status": endpoint.status,
        "eventTypes": endpoint.event_types,
        **more,
    }
    record([NewEvent(endpoint.workspace_id, event_type, ResourceType.WEBHOOK, endpoint.pk, data=data)])


def tell_disabled(endpoint: Endpoint) -> None:
    reason = {"reason": endpoint.get_disabled_by_display(), "lastError": endpoint.last_error or None}
    failing = {"failureCount": endpoint.failure_count, "failingSince": wire_time(endpoint.failing_since)}
    tell(EventType.WEBHOOK_DISABLED, endpoint, **reason, **failing)


def about_delivery(endpoint: Endpoint, delivery: Mapping[str, Any], event_type: EventType) -> NewEvent:
    """How one delivery ended; `delivery` has the columns that were just written."""
    data = {
        "webhookId": str(endpoint.pk),
        "deliveryId": str(delivery["id"]),
        "eventId": str(delivery["event_id"]),
        "eventType": delivery["event_type"],
        "attemptCount": delivery["attempt_count"],
        "statusCode": delivery["last_status_code"],
        "error": delivery["last_error"] or None,
    }
    return NewEvent(endpoint.workspace_id, event_type, ResourceType.WEBHOOK_DELIVERY, delivery["id"], data=data)
