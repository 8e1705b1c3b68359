"""A batch with a key is stored once, and so is an item with a key, however simultaneously they are sent."""

from functools import partial
from typing import Any

import pytest

from apps.batches.models import Batch, BatchItem
from apps.keys.models import IdempotencyKey
from apps.messages.models import Message
from apps.workspaces.limits import usage
from apps.workspaces.models import Workspace
from apps.workspaces.services import set_limits
from tests import stored
from tests.batches.making import BATCH, TEMPLATE_BATCH, batch, item, read, template_batch
from tests.client import SEND, Answer, Api, mail
from tests.conftest import make_world
from tests.parallel import at_once, threads
from tests.templates.making import make_template


def test_the_same_key_again_answers_with_the_first_batch(api: Api) -> None:
    body = batch(item(0), item(1, to="nobody"))
    first = api.post(BATCH, body, Idempotency_Key="nightly")
    before = stored.everything()

    second = api.post(BATCH, body, Idempotency_Key="nightly")

    assert (first.status, second.status) == (202, 200)
    assert second.data == first.data
    assert stored.everything() == before


def test_a_replay_shows_the_present_state(api: Api, workspace: Workspace) -> None:
    first = api.post(BATCH, batch(item()), Idempotency_Key="nightly")
    Message.objects.of(workspace.pk).update(status="sent", sent_at=workspace.created_at)

    second = api.post(BATCH, batch(item()), Idempotency_Key="nightly")

    assert (first.data["status"], second.data["status"], second.data["sentCount"]) == ("queued", "completed", 1)


@pytest.mark.parametrize("other", [batch(item(1)), batch(item(), item()), batch(item(), **{"from": "b@shop.example"})])
def test_the_same_key_for_another_batch_is_refused(api: Api, other: Any) -> None:
    first = api.post(BATCH, batch(item()), Idempotency_Key="nightly")
    before = stored.everything()

    answer = api.post(BATCH, other, Idempotency_Key="nightly")

    assert (answer.status, answer.code) == (409, "idempotency_conflict")
    assert answer.body["error"]["details"] == {"batchId": first.data["id"]}
    assert stored.everything() == before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x07b", "one, two"])
def test_a_key_that_cannot_be_one_is_refused(api: Api, key: str) -> None:
    before = stored.everything()

    answer = api.post(BATCH, batch(item()), Idempotency_Key=key)

    assert (answer.status, list(answer.fields)) == (400, ["idempotencyKey"])
    assert stored.everything() == before


def test_a_batchs_key_is_no_messages_key(api: Api) -> None:
    api.post(SEND, mail(), Idempotency_Key="k")

    assert api.post(BATCH, batch(item(idempotencyKey="k2")), Idempotency_Key="k").status == 202
    assert api.post(BATCH, batch(item(idempotencyKey="k2")), Idempotency_Key="k2").status == 202


def test_items_know_the_keys_of_single_messages(api: Api, workspace: Workspace) -> None:
    single = api.post(SEND, mail(idempotencyKey="order-1"))
    shared = mail(idempotencyKey="order-1")
    del shared["from"]

    answer = api.post(BATCH, batch(shared, item(1), {**shared, "subject": "Another"}))

    same, new, other = answer.data["items"]
    assert (same["messageId"], same["idempotencyStatus"]) == (single.data["id"], "replayed")
    assert (new["status"], new["idempotencyStatus"]) == ("queued", "none")
    assert (other["error"]["code"], other["idempotencyKey"]) == ("idempotency_conflict", "order-1")
    assert other["error"]["details"] == {"messageId": single.data["id"]}
    assert Message.objects.of(workspace.pk).count() == 2
    assert usage(workspace).daily_used == 2
    read(api, answer.data["id"])


def test_single_messages_know_the_keys_of_items(api: Api) -> None:
    answer = api.post(BATCH, batch(item(idempotencyKey="k")))

    single = api.post(SEND, {"from": "shop@shop.example", **item(idempotencyKey="k")})

    assert (single.status, single.data["id"]) == (200, answer.data["items"][0]["messageId"])


def test_a_key_twice_in_one_batch_is_one_message(api: Api, workspace: Workspace) -> None:
    same = item(idempotencyKey="k")

    answer = api.post(BATCH, batch(same, same, item(1, idempotencyKey="k")))

    first, second, third = answer.data["items"]
    assert (first["idempotencyStatus"], second["idempotencyStatus"]) == ("created", "replayed")
    assert first["messageId"] == second["messageId"]
    assert third["error"]["code"] == "idempotency_conflict"
    assert Message.objects.of(workspace.pk).count() == 1
    assert read(api, answer.data["id"])["messageCount"] == 3


