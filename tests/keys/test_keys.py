"""API keys: shown once, stored as a hash, found by their prefix, and ended at once."""

import hashlib
from datetime import timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.errors import Invalid
from apps.keys.errors import Unauthorized
from apps.keys.models import ApiKey
from apps.keys.services import authenticate, create_key, revoke
from apps.messages.models import Message
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import DOMAINS, LIMITS, MESSAGES, SEND, Api, mail
from tests.conftest import NOON, World
from tests.factories import make_domain, make_key, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours() -> Workspace:
    return make_workspace("ours")


class TestCreate:
    def test_makes_a_key_that_works(self, ours: Workspace) -> None:
        row, key = create_key(ours, name="shop")

        caller = authenticate(key)
        assert (caller.workspace_id, caller.key_id) == (ours.pk, row.pk)
        assert (caller.scopes, caller.is_test, caller.is_suspended) == (frozenset({"*"}), False, False)

    def test_has_the_contracts_prefix_and_238_random_bits(self, ours: Workspace) -> None:
        row, key = create_key(ours, name="shop")

        assert key.startswith(row.prefix)
        assert row.prefix.startswith("sspat_")
        assert len(key) - len(row.prefix) == 40
        assert key[len("sspat_") :].isalnum()

    def test_stores_only_the_hash(self, ours: Workspace) -> None:
        row, key = create_key(ours, name="shop")

        dump = str(stored.everything())
        assert key not in dump
        assert key[len(row.prefix) :] not in dump
        assert hashlib.sha256(key.encode()).hexdigest() in dump

    def test_makes_a_different_key_each_time(self, ours: Workspace) -> None:
        assert len({create_key(ours, name="same")[1] for _ in range(50)}) == 50

    def test_refuses_an_unknown_scope_and_stores_nothing(self, ours: Workspace) -> None:
        with pytest.raises(Invalid) as refusal:
            create_key(ours, name="shop", scopes=["mail:send", "mail:everything"])

        assert list(refusal.value.details["fields"]) == ["scopes"]
        assert ApiKey.objects.of(ours.pk).count() == 0

    def test_a_test_key_works_in_a_workspace_of_its_own(self, ours: Workspace) -> None:
        row, key = create_key(ours, name="test", is_test=True)

        caller = authenticate(key)
        assert key.startswith("sspat_test_")
        assert caller.is_test
        assert caller.workspace_id == row.workspace_id != ours.pk
        assert Workspace.objects.get(pk=caller.workspace_id).test_of == ours

    def test_test_keys_share_their_workspace(self, ours: Workspace) -> None:
        first, second = (authenticate(make_key(ours, is_test=True)[1]) for _ in range(2))

        assert first.workspace_id == second.workspace_id


class TestFind:
    def test_costs_one_query(self, ours: Workspace) -> None:
        key = make_key(ours)[1]
        authenticate(key)

        with CaptureQueriesContext(connection) as queries:
            authenticate(key)

        assert len(queries) == 1
        assert key not in queries[0]["sql"]

    @pytest.mark.parametrize("place", [6, 17, 18, -1], ids=["prefix", "end of prefix", "secret", "last"])
    def test_refuses_a_key_with_one_wrong_character(self, ours: Workspace, place: int) -> None:
        key = make_key(ours)[1]
        wrong = key[:place] + ("a" if key[place] != "a" else "b") + key[place:][1:]

        with pytest.raises(Unauthorized):
            authenticate(wrong)

    def test_compares_in_constant_time_also_where_nothing_is_found(self, ours: Workspace) -> None:
        with patch("apps.keys.services.hmac.compare_digest", return_value=False) as compare:
            with pytest.raises(Unauthorized):
                authenticate("sspat_" + "x" * 52)
            with pytest.raises(Unauthorized):
                authenticate(make_key(ours)[1])

        assert compare.call_count == 2

    def test_a_secret_of_another_key_does_not_open_this_one(self, ours: Workspace) -> None:
        (first, one), (second, two) = make_key(ours), make_key(ours)

        with pytest.raises(Unauthorized):
            authenticate(first.prefix + two[len(second.prefix) :])
        assert one != two


