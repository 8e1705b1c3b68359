"""Writes down what came of requests, in one transaction: the attempts, the deliveries, how the endpoint does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import insert, update
from apps.events.services import record as record_events
from apps.events.types import EventType
from apps.webhooks import schedule
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.services.claiming import LEASE, Claim, Parcel
from apps.webhooks.services.happenings import ABOUT_DELIVERIES, about_delivery, tell_disabled
from apps.webhooks.services.pace import plan
from apps.webhooks.states import DeliveryStatus, DisabledBy, Status

GONE = 410


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request."""

    parcel: Parcel
    started_at: datetime
    duration_ms: int
    status_code: int | None = None
    # Both blank where it succeeded.
    error_code: str = ""
    error: str = ""
    snippet: str = ""
    # What the server asked for (Retry-After).
    wish: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return not self.error_code


@dataclass(frozen=True, slots=True)
class Onward:
    """Whether the sender still has the endpoint and may go on at once, and how careful it is to be."""

    goes_on: bool
    strikes: int


def record(claim: Claim, results: Sequence[Result]) -> Onward:
    """Results of deliveries that somebody else has recorded meanwhile are left out."""
    now = clock.database_now()
    with transaction.atomic():
        rows = Endpoint.objects.across_workspaces().filter(pk=claim.endpoint_id)
        endpoint: Endpoint | None = rows.select_for_update(no_key=True).first()
        if endpoint is None:
            return Onward(goes_on=False, strikes=0)
        counted = _current(endpoint, results)
        written = [_after(delivery, result, now) for delivery, result in counted]
        update(Delivery, written, match=("id",))
        insert(DeliveryAttempt, [_attempt(delivery, result) for delivery, result in counted])
        _tell(endpoint, counted, written, now)
        if endpoint.status != Status.DELETED:
            _judge(endpoint, [result for _, result in counted], written, now)
        return _save(endpoint, claim, now)


def _current(endpoint: Endpoint, results: Sequence[Result]) -> list[tuple[Delivery, Result]]:
    """With the rows as they are; all who change them have locked the endpoint."""
    ids = [result.parcel.delivery_id for result in results]
    rows = Delivery.objects.of(endpoint.workspace_id).filter(pk__in=ids).defer("body").in_bulk()
    found = [(rows[result.parcel.delivery_id], result) for result in results if result.parcel.delivery_id in rows]
    return [(row, result) for row, result in found if row.attempt_count == result.parcel.attempt_count]


def _after(delivery: Delivery, result: Result, now: datetime) -> dict[str, Any]:
    """The columns of a delivery after one more attempt."""
    first_tried_at = delivery.first_tried_at or result.started_at
    row = {
        "id": delivery.pk,
        "attempt_count": delivery.attempt_count + 1,
        "last_status_code": result.status_code,
        "last_error": result.error,
        "first_tried_at": first_tried_at,
        "tries": delivery.tries,
        "status": DeliveryStatus.SUCCEEDED.value,
        "next_attempt_at": None,
        "delivered_at": now,
        "body": None,
    }
    if result.is_success:
        return row
    row |= {"delivered_at": delivery.delivered_at, "body": result.parcel.body}
    if delivery.next_attempt_at != result.parcel.next_attempt_at:
        # Somebody asked for another try while this one was under way, and gets it.
        return row | {"status": delivery.status, "next_attempt_at": delivery.next_attempt_at}
    tries, next_attempt_at = _next(delivery, result, first_tried_at, now)
    status = DeliveryStatus.RETRYING if next_attempt_at else DeliveryStatus.FAILED
    return row | {"tries": tries, "status": status.value, "next_attempt_at": next_attempt_at}


def _next(delivery: Delivery, result: Result, first_tried_at: datetime, now: datetime) -> tuple[int, datetime | None]:
    """The tries that count, and when the next one is; none when the delivery is given up."""
    if result.status_code == GONE:
        return delivery.tries + 1, None
    if result.wish is not None and now - first_tried_at < schedule.lifetime():
        # The server's own pace uses up none of the schedule: a short one would be at its end in seconds.
        return delivery.tries, now + result.wish
    wait = schedule.wait_after(delivery.tries + 1)
    return delivery.tries + 1, now + wait if wait is not None else None


def _attempt(delivery: Delivery, result: Result) -> dict[str, Any]:
    return {
        "id": new_id(),
        "workspace_id": delivery.workspace_id,
        "delivery_id": delivery.pk,
        "number": delivery.attempt_count + 1,
        "status_code": result.status_code,
        "error_code": result.error_code,
        "error": result.error,
        "duration_ms": result.duration_ms,
        "response_snippet": result.snippet,
        "created_at": result.started_at,
    }


def _tell(
    endpoint: Endpoint, counted: Sequence[tuple[Delivery, Result]], written: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    events = []
    for (delivery, _result), row in zip(counted, written, strict=True):
        ended = ENDINGS.get(row["status"])
        if ended is not None and delivery.event_type not in ABOUT_DELIVERIES:
            facts = {**row, "event_id": delivery.event_id, "event_type": delivery.event_type}
            events.append(about_delivery(endpoint, facts, ended))
    record_events(events, at=now)


ENDINGS = {
    DeliveryStatus.SUCCEEDED.value: EventType.WEBHOOK_DELIVERY_SUCCEEDED,
    DeliveryStatus.FAILED.value: EventType.WEBHOOK_DELIVERY_FAILED,
}


def _judge(endpoint: Endpoint, results: Sequence[Result], written: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """How the endpoint does after this round, and whether it goes on."""
    for result, row in zip(results, written, strict=True):
        if result.is_success:
            endpoint.failure_count = endpoint.failed_in_a_row = 0
            endpoint.failing_since = None
            endpoint.last_success_at = now
        else:
            endpoint.failure_count += 1
            endpoint.failing_since = endpoint.failing_since or result.started_at
            endpoint.failed_in_a_row += row["status"] == DeliveryStatus.FAILED
            endpoint.last_failure_at, endpoint.last_error = now, result.error
    if results:
        _set_pace(endpoint, results, now)
    is_gone = any(result.status_code == GONE for result in results)
    is_lasting = schedule.is_lasting(
        failing_since=endpoint.failing_since,
        failures=endpoint.failure_count,
        failed_in_a_row=endpoint.failed_in_a_row,
        now=now,
    )
    if endpoint.is_active and (is_gone or is_lasting):
        endpoint.status, endpoint.disabled_at = Status.DISABLED, now
        endpoint.disabled_by = DisabledBy.GONE if is_gone else DisabledBy.FAILURES
        tell_disabled(endpoint)


def _set_pace(endpoint: Endpoint, results: Sequence[Result], now: datetime) -> None:
    """One good answer in a round says that the server is there."""
    if any(result.is_success for result in results):
        endpoint.strikes, endpoint.paused_until = 0, None
    else:
        endpoint.strikes += 1
        endpoint.paused_until = now + schedule.pause_after(endpoint.strikes)
    wishes = [result.wish for result in results if result.wish is not None]
    if wishes:
        endpoint.paused_until = now + max(wishes)


def _save(endpoint: Endpoint, claim: Claim, now: datetime) -> Onward:
    plan(endpoint)
    is_due = endpoint.due_at is not None and endpoint.due_at <= now
    is_mine = endpoint.lease_id == claim.lease_id
    if is_mine:
        endpoint.lease_id, endpoint.lease_until = (claim.lease_id, now + LEASE) if is_due else (None, None)
    endpoint.save()
    return Onward(goes_on=is_mine and is_due, strikes=endpoint.strikes)
