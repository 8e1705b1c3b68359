"""Events are sent once more: by id, by time, once for each idempotency key; and tests go to the one that is tested."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.core.ids import new_id
from apps.webhooks.models import Delivery, Replay
from apps.webhooks.services import again
from tests import stored
from tests.fakes.web_sink import Say, WebSink
from tests.webhooks.conftest import WEBHOOKS, Hooks

pytestmark = pytest.mark.django_db(transaction=True)


def replay(hooks: Hooks, endpoint: Any, body: Any, **headers: str) -> Any:
    return hooks.api.post(f"{WEBHOOKS}/{endpoint['id']}/replay", body, **headers)


def test_events_are_replayed_by_their_ids(hooks: Hooks, sink: WebSink) -> None:
    ids = hooks.happen(3)
    hooks.send()  # to nobody
    endpoint = hooks.register(sink.url())
    (later,) = hooks.happen()
    hooks.send()

    answer = replay(hooks, endpoint, {"eventIds": [ids[1], later]})
    hooks.send()

    assert answer.status == 202
    assert (answer.data["webhookId"], answer.data["eventCount"]) == (endpoint["id"], 2)
    assert answer.data["idempotencyStatus"] == "none"
    assert sink.ids()[0] == later
    assert sorted(sink.ids()[1:]) == [ids[1], later]
    assert len({got.body for got in sink.got if got.headers["StackShift-Event-Id"] == later}) == 1
    again_delivered = next(d for d in hooks.deliveries(endpoint["id"]) if d["eventId"] == later)
    assert (again_delivered["status"], again_delivered["attemptCount"]) == ("succeeded", 2)


def test_a_range_is_replayed_by_time_and_type(hooks: Hooks, sink: WebSink) -> None:
    early = hooks.happen(2)
    middle = clock.now()
    late = hooks.happen(2)
    end = clock.now()
    hooks.send()
    endpoint = hooks.register(sink.url())
    start = middle - timedelta(hours=1)

    first = replay(hooks, endpoint, {"from": iso(start), "to": iso(middle)})
    hooks.send()
    assert (first.data["eventCount"], sorted(sink.ids())) == (2, early)
    assert (first.data["from"], first.data["to"]) == (clock.wire_time(start), clock.wire_time(middle))

    sink.got.clear()
    second = replay(hooks, endpoint, {"from": iso(middle), "to": iso(end), "types": ["mail.message.queued"]})
    third = replay(hooks, endpoint, {"from": iso(start), "types": ["mail.domain.created"]})
    hooks.send()
    assert [second.data["eventCount"], third.data["eventCount"]] == [2, 0]
    assert sorted(sink.ids()) == late


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def test_what_waits_already_is_not_sent_twice(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url())
    (event_id,) = hooks.happen()

    replay(hooks, endpoint, {"eventIds": [event_id]})
    replay(hooks, endpoint, {"eventIds": [event_id]})
    hooks.send()

    assert sink.ids() == [event_id]


@pytest.mark.parametrize("place", ["header", "body"])
def test_a_key_is_used_once(hooks: Hooks, sink: WebSink, place: str) -> None:
    endpoint = hooks.register(sink.url())
    one, two = hooks.happen(2)
    hooks.send()
    sink.got.clear()

    def ask(event_id: str) -> Any:
        body = {"eventIds": [event_id]}
        if place == "body":
            return replay(hooks, endpoint, body | {"idempotencyKey": "again-1"})
        return replay(hooks, endpoint, body, Idempotency_Key="again-1")

    first = ask(one)
    hooks.send()
    second, other = ask(one), ask(two)
    hooks.send()

    assert [first.status, second.status, other.status] == [202, 200, 409]
    assert (first.data["idempotencyStatus"], second.data["idempotencyStatus"]) == ("created", "replayed")
    assert second.data["id"] == first.data["id"]
    assert other.code == "idempotency_conflict"
    assert sink.ids() == [one]
    assert Replay.objects.across_workspaces().count() == 1


def test_unknown_and_foreign_events_are_not_found(hooks: Hooks, sink: WebSink, world: Any) -> None:
    endpoint = hooks.register(sink.url())
    (ours,) = hooks.happen()
    world.stranger.api.post("/v1/mail/domains", {"domain": "other.example"})
    theirs = world.stranger.api.get("/v1/mail/events").rows[0]["id"]
    before = stored.everything()

    for missing in (theirs, str(new_id())):
        answer = replay(hooks, endpoint, {"eventIds": [ours, missing]})
        assert (answer.status, answer.code) == (404, "not_found")
        assert answer.body["error"]["details"] == {"eventIds": [missing]}

    assert stored.everything() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "eventIds"),
        ({"eventIds": []}, "eventIds"),
        ({"eventIds": ["x"]}, "eventIds"),
        ({"eventIds": [1]}, "eventIds"),
        ({"eventIds": ["x"] * 1_001}, "eventIds"),
        ({"to": "2026-01-01T00:00:00Z"}, "eventIds"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-01T00:00:00Z", "types": ["mail.nothing"]}, "types"),
        ({"from": "2026-01-01T00:00:00Z", "types": []}, "types"),
        ({"from": "2026-01-01T00:00:00Z", "eventIds": ["00000000-0000-7000-8000-000000000000"]}, "eventIds"),
        ({"all": True}, "all"),
    ],
)
def test_refuses_what_is_no_range(hooks: Hooks, sink: WebSink, body: Any, field: str) -> None:
    endpoint = hooks.register(sink.url())
    before = stored.everything()
    answer = replay(hooks, endpoint, body)
    assert (answer.status, answer.code) == (400, "validation_error"), answer
    assert {name.partition(".")[0] for name in answer.fields} == {field}
    assert stored.everything() == before


def test_a_range_with_too_many_is_refused_whole(hooks: Hooks, sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "MAX_REPLAYED", 2)
    hooks.happen(3)
    endpoint = hooks.register(sink.url())
    before = stored.everything()
    answer = replay(hooks, endpoint, {"from": "2026-01-01T00:00:00Z"})
    assert (answer.status, list(answer.fields)) == (400, ["to"])
    assert stored.everything() == before


def test_a_disabled_endpoint_replays_and_tests_nothing(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url())
    (event_id,) = hooks.happen()
    hooks.api.patch(f"{WEBHOOKS}/{endpoint['id']}", {"status": "disabled"})
    before = stored.everything()
    for path, body in (("replay", {"eventIds": [event_id]}), ("test", None)):
        answer = hooks.api.post(f"{WEBHOOKS}/{endpoint['id']}/{path}", body)
        assert (answer.status, answer.code) == (409, "invalid_state")
    assert stored.everything() == before


def test_a_test_goes_to_the_one_that_is_tested_before_all_that_waits(hooks: Hooks, sink: WebSink) -> None:
    tested, other = hooks.register(sink.url("/tested")), hooks.register(sink.url("/other"), "*")
    sink.answering = lambda got: Say(500)
    hooks.happen(5)
    hooks.send()
    sink.got.clear()
    sink.answering = lambda got: Say(200)

    answer = hooks.api.post(f"{WEBHOOKS}/{tested['id']}/test")
    hooks.send()

    assert (answer.status, answer.data["eventType"], answer.data["status"]) == (202, "mail.webhook.test", "pending")
    first = sink.got[0]
    assert first.path == "/tested"
    assert json.loads(first.body) == answer.data["payload"]
    assert hooks.delivery(answer.data["id"])["status"] == "succeeded"
    types = {d["eventType"] for d in hooks.deliveries(other["id"], limit=100)}
    assert "mail.webhook.test" not in types


def test_tests_are_counted(hooks: Hooks, sink: WebSink) -> None:
    endpoint = hooks.register(sink.url())
    answers = [hooks.api.post(f"{WEBHOOKS}/{endpoint['id']}/test") for _ in range(12)]
    assert [answer.status for answer in answers] == [202] * 10 + [429] * 2
    assert answers[-1].code == "rate_limited"
    assert answers[-1].headers["Retry-After"] == "60"
    assert Delivery.objects.across_workspaces().count() == 10
