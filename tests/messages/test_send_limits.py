"""A workspace sends exactly as much as it may, also when requests race for the last place."""

from datetime import timedelta
from functools import partial

import pytest
import time_machine

from apps.messages.models import Message
from apps.workspaces.limits import usage
from apps.workspaces.models import UsageCount, Workspace
from tests import stored
from tests.client import LIMITS, SEND, Api, mail
from tests.conftest import NOON, World
from tests.factories import make_key, suppress
from tests.parallel import at_once, threads


def allow(workspace: Workspace, *, daily: int | None = None, hourly: int | None = None) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=daily, hourly_limit=hourly)


def test_counts_recipients_and_not_messages(api: Api, workspace: Workspace) -> None:
    allow(workspace, daily=5)

    statuses = [api.post(SEND, mail(to=[f"{n}@example.com" for n in range(count)])).status for count in (3, 3, 2, 1)]

    assert statuses == [202, 429, 202, 429]
    assert api.get(LIMITS).data["dailyUsed"] == 5


def test_a_refusal_says_when_to_come_back(api: Api, workspace: Workspace, frozen: time_machine.Traveller) -> None:
    allow(workspace, daily=0)
    before = stored.everything()

    answer = api.post(SEND, mail())

    assert (answer.status, answer.code) == (429, "daily_limit_exceeded")
    assert answer.headers["Retry-After"] == str(12 * 3600 + 1)
    assert answer.body["error"]["details"] == {"limit": 0, "period": "day"}
    assert stored.everything() == before


def test_the_day_begins_anew_at_midnight_utc(api: Api, workspace: Workspace, frozen: time_machine.Traveller) -> None:
    allow(workspace, daily=1)
    seen = []
    for moment in (NOON, NOON + timedelta(hours=11, minutes=59), NOON + timedelta(hours=12)):
        frozen.move_to(moment)
        seen.append(api.post(SEND, mail()).status)

    assert seen == [202, 429, 202]


def test_the_hour_has_a_limit_of_its_own(api: Api, workspace: Workspace, frozen: time_machine.Traveller) -> None:
    allow(workspace, daily=10, hourly=1)
    api.post(SEND, mail())
    frozen.move_to(NOON + timedelta(minutes=45))

    answer = api.post(SEND, mail())

    assert (answer.status, answer.code) == (429, "hourly_limit_exceeded")
    assert answer.headers["Retry-After"] == str(15 * 60 + 1)
    assert api.get(LIMITS).data["dailyUsed"] == 1
    frozen.move_to(NOON + timedelta(hours=1))
    assert api.post(SEND, mail()).status == 202


def test_suppressed_recipients_do_not_count(api: Api, workspace: Workspace) -> None:
    allow(workspace, daily=1)
    suppress(workspace.pk, "bob@example.com")

    assert api.post(SEND, mail(to=["ada@example.com", "bob@example.com"])).status == 202
    assert api.post(SEND, mail(to="bob@example.com")).data["status"] == "suppressed"
    assert api.get(LIMITS).data["dailyUsed"] == 1


@pytest.mark.parametrize(
    ("tier", "limit"),
    [("sandbox", 1_000), ("starter", 10_000), ("growth", 100_000), ("business", 1_000_000), ("custom", None)],
)
def test_a_tier_brings_its_limit(api: Api, workspace: Workspace, tier: str, limit: int | None) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(tier=tier)

    assert (api.get(LIMITS).data["tier"], api.get(LIMITS).data["dailyLimit"]) == (tier, limit)
    assert api.post(SEND, mail()).status == 202


def test_a_test_key_uses_up_nothing_of_the_live_limit(world: World) -> None:
    from_test = Api(make_key(world.owner.workspace, is_test=True)[1])

    assert from_test.post(SEND, mail()).status == 202
    assert world.owner.api.get(LIMITS).data["dailyUsed"] == 0


@pytest.mark.django_db(transaction=True)
def test_of_300_requests_at_once_exactly_100_pass(world: World) -> None:
    workspace = world.owner.workspace
    allow(workspace, daily=100)
    call = partial(Api(world.owner.key).post, SEND, mail())

    answers = at_once([call] * 300, workers=threads(30))

    assert sorted(answer.status for answer in answers) == [202] * 100 + [429] * 200
    assert {answer.code for answer in answers if answer.status == 429} == {"daily_limit_exceeded"}
    assert Message.objects.of(workspace.pk).count() == 100
    workspace.refresh_from_db()
    assert usage(workspace).daily_used == 100
    assert UsageCount.objects.filter(workspace=workspace).count() == 1
