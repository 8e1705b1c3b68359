"""The same idempotency key makes one message, however often and however simultaneously it is sent."""

import json
from functools import partial

import pytest

from apps.domains.models import Domain
from apps.domains.states import Status
from apps.events.models import Event
from apps.keys.models import IdempotencyKey
from apps.messages.models import Message, Recipient
from apps.workspaces.limits import usage
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import LIMITS, SEND, Api, mail
from tests.conftest import World
from tests.factories import suppress
from tests.parallel import at_once, threads

GOOD_KEYS = ["a", "x" * 255, "receipt_12345_v1", "welcome:user_123", "with spaces", "~!@#$%^&*()"]
BAD_KEYS = {
    "empty": "",
    "256 characters": "x" * 256,
    "a letter beyond ASCII": "schlüssel",
    "an emoji": "😀",
    "a control character": "a\x07b",
    "a line end": "a\nb",
    "a tab": "a\tb",
    "DEL": "a\x7fb",
}


def test_a_first_use_creates(api: Api, workspace: Workspace) -> None:
    answer = api.post(SEND, mail(idempotencyKey="order-1"))

    assert (answer.status, answer.data["idempotencyStatus"]) == (202, "created")
    assert Message.objects.of(workspace.pk).get().idempotency_key == "order-1"


def test_without_a_key_each_request_creates(api: Api, workspace: Workspace) -> None:
    answers = [api.post(SEND, mail()) for _ in range(2)]

    assert [answer.data["idempotencyStatus"] for answer in answers] == ["none", "none"]
    assert Message.objects.of(workspace.pk).count() == 2


def test_a_second_use_replays_and_stores_nothing(api: Api) -> None:
    first = api.post(SEND, mail(idempotencyKey="order-1"))
    before = stored.everything()

    second = api.post(SEND, mail(idempotencyKey="order-1"))

    assert (second.status, second.data["idempotencyStatus"]) == (200, "replayed")
    assert second.data == first.data | {"idempotencyStatus": "replayed"}
    assert stored.everything() == before


def test_a_replay_shows_the_present_status(api: Api, workspace: Workspace) -> None:
    api.post(SEND, mail(idempotencyKey="order-1"))
    Message.objects.of(workspace.pk).update(status="sent")

    assert api.post(SEND, mail(idempotencyKey="order-1")).data["status"] == "sent"


