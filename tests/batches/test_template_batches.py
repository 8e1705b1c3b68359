"""A template batch renders for each recipient; what is shared stands for all, and each may have its own."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from apps.messages.models import Message
from apps.messages.services import drafting
from apps.templates.services import authoring
from apps.workspaces.models import Workspace
from tests import stored
from tests.batches.making import FROM, TEMPLATE_BATCH, read, read_items, template_batch
from tests.client import MESSAGES, SEND, Api, mail
from tests.factories import make_key
from tests.templates.making import make_template

TEMPLATE_SEND = "/v1/mail/send-template"


@pytest.fixture
def template(workspace: Workspace) -> Any:
    return make_template(workspace, subject="Hello {{ name }}", html="<p>{{ name }}: {{ order.id }}</p>", text="")


def person(name: str, **changes: Any) -> dict[str, Any]:
    return {"to": f"{name.lower()}@example.com", "data": {"name": name, "order": {"id": 7}}} | changes


def message(api: Api, row: dict[str, Any]) -> Any:
    return api.get(f"{MESSAGES}/{row['messageId']}").data


def test_each_recipient_gets_a_message_of_its_own(api: Api, template: Any) -> None:
    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), person("Grace & Co", to="grace@example.com")))

    assert (answer.status, answer.data["type"], answer.data["templateId"]) == (202, "template", str(template.pk))
    assert answer.data["templateVersionId"] == str(template.active_version_id)
    ada, grace = [message(api, row) for row in answer.data["items"]]
    assert (ada["subject"], grace["subject"]) == ("Hello Ada", "Hello Grace & Co")
    assert "Ada: 7" in ada["html"]
    assert "Grace &amp; Co: 7" in grace["html"]
    assert [row["email"] for row in ada["to"]] == ["ada@example.com"]
    assert (ada["templateId"], ada["batchId"]) == (str(template.pk), answer.data["id"])
    read(api, answer.data["id"])
    assert read_items(api, answer.data["id"]) == answer.data["items"]


def test_missing_variables_refuse_one_item_and_name_them_all(api: Api, template: Any) -> None:
    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), person("Grace", data={}), person("Jean")))

    states = [row["status"] for row in answer.data["items"]]
    error = answer.data["items"][1]["error"]
    assert states == ["queued", "failed", "queued"]
    assert error["code"] == "missing_variables"
    assert "name" in error["details"]["missingVariables"]
    assert len(error["details"]["missingVariables"]) == 2


def test_a_pinned_version_is_sent(api: Api, workspace: Workspace, template: Any) -> None:
    first = str(template.active_version_id)
    authoring.update(template, {"subject": "Changed {{ name }}"})

    pinned = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), versionId=first))
    active = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), template=str(template.pk)))

    assert message(api, pinned.data["items"][0])["subject"] == "Hello Ada"
    assert message(api, active.data["items"][0])["subject"] == "Changed Ada"


def test_what_is_shared_stands_for_all_and_each_may_have_its_own(api: Api, template: Any) -> None:
    answer = api.post(
        TEMPLATE_BATCH,
        template_batch(
            person("Ada"),
            person("Grace", headers={"X-Own": "1"}, tags={}, replyTo="own@example.com", cc="cc@example.com"),
            headers={"X-Shared": "1"},
            tags={"kind": "news"},
            stream="news",
            tracking={"opens": False},
            replyTo="help@example.com",
        ),
    )

    ada, grace = [message(api, row) for row in answer.data["items"]]
    assert (ada["headers"], grace["headers"]) == ({"X-Shared": "1"}, {"X-Own": "1"})
    assert (ada["tags"], grace["tags"]) == ({"kind": "news"}, {})
    assert (ada["replyTo"]["email"], grace["replyTo"]["email"]) == ("help@example.com", "own@example.com")
    assert (ada["stream"], grace["stream"]) == ("news", "news")
    assert (ada["cc"], [row["email"] for row in grace["cc"]]) == ([], ["cc@example.com"])


def test_the_default_sender_sends_where_none_is_named(api: Api, workspace: Workspace, template: Any) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(default_sender="Shop <hello@shop.example>")

    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), **{"from": None}))

    assert message(api, answer.data["items"][0])["from"] == {"email": "hello@shop.example", "name": "Shop"}


def test_without_a_default_sender_every_item_says_so(api: Api, template: Any) -> None:
    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), **{"from": None}))

    assert list(answer.data["items"][0]["error"]["details"]["fields"]) == ["from"]


def test_an_items_key_is_that_of_a_single_template_message(api: Api, template: Any) -> None:
    single = api.post(TEMPLATE_SEND, {"template": "welcome", "from": FROM, **person("Ada", idempotencyKey="k")})

    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada", idempotencyKey="k")))

    (row,) = answer.data["items"]
    assert (row["messageId"], row["idempotencyStatus"]) == (single.data["id"], "replayed")


BAD_RECIPIENTS: dict[str, tuple[Any, str]] = {
    "a text": ("x", "body"),
    "no to": ({"data": {}}, "to"),
    "data in a list": (person("Ada", data=[]), "data"),
    "a template of its own": (person("Ada", template="other"), "template"),
    "a version of its own": (person("Ada", versionId="x"), "versionId"),
    "a subject": (person("Ada", subject="x"), "subject"),
    "html": (person("Ada", html="<p>x</p>"), "html"),
    "a bad address": (person("Ada", to="x"), "to"),
    "a line end by a variable": (person("A\r\nBcc: x@example.com", to="a@example.com"), "subject"),
}


@pytest.mark.parametrize("name", BAD_RECIPIENTS)
def test_a_bad_recipient_harms_no_other(api: Api, workspace: Workspace, template: Any, name: str) -> None:
    bad, field = BAD_RECIPIENTS[name]

    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), bad, person("Grace")))

    assert answer.status == 202
    assert [row["status"] for row in answer.data["items"]] == ["queued", "failed", "queued"]
    assert list(answer.data["items"][1]["error"]["details"]["fields"]) == [field]
    assert Message.objects.of(workspace.pk).count() == 2


BAD_BATCHES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no recipients": ({"recipients": []}, 400, "recipients"),
    "501 recipients": ({"recipients": [{}] * 501}, 400, "recipients"),
    "no template": ({"template": None}, 400, "template"),
    "a template that is not there": ({"template": "nothing"}, 404, "template"),
    "a version that is not there": ({"versionId": "00000000-0000-7000-8000-000000000000"}, 404, "versionId"),
    "data for all": ({"data": {}}, 400, "data"),
    "to for all": ({"to": "ada@example.com"}, 400, "to"),
    "cc for all": ({"cc": "ada@example.com"}, 400, "cc"),
    "a key for all": ({"idempotencyKey": "k"}, 400, "idempotencyKey"),
    "a bad sender": ({"from": "x"}, 400, "from"),
    "a bad header": ({"headers": {"Bcc": "x"}}, 400, "headers"),
    "tags in a list": ({"tags": []}, 400, "tags"),
    "a bad stream": ({"stream": "a b"}, 400, "stream"),
    "a bad replyTo": ({"replyTo": "x"}, 400, "replyTo"),
    "a simulation with a live key": ({"simulation": {"scenario": "bounced"}}, 400, "simulation"),
    "a file of nobody": (
        {"attachments": [{"assetId": "00000000-0000-7000-8000-000000000000", "filename": "a.pdf"}]},
        *(400, "attachments.0.assetId"),
    ),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_what_is_wrong_with_the_whole_stores_nothing(api: Api, template: Any, name: str) -> None:
    changes, status, field = BAD_BATCHES[name]
    before = stored.everything()

    answer = api.post(TEMPLATE_BATCH, template_batch(person("Ada"), **changes))

    assert (answer.status, list(answer.fields)) == (status, [field])
    assert stored.everything() == before


def test_a_strangers_template_is_not_found(world: Any, template: Any) -> None:
    body = template_batch(person("Ada"), template=str(template.pk), **{"from": "a@stranger.example"})

    answer = world.stranger.api.post(TEMPLATE_BATCH, body)

    assert (answer.status, answer.code) == (404, "not_found")


def test_a_test_key_may_simulate_for_all(world: Any) -> None:
    row, key = make_key(world.owner.workspace, is_test=True)
    make_template(row.workspace)

    answer = Api(key).post(TEMPLATE_BATCH, template_batch(person("Ada"), simulation={"scenario": "bounced"}))

    assert [item["status"] for item in answer.data["items"]] == ["queued"]


def test_the_same_batch_again_is_replayed_also_when_its_template_is_gone(
    api: Api, workspace: Workspace, template: Any
) -> None:
    body = template_batch(person("Ada"))
    first = api.post(TEMPLATE_BATCH, body, Idempotency_Key="nightly")
    authoring.delete(template)

    second = api.post(TEMPLATE_BATCH, body, Idempotency_Key="nightly")

    assert (second.status, second.data) == (200, first.data)


def test_what_is_more_than_one_request_may_make_is_refused_item_by_item(api: Api, workspace: Workspace) -> None:
    make_template(workspace, text="{{ a }}")
    recipients = [{"to": f"r{n}@example.com", "data": {"a": "x" * 1_000}} for n in range(4)]

    with patch.object(drafting, "MAX_TOGETHER_BYTES", 1_999):
        answer = api.post(TEMPLATE_BATCH, template_batch(*recipients))

    states = [row["status"] for row in read_items(api, answer.data["id"])]
    assert states == ["queued", "queued", "failed", "failed"]
    assert {row["error"]["code"] for row in answer.data["items"] if row["error"]} == {"payload_too_large"}


def test_a_request_that_takes_too_long_refuses_the_rest(api: Api, workspace: Workspace) -> None:
    make_template(workspace, text="{{ a }}")
    recipients = [{"to": f"r{n}@example.com", "data": {"a": "x"}} for n in range(3)]

    with patch.object(drafting, "MAX_TOGETHER_SECONDS", -1):
        answer = api.post(TEMPLATE_BATCH, template_batch(*recipients))

    assert [row["error"]["code"] for row in answer.data["items"]] == ["payload_too_large"] * 3


def test_more_attachments_than_may_be_are_not_looked_at(api: Api) -> None:
    before = stored.everything()

    answer = api.post(SEND, mail(attachments=[{}] * 10_000))

    assert (answer.status, answer.fields) == (400, {"attachments": ["may have at most 10 items"]})
    assert stored.everything() == before


def test_what_is_told_of_a_refusal_is_bounded(api: Api, workspace: Workspace) -> None:
    names = [f"{'n' * 280}{number}" for number in range(400)]
    make_template(workspace, text="".join(f"{{{{ {name} }}}}" for name in names[:40]))

    answer = api.post(TEMPLATE_BATCH, template_batch(*({"to": f"r{n}@example.com", "data": {}} for n in range(5))))

    for row in answer.data["items"]:
        assert row["error"]["code"] == "missing_variables"
        assert len(json.dumps(row["error"])) < 9_000
