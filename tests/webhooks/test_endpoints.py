"""Endpoints are made, shown, changed and taken away; the secret is shown twice in its life and stored sealed."""

from typing import Any

import pytest

from apps.core.crypto import unseal
from apps.events.models import Event
from apps.events.types import EventType
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.services.endpoints import MAX_ENDPOINTS
from apps.webhooks.services.purge import purge
from tests import stored
from tests.client import Api
from tests.fakes.web_sink import WebSink
from tests.webhooks.conftest import DELIVERIES, WEBHOOKS, Hooks, row_of
from tests.webhooks.test_delivering import is_signed

pytestmark = pytest.mark.django_db
URL = "https://hooks.customer.example/hook"
KNOWN = {
    *("id", "url", "description", "status", "eventTypes", "failureCount", "failingSince", "lastSuccessAt"),
    *("lastFailureAt", "lastError", "disabledAt", "disabledReason", "createdAt", "updatedAt"),
}


def make(api: Api, **changes: Any) -> Any:
    answer = api.post(WEBHOOKS, {"url": URL, "eventTypes": ["mail.message.sent"], **changes})
    assert answer.status == 201, answer
    return answer.data


def test_a_new_endpoint_shows_its_secret_this_once(api: Api) -> None:
    made = make(api, description="Orders", eventTypes=["mail.message.bounced", "mail.message.complained"])

    assert set(made) == KNOWN | {"secret"}
    assert made["secret"].startswith("whsec_")
    assert len(made["secret"]) == 50
    assert (made["status"], made["failureCount"], made["description"]) == ("active", 0, "Orders")
    assert made["eventTypes"] == ["mail.message.bounced", "mail.message.complained"]
    assert [made[name] for name in ("lastSuccessAt", "lastFailureAt", "disabledAt")] == [None] * 3
    shown = api.get(f"{WEBHOOKS}/{made['id']}").data
    assert set(shown) == KNOWN
    assert api.get(WEBHOOKS).rows == [shown]
    assert made["secret"] not in str(stored.everything())
    assert unseal(row_of(made).secret_sealed, bound_to=f"webhook:{made['id']}") == made["secret"]


def test_secrets_differ(api: Api) -> None:
    assert len({make(api)["secret"] for _ in range(5)}) == 5


def test_a_description_may_be_null_or_missing(api: Api) -> None:
    assert make(api, description=None)["description"] is None
    assert make(api)["description"] is None


def test_a_change_is_of_what_is_given(api: Api) -> None:
    made = make(api, description="Orders")

    changed = api.patch(f"{WEBHOOKS}/{made['id']}", {"eventTypes": ["*"]}).data

    same = ("url", "description", "status")
    assert {name: changed[name] for name in same} == {name: made[name] for name in same}
    assert changed["eventTypes"] == ["*"]
    assert "secret" not in changed


def test_terraform_sends_all_four_and_an_empty_text_clears(api: Api) -> None:
    made = make(api, description="Orders")
    body = {"url": f"{URL}/2", "description": "", "eventTypes": ["mail.message.failed"], "status": "disabled"}

    changed = api.patch(f"{WEBHOOKS}/{made['id']}", body).data

    assert {name: changed[name] for name in body} == body | {"description": None}
    assert api.patch(f"{WEBHOOKS}/{made['id']}", {"description": None}).data["description"] is None


def test_events_tell_of_it_without_the_secret(api: Api) -> None:
    made = make(api)
    api.patch(f"{WEBHOOKS}/{made['id']}", {"description": "x"})
    api.patch(f"{WEBHOOKS}/{made['id']}", {"description": "x"})  # no change
    rotated = api.post(f"{WEBHOOKS}/{made['id']}/rotate-secret").data
    api.patch(f"{WEBHOOKS}/{made['id']}", {"status": "disabled"})
    api.patch(f"{WEBHOOKS}/{made['id']}", {"status": "active"})

    rows = Event.objects.of(row_of(made).workspace_id).filter(resource_type="webhook").order_by("pk")

    assert [row.type for row in rows] == [
        *("mail.webhook.created", "mail.webhook.updated", "mail.webhook.updated"),
        *("mail.webhook.disabled", "mail.webhook.updated"),
    ]
    assert {str(row.resource_id) for row in rows} == {made["id"]}
    assert not any(secret in str([row.data for row in rows]) for secret in (made["secret"], rotated["secret"]))


