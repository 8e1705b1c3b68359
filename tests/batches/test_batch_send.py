"""A batch answers for each of its items, and what is wrong with one harms no other."""

import json
from typing import Any

import pytest

from apps.batches.models import Batch, BatchItem
from apps.domains.models import Domain
from apps.domains.states import Status
from apps.messages.models import Message, Recipient
from apps.messages.states import Lane
from apps.workspaces.limits import usage
from apps.workspaces.models import Workspace
from tests import stored
from tests.batches.making import BATCH, BATCHES, FROM, batch, item, read, read_items
from tests.client import MESSAGES, Api
from tests.factories import make_key, suppress


def test_each_item_becomes_a_message(api: Api, workspace: Workspace) -> None:
    answer = api.post(BATCH, batch(item(0), item(1), item(2, **{"from": "Other <other@shop.example>"})))

    assert answer.status == 202
    whole = answer.data
    assert (whole["status"], whole["type"], whole["messageCount"], whole["queuedCount"]) == ("queued", "message", 3, 3)
    assert (whole["templateId"], whole["completedAt"]) == (None, None)
    assert whole["from"] == {"email": FROM, "name": None}
    assert [row["to"] for row in whole["items"]] == [[f"r{number}@example.com"] for number in range(3)]
    assert {row["error"] for row in whole["items"]} == {None}
    messages = [api.get(f"{MESSAGES}/{row['messageId']}").data for row in whole["items"]]
    assert [message["subject"] for message in messages] == ["Order 0", "Order 1", "Order 2"]
    assert [message["from"]["email"] for message in messages] == [FROM, FROM, "other@shop.example"]
    assert {message["batchId"] for message in messages} == {whole["id"]}
    assert usage(workspace).daily_used == 3


def test_the_answer_is_what_can_be_read_afterwards(api: Api) -> None:
    answer = api.post(BATCH, batch(item(0), item(1, to="nobody"), item(2, idempotencyKey="k")))

    whole = answer.data
    assert read_items(api, whole["id"]) == whole["items"]
    assert read(api, whole["id"]) | {"items": whole["items"]} == whole
    assert api.get(BATCHES).rows == [{name: value for name, value in whole.items() if name != "items"}]


def test_a_batch_goes_in_the_bulk_lane(api: Api, workspace: Workspace) -> None:
    api.post(BATCH, batch(item()))

    assert Recipient.objects.of(workspace.pk).get().lane == Lane.BULK


