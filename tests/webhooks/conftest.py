"""The sender in this process, between the API and real web servers on loopback."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db.models import F

from apps.core import clock
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services.shift import work
from tests.client import SEND, Answer, Api, mail
from tests.fakes.web_sink import WebSink

WEBHOOKS, DELIVERIES = "/v1/mail/webhooks", "/v1/mail/webhook-deliveries"
LOOPBACK = ["127.0.0.0/8", "::1/128"]


class Hooks:
    """Registers endpoints, makes things happen, and sends when it is told to."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def register(self, url: str, *types: str, **changes: Any) -> Any:
        answer = self.api.post(WEBHOOKS, {"url": url, "eventTypes": list(types or ("mail.message.queued",)), **changes})
        assert answer.status == 201, answer
        return answer.data

    def happen(self, count: int = 1) -> list[str]:
        """Messages are accepted; the ids of the events that say so, oldest first."""
        for _ in range(count):
            answer: Answer = self.api.post(SEND, mail())
            assert answer.status == 202, answer
        rows = self.api.get("/v1/mail/events", {"type": "mail.message.queued", "limit": count}).rows
        return [row["id"] for row in rows][::-1]

    def send(self) -> None:
        """Until nothing is due any more."""
        work(until_idle=True, shift_seconds=60)

    def send_later(self) -> None:
        """As it will be when all who wait have waited long enough."""
        now = clock.database_now()
        Delivery.objects.across_workspaces().filter(next_attempt_at__gt=now).update(next_attempt_at=now)
        rows = Endpoint.objects.across_workspaces().filter(due_at__isnull=False)
        rows.update(due_at=now, paused_until=None, lease_until=None)
        self.send()

    def endpoint(self, endpoint_id: str) -> Any:
        return self.api.get(f"{WEBHOOKS}/{endpoint_id}").data

    def deliveries(self, endpoint_id: str, **query: Any) -> list[Any]:
        """Newest first."""
        return self.api.get(f"{WEBHOOKS}/{endpoint_id}/deliveries", query).rows

    def delivery(self, delivery_id: str) -> Any:
        answer = self.api.get(f"{DELIVERIES}/{delivery_id}")
        assert answer.status == 200, answer
        return answer.data

    def events(self, *types: str) -> list[Any]:
        """Oldest first."""
        rows = [row for kind in types for row in self.api.get("/v1/mail/events", {"type": kind, "limit": 100}).rows]
        return sorted(rows, key=lambda row: row["id"])


def row_of(endpoint: Any) -> Endpoint:
    row: Endpoint = Endpoint.objects.across_workspaces().get(pk=UUID(endpoint["id"]))
    return row


def age(endpoint: Any, **by: Any) -> None:
    """Moves times of an endpoint's row into the past."""
    rows = Endpoint.objects.across_workspaces().filter(pk=endpoint["id"])
    rows.update(**{name: F(name) - amount for name, amount in by.items()})


@pytest.fixture
def loopback(settings: LazySettings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOOPBACK


@pytest.fixture
def hooks(api: Api, loopback: None) -> Iterator[Hooks]:
    policy = asyncio.get_event_loop_policy()
    yield Hooks(api)
    asyncio.set_event_loop_policy(policy)


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with WebSink() as running:
        yield running


@pytest.fixture
def sinks() -> Iterator[Callable[..., WebSink]]:
    running: list[WebSink] = []

    def start(*arguments: Any, **options: Any) -> WebSink:
        running.append(WebSink(*arguments, **options).__enter__())
        return running[-1]

    yield start
    for each in running:
        each.__exit__()
