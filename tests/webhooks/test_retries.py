"""When a delivery is tried again, when it is given up, and how an endpoint that fails is spared."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.webhooks import schedule
from apps.webhooks.models import Delivery
from tests import stored
from tests.fakes.web_sink import Got, Say, WebSink
from tests.webhooks.conftest import DELIVERIES, WEBHOOKS, Hooks, age, row_of

pytestmark = pytest.mark.django_db(transaction=True)


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


def test_the_schedule_reaches_over_three_days() -> None:
    waits = [schedule.wait_after(tries) for tries in range(1, len(schedule.WAITS) + 1)]
    assert schedule.wait_after(len(schedule.WAITS) + 1) is None
    total = sum((wait for wait in waits if wait), timedelta())
    assert timedelta(hours=72) < timedelta(seconds=sum(schedule.WAITS)) <= total


def test_waits_differ_and_are_never_shorter_than_they_should_be() -> None:
    random.seed(1)
    waits = {wait.total_seconds() for _ in range(50) if (wait := schedule.wait_after(1))}
    assert len(waits) > 40
    assert 30 <= min(waits) < max(waits) <= 33


def test_the_operators_schedule_has_no_jitter(settings: Any) -> None:
    settings.WEBHOOK_RETRY_SCHEDULE = (1, 5)
    assert [schedule.wait_after(tries) for tries in (1, 2, 3)] == [timedelta(seconds=1), timedelta(seconds=5), None]
    assert schedule.pause_after(50) == timedelta(seconds=5)


def test_each_failure_moves_the_next_try_along_the_schedule(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    found = []

    for send in [hooks.send, *[hooks.send_later] * len(schedule.WAITS)]:
        send()
        (delivery,) = hooks.deliveries(endpoint["id"])
        found.append((delivery["status"], delivery["nextAttemptAt"] and seconds_until(delivery["nextAttemptAt"])))

    *retrying, last = found
    for (status, wait), expected in zip(retrying, schedule.WAITS, strict=True):
        assert status == "retrying"
        assert expected - 5 < wait < expected * 1.1 + 5
    assert last == ("failed", None)
    assert [row["data"]["attemptCount"] for row in hooks.events("mail.webhook.delivery.failed")] == [11]
    hooks.send_later()
    assert len(sink.got) == 11


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [(429, "7", 7), (503, "120", 120), (503, "999999999999", 43_200), (429, "0", 1)],
)
def test_a_server_says_when_to_come_back(hooks: Hooks, sink: WebSink, status: int, value: str, seconds: int) -> None:
    sink.answering = lambda got: Say(status, {"Retry-After": value})
    endpoint = hooks.register(sink.url())
    hooks.happen(2)

    hooks.send()

    asked, *_ = (d for d in hooks.deliveries(endpoint["id"]) if d["attemptCount"])
    assert seconds - 3 < seconds_until(asked["nextAttemptAt"]) <= seconds
    paused_until = row_of(endpoint).paused_until
    assert paused_until is not None
    assert seconds - 3 < (paused_until - datetime.now(UTC)).total_seconds() <= seconds


@pytest.mark.parametrize(("status", "value"), [(500, "7"), (429, "soon"), (503, "-5"), (429, "٧"), (503, "")])
def test_what_is_no_wish_leaves_the_schedule(hooks: Hooks, sink: WebSink, status: int, value: str) -> None:
    sink.answering = lambda got: Say(status, {"Retry-After": value.encode().decode("latin-1")})
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    (delivery,) = hooks.deliveries(endpoint["id"])
    assert 25 < seconds_until(delivery["nextAttemptAt"]) < 34


def test_a_date_to_come_back_is_understood(hooks: Hooks, sink: WebSink) -> None:
    when = datetime.now(UTC) + timedelta(minutes=20)
    sink.answering = lambda got: Say(503, {"Retry-After": when.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    (delivery,) = hooks.deliveries(endpoint["id"])
    assert 1_190 < seconds_until(delivery["nextAttemptAt"]) < 1_202


def test_a_servers_own_pace_uses_up_no_tries_until_the_time_is_over(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(429, {"Retry-After": "1"})
    endpoint = hooks.register(sink.url())
    hooks.happen()
    for send in [hooks.send, *[hooks.send_later] * 14]:
        send()
    (delivery,) = hooks.deliveries(endpoint["id"])
    assert (delivery["status"], delivery["attemptCount"]) == ("retrying", 15)

    row = Delivery.objects.across_workspaces().filter(pk=delivery["id"])
    row.update(first_tried_at=clock.now() - timedelta(hours=75), tries=len(schedule.WAITS))
    hooks.send_later()

    assert hooks.delivery(delivery["id"])["status"] == "failed"


def test_410_disables_at_once(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(410)
    endpoint = hooks.register(sink.url())
    hooks.happen(3)

    hooks.send()
    hooks.send_later()

    shown = hooks.endpoint(endpoint["id"])
    assert (shown["status"], shown["disabledReason"]) == ("disabled", "Its server answered 410 Gone")
    assert shown["disabledAt"]
    (told,) = hooks.events("mail.webhook.disabled")
    assert told["data"]["reason"] == "Its server answered 410 Gone"
    assert "secret" not in str(told).lower()
    assert len(sink.got) <= 4
    refused = [d for d in hooks.deliveries(endpoint["id"]) if d["attemptCount"]]
    assert {d["status"] for d in refused} == {"failed"}


def test_three_days_without_success_disable(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    for send in [hooks.send, *[hooks.send_later] * (schedule.FAILING_TRIES - 2)]:
        send()
    age(endpoint, failing_since=timedelta(days=2, hours=23))
    hooks.happen()
    hooks.send_later()
    assert hooks.endpoint(endpoint["id"])["status"] == "active"
    age(endpoint, failing_since=timedelta(hours=2))

    hooks.send_later()

    assert hooks.endpoint(endpoint["id"])["status"] == "disabled"
    assert [row["data"]["reason"] for row in hooks.events("mail.webhook.disabled")] == ["It failed for too long"]


def test_fifty_given_up_in_a_row_disable(hooks: Hooks, sink: WebSink, settings: Any) -> None:
    settings.WEBHOOK_RETRY_SCHEDULE = (1,)
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    row = row_of(endpoint)
    row.failed_in_a_row = schedule.FAILED_IN_A_ROW - 1
    row.save()

    hooks.send_later()

    assert hooks.endpoint(endpoint["id"])["status"] == "disabled"


def test_one_success_forgets_all_failures(hooks: Hooks, sink: WebSink) -> None:
    answers = iter([Say(500), Say(500), Say(200)])
    sink.answering = lambda got: next(answers)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    for send in (hooks.send, hooks.send_later):
        send()
    before = hooks.endpoint(endpoint["id"])
    assert (before["failureCount"], before["lastSuccessAt"]) == (2, None)
    assert before["failingSince"] < before["lastFailureAt"]

    hooks.send_later()

    after = hooks.endpoint(endpoint["id"])
    assert (after["failureCount"], after["failingSince"]) == (0, None)
    assert after["lastSuccessAt"] > after["lastFailureAt"] == before["lastFailureAt"]


def test_a_dead_endpoint_is_asked_once_at_a_time(hooks: Hooks, sink: WebSink) -> None:
    """However much waits for it: after a few tries it rests, and then one request shows whether it is back."""
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    ids = hooks.happen(30)

    hooks.send()

    first = len(sink.got)
    assert first <= 5 + 1
    for _ in range(3):
        hooks.send_later()
    assert len(sink.got) == first + 3
    assert row_of(endpoint).paused_until is not None

    sink.answering = lambda got: Say(200)
    hooks.send_later()
    assert sorted(set(sink.ids())) == ids
    assert {delivery["status"] for delivery in hooks.deliveries(endpoint["id"], limit=100)} == {"succeeded"}


def test_one_bad_event_among_good_ones_holds_nothing_up(hooks: Hooks, sink: WebSink) -> None:
    ids = hooks.happen(20)
    sink.answering = lambda got: Say(500 if got.headers["StackShift-Event-Id"] == ids[3] else 200)
    endpoint = hooks.register(sink.url())

    hooks.send()

    assert sorted(set(sink.ids())) == ids
    failing = [d for d in hooks.deliveries(endpoint["id"], limit=100) if d["status"] != "succeeded"]
    assert [delivery["eventId"] for delivery in failing] == [ids[3]]


def test_a_dead_and_a_slow_endpoint_delay_no_other(hooks: Hooks, sinks: Callable[..., WebSink]) -> None:
    done: list[str] = []

    def healthy(got: Got) -> Say:
        done.append(got.headers["StackShift-Event-Id"])
        if len(done) == 20:
            slow.stopped.set()
        return Say()

    slow, dead, good = sinks(lambda got: Say(wait=60)), sinks(lambda got: Say(raw=b"")), sinks(healthy)
    for each in (slow, dead, good):
        hooks.register(each.url())
    ids = hooks.happen(20)

    hooks.send()  # the slow one answers only when the good one has everything

    assert sorted(good.ids()) == ids
    assert slow.most_open <= 4
    assert len(dead.got) < 20


def test_retry_sends_what_was_given_up_now(hooks: Hooks, sink: WebSink, settings: Any) -> None:
    settings.WEBHOOK_RETRY_SCHEDULE = (3600,)
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    hooks.send_later()
    (delivery,) = hooks.deliveries(endpoint["id"], status="failed")

    again = hooks.api.post(f"{DELIVERIES}/{delivery['id']}/retry")
    sink.answering = lambda got: Say(200)
    hooks.send()

    assert (again.status, again.data["status"]) == (200, "pending")
    assert abs(seconds_until(again.data["nextAttemptAt"])) < 5
    shown = hooks.delivery(delivery["id"])
    assert (shown["status"], shown["attemptCount"]) == ("succeeded", 3)
    assert [a["attemptNumber"] for a in shown["attempts"]] == [1, 2, 3]
    before = stored.everything()
    refused = hooks.api.post(f"{DELIVERIES}/{delivery['id']}/retry")
    assert (refused.status, refused.code) == (409, "invalid_state")
    assert stored.everything() == before


def test_what_waits_for_a_disabled_endpoint_goes_out_when_it_is_active_again(hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    (waiting,) = hooks.happen()
    hooks.send()
    hooks.api.patch(f"{WEBHOOKS}/{endpoint['id']}", {"status": "disabled"})
    hooks.happen()
    hooks.send_later()
    assert len(sink.got) == 1
    (delivery,) = hooks.deliveries(endpoint["id"])
    refused = hooks.api.post(f"{DELIVERIES}/{delivery['id']}/retry")
    assert (refused.status, refused.code) == (409, "invalid_state")

    sink.answering = lambda got: Say(200)
    active = hooks.api.patch(f"{WEBHOOKS}/{endpoint['id']}", {"status": "active"})
    hooks.send_later()

    assert (active.data["status"], active.data["failureCount"], active.data["disabledReason"]) == ("active", 0, None)
    # What happened while it was disabled is not among what waited; it can be replayed.
    assert sink.ids() == [waiting, waiting]
