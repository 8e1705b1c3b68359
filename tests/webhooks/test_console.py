"""Webhooks in the console: how endpoints do, what did not arrive, and the actions of whoever may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from apps.core import clock
from apps.webhooks.models import Delivery, Endpoint, Replay
from apps.workspaces.models import User, Workspace
from tests import stored
from tests.console.conftest import console, staff
from tests.fakes.web_sink import Say, WebSink
from tests.webhooks.conftest import WEBHOOKS, Hooks, row_of
from tests.webhooks.making import make_delivery, make_endpoint

__all__ = ["console", "staff"]
pytestmark = pytest.mark.django_db(transaction=True)
LIST, DELIVERIES = "/admin/webhooks/endpoint/", "/admin/webhooks/delivery/"


def act(console: Client, where: str, action: str, *rows: Any, **fields: Any) -> Any:
    data = {"action": action, "index": 0, "_selected_action": [str(row.pk) for row in rows], **fields}
    return console.post(where, data, follow=True)


def record_of(row: Any) -> list[str]:
    return list(LogEntry.objects.filter(object_id=str(row.pk)).order_by("pk").values_list("change_message", flat=True))


def told(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_page_of_one_tells_how_it_does(console: Client, hooks: Hooks, sink: WebSink) -> None:
    ids = hooks.happen(4)
    sink.answering = lambda got: Say(500 if got.headers["StackShift-Event-Id"] == ids[0] else 200, body=b"<b>no</b>")
    endpoint = hooks.register(sink.url())
    hooks.send()
    (failing,) = hooks.deliveries(endpoint["id"], status="retrying")

    page = console.get(f"{LIST}{endpoint['id']}/change/").content.decode()
    delivery = console.get(f"{DELIVERIES}{failing['id']}/change/").content.decode()

    assert "75 % of the last day" in page
    assert "3 arrived, 1 did not" in page
    assert "1 waiting" in page
    assert f"{DELIVERIES}{failing['id']}/change/" in page
    assert "Your server answered 500" in page
    assert endpoint["secret"] not in page
    assert row_of(endpoint).secret_sealed not in page
    assert "Your server answered 500" in delivery
    assert "&lt;b&gt;no&lt;/b&gt;" in delivery
    assert "&quot;type&quot;:&quot;mail.message.queued&quot;" in delivery


def test_a_disabled_one_says_why_and_the_index_too(console: Client, hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(410)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()

    page = console.get(f"{LIST}{endpoint['id']}/change/").content.decode()
    tiles = {tile.label: (tile.value, tile.is_alarming) for tile in console.get("/admin/").context["overview"]}

    assert "Its server answered 410 Gone" in page
    assert 'value="Enable"' in page
    assert 'value="Disable"' not in page
    assert tiles["webhooks disabled by failure"] == ("1", True)
    assert tiles["failing webhooks"] == ("0", False)


def test_it_is_disabled_and_enabled_for_the_record(console: Client, workspace: Workspace) -> None:
    row = make_endpoint(workspace)

    first = act(console, LIST, "disable", row)
    again = act(console, LIST, "disable", row)
    second = act(console, LIST, "enable", row)

    assert [told(answer) for answer in (first, again, second)] == [
        ["Disabled: 1."],
        ["Unchanged: 1. There was nothing to change."],
        ["Enabled: 1."],
    ]
    assert record_of(row) == ["Disabled.", "Enabled."]


def test_a_test_is_sent(console: Client, hooks: Hooks, sink: WebSink) -> None:
    row = row_of(hooks.register(sink.url()))
    assert told(act(console, LIST, "send_test", row)) == ["Sent a test: 1."]
    hooks.send()
    assert [got.headers["StackShift-Event-Type"] for got in sink.got] == ["mail.webhook.test"]
    assert record_of(row) == ["Sent a test."]


def test_a_delivery_is_retried(console: Client, hooks: Hooks, sink: WebSink) -> None:
    sink.answering = lambda got: Say(500)
    endpoint = hooks.register(sink.url())
    hooks.happen()
    hooks.send()
    sink.answering = lambda got: Say(200)
    delivery = Delivery.objects.across_workspaces().get()

    answer = act(console, DELIVERIES, "retry", delivery)
    hooks.send()
    refused = act(console, DELIVERIES, "retry", delivery)

    assert told(answer) == ["Made due now: 1."]
    assert hooks.deliveries(endpoint["id"])[0]["status"] == "succeeded"
    assert told(refused)[0].startswith("Unchanged: 1. This delivery has succeeded")
    assert record_of(delivery) == ["Made due now."]


def test_a_range_is_replayed_after_it_was_asked_for(console: Client, hooks: Hooks, sink: WebSink) -> None:
    ids = hooks.happen(2)
    hooks.send()
    row = row_of(hooks.register(sink.url()))
    since = clock.now() - timedelta(hours=1)

    form = act(console, LIST, "replay", row)
    before = stored.everything()
    wrong = act(console, LIST, "replay", row, confirmed="1", since="soon")
    backwards = act(console, LIST, "replay", row, confirmed="1", since="2026-01-02T00:00", until="2026-01-01T00:00")
    assert stored.everything() == before
    done = act(console, LIST, "replay", row, confirmed="1", since=f"{since:%Y-%m-%dT%H:%M}", until="")
    hooks.send()

    for answer in (form, wrong, backwards):
        assert answer.templates[0].name == "admin/webhooks/endpoint/replay.html"
    assert told(done)[0].startswith("Replayed events of ")
    assert sorted(sink.ids()) == ids
    assert [replay.event_count for replay in Replay.objects.across_workspaces()] == [2]
    assert len(record_of(row)) == 1


def test_a_reader_sees_and_changes_nothing(client: Client, workspace: Workspace) -> None:
    row = make_endpoint(workspace)
    delivery = make_delivery(workspace, row)
    reader = User.objects.create_user("reader@example.com", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)
    assert client.get(f"{LIST}{row.pk}/change/").status_code == 200
    before = stored.everything()

    for where, action, target in ((LIST, "disable", row), (LIST, "replay", row), (DELIVERIES, "retry", delivery)):
        act(client, where, action, target, confirmed="1", since="2026-01-01T00:00")

    assert stored.everything() == before


def test_the_secret_cannot_be_asked_for_letter_by_letter(console: Client, workspace: Workspace) -> None:
    row = make_endpoint(workspace)
    sealed = Endpoint.objects.of(workspace.pk).get(pk=row.pk).secret_sealed
    for query in (f"secret_sealed={sealed}", "secret_sealed__startswith=g"):
        assert console.get(f"{LIST}?{query}").status_code in (302, 400)


def test_a_list_is_searched_by_ids(
    console: Client, hooks: Hooks, sinks: Callable[..., WebSink], workspace: Workspace
) -> None:
    one, other = (hooks.register(sinks().url()) for _ in range(2))
    hooks.happen()
    hooks.send()
    found = console.get(f"{DELIVERIES}?q={one['id']}").context["cl"].result_list
    assert [str(row.endpoint_id) for row in found] == [one["id"]]
    listed = console.get(f"{DELIVERIES}?endpoint_id={other['id']}").context["cl"].result_list
    assert [str(row.endpoint_id) for row in listed] == [other["id"]]
    assert [str(row.pk) for row in console.get(LIST).context["cl"].result_list] == [other["id"], one["id"]]
    assert hooks.api.delete(f"{WEBHOOKS}/{one['id']}").status == 204
