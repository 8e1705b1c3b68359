"""What an endpoint is sent: an event as the API shows it, and headers that prove where it comes from."""

import orjson

from apps.core.clock import wire_time
from apps.events.models import Event
from apps.protocols import signing

USER_AGENT = "StackShift-Webhooks/1"


def body_of(event: Event) -> bytes:
    """The event's JSON: the same object as of GET /mail/events/{id}."""
    return orjson.dumps(
        {
            "id": str(event.pk),
            "type": event.type,
            "resourceType": event.resource_type,
            "resourceId": str(event.resource_id),
            "messageId": str(event.message_id) if event.message_id else None,
            "createdAt": wire_time(event.created_at),
            "data": event.data,
        }
    )


def headers_of(event: Event, delivery_id: object, body: bytes, *, secret: str, timestamp: int) -> dict[str, str]:
    """The headers of one request: its time and signatures are new with each, its ids are not."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "StackShift-Event-Id": str(event.pk),
        "StackShift-Event-Type": event.type,
        "StackShift-Delivery-Id": str(delivery_id),
        "StackShift-Timestamp": str(timestamp),
        "StackShift-Signature": signing.signature(secret, timestamp, body),
        # Standard Webhooks, for receivers that have a library for it.
        "webhook-id": str(event.pk),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.standard_signature(secret, str(event.pk), timestamp, body),
    }
