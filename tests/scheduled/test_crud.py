"""Scheduling, reading, moving and canceling mail for later."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from apps.core import clock
from apps.events.models import Event
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from apps.scheduled.services import creating
from apps.scheduled.tasks import dispatch
from apps.templates.services import authoring
from apps.workspaces.models import Workspace
from apps.workspaces.services import switch
from tests import stored
from tests.client import MESSAGES, SEND, Api, mail
from tests.conftest import World
from tests.factories import make_domain, make_key, suppress
from tests.scheduled.making import SCHEDULED, at, bring_due, due_again, fresh, later, make_scheduled
from tests.templates.making import make_template

TEMPLATE = {"slug": "welcome", "subject": "Hello {{ name }}", "html": "<p>{{ name }}</p>", "text": "Hi {{ name }}"}
TEMPLATE_SEND = {
    "template": "welcome",
    "from": "shop@shop.example",
    "to": "ada@example.com",
    "data": {"name": "Ada"},
}
KEYS = {
    *("id", "status", "sendAt", "kind", "subject", "recipients", "templateVersionId", "messageId", "messageStatus"),
    *("idempotencyKey", "wait", "error", "createdAt", "updatedAt", "canceledAt"),
}


def told(workspace: Workspace) -> list[str]:
    found = Event.objects.of(workspace.pk).filter(type__startswith="mail.scheduled").order_by("pk")
    return list(found.values_list("type", flat=True))


def test_mail_for_later_is_kept_and_nothing_is_sent(api: Api, workspace: Workspace) -> None:
    send_at = at()

    made = api.post(SCHEDULED, later(send_at, cc=["grace@example.com"]))

    assert made.status == 201
    assert set(made.data) == {*KEYS, "payload", "idempotencyStatus"}
    expected = {
        "status": "scheduled",
        "sendAt": send_at,
        "kind": "message",
        "subject": "Your order",
        "recipients": ["ada@example.com", "grace@example.com"],
        "templateVersionId": None,
        "messageId": None,
        "messageStatus": None,
        "idempotencyKey": None,
        "idempotencyStatus": "none",
        "error": None,
        "canceledAt": None,
        "payload": mail(cc=["grace@example.com"]),
    }
    assert {name: made.data[name] for name in expected} == expected
    assert (made.data["wait"]["code"], made.data["wait"]["until"]) == ("not_due", send_at)
    assert Message.objects.of(workspace.pk).count() == 0
    assert dispatch() == 0
    event = Event.objects.of(workspace.pk).get()
    assert (event.type, event.resource_type, str(event.resource_id)) == (
        *("mail.scheduled.created", "scheduled"),
        made.data["id"],
    )
    assert event.data == {
        "kind": "message",
        "sendAt": send_at,
        "subject": "Your order",
        "recipients": ["ada@example.com", "grace@example.com"],
    }


def test_it_is_read_as_it_was_made_and_listed_without_its_payload(api: Api) -> None:
    first, second = (api.post(SCHEDULED, later()).data for _ in range(2))

    one = api.get(f"{SCHEDULED}/{first['id']}")
    listed = api.get(SCHEDULED)

    assert one.data == {name: value for name, value in first.items() if name != "idempotencyStatus"}
    assert [row["id"] for row in listed.rows] == [second["id"], first["id"]]
    assert {frozenset(row) for row in listed.rows} == {frozenset(KEYS)}


def test_lists_are_paged_and_filtered(api: Api) -> None:
    ids = [api.post(SCHEDULED, later()).data["id"] for _ in range(3)]
    api.post(f"{SCHEDULED}/{ids[1]}/cancel")

    page = api.get(SCHEDULED, {"limit": "2"})
    rest = api.get(SCHEDULED, {"limit": "2", "cursor": page.data["nextCursor"]})

    assert [row["id"] for row in [*page.rows, *rest.rows]] == ids[::-1]
    assert rest.data["nextCursor"] is None
    assert [row["id"] for row in api.get(SCHEDULED, {"status": "canceled"}).rows] == [ids[1]]
    assert [row["id"] for row in api.get(SCHEDULED, {"kind": "template"}).rows] == []
    assert api.get(SCHEDULED, {"status": "nothing"}).fields.keys() == {"status"}


@pytest.mark.parametrize("place", ["template", "templateMessage", "sendTemplate", ""])
def test_a_template_is_taken_in_each_form_and_pinned_as_it_is_now(api: Api, workspace: Workspace, place: str) -> None:
    template = make_template(workspace, **TEMPLATE)
    body = {"sendAt": at(), **({place: TEMPLATE_SEND} if place else TEMPLATE_SEND)}

    made = api.post(SCHEDULED, body)
    authoring.update(template, {"subject": "Changed {{ name }}"})
    bring_due(workspace)

    assert made.status == 201
    assert (made.data["kind"], made.data["payload"]) == ("template", TEMPLATE_SEND)
    assert made.data["templateVersionId"] == str(template.active_version_id)
    assert dispatch() == 1
    message = Message.objects.of(workspace.pk).get()
    assert (message.subject, message.template_version_id) == ("Hello Ada", template.active_version_id)
    assert message.template_id == template.pk


def test_a_version_may_be_named(api: Api, workspace: Workspace) -> None:
    template = make_template(workspace, **TEMPLATE)
    first = str(template.active_version_id)
    authoring.update(template, {"subject": "Changed {{ name }}"})

    made = api.post(SCHEDULED, {"sendAt": at(), "template": TEMPLATE_SEND | {"versionId": first}})

    assert (made.status, made.data["templateVersionId"], made.data["subject"]) == (201, first, "Hello Ada")


def test_mail_is_sent_though_its_template_was_deleted(api: Api, workspace: Workspace) -> None:
    template = make_template(workspace, **TEMPLATE)
    row = make_scheduled(workspace, {"sendAt": at(), "template": TEMPLATE_SEND})
    assert authoring.delete(template)
    bring_due(workspace)

    assert dispatch() == 1

    assert fresh(row).status == "sent"
    message = Message.objects.of(workspace.pk).select_related("content").get()
    assert (message.subject, message.content.text) == ("Hello Ada", "Hi Ada")
    assert api.get(f"{SCHEDULED}/{row.pk}").data["messageId"] == str(message.pk)


def test_a_canceled_one_is_never_sent(api: Api, workspace: Workspace) -> None:
    made = api.post(SCHEDULED, later()).data

    canceled = api.post(f"{SCHEDULED}/{made['id']}/cancel")
    bring_due(workspace)

    assert (canceled.status, canceled.data["status"]) == (200, "canceled")
    assert canceled.data["canceledAt"] is not None
    assert canceled.data["wait"] is None
    assert dispatch() == 0
    assert Message.objects.of(workspace.pk).count() == 0
    assert told(workspace) == ["mail.scheduled.created", "mail.scheduled.canceled"]


@pytest.mark.parametrize("status", ["canceled", "sent", "failed"])
def test_what_has_ended_is_neither_canceled_nor_moved(api: Api, workspace: Workspace, status: str) -> None:
    row = make_scheduled(workspace)
    Scheduled.objects.of(workspace.pk).update(status=status, due_at=None)
    before = stored.everything()

    answers = [
        api.post(f"{SCHEDULED}/{row.pk}/cancel"),
        api.call("PATCH", f"{SCHEDULED}/{row.pk}", {"sendAt": at(timedelta(days=2))}),
    ]

    for answer in answers:
        assert (answer.status, answer.code) == (409, "invalid_state")
        assert answer.body["error"]["details"] == {"status": status}
    assert stored.everything() == before


def test_it_is_moved_to_another_time(api: Api, workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    send_at = at(timedelta(days=3))

    moved = api.call("PATCH", f"{SCHEDULED}/{row.pk}", {"sendAt": send_at})

    assert (moved.status, moved.data["sendAt"], moved.data["status"]) == (200, send_at, "scheduled")
    assert clock.wire_time(fresh(row).due_at) == send_at


def test_what_waits_for_something_is_moved_too(api: Api, workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    switch(workspace, Workspace.Status.SUSPENDED)
    bring_due(workspace)
    dispatch()
    assert fresh(row).wait_code == "workspace_suspended"

    moved = api.call("PATCH", f"{SCHEDULED}/{row.pk}", {"sendAt": at()})

    assert (moved.status, moved.data["wait"]["code"], moved.data["wait"]["detail"]) == (200, "not_due", None)


@pytest.mark.parametrize("place", ["message", "top", "header"])
def test_the_same_key_makes_one(api: Api, workspace: Workspace, place: str) -> None:
    body = later(idempotencyKey="order-1" if place == "message" else None)
    if place == "top":
        body["idempotencyKey"] = "order-1"
    headers = {"Idempotency_Key": "order-1"} if place == "header" else {}

    first = api.post(SCHEDULED, body, **headers)
    again = api.post(SCHEDULED, body, **headers)
    other = api.post(SCHEDULED, body | {"sendAt": at(timedelta(days=2))}, **headers)

    assert (first.status, first.data["idempotencyStatus"]) == (201, "created")
    assert (again.status, again.data["idempotencyStatus"]) == (200, "replayed")
    assert again.data["id"] == first.data["id"]
    assert first.data["idempotencyKey"] == "order-1"
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert other.body["error"]["details"] == {"scheduledId": first.data["id"]}
    assert Scheduled.objects.of(workspace.pk).count() == 1
    assert told(workspace) == ["mail.scheduled.created"]


def test_a_repeat_is_known_after_its_time_and_without_its_template(api: Api, workspace: Workspace) -> None:
    template = make_template(workspace, **TEMPLATE)
    send_at = at(timedelta(seconds=-2))
    body = {"sendAt": send_at, "template": TEMPLATE_SEND | {"idempotencyKey": "order-1"}}
    first = api.post(SCHEDULED, body)
    authoring.delete(template)
    assert dispatch() == 1

    again = api.post(SCHEDULED, body)

    assert (again.status, again.data["id"], again.data["status"]) == (200, first.data["id"], "sent")
    assert again.data["messageStatus"] == "queued"


def test_a_key_of_mail_sent_at_once_is_another(api: Api) -> None:
    assert api.post(SEND, mail(idempotencyKey="order-1")).status == 202
    assert api.post(SCHEDULED, later(idempotencyKey="order-1")).status == 201


def test_keys_in_two_places_have_to_be_one(api: Api) -> None:
    body = later(idempotencyKey="order-1") | {"idempotencyKey": "order-2"}
    before = stored.everything()

    answer = api.post(SCHEDULED, body)

    assert (answer.status, list(answer.fields)) == (400, ["message.idempotencyKey"])
    assert stored.everything() == before


def test_suppressions_do_not_matter_until_its_time(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "ada@example.com")

    made = api.post(SCHEDULED, later())
    bring_due(workspace)
    dispatch()

    assert made.status == 201
    shown = api.get(f"{SCHEDULED}/{made.data['id']}").data
    assert (shown["status"], shown["messageStatus"]) == ("sent", "suppressed")


def test_limits_do_not_matter_until_its_time(api: Api, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=0)

    assert api.post(SCHEDULED, later()).status == 201


@pytest.mark.parametrize("verified", [None, False])
def test_an_unverified_sender_is_refused_at_once(api: Api, workspace: Workspace, verified: bool | None) -> None:
    if verified is not None:
        make_domain(workspace, "new.example", verified=verified)
    before = stored.everything()

    answer = api.post(SCHEDULED, later(**{"from": "a@new.example"}, idempotencyKey="order-1"))

    assert (answer.status, answer.code) == (403, "domain_not_verified")
    assert stored.everything() == before


def test_a_test_key_needs_no_domain(world: World) -> None:
    api = Api(make_key(world.owner.workspace, is_test=True)[1])

    made = api.post(SCHEDULED, later(**{"from": "a@new.example"}, simulation={"scenario": "bounced"}))

    assert made.status == 201
    twin = Scheduled.objects.across_workspaces().get()
    bring_due(twin.workspace)
    assert dispatch() == 1
    assert fresh(twin).status == "sent"
    assert world.owner.api.get(SCHEDULED).rows == []


def test_a_suspended_workspace_schedules_nothing(api: Api, workspace: Workspace) -> None:
    switch(workspace, Workspace.Status.SUSPENDED)
    before = stored.everything()

    answer = api.post(SCHEDULED, later())

    assert (answer.status, answer.code) == (403, "sending_disabled")
    assert stored.everything() == before


@pytest.mark.parametrize("place", ["template", "sendTemplate", ""])
def test_all_missing_variables_are_told_at_once(api: Api, workspace: Workspace, place: str) -> None:
    make_template(workspace, **TEMPLATE | {"text": "{{ a }} {{ b }}", "html": "<p>{{ c }}</p>"})
    wanted = TEMPLATE_SEND | {"idempotencyKey": "order-1"}
    before = stored.everything()

    answer = api.post(SCHEDULED, {"sendAt": at(), **({place: wanted} if place else wanted)})

    assert (answer.status, answer.code) == (400, "missing_variables")
    assert sorted(answer.body["error"]["details"]["missingVariables"]) == ["a", "b", "c"]
    assert stored.everything() == before


def test_an_unknown_template_is_named_where_it_stands(api: Api) -> None:
    nested = api.post(SCHEDULED, {"sendAt": at(), "sendTemplate": TEMPLATE_SEND})
    flat = api.post(SCHEDULED, {"sendAt": at(), **TEMPLATE_SEND})

    assert (nested.status, list(nested.fields)) == (404, ["sendTemplate.template"])
    assert (flat.status, list(flat.fields)) == (404, ["template"])


def test_an_attachment_has_to_be_there(api: Api) -> None:
    unknown = {"assetId": "01890a5d-ac96-774b-bcce-b302099a8057", "filename": "a.pdf"}
    before = stored.everything()

    answer = api.post(SCHEDULED, later(attachments=[unknown]))

    assert (answer.status, answer.code) == (400, "attachment_not_found")
    assert list(answer.fields) == ["message.attachments.0.assetId"]
    assert stored.everything() == before


def test_a_message_says_which_schedule_it_came_of(api: Api, workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    bring_due(workspace)
    dispatch()

    (message,) = api.get(MESSAGES).rows

    assert message["scheduledId"] == str(row.pk)
    assert api.get(f"{SCHEDULED}/{row.pk}").data["messageId"] == message["id"]
    timeline = api.get(f"{MESSAGES}/{message['id']}/timeline").rows
    assert [item["type"] for item in timeline] == ["mail.message.queued", "mail.scheduled.dispatched"]


def shown_wait(api: Api, row: Scheduled) -> dict[str, Any]:
    wait: dict[str, Any] = api.get(f"{SCHEDULED}/{row.pk}").data["wait"]
    return wait


def test_what_is_due_says_that_it_waits_for_a_worker(api: Api, workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    moment = bring_due(workspace)

    assert (shown_wait(api, row)["code"], shown_wait(api, row)["since"]) == ("queued", clock.wire_time(moment))
    due_again(row)
    dispatch()
    assert shown_wait(api, row) is None


def test_numbers_are_given_back_as_they_came(api: Api, workspace: Workspace) -> None:
    make_template(workspace, text="Hi")
    sent_as = {"template": "welcome", "from": "shop@shop.example", "to": "ada@example.com", "data": {"z": 1e20, "a": 1}}

    made = api.post(SCHEDULED, {"sendAt": at(), "template": sent_as})
    read = api.get(f"{SCHEDULED}/{made.data['id']}")

    assert (made.status, read.status) == (201, 200)
    assert list(read.data["payload"]["data"].items()) == [("z", 1e20), ("a", 1)]


def test_a_workspace_has_so_much_waiting_and_no_more(api: Api) -> None:
    api.post(SCHEDULED, later())
    before = stored.everything()

    with patch.object(creating, "MAX_WAITING", 1):
        many = api.post(SCHEDULED, later())
    with patch.object(creating, "MAX_WAITING_BYTES", 10):
        large = api.post(SCHEDULED, later())

    assert {(answer.status, answer.code) for answer in (many, large)} == {(429, "scheduled_limit_exceeded")}
    assert many.headers["Retry-After"] == "3600"
    assert stored.everything() == before
