"""What is told about a domain: one event with its state as it was then."""

from typing import Any

from apps.core.clock import wire_time
from apps.domains.models import DkimKey, Domain
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType


def tell(event_type: EventType, domain: Domain, key: DkimKey | None = None) -> None:
    """Records an event in the caller's transaction."""
    data: dict[str, Any] = {"domain": domain.name, "status": domain.status}
    if domain.failing_since is not None:
        data["sendingStopsAt"] = wire_time(domain.sending_stops_at)
    if key is not None:
        data |= {"selector": key.selector, "algorithm": key.algorithm, "keyState": key.state}
    record([NewEvent(domain.workspace_id, event_type, ResourceType.DOMAIN, domain.pk, data=data)])
