"""Endpoints and deliveries made the way the platform makes them."""

from typing import Any

from apps.core import clock
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint, Replay, Shift
from apps.webhooks.services import again, endpoints
from apps.workspaces.models import Workspace

URL = "https://hooks.customer.example/hook"


def make_endpoint(workspace: Workspace, url: str = URL, *types: str, description: str = "") -> Endpoint:
    values: dict[str, Any] = {"url": url, "event_types": list(types or ("*",)), "description": description}
    return endpoints.create(workspace.pk, values).endpoint


def make_delivery(workspace: Workspace, endpoint: Endpoint | None = None) -> Delivery:
    """One that waits, of a test."""
    return again.test(endpoint or make_endpoint(workspace))


def make_hostile(workspace: Workspace, text: str) -> Endpoint:
    """An endpoint that fails, with a row of each kind about it and this text wherever a stranger has a say."""
    endpoint, now = make_endpoint(workspace, description=text), clock.now()
    delivery = make_delivery(workspace, endpoint)
    failing = {"last_error": text, "failing_since": now, "failure_count": 3, "url": f"{URL}/{text}"}
    Endpoint.objects.of(workspace.pk).filter(pk=endpoint.pk).update(**failing)
    Delivery.objects.of(workspace.pk).filter(pk=delivery.pk).update(status="retrying", attempt_count=1, last_error=text)
    told = {"error_code": "http_status", "error": text, "response_snippet": text}
    attempt = DeliveryAttempt(workspace=workspace, delivery=delivery, number=1, duration_ms=1, created_at=now, **told)
    attempt.save(force_insert=True)
    Replay(workspace=workspace, endpoint=endpoint, event_count=1, created_at=now).save(force_insert=True)
    Shift.objects.create(host=text, pid=1, started_at=now, beat_at=now)
    return endpoint