@pytest.mark.django_db(transaction=True)
def test_after_a_rotation_the_new_secret_signs_at_once(hooks: Hooks, sink: WebSink) -> None:
    made = hooks.register(sink.url())
    rotated = hooks.api.post(f"{WEBHOOKS}/{made['id']}/rotate-secret")
    hooks.happen()

    hooks.send()

    assert (rotated.status, set(rotated.data)) == (200, KNOWN | {"secret"})
    assert rotated.data["secret"] != made["secret"]
    assert is_signed(sink.got[0], rotated.data["secret"])


@pytest.mark.parametrize(
    "kinds", [[], ["mail.message.nothing"], ["mail.message.*"], ["mail.webhook.test"], "*", [1], [None]]
)
def test_refuses_types_that_are_none(api: Api, kinds: Any) -> None:
    before = stored.everything()
    answer = api.post(WEBHOOKS, {"url": URL, "eventTypes": kinds})
    assert (answer.status, answer.code) == (400, "validation_error")
    assert [name.partition(".")[0] for name in answer.fields] == ["eventTypes"]
    assert stored.everything() == before


def test_refuses_a_type_twice_and_too_many(api: Api) -> None:
    for kinds in (["mail.message.sent"] * 2, ["mail.message.sent"] * 101):
        answer = api.post(WEBHOOKS, {"url": URL, "eventTypes": kinds})
        assert (answer.status, list(answer.fields)) == (400, ["eventTypes"])


def test_takes_every_type_that_there_is(api: Api) -> None:
    kinds = [kind for kind in EventType.values if kind != "mail.webhook.test"]
    assert make(api, eventTypes=kinds)["eventTypes"] == kinds


@pytest.mark.parametrize(
    "body", [{"status": "deleted"}, {"status": None}, {"secret": "whsec_mine"}, {"url": ""}, {"x": 1}]
)
def test_refuses_other_changes(api: Api, body: dict[str, Any]) -> None:
    made = make(api)
    before = stored.everything()
    answer = api.patch(f"{WEBHOOKS}/{made['id']}", body)
    assert (answer.status, list(answer.fields)) == (400, list(body))
    assert stored.everything() == before


def test_refuses_the_fifty_first(api: Api) -> None:
    made = make(api)
    row = row_of(made)
    copies = [Endpoint(**{**_columns(row), "url": f"{URL}/{n}"}) for n in range(MAX_ENDPOINTS - 1)]
    Endpoint.objects.across_workspaces().bulk_create(copies)

    refused = api.post(WEBHOOKS, {"url": URL, "eventTypes": ["*"]})
    api.delete(f"{WEBHOOKS}/{made['id']}")

    assert (refused.status, list(refused.fields)) == (400, ["url"])
    assert api.post(WEBHOOKS, {"url": URL, "eventTypes": ["*"]}).status == 201


def _columns(row: Endpoint) -> dict[str, Any]:
    names = ("workspace_id", "event_types", "secret_sealed", "created_at", "updated_at")
    return {name: getattr(row, name) for name in names}


@pytest.mark.django_db(transaction=True)
def test_a_deleted_endpoint_is_gone_at_once_and_its_history_soon(hooks: Hooks, sink: WebSink) -> None:
    made = hooks.register(sink.url())
    hooks.happen(2)
    hooks.send()
    delivery = hooks.deliveries(made["id"])[0]
    hooks.happen()

    assert hooks.api.delete(f"{WEBHOOKS}/{made['id']}").status == 204
    hooks.send_later()

    assert len(sink.got) == 2
    for path in (f"{WEBHOOKS}/{made['id']}", f"{WEBHOOKS}/{made['id']}/deliveries", f"{DELIVERIES}/{delivery['id']}"):
        assert hooks.api.get(path).status == 404
    assert hooks.api.delete(f"{WEBHOOKS}/{made['id']}").status == 404
    assert hooks.api.get(WEBHOOKS).rows == []
    while purge():
        pass
    assert Endpoint.objects.across_workspaces().count() == 0
    assert Delivery.objects.across_workspaces().count() == DeliveryAttempt.objects.across_workspaces().count() == 0


@pytest.mark.django_db(transaction=True)
def test_deliveries_are_filtered_by_status(hooks: Hooks, sink: WebSink) -> None:
    made = hooks.register(sink.url())
    hooks.happen(2)
    hooks.send()
    rows = hooks.deliveries(made["id"])
    Delivery.objects.across_workspaces().filter(pk=rows[0]["id"]).update(status="failed")

    for status, expected in (("failed", [rows[0]["id"]]), ("succeeded", [rows[1]["id"]]), ("pending", [])):
        assert [row["id"] for row in hooks.deliveries(made["id"], status=status)] == expected
    assert hooks.api.get(f"{WEBHOOKS}/{made['id']}/deliveries", {"status": "lost"}).status == 400
