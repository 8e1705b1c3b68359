"""Sends once more what somebody asks for: one delivery, a test, named events, a range of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.errors import NotFound
from apps.core.ids import first_id_at, new_id
from apps.core.rows import insert
from apps.events.models import Event
from apps.events.services import NewEvent, rows_of
from apps.events.types import EventType, ResourceType
from apps.keys import idempotency
from apps.webhooks.errors import AlreadyDelivered, EndpointDisabled, TestedTooOften, TooManyToReplay
from apps.webhooks.models import Delivery, Endpoint, Replay
from apps.webhooks.schedule import AT_ONCE
from apps.webhooks.services.endpoints import EVERYTHING
from apps.webhooks.services.fan_out import row_of
from apps.webhooks.services.happenings import ABOUT_DELIVERIES
from apps.webhooks.services.pace import locked, plan
from apps.webhooks.states import DeliveryStatus

MAX_TESTS, TESTS_WITHIN = 10, timedelta(minutes=1)
MAX_REPLAYED = 10_000
FAMILY = "webhook-replay"
ENDED = (DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED)
# Of a delivery that begins anew. What happened before stays among its attempts.
ANEW: dict[str, Any] = {"status": DeliveryStatus.PENDING, "tries": 0, "first_tried_at": None}


@dataclass(frozen=True, slots=True)
class Range:
    """Events of a time, from inclusive and to exclusive, of some types."""

    since: datetime | None
    until: datetime | None
    types: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Replayed:
    replay: Replay
    idempotency_status: str

    @property
    def is_replay(self) -> bool:
        return self.idempotency_status == "replayed"


def retry(delivery: Delivery) -> Delivery:
    """Sends a delivery now, with a whole schedule before it. Raises NotFound, EndpointDisabled, AlreadyDelivered."""
    with transaction.atomic():
        endpoint = _active(delivery.workspace_id, delivery.endpoint_id)
        mine = Delivery.objects.of(delivery.workspace_id).filter(pk=delivery.pk)
        if not mine.exclude(status=DeliveryStatus.SUCCEEDED).update(**ANEW, next_attempt_at=AT_ONCE):
            row = mine.first()
            raise AlreadyDelivered if row is not None else NotFound
        _wake(endpoint)
        found: Delivery = mine.get()
    return found


def test(endpoint: Endpoint) -> Delivery:
    """Sends an event that says nothing but that it is a test. Raises NotFound, EndpointDisabled, TestedTooOften."""
    now = clock.now()
    with transaction.atomic():
        row = _active(endpoint.workspace_id, endpoint.pk)
        recent = Delivery.objects.of(row.workspace_id).filter(endpoint=row, pk__gte=first_id_at(now - TESTS_WITHIN))
        if recent.filter(event_type=EventType.WEBHOOK_TEST).count() >= MAX_TESTS:
            raise TestedTooOften(retry_after_seconds=int(TESTS_WITHIN.total_seconds()))
        about = {"webhookId": str(row.pk), "note": "This is a test. Nothing happened."}
        news = NewEvent(row.workspace_id, EventType.WEBHOOK_TEST, ResourceType.WEBHOOK, row.pk, data=about)
        (event,) = rows_of([news], at=now)
        insert(Event, [event])
        delivery = row_of(row, event["id"], event["type"], now) | {"next_attempt_at": AT_ONCE}
        insert(Delivery, [delivery])
        _wake(row)
    made: Delivery = Delivery.objects.of(row.workspace_id).get(pk=delivery["id"])
    return made


def replay_events(endpoint: Endpoint, event_ids: Sequence[UUID], use: idempotency.Use | None) -> Replayed:
    """Sends these events, subscribed to or not. Raises NotFound, EndpointDisabled, IdempotencyConflict."""

    def chosen() -> list[tuple[UUID, str]]:
        rows = _replayable(endpoint).filter(pk__in=event_ids)
        found = list(rows.order_by("pk").values_list("pk", "type"))
        if len(found) != len(set(event_ids)):
            known = {str(pk) for pk, _ in found}
            missing = [str(each) for each in event_ids if str(each) not in known]
            raise NotFound("There is no such event to replay.", details={"eventIds": missing[:100]})
        return found

    return _replay(endpoint, chosen, use, {})


def replay_range(endpoint: Endpoint, asked: Range, use: idempotency.Use | None) -> Replayed:
    """Sends the events of a range that the endpoint is subscribed to, or of the types that are named.

    Raises NotFound, EndpointDisabled, TooManyToReplay, IdempotencyConflict.
    """

    def chosen() -> list[tuple[UUID, str]]:
        rows = _replayable(endpoint)
        if asked.since:
            # Ids begin with the time of their making, a little before the event's own.
            rows = rows.filter(created_at__gte=asked.since, pk__gte=first_id_at(asked.since - timedelta(minutes=5)))
        if asked.until:
            rows = rows.filter(created_at__lt=asked.until, pk__lt=first_id_at(asked.until + timedelta(minutes=5)))
        types = asked.types if asked.types is not None else endpoint.event_types
        rows = rows.exclude(type__in=ABOUT_DELIVERIES) if EVERYTHING in types else rows.filter(type__in=types)
        found = list(rows.order_by("pk").values_list("pk", "type")[: MAX_REPLAYED + 1])
        if len(found) > MAX_REPLAYED:
            first = f"The range holds more than {MAX_REPLAYED:,} events; replay it in shorter parts."
            raise TooManyToReplay(first, details={"fields": {"to": ["end earlier"]}})
        return found

    return _replay(endpoint, chosen, use, {"since": asked.since, "until": asked.until})


def _replay(
    endpoint: Endpoint,
    choose: Callable[[], list[tuple[UUID, str]]],
    use: idempotency.Use | None,
    asked: dict[str, Any],
) -> Replayed:
    def do() -> Replayed:
        with transaction.atomic():
            row = _active(endpoint.workspace_id, endpoint.pk)
            events = choose()
            made = Replay(id=new_id(), workspace_id=row.workspace_id, endpoint=row, created_at=clock.now(), **asked)
            made.event_count = _send_again(row, events)
            made.save(force_insert=True)
            idempotency.take(use, made.pk)
        return Replayed(made, "created" if use else "none")

    def again(replay_id: UUID) -> Replayed:
        return Replayed(Replay.objects.of(endpoint.workspace_id).get(pk=replay_id), "replayed")

    return idempotency.once(use, do, again, told_as="replayId")


def _send_again(endpoint: Endpoint, events: Sequence[tuple[UUID, str]]) -> int:
    """Lets each have a delivery that is due; one that waits already is not sent twice."""
    now = clock.database_now()
    ids = [event_id for event_id, _ in events]
    known = Delivery.objects.of(endpoint.workspace_id).filter(endpoint=endpoint, event_id__in=ids)
    have = set(known.values_list("event_id", flat=True))
    known.filter(status__in=ENDED).update(**ANEW, next_attempt_at=now, delivered_at=None)
    insert(Delivery, [row_of(endpoint, pk, kind, now) for pk, kind in events if pk not in have], or_ignore=True)
    _wake(endpoint)
    return len(ids)


def _replayable(endpoint: Endpoint) -> QuerySet[Event]:
    """The workspace's events without those about this endpoint's own deliveries, and without tests."""
    rows: QuerySet[Event] = Event.objects.of(endpoint.workspace_id).exclude(type=EventType.WEBHOOK_TEST)
    return rows.exclude(type__in=ABOUT_DELIVERIES, data__webhookId=str(endpoint.pk))


def _active(workspace_id: UUID, endpoint_id: UUID) -> Endpoint:
    endpoint = locked(workspace_id, endpoint_id)
    if not endpoint.is_active:
        raise EndpointDisabled
    return endpoint


def _wake(endpoint: Endpoint) -> None:
    """Somebody wants to see it answer, so a pause ends."""
    endpoint.paused_until = None
    plan(endpoint)
    endpoint.save(update_fields=["paused_until", "due_at"])
