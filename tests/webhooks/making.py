"""Endpoints and deliveries made the way the platform makes them."""

from typing import Any

from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import again, endpoints
from apps.workspaces.models import Workspace

URL = "https://hooks.customer.example/hook"


def make_endpoint(workspace: Workspace, url: str = URL, *types: str, description: str = "") -> Endpoint:
    values: dict[str, Any] = {"url": url, "event_types": list(types or ("*",)), "description": description}
    return endpoints.create(workspace.pk, values).endpoint


def make_delivery(workspace: Workspace, endpoint: Endpoint | None = None) -> Delivery:
    """One that waits, of a test."""
    return again.test(endpoint or make_endpoint(workspace))