SENDERS: dict[str, Any] = {"from": "a@shop.example, b@shop.example"}
BAD_ITEMS: dict[str, tuple[Any, str, str]] = {
    "a text": ("x", "validation_error", "body"),
    "null": (None, "validation_error", "body"),
    "a list": ([item()], "validation_error", "body"),
    "nothing": ({}, "validation_error", "to"),
    "a batch": (batch(item()), "validation_error", "messages"),
    "an unknown field": (item(sendat="now"), "validation_error", "sendat"),
    "no to": (item(to=None), "validation_error", "to"),
    "nobody": (item(to=[]), "validation_error", "to"),
    "no address": (item(to="a@b"), "validation_error", "to"),
    "a local name": (item(to="a@localhost"), "validation_error", "to"),
    "one of two": (item(to=["ada@example.com", "x"]), "validation_error", "to.1"),
    "51 recipients": (item(to=[f"r{n}@example.com" for n in range(51)]), "validation_error", "to"),
    "a bad name": (item(to={"email": "a@example.com", "name": "a\nb"}), "validation_error", "to"),
    "two senders": (item(**SENDERS), "validation_error", "from"),
    "an empty subject": (item(subject=""), "validation_error", "subject"),
    "no subject": (item(subject=None), "validation_error", "subject"),
    "999 characters of subject": (item(subject="x" * 999), "validation_error", "subject"),
    "a second line of subject": (item(subject="a\r\nBcc: x@example.com"), "validation_error", "subject"),
    "no content": (item(text=None), "validation_error", "text"),
    "empty content": (item(text="", html=""), "validation_error", "text"),
    "a control in the text": (item(text="a\x01"), "validation_error", "text"),
    "a number for text": (item(text=12), "validation_error", "text"),
    "a header of ours": (item(headers={"Bcc": "x@example.com"}), "validation_error", "headers"),
    "a header that is no text": (item(headers={"X-A": 1}), "validation_error", "headers.X-A"),
    "too many headers": (item(headers={f"X-{n}": "x" for n in range(51)}), "validation_error", "headers"),
    "tags in a list": (item(tags=["x"]), "validation_error", "tags"),
    "a stream with a space": (item(stream="a b"), "validation_error", "stream"),
    "tracking as a text": (item(tracking={"opens": "yes"}), "validation_error", "tracking.opens"),
    "a simulation with a live key": (item(simulation={"scenario": "bounced"}), "validation_error", "simulation"),
    "two replyTo": (item(replyTo=["a@example.com", "b@example.com"]), "validation_error", "replyTo"),
    "an empty key": (item(idempotencyKey=""), "validation_error", "idempotencyKey"),
    "a long key": (item(idempotencyKey="x" * 256), "validation_error", "idempotencyKey"),
    "a file of nobody": (
        item(attachments=[{"assetId": "00000000-0000-7000-8000-000000000000", "filename": "a.pdf"}]),
        *("attachment_not_found", "attachments.0.assetId"),
    ),
    "11 files": (
        item(attachments=[{"assetId": "x", "filename": "a.pdf"}] * 11),
        *("validation_error", "attachments"),
    ),
    "a file without a name": (item(attachments=[{"assetId": "x"}]), "validation_error", "attachments.0.filename"),
    "a number beyond 64 bits": (item(text=2**70), "validation_error", "text"),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_item_has_an_error_and_harms_no_other(api: Api, workspace: Workspace, name: str) -> None:
    bad, code, field = BAD_ITEMS[name]

    answer = api.post(BATCH, batch(item(0), bad, item(2)), Idempotency_Key="b")

    assert answer.status == 202
    first, second, third = answer.data["items"]
    assert [first["status"], second["status"], third["status"]] == ["queued", "failed", "queued"]
    assert second["messageId"] is None
    assert second["error"]["code"] == code
    assert second["error"]["message"]
    assert field in second["error"]["details"]["fields"]
    assert (answer.data["queuedCount"], answer.data["failedCount"], answer.data["status"]) == (2, 1, "queued")
    assert Message.objects.of(workspace.pk).count() == 2
    assert usage(workspace).daily_used == 2
    read(api, answer.data["id"])


def test_an_item_is_refused_for_what_a_single_message_is(api: Api) -> None:
    for bad, code, _field in BAD_ITEMS.values():
        if not isinstance(bad, dict):
            continue
        single = api.post("/v1/mail/send", {"from": FROM, **bad})
        (one,) = api.post(BATCH, batch(bad)).data["items"]

        assert (single.status >= 400, single.code) == (True, code)
        assert one["error"] == single.body["error"]


def test_a_sender_that_is_not_verified_refuses_its_items_alone(api: Api, workspace: Workspace) -> None:
    answer = api.post(BATCH, batch(item(0), item(1, **{"from": "a@stranger.example"})))

    good, bad = answer.data["items"]
    assert (good["status"], bad["status"], bad["error"]["code"]) == ("queued", "failed", "domain_not_verified")
    assert Message.objects.of(workspace.pk).count() == 1


def test_without_a_sender_anywhere_the_item_is_refused(api: Api) -> None:
    answer = api.post(BATCH, batch(item(0), item(1, **{"from": FROM}), **{"from": None}))

    bad, good = answer.data["items"]
    assert list(bad["error"]["details"]["fields"]) == ["from"]
    assert good["status"] == "queued"
    assert answer.data["from"] is None


def test_a_refused_item_shows_whom_it_was_for(api: Api) -> None:
    answer = api.post(
        BATCH,
        batch(
            item(to="nobody", idempotencyKey="k"),
            item(to=[{"email": "x"}, 3, "ada@example.com"]),
            item(to=12),
            item(to="y" * 999),
        ),
    )

    assert [row["to"] for row in answer.data["items"]] == [["nobody"], ["x", "ada@example.com"], [], ["y" * 320]]
    assert [row["idempotencyKey"] for row in answer.data["items"]] == ["k", None, None, None]


def test_when_all_items_are_refused_the_batch_has_failed(api: Api, workspace: Workspace) -> None:
    answer = api.post(BATCH, batch(item(to="x"), "y"))

    assert (answer.status, answer.data["status"], answer.data["failedCount"]) == (202, "failed", 2)
    assert answer.data["completedAt"] == answer.data["createdAt"]
    assert read(api, answer.data["id"])["status"] == "failed"
    assert Message.objects.of(workspace.pk).count() == 0


def test_of_many_faults_of_an_item_some_are_told(api: Api) -> None:
    answer = api.post(BATCH, batch(item(to=["x"] * 100)))

    (one,) = answer.data["items"]
    assert len(one["error"]["details"]["fields"]) == 20
    assert len(one["to"]) == 50


def test_suppressed_recipients_are_told_of_each_item(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "r1@example.com")

    answer = api.post(BATCH, batch(item(0), item(1), item(2, to=["r1@example.com", "r2@example.com"])))

    assert [row["status"] for row in answer.data["items"]] == ["queued", "suppressed", "queued"]
    assert answer.data["suppressedCount"] == 1
    assert usage(workspace).daily_used == 2
    read(api, answer.data["id"])


BAD_BATCHES: dict[str, tuple[Any, str]] = {
    "no messages": (batch(messages=None), "messages"),
    "null": ({"from": FROM, "messages": None}, "messages"),
    "none": (batch(), "messages"),
    "501": (batch(*[{}] * 501), "messages"),
    "an object": (batch(messages={"0": item()}), "messages"),
    "a text": (batch(messages="x"), "messages"),
    "an unknown field": (batch(item(), subject="x"), "subject"),
    "an idempotency key in the body": (batch(item(), idempotencyKey="k"), "idempotencyKey"),
    "recipients": (batch(item(), recipients=[]), "recipients"),
    "a bad sender": (batch(item(), **{"from": "nobody"}), "from"),
    "a sender of another kind": (batch(item(), **{"from": 12}), "from"),
    "two senders": (batch(item(), **{"from": ["a@shop.example"]}), "from"),
    "a list": ([item()], "body"),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_what_is_wrong_with_the_whole_stores_nothing(api: Api, name: str) -> None:
    body, field = BAD_BATCHES[name]
    before = stored.everything()

    answer = api.post(BATCH, body)

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [field])
    assert stored.everything() == before


def test_500_items_are_taken(api: Api, workspace: Workspace) -> None:
    answer = api.post(BATCH, batch(*[item(number) for number in range(500)]))

    assert (answer.status, answer.data["messageCount"], answer.data["queuedCount"]) == (202, 500, 500)
    assert len(answer.data["items"]) == BatchItem.objects.of(workspace.pk).count() == 500
    assert read(api, answer.data["id"])["messageCount"] == 500


def test_a_suspended_workspace_sends_no_batch(api: Api, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(status=Workspace.Status.SUSPENDED)
    before = stored.everything()

    answer = api.post(BATCH, batch(item()))

    assert (answer.status, answer.code) == (403, "sending_disabled")
    assert stored.everything() == before


def test_a_test_key_may_simulate_and_needs_no_domain(world: Any) -> None:
    api = Api(make_key(world.owner.workspace, is_test=True)[1])

    answer = api.post(BATCH, batch(item(simulation={"scenario": "bounced"}), **{"from": "a@nowhere.example"}))

    assert [row["status"] for row in answer.data["items"]] == ["queued"]


@pytest.mark.parametrize(("daily", "states"), [(0, "fff"), (1, "qff"), (2, "qqf"), (3, "qqq")])
def test_where_a_limit_has_room_for_some_the_first_are_taken(
    api: Api, workspace: Workspace, daily: int, states: str
) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=daily)

    answer = api.post(BATCH, batch(item(0), item(1), item(2)))

    assert "".join(row["status"][0] for row in answer.data["items"]) == states
    assert {row["error"]["code"] for row in answer.data["items"] if row["error"]} <= {"daily_limit_exceeded"}
    assert usage(workspace).daily_used == daily
    assert Message.objects.of(workspace.pk).count() == daily
    assert Batch.objects.of(workspace.pk).count() == 1
    read(api, answer.data["id"])


def test_a_domain_that_fell_meanwhile_refuses_every_item(api: Api, workspace: Workspace) -> None:
    Domain.objects.of(workspace.pk).update(status=Status.FAILED)

    answer = api.post(BATCH, batch(item(0), item(1)))

    assert {row["error"]["code"] for row in answer.data["items"]} == {"domain_not_verified"}
    assert answer.data["status"] == "failed"


@pytest.mark.parametrize("text", ["a\\u0000b", "a\\ud800b"], ids=["NUL", "half a surrogate pair"])
def test_a_text_that_cannot_be_stored_harms_no_other_item(api: Api, workspace: Workspace, text: str) -> None:
    body = json.dumps(batch(item(0), item(1, subject="HERE"), item(2))).replace("HERE", text)

    answer = api.post(BATCH, body.encode(), Idempotency_Key="k")

    good, bad, last = answer.data["items"]
    assert (answer.status, good["status"], last["status"]) == (202, "queued", "queued")
    assert (bad["error"]["code"], list(bad["error"]["details"]["fields"])) == ("validation_error", ["subject"])
    assert Message.objects.of(workspace.pk).count() == 2
