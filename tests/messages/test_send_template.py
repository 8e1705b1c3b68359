"""Sending what a template makes: checked and rendered before anything is stored."""

from typing import Any

import pytest

from apps.events.models import Event
from apps.messages.models import Message, MessageContent, Recipient
from apps.templates.models import Template
from apps.templates.services import authoring
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import MESSAGES, SEND_TEMPLATE, Answer, Api
from tests.conftest import World
from tests.factories import make_key, suppress
from tests.templates.making import make_template


@pytest.fixture
def template(workspace: Workspace) -> Template:
    return make_template(
        workspace,
        "receipt",
        subject="Order {{ order.id }}",
        html="<p>Thank you, {{ name }}.</p>",
        text="Thank you, {{ name }}.",
    )


DATA = {"name": "Ada & Co", "order": {"id": 7}}


def body(**changes: Any) -> dict[str, Any]:
    whole = {"template": "receipt", "from": "shop@shop.example", "to": "ada@example.com", "data": DATA} | changes
    return {name: value for name, value in whole.items() if value is not None}


def assert_refused(api: Api, status: int, code: str, **changes: Any) -> Answer:
    before = stored.everything()

    answer = api.post(SEND_TEMPLATE, body(**changes))

    assert (answer.status, answer.code) == (status, code)
    assert stored.everything() == before
    return answer


@pytest.mark.parametrize("reference", ["slug", "id"])
def test_renders_and_says_which_version_it_was(api: Api, template: Template, reference: str) -> None:
    named = "receipt" if reference == "slug" else str(template.pk)

    answer = api.post(SEND_TEMPLATE, body(template=named))

    assert answer.status == 202
    shown = api.get(f"{MESSAGES}/{answer.data['id']}").data
    assert (shown["subject"], shown["text"]) == ("Order 7", "Thank you, Ada & Co.")
    assert "Thank you, Ada &amp; Co." in shown["html"]
    assert (shown["templateId"], shown["templateVersionId"]) == (str(template.pk), str(template.active_version_id))


def test_names_every_missing_variable_and_stores_nothing(api: Api, template: Template) -> None:
    answer = assert_refused(api, 400, "missing_variables", data={})

    assert sorted(answer.body["error"]["details"]["missingVariables"]) == ["name", "order.id"]


def test_a_pinned_version_is_sent_also_when_another_is_active(api: Api, template: Template) -> None:
    pinned = str(template.active_version_id)
    authoring.update(template, {"subject": "Changed"})

    old = api.post(SEND_TEMPLATE, body(versionId=pinned))
    new = api.post(SEND_TEMPLATE, body())

    assert api.get(f"{MESSAGES}/{old.data['id']}").data["subject"] == "Order 7"
    assert api.get(f"{MESSAGES}/{new.data['id']}").data["subject"] == "Changed"


@pytest.mark.parametrize("changes", [{"template": "unknown"}, {"versionId": "x"}])
def test_what_is_not_there_is_not_found(api: Api, template: Template, changes: dict[str, Any]) -> None:
    assert_refused(api, 404, "not_found", **changes)


