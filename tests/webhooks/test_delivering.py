"""An event reaches who is subscribed: signed, recorded, with the same bytes on every attempt."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from apps.webhooks.models import Delivery
from tests.client import EVENTS
from tests.fakes.web_sink import Got, Say, WebSink
from tests.webhooks.conftest import Hooks

pytestmark = pytest.mark.django_db(transaction=True)


def is_signed(got: Got, secret: str) -> bool:
    """By hand, as the contract tells it."""
    timestamp = got.headers["StackShift-Timestamp"]
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    return got.headers["StackShift-Signature"] == f"v1={expected}" and abs(time.time() - int(timestamp)) < 60


def is_standard(got: Got, secret: str) -> bool:
    """As a library for Standard Webhooks does it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return got.headers["webhook-signature"] == f"v1,{expected}"


def test_an_event_arrives_as_the_api_shows_it(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url("/hook?shop=1"))
    (event_id,) = hooks.happen()

    hooks.send()

    (got,) = sink.got
    shown = hooks.api.get(f"{EVENTS}/{event_id}").data
    assert got.path == "/hook?shop=1"
    assert json.loads(got.body) == shown
    (delivery,) = hooks.deliveries(endpoint["id"])
    assert {name: got.headers[name] for name in got.headers if name.startswith("StackShift-Event")} == {
        "StackShift-Event-Id": event_id,
        "StackShift-Event-Type": "mail.message.queued",
    }
    assert got.headers["StackShift-Delivery-Id"] == delivery["id"]
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"] == "StackShift-Webhooks/1"
    assert is_signed(got, endpoint["secret"])
    assert is_standard(got, endpoint["secret"])
    assert delivery["payload"] == shown
    found = {name: delivery[name] for name in ("status", "attemptCount", "lastStatusCode", "lastError")}
    assert found == {"status": "succeeded", "attemptCount": 1, "lastStatusCode": 200, "lastError": None}
    assert delivery["nextAttemptAt"] is None
    (attempt,) = hooks.delivery(delivery["id"])["attempts"]
    assert attempt["attemptNumber"] == 1
    assert (attempt["statusCode"], attempt["error"], attempt["responseSnippet"]) == (200, None, "ok")


def test_every_attempt_has_the_same_bytes_and_a_signature_of_its_own(hooks: Hooks, sink: WebSink) -> None:
    answers = iter([Say(500), Say(503), Say(204, body=b"")])
    sink.answering = lambda got: next(answers)
    endpoint = hooks.register(sink.url())
    hooks.happen()

    hooks.send()
    (delivery,) = hooks.deliveries(endpoint["id"])
    assert (delivery["status"], delivery["attemptCount"], delivery["lastStatusCode"]) == ("retrying", 1, 500)
    assert delivery["lastError"].startswith("Your server answered 500 Internal Server Error after ")
    for _ in range(2):
        time.sleep(max(0.0, 1.05 - time.time() % 1))  # the next second
        hooks.send_later()

    assert len({got.body for got in sink.got}) == 1
    assert len({got.headers["StackShift-Timestamp"] for got in sink.got}) == 3
    assert len({got.headers["StackShift-Delivery-Id"] for got in sink.got}) == 1
    assert len({got.headers["webhook-id"] for got in sink.got}) == 1
    assert [is_signed(got, endpoint["secret"]) for got in sink.got] == [True] * 3
    attempts = hooks.delivery(delivery["id"])["attempts"]
    assert [(a["attemptNumber"], a["statusCode"]) for a in attempts] == [(1, 500), (2, 503), (3, 204)]
    assert hooks.delivery(delivery["id"])["status"] == "succeeded"
    assert Delivery.objects.across_workspaces().exclude(body=None).count() == 0


def test_only_subscribed_types_arrive(hooks: Hooks, sinks: Callable[..., WebSink]) -> None:
    queued, everything, other = sinks(), sinks(), sinks()
    hooks.register(queued.url(), "mail.message.queued")
    hooks.register(everything.url(), "*")
    hooks.register(other.url(), "mail.message.sent", "mail.domain.created")
    (event_id,) = hooks.happen()

    hooks.send()

    assert queued.ids() == [event_id]
    types = [got.headers["StackShift-Event-Type"] for got in everything.got]
    # What happened a moment before it was there, and was not fanned out yet, comes too.
    assert sorted(types) == ["mail.message.queued", *["mail.webhook.created"] * 3]
    assert other.got == []


def test_nothing_of_another_workspace_arrives(hooks: Hooks, sink: WebSink, world: Any) -> None:
    theirs = Hooks(world.stranger.api)
    theirs.register(sink.url())
    hooks.happen()

    hooks.send()

    assert sink.got == []


def test_an_endpoint_is_not_told_of_its_own_deliveries(hooks: Hooks, sinks: Callable[..., WebSink]) -> None:
    """Two that are told of each other's deliveries do not keep each other busy for ever either."""
    types = ("mail.message.queued", "mail.webhook.delivery.succeeded", "mail.webhook.delivery.failed")
    one, two = sinks(), sinks()
    ids = [hooks.register(sink.url(), *types)["id"] for sink in (one, two)]
    (event_id,) = hooks.happen()

    for _ in range(4):
        hooks.send()

    for sink, own, other in ((one, *ids), (two, *ids[::-1])):
        first, second = (json.loads(got.body) for got in sink.got)
        assert first["id"] == event_id
        assert second["type"] == "mail.webhook.delivery.succeeded"
        assert second["data"]["webhookId"] == other != own
        assert second["data"]["eventId"] == event_id


def test_the_sent_event_tells_of_each_delivery(hooks: Hooks, sink: WebSink, settings: Any) -> None:
    settings.WEBHOOK_RETRY_SCHEDULE = (1,)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    sink.answering = lambda got: Say(500)
    hooks.happen()
    hooks.send()
    hooks.send_later()

    good, bad = hooks.events("mail.webhook.delivery.succeeded", "mail.webhook.delivery.failed")

    assert [good["type"], bad["type"]] == ["mail.webhook.delivery.succeeded", "mail.webhook.delivery.failed"]
    assert (good["resourceType"], good["resourceId"]) == ("webhook_delivery", good["data"]["deliveryId"])
    assert (good["data"]["webhookId"], good["data"]["attemptCount"]) == (endpoint["id"], 1)
    assert (bad["data"]["attemptCount"], bad["data"]["statusCode"]) == (2, 500)
    assert hooks.delivery(bad["data"]["deliveryId"])["status"] == "failed"