def test_a_replay_shows_who_was_suppressed_then(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "bob@example.com")
    body = mail(to=["ada@example.com", "bob@example.com"], idempotencyKey="order-1")

    answers = [api.post(SEND, body) for _ in range(2)]

    assert [answer.data["suppressedRecipients"] for answer in answers] == [["bob@example.com"]] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Another"},
        {"to": "bob@example.com"},
        {"html": "<p>x"},
        {"tags": {"a": "b"}},
        {"cc": "c@example.com"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_key_for_another_request_conflicts(api: Api, change: dict[str, object]) -> None:
    first = api.post(SEND, mail(idempotencyKey="order-1"))
    before = stored.everything()

    answer = api.post(SEND, mail(**change, idempotencyKey="order-1"))

    assert (answer.status, answer.code) == (409, "idempotency_conflict")
    assert answer.body["error"]["details"] == {"messageId": first.data["id"]}
    assert stored.everything() == before


def test_the_order_of_the_fields_is_no_difference(api: Api) -> None:
    body = mail(idempotencyKey="order-1", tags={"a": "1", "b": "2"})
    backwards = dict(reversed(body.items())) | {"tags": {"b": "2", "a": "1"}}

    first, second = api.post(SEND, body), api.post(SEND, json.dumps(backwards, indent=2).encode())

    assert (second.status, second.data["id"]) == (200, first.data["id"])


class TestWhereItStands:
    def test_the_header_is_as_good_as_the_body(self, api: Api) -> None:
        first = api.post(SEND, mail(), Idempotency_Key="order-1")
        second = api.post(SEND, mail(idempotencyKey="order-1"))

        assert (first.status, second.status) == (202, 200)
        assert first.data["id"] == second.data["id"]

    def test_both_may_stand_if_they_agree(self, api: Api) -> None:
        assert api.post(SEND, mail(idempotencyKey="order-1"), Idempotency_Key="order-1").status == 202

    def test_both_are_refused_if_they_differ(self, api: Api) -> None:
        before = stored.everything()

        answer = api.post(SEND, mail(idempotencyKey="order-1"), Idempotency_Key="order-2")

        assert (answer.status, list(answer.fields)) == (400, ["idempotencyKey"])
        assert stored.everything() == before

    def test_null_is_no_key(self, api: Api) -> None:
        assert api.post(SEND, mail() | {"idempotencyKey": None}).data["idempotencyStatus"] == "none"


class TestForm:
    @pytest.mark.parametrize("key", GOOD_KEYS, ids=lambda key: key[:20])
    def test_takes(self, api: Api, key: str) -> None:
        assert api.post(SEND, mail(idempotencyKey=key)).status == 202
        assert api.post(SEND, mail(), Idempotency_Key=key).status == 200

    @pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
    def test_refuses(self, api: Api, key: str) -> None:
        before = stored.everything()

        answer = api.post(SEND, mail(idempotencyKey=key))

        assert (answer.status, list(answer.fields)) == (400, ["idempotencyKey"])
        assert stored.everything() == before

    @pytest.mark.parametrize("key", ["", "x" * 256, "schl\xfcssel", "a\x07b"])
    def test_refuses_in_the_header(self, api: Api, key: str) -> None:
        answer = api.post(SEND, mail(), Idempotency_Key=key)

        assert (answer.status, list(answer.fields)) == (400, ["idempotencyKey"])

    @pytest.mark.parametrize("key", [1, True, [], {}])
    def test_refuses_what_is_no_text(self, api: Api, key: object) -> None:
        assert list(api.post(SEND, mail(idempotencyKey=key)).fields) == ["idempotencyKey"]


class TestARefusalDoesNotUseUpTheKey:
    def test_of_a_field(self, api: Api) -> None:
        assert api.post(SEND, mail(to="nobody", idempotencyKey="order-1")).status == 400

        assert api.post(SEND, mail(idempotencyKey="order-1")).status == 202

    def test_of_a_domain(self, api: Api, workspace: Workspace) -> None:
        domains = Domain.objects.of(workspace.pk)
        domains.update(status=Status.PENDING)
        assert api.post(SEND, mail(idempotencyKey="order-1")).status == 403
        assert IdempotencyKey.objects.of(workspace.pk).count() == 0

        domains.update(status=Status.VERIFIED)

        assert api.post(SEND, mail(idempotencyKey="order-1")).status == 202

    def test_of_a_limit(self, api: Api, workspace: Workspace) -> None:
        Workspace.objects.filter(pk=workspace.pk).update(daily_limit=0)
        assert api.post(SEND, mail(idempotencyKey="order-1")).status == 429

        Workspace.objects.filter(pk=workspace.pk).update(daily_limit=1)

        assert api.post(SEND, mail(idempotencyKey="order-1")).status == 202


def test_a_replay_passes_where_the_limit_is_used_up(api: Api, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=1)
    first = api.post(SEND, mail(idempotencyKey="order-1"))

    answer = api.post(SEND, mail(idempotencyKey="order-1"))

    assert (answer.status, answer.data["id"]) == (200, first.data["id"])
    assert api.get(LIMITS).data["dailyUsed"] == 1


def test_teammates_share_their_keys(world: World) -> None:
    first = world.owner.api.post(SEND, mail(idempotencyKey="order-1"))

    assert world.teammate.api.post(SEND, mail(idempotencyKey="order-1")).data["id"] == first.data["id"]


@pytest.mark.django_db(transaction=True)
def test_fifty_identical_requests_at_once_make_one_message(world: World) -> None:
    workspace = world.owner.workspace
    call = partial(Api(world.owner.key).post, SEND, mail(idempotencyKey="order-1"))

    answers = at_once([call] * 50, workers=threads(50))

    assert sorted(answer.status for answer in answers) == [200] * 49 + [202]
    assert len({answer.data["id"] for answer in answers}) == 1
    assert Message.objects.of(workspace.pk).count() == 1
    assert Recipient.objects.of(workspace.pk).count() == 1
    assert Event.objects.of(workspace.pk).filter(type="mail.message.queued").count() == 1
    assert usage(workspace).daily_used == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_at_once_with_one_key_one_conflicts(world: World) -> None:
    calls = [
        partial(Api(world.owner.key).post, SEND, mail(subject=f"Order {number}", idempotencyKey="order-1"))
        for number in range(10)
    ]

    answers = at_once(calls, workers=threads(10))

    assert sorted(answer.status for answer in answers) == [202] + [409] * 9
    assert Message.objects.of(world.owner.workspace.pk).count() == 1