class TestEnd:
    def test_comes_at_the_expiry_to_the_second(self, ours: Workspace, frozen: time_machine.Traveller) -> None:
        key = make_key(ours, expires_at=NOON + timedelta(hours=1))[1]

        frozen.move_to(NOON + timedelta(minutes=59, seconds=59))
        assert authenticate(key).workspace_id == ours.pk
        frozen.move_to(NOON + timedelta(hours=1))
        with pytest.raises(Unauthorized):
            authenticate(key)

    def test_comes_with_the_next_request_after_revocation(self, ours: Workspace) -> None:
        row, key = make_key(ours)
        assert Api(key).get(LIMITS).status == 200

        assert revoke(ours.pk, row.pk) is True

        assert Api(key).get(LIMITS).status == 401
        assert revoke(ours.pk, row.pk) is False

    def test_does_not_come_from_another_workspace(self, ours: Workspace) -> None:
        row, key = make_key(ours)

        assert revoke(make_workspace().pk, row.pk) is False

        assert authenticate(key).key_id == row.pk

    def test_comes_with_the_workspace(self, ours: Workspace) -> None:
        key = make_key(ours)[1]
        ours.delete()

        with pytest.raises(Unauthorized):
            authenticate(key)


class TestLastUsed:
    def test_is_written_at_most_once_a_minute(self, ours: Workspace, frozen: time_machine.Traveller) -> None:
        row, key = make_key(ours)
        seen = []
        for seconds in (0, 59, 60, 61, 100):
            frozen.move_to(NOON + timedelta(seconds=seconds))
            authenticate(key)
            row.refresh_from_db()
            seen.append(row.last_used_at - NOON)

        assert [moment.total_seconds() for moment in seen] == [0, 0, 0, 61, 61]

    def test_is_not_written_for_a_wrong_secret(self, ours: Workspace) -> None:
        row, key = make_key(ours)

        with pytest.raises(Unauthorized):
            authenticate(key[:-1] + ("a" if key[-1] != "a" else "b"))

        row.refresh_from_db()
        assert row.last_used_at is None


class TestScopes:
    @pytest.mark.parametrize(
        ("scopes", "sends", "reads", "manages"),
        [
            (["*"], True, True, True),
            ([], True, True, True),
            (["mail:manage"], True, True, True),
            (["mail:send"], True, False, False),
            (["mail:read"], False, True, False),
            (["mail:send", "mail:read"], True, True, False),
        ],
    )
    def test_allow_what_they_say(
        self, world: World, scopes: list[str], sends: bool, reads: bool, manages: bool
    ) -> None:
        api = Api(make_key(world.owner.workspace, scopes=scopes)[1])

        allowed = [
            api.post(SEND, mail()).status == 202,
            api.get(MESSAGES).status == 200,
            api.post(DOMAINS, {"domain": ""}).status == 400,
        ]

        assert allowed == [sends, reads, manages]


def test_a_suspended_workspace_reads_but_does_not_send(world: World) -> None:
    Workspace.objects.filter(pk=world.owner.workspace.pk).update(status=Workspace.Status.SUSPENDED)

    answer = world.owner.api.post(SEND, mail())

    assert (answer.status, answer.code) == (403, "sending_disabled")
    assert world.owner.api.get(MESSAGES).rows == []
    assert Message.objects.of(world.owner.workspace.pk).count() == 0


def test_a_test_key_sees_nothing_of_the_live_workspace(world: World) -> None:
    api = Api(make_key(world.owner.workspace, is_test=True)[1])
    make_domain(world.owner.workspace, "live.example")

    sent = api.post(SEND, mail())

    assert sent.status == 202
    assert api.get(DOMAINS).rows == []
    assert world.owner.api.get(MESSAGES).rows == []
    assert [row["id"] for row in api.get(MESSAGES).rows] == [sent.data["id"]]
