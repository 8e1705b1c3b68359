"""What the operator wants to see first, and what /metrics and /readyz tell, from queries that stay cheap.

The queue is read through the partial indexes over exactly the open work, so that it costs the same whatever lies
behind us. What waits for a person has no due time and is in neither; the list of recipients finds it by its reason.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min, Q, QuerySet, Sum

from apps.core import clock
from apps.delivery.models import CapturedMessage, Destination, Drain
from apps.domains.models import Domain
from apps.domains.states import Status as DomainStatus
from apps.messages.models import Recipient
from apps.messages.states import Lane, Status
from apps.webhooks.models import Endpoint
from apps.webhooks.states import DisabledBy
from apps.webhooks.states import Status as WebhookStatus
from apps.workspaces.models import Period, UsageCount

ALIVE_FOR = timedelta(seconds=10)
SHOWN_STATUSES = (Status.QUEUED, Status.SENDING, Status.DEFERRED)
MAX_CAPTURED = 10_000


@dataclass(frozen=True, slots=True)
class Queue:
    """Open recipients by (status, lane), and how long the oldest one that is due has been waiting for a worker."""

    depth: dict[tuple[str, int], int]
    oldest_due_seconds: float

    def of_status(self, status: str) -> int:
        return sum(count for (found, _lane), count in self.depth.items() if found == status)


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the index page, with the list behind it."""

    label: str
    value: str
    url_name: str
    query: str = ""
    is_alarming: bool = False


def read() -> list[Tile]:
    """The tiles of the console's index, in their order."""
    found = queue()
    return [
        *(
            Tile(status.label.lower(), str(found.of_status(status)), "mail_messages_recipient", f"queue={status}")
            for status in SHOWN_STATUSES
        ),
        _oldest(found),
        _workers(found),
        _paused(),
        _captured(),
        *_domains(),
        *_webhooks(),
    ]


def queue() -> Queue:
    depth: dict[tuple[str, int], int] = {}
    for rows in (_waiting(), Recipient.objects.across_workspaces().filter(lease_until__isnull=False)):
        counted = rows.order_by().values_list("status", "lane").annotate(Count("pk"))
        for status, lane, count in counted:
            depth[status, lane] = depth.get((status, lane), 0) + count
    due = _waiting().aggregate(oldest=Min("next_attempt_at"))["oldest"]
    age = (clock.database_now() - due).total_seconds() if due else 0.0
    return Queue(depth, max(0.0, age))


def drains_alive(*, within: timedelta = ALIVE_FOR) -> int:
    """Workers whose beat is not older."""
    return Drain.objects.filter(beat_at__gte=clock.database_now() - within).count()


def paused_destinations() -> int:
    return Destination.objects.filter(paused_until__gt=clock.database_now()).count()


def accepted_today() -> int:
    """Recipients that all workspaces' messages of this day (UTC) had."""
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    counts = UsageCount.objects.filter(period=Period.DAY, starts_at=today)
    return counts.aggregate(total=Sum("recipients"))["total"] or 0


def lanes() -> list[tuple[str, int]]:
    return [(lane.name.lower(), lane.value) for lane in Lane]


def _waiting() -> QuerySet[Recipient]:
    rows: QuerySet[Recipient] = Recipient.objects.across_workspaces().filter(
        next_attempt_at__isnull=False, lease_until__isnull=True
    )
    return rows


def _oldest(found: Queue) -> Tile:
    is_late = found.oldest_due_seconds > 60
    return Tile(
        "oldest due",
        _duration(found.oldest_due_seconds) if found.oldest_due_seconds else "none",
        "mail_messages_recipient",
        "queue=due",
        is_alarming=is_late,
    )


def _workers(found: Queue) -> Tile:
    alive = drains_alive()
    return Tile("workers alive", str(alive), "delivery_drain", is_alarming=alive == 0 and found.oldest_due_seconds > 0)


def _paused() -> Tile:
    count = paused_destinations()
    return Tile("paused destinations", str(count), "delivery_destination", is_alarming=count > 0)


def _captured() -> Tile:
    count = CapturedMessage.objects.across_workspaces().order_by()[: MAX_CAPTURED + 1].count()
    shown = f"{MAX_CAPTURED:,}+" if count > MAX_CAPTURED else f"{count:,}"
    return Tile("captured mail", shown, "delivery_capturedmessage")


def _domains() -> list[Tile]:
    counted = Domain.objects.across_workspaces().order_by().values_list("status").annotate(Count("pk"))
    counts: dict[str, int] = dict(counted)
    return [
        Tile(
            f"{status.label.lower()} domains",
            str(counts.get(status, 0)),
            "domains_domain",
            f"status__exact={status}",
            is_alarming=status == DomainStatus.FAILED and counts.get(status, 0) > 0,
        )
        for status in DomainStatus
    ]


def _webhooks() -> list[Tile]:
    """Endpoints that fail, and those that were disabled because of it: somebody has to look at these."""
    is_failing = Q(status=WebhookStatus.ACTIVE, failing_since__isnull=False)
    is_disabled = Q(status=WebhookStatus.DISABLED) & ~Q(disabled_by=DisabledBy.REQUEST)
    counts = Endpoint.objects.across_workspaces().aggregate(
        failing=Count("pk", filter=is_failing), disabled=Count("pk", filter=is_disabled)
    )
    disabled = counts["disabled"]
    lasting = f"status__exact={WebhookStatus.DISABLED}"
    return [
        Tile("failing webhooks", str(counts["failing"]), "webhooks_endpoint", f"status__exact={WebhookStatus.ACTIVE}"),
        Tile("webhooks disabled by failure", str(disabled), "webhooks_endpoint", lasting, is_alarming=disabled > 0),
    ]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
