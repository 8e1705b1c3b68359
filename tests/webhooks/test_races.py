"""Several at once: those who fan out, senders, retries, replays. Each event reaches its endpoint, and a claim holds."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from apps.core.errors import Problem
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.services import again
from apps.webhooks.services.fan_out import fan_out
from apps.webhooks.services.shift import work
from tests.fakes.web_sink import Got, Say, WebSink
from tests.parallel import at_once, threads
from tests.webhooks.conftest import WEBHOOKS, Hooks

pytestmark = pytest.mark.django_db(transaction=True)
send = partial(work, until_idle=True, shift_seconds=60)


def refused(call: Callable[[], Any]) -> str:
    try:
        call()
    except Problem as problem:
        return problem.code
    return ""


def test_those_who_fan_out_at_once_make_each_delivery_once(hooks: Hooks, sink: WebSink) -> None:
    found = [hooks.register(sink.url(f"/{n}")) for n in range(3)]
    ids = hooks.happen(30)
    rows = {str(row.pk): row for row in Endpoint.objects.across_workspaces()}
    workers = threads(6)
    replays: list[Callable[[], Any]] = [
        partial(again.replay_events, rows[endpoint["id"]], ids[:10], None) for endpoint in found
    ]

    at_once([*[partial(fan_out, 7)] * 12, *replays, *[partial(fan_out, 7)] * 12], workers=workers)
    while fan_out().events:
        pass

    made = Counter(Delivery.objects.across_workspaces().values_list("endpoint_id", "event_id"))
    assert set(made.values()) == {1}
    assert sorted({str(event_id) for _, event_id in made}) == ids
    assert len(made) == 90


def test_two_senders_send_each_once_and_keep_the_pace(hooks: Hooks, sink: WebSink) -> None:
    open_now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def answering(got: Got) -> Say:
        with sink.lock:
            open_now[got.path] += 1
            most[got.path] = max(most[got.path], open_now[got.path])
        sink.stopped.wait(0.005)
        with sink.lock:
            open_now[got.path] -= 1
        return Say()

    sink.answering = answering
    for number in range(4):
        hooks.register(sink.url(f"/{number}"))
    ids = hooks.happen(25)

    at_once([send] * 3, workers=3)
    hooks.send()

    got = Counter((each.path, each.headers["StackShift-Event-Id"]) for each in sink.got)
    assert set(got.values()) == {1}
    assert sorted({event_id for _, event_id in got}) == ids
    assert len(got) == 100
    assert max(most.values()) <= 4


def test_retries_and_senders_lose_nothing(hooks: Hooks, sink: WebSink) -> None:
    turns: Counter[str] = Counter()

    def answering(got: Got) -> Say:
        turns[got.headers["StackShift-Event-Id"]] += 1
        return Say(500 if turns[got.headers["StackShift-Event-Id"]] % 3 else 200)

    sink.answering = answering
    hooks.register(sink.url())
    ids = hooks.happen(12)
    while fan_out().events:
        pass
    deliveries = list(Delivery.objects.across_workspaces())
    retries = [partial(refused, partial(again.retry, delivery)) for delivery in deliveries]

    answers = at_once([send, *retries, send, *retries, send, *retries], workers=threads(4))
    for _ in range(40):
        hooks.send_later()

    assert {answer for answer in answers if answer} <= {"invalid_state"}
    assert sorted(turns) == ids
    for delivery in Delivery.objects.across_workspaces():
        assert delivery.status == "succeeded"
        attempts = DeliveryAttempt.objects.across_workspaces().filter(delivery=delivery).order_by("number")
        assert [attempt.number for attempt in attempts] == list(range(1, delivery.attempt_count + 1))
        assert [attempt.status_code for attempt in attempts][-1] == 200


def test_of_equal_replays_at_once_one_is_made(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url())
    ids = hooks.happen(3)
    hooks.send()
    sink.got.clear()
    body = {"eventIds": ids, "idempotencyKey": "again-1"}
    workers = threads(6)

    answers = at_once([partial(hooks.api.post, f"{WEBHOOKS}/{endpoint['id']}/replay", body)] * workers, workers=workers)
    hooks.send()

    assert Counter(answer.status for answer in answers) == {202: 1, 200: workers - 1}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert sorted(sink.ids()) == ids


def test_an_endpoint_that_is_deleted_under_its_sender_harms_nobody(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url("/gone"))
    other = hooks.register(sink.url("/stays"))
    ids = hooks.happen(20)

    at_once([send, partial(hooks.api.delete, f"{WEBHOOKS}/{endpoint['id']}")], workers=2)
    hooks.send_later()

    stays = [got.headers["StackShift-Event-Id"] for got in sink.got if got.path == "/stays"]
    assert sorted(set(stays)) == ids
    assert {d["status"] for d in hooks.deliveries(other["id"], limit=100)} == {"succeeded"}
