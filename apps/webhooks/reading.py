"""How an endpoint does, from queries that cost the same however much lies behind it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.core import clock
from apps.core.ids import first_id_at
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services.pace import open_deliveries
from apps.webhooks.states import DeliveryStatus

SPAN = timedelta(hours=24)
MAX_LOOKED_AT, MAX_WAITING = 1_000, 10_000
# How much waits for the endpoint of an outer statement, counted up to a bound.
WAITING = """
SELECT count(*) FROM (
    SELECT 1 FROM webhooks_delivery d
    WHERE d.endpoint_id = webhooks_endpoint.id AND d.next_attempt_at IS NOT NULL LIMIT %s) waiting
"""


@dataclass(frozen=True, slots=True)
class Health:
    """Of the newest deliveries of the last day, those that arrived and those that did not; and what waits."""

    succeeded: int
    failing: int
    waiting: int
    oldest_waiting: datetime | None

    @property
    def rate(self) -> int | None:
        """Percent of what was tried that arrived; None where nothing was. Rounded down: 100 means all."""
        tried = self.succeeded + self.failing
        return 100 * self.succeeded // tried if tried else None

    @property
    def waiting_shown(self) -> str:
        return shown_count(self.waiting)


def health_of(endpoint: Endpoint) -> Health:
    recent = Delivery.objects.of(endpoint.workspace_id).filter(
        endpoint=endpoint, pk__gte=first_id_at(clock.now() - SPAN)
    )
    statuses = list(recent.order_by("-pk").values_list("status", flat=True)[:MAX_LOOKED_AT])
    failing = statuses.count(DeliveryStatus.RETRYING) + statuses.count(DeliveryStatus.FAILED)
    waiting = open_deliveries(endpoint.pk)
    oldest = waiting.order_by("next_attempt_at").values_list("created_at", flat=True).first()
    count = waiting.order_by()[: MAX_WAITING + 1].count()
    return Health(statuses.count(DeliveryStatus.SUCCEEDED), failing, count, oldest)


def shown_count(count: int) -> str:
    return f"{MAX_WAITING:,}+" if count > MAX_WAITING else f"{count:,}"