def test_a_deleted_template_is_not_found_and_a_strangers_neither(world: World, template: Template) -> None:
    assert_refused(world.stranger.api, 404, "not_found", **{"from": "a@stranger.example"}, template=str(template.pk))
    authoring.delete(template)
    assert_refused(world.owner.api, 404, "not_found")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"template": None}, "template"),
        ({"template": 1}, "template"),
        ({"data": []}, "data"),
        ({"data": {"x": 2**64}}, "data"),
        ({"data": {"x": "y" * 256_000}}, "data"),
        ({"subject": "S"}, "subject"),
        ({"html": "<p>H</p>"}, "html"),
        ({"to": None}, "to"),
        ({"versionId": 1}, "versionId"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refuses_with_the_field_named(api: Api, template: Template, changes: dict[str, Any], field: str) -> None:
    answer = assert_refused(api, 400, "validation_error", **changes)

    assert list(answer.fields) == [field]


def test_a_value_cannot_bring_in_characters_that_mail_must_not_have(api: Api, template: Template) -> None:
    assert_refused(api, 400, "template_render_error", data=DATA | {"name": "a\x01b"})


@pytest.mark.parametrize("value", ["a\r\nBcc: b@example.com", "a\nb", "", " "])
def test_a_value_cannot_end_or_empty_the_subject(api: Api, workspace: Workspace, value: str) -> None:
    make_template(workspace, "receipt", subject="{{ name }}", html="", text="T")

    assert_refused(api, 400, "template_render_error", data={"name": value})


def test_the_workspace_has_a_sender_for_who_names_none(api: Api, template: Template, workspace: Workspace) -> None:
    answer = assert_refused(api, 400, "validation_error", **{"from": None})
    assert list(answer.fields) == ["from"]
    Workspace.objects.filter(pk=workspace.pk).update(default_sender="Shop <hello@shop.example>")

    answer = api.post(SEND_TEMPLATE, body(**{"from": None}))

    assert answer.status == 202
    sender = api.get(f"{MESSAGES}/{answer.data['id']}").data["from"]
    assert sender == {"email": "hello@shop.example", "name": "Shop"}


def test_a_repeat_with_its_key_is_one_message_also_after_the_template_is_gone(api: Api, template: Template) -> None:
    first = api.post(SEND_TEMPLATE, body(idempotencyKey="welcome:1"))
    other = api.post(SEND_TEMPLATE, body(idempotencyKey="welcome:1", data=DATA | {"name": "Bob"}))
    authoring.delete(template)
    again = api.post(SEND_TEMPLATE, body(idempotencyKey="welcome:1"))

    assert (first.status, first.data["idempotencyStatus"]) == (202, "created")
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert (again.status, again.data["idempotencyStatus"], again.data["id"]) == (200, "replayed", first.data["id"])


def test_an_old_key_for_another_request_is_a_conflict_also_without_the_template(api: Api, template: Template) -> None:
    api.post(SEND_TEMPLATE, body(idempotencyKey="welcome:1"))
    authoring.delete(template)

    assert_refused(api, 409, "idempotency_conflict", idempotencyKey="welcome:1", to="bob@example.com")


class TestTestSend:
    def test_sends_and_tells(self, api: Api, template: Template, workspace: Workspace) -> None:
        answer = api.post(
            "/v1/mail/templates/receipt/test-send", {"to": "me@example.com", "data": DATA, "from": "a@shop.example"}
        )

        assert answer.status == 202
        assert set(answer.data) == {"messageId", "status"}
        assert answer.data["status"] == "queued"
        assert Recipient.objects.of(workspace.pk).get(message_id=answer.data["messageId"]).email == "me@example.com"
        event = Event.objects.of(workspace.pk).get(type="mail.template.test_sent")
        assert (str(event.message_id), event.resource_id) == (answer.data["messageId"], template.pk)
        assert event.data == {"versionId": str(template.active_version_id), "recipients": ["me@example.com"]}

    def test_a_suppressed_address_gets_none(self, api: Api, template: Template, workspace: Workspace) -> None:
        suppress(workspace.pk, "me@example.com")

        answer = api.post(
            "/v1/mail/templates/receipt/test-send", {"to": "me@example.com", "data": DATA, "from": "a@shop.example"}
        )

        assert answer.data["status"] == "suppressed"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"data": {}}, "missing_variables"),
            ({"to": "nobody"}, "validation_error"),
            ({"idempotencyKey": "x"}, "validation_error"),
            ({"template": "receipt"}, "validation_error"),
            ({"simulation": {"scenario": "bounced"}}, "validation_error"),
        ],
    )
    def test_refuses(self, api: Api, template: Template, changes: dict[str, Any], code: str) -> None:
        before = stored.everything()
        sent = {"to": "me@example.com", "data": DATA, "from": "a@shop.example"} | changes

        answer = api.post("/v1/mail/templates/receipt/test-send", sent)

        assert (answer.status, answer.code) == (400, code)
        assert stored.everything() == before

    def test_is_not_found_for_a_stranger_whatever_he_sends(self, world: World, template: Template) -> None:
        for sent in ({}, {"to": "me@example.com", "data": DATA, "from": "a@stranger.example"}):
            answer = world.stranger.api.post(f"/v1/mail/templates/{template.pk}/test-send", sent)
            assert (answer.status, answer.code) == (404, "not_found")

    def test_simulates_with_a_test_key(self, world: World) -> None:
        row, key = make_key(world.owner.workspace, is_test=True)
        make_template(row.workspace, "receipt")
        sent = {"to": "me@example.com", "data": {}, "from": "a@shop.example", "simulation": {"scenario": "bounced"}}

        answer = Api(key).post("/v1/mail/templates/receipt/test-send", sent)

        assert answer.status == 202
        assert MessageContent.objects.get(pk=answer.data["messageId"]).scenario == "bounced"
        assert Message.objects.of(world.owner.workspace.pk).count() == 0