def test_an_item_that_was_refused_may_use_its_key_again(api: Api) -> None:
    api.post(BATCH, batch(item(idempotencyKey="k", to="nobody")))

    answer = api.post(BATCH, batch(item(idempotencyKey="k")))

    assert answer.data["items"][0]["idempotencyStatus"] == "created"


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_at_once_is_one_batch() -> None:
    owner = make_world().owner
    body = batch(*[item(number) for number in range(20)])
    call = partial(owner.api.post, BATCH, body, Idempotency_Key="nightly")

    answers: list[Answer] = at_once([call] * 16, workers=threads(8))

    assert sorted(answer.status for answer in answers) == [200] * 15 + [202]
    assert len({answer.data["id"] for answer in answers}) == 1
    assert Batch.objects.of(owner.workspace.pk).count() == 1
    assert BatchItem.objects.of(owner.workspace.pk).count() == 20
    assert Message.objects.of(owner.workspace.pk).count() == 20
    assert usage(owner.workspace).daily_used == 20


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_at_once_with_keys_at_its_items_is_one_batch() -> None:
    owner = make_world().owner
    body = batch(*[item(number, idempotencyKey=f"k{number}") for number in range(20)])
    call = partial(owner.api.post, BATCH, body, Idempotency_Key="nightly")

    answers: list[Answer] = at_once([call] * 16, workers=threads(8))

    assert sorted(answer.status for answer in answers) == [200] * 15 + [202]
    assert Batch.objects.of(owner.workspace.pk).count() == 1
    assert Message.objects.of(owner.workspace.pk).count() == 20


@pytest.mark.django_db(transaction=True)
def test_the_same_keys_in_another_order_at_once_make_each_message_once() -> None:
    owner = make_world().owner
    items = [item(number, idempotencyKey=f"k{number}") for number in range(40)]
    bodies = [batch(*items), batch(*items[::-1]), batch(*items[20:], *items[:20])]
    calls = [partial(owner.api.post, BATCH, body) for body in bodies * 4]

    answers: list[Answer] = at_once(calls, workers=threads(6))

    assert {answer.status for answer in answers} == {202}
    assert Message.objects.of(owner.workspace.pk).count() == 40
    assert IdempotencyKey.objects.of(owner.workspace.pk).count() == 40
    assert usage(owner.workspace).daily_used == 40
    created = [row for answer in answers for row in answer.data["items"] if row["idempotencyStatus"] == "created"]
    assert len(created) == len({row["messageId"] for row in created}) == 40
    for answer in answers:
        assert read(owner.api, answer.data["id"])["queuedCount"] == 40


@pytest.mark.django_db(transaction=True)
def test_batches_that_race_for_the_last_places_take_exactly_these() -> None:
    owner = make_world().owner
    Workspace.objects.filter(pk=owner.workspace.pk).update(daily_limit=25)
    calls = [partial(owner.api.post, BATCH, batch(*[item(n) for n in range(10)]))] * 6

    answers: list[Answer] = at_once(calls, workers=threads(6))

    taken = sum(row["status"] == "queued" for answer in answers for row in answer.data["items"])
    assert {answer.status for answer in answers} == {202}
    assert taken == Message.objects.of(owner.workspace.pk).count() == usage(owner.workspace).daily_used
    assert taken <= 25


def test_a_batch_that_a_limit_refused_whole_may_come_again_with_its_key(api: Api, workspace: Workspace) -> None:
    set_limits(workspace, daily=0)
    refused = api.post(BATCH, batch(item(0), item(1)), Idempotency_Key="nightly")
    assert {row["error"]["code"] for row in refused.data["items"]} == {"daily_limit_exceeded"}

    set_limits(workspace, daily=10)
    again = api.post(BATCH, batch(item(0), item(1)), Idempotency_Key="nightly")
    once_more = api.post(BATCH, batch(item(0), item(1)), Idempotency_Key="nightly")

    assert (again.status, [row["status"] for row in again.data["items"]]) == (202, ["queued"] * 2)
    assert (once_more.status, once_more.data["id"]) == (200, again.data["id"])
    assert Message.objects.of(workspace.pk).count() == 2


def test_the_two_kinds_of_batches_have_keys_of_their_own(api: Api, workspace: Workspace) -> None:
    make_template(workspace, text="Hi")

    plain = api.post(BATCH, batch(item()), Idempotency_Key="nightly")
    templated = api.post(TEMPLATE_BATCH, template_batch({"to": "a@example.com", "data": {}}), Idempotency_Key="nightly")

    assert (plain.status, templated.status) == (202, 202)
