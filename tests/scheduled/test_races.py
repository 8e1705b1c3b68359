"""Several at once: dispatchers, cancels, moves, repeated requests. Exactly one of them has its way."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from apps.core.errors import Problem
from apps.events.models import Event
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from apps.scheduled.services import changing
from apps.scheduled.tasks import dispatch
from apps.workspaces.models import UsageCount, Workspace
from tests.client import Api
from tests.conftest import World
from tests.parallel import at_once, threads
from tests.scheduled.making import SCHEDULED, at, bring_due, later, make_scheduled

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 60


def outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except Problem as refusal:
        return refusal.code
    return "done"


def assert_consistent(workspace: Workspace) -> Counter[str]:
    """Each row that was sent has one message of its own, every other none; the events say the same."""
    rows = list(Scheduled.objects.of(workspace.pk))
    made = dict(Message.objects.of(workspace.pk).values_list("scheduled_id", "pk"))
    assert made == {row.pk: row.message_id for row in rows if row.status == "sent"}
    assert Message.objects.of(workspace.pk).count() == len(made)
    assert [row.pk for row in rows if row.status != "sent" and row.message_id] == []
    told = Counter(Event.objects.of(workspace.pk).values_list("type", flat=True))
    counts = Counter(row.status for row in rows)
    assert told["mail.scheduled.dispatched"] == told["mail.message.queued"] == counts["sent"]
    assert told["mail.scheduled.canceled"] == counts["canceled"]
    return counts


def test_many_dispatchers_dispatch_each_once(world: World) -> None:
    ours, theirs = world.owner.workspace, world.stranger.workspace
    for _ in range(COUNT):
        make_scheduled(ours)
        make_scheduled(theirs, later(**{"from": "a@stranger.example"}))
    bring_due(ours)
    bring_due(theirs)
    workers = threads(6)

    dealt_with = at_once([dispatch] * 4 * workers, workers=workers)

    while dispatch():
        pass
    assert sum(dealt_with) <= 2 * COUNT
    for workspace in (ours, theirs):
        assert assert_consistent(workspace) == {"sent": COUNT}
        assert sum(UsageCount.objects.filter(workspace=workspace).values_list("recipients", flat=True)) == COUNT


def test_each_is_either_sent_or_canceled(workspace: Workspace) -> None:
    rows = [make_scheduled(workspace) for _ in range(COUNT)]
    bring_due(workspace)
    cancels = [partial(outcome, partial(changing.cancel, workspace.pk, row.pk)) for row in rows]
    calls: list[Callable[[], Any]] = [call for pair in zip([dispatch] * COUNT, cancels, strict=True) for call in pair]

    answers = Counter(str(answer) for answer in at_once(calls, workers=threads(6)) if isinstance(answer, str))

    while dispatch():
        pass
    counts = assert_consistent(workspace)
    assert counts["sent"] + counts["canceled"] == COUNT
    assert answers["done"] == counts["canceled"]
    assert answers["invalid_state"] == counts["sent"]


def test_each_is_either_sent_or_moved(workspace: Workspace) -> None:
    rows = [make_scheduled(workspace) for _ in range(COUNT)]
    bring_due(workspace)
    tomorrow = Scheduled._meta.get_field("send_at").to_python(at())
    moves = [partial(outcome, partial(changing.reschedule, workspace.pk, row.pk, tomorrow)) for row in rows]
    calls: list[Callable[[], Any]] = [call for pair in zip([dispatch] * COUNT, moves, strict=True) for call in pair]

    answers = Counter(str(answer) for answer in at_once(calls, workers=threads(6)) if isinstance(answer, str))

    while dispatch():
        pass
    counts = assert_consistent(workspace)
    assert answers["done"] == counts["scheduled"]
    assert answers["invalid_state"] == counts["sent"]


def test_of_many_cancels_one_has_it(api: Api, workspace: Workspace) -> None:
    row = make_scheduled(workspace)
    workers = threads(8)

    answers = at_once([partial(api.post, f"{SCHEDULED}/{row.pk}/cancel")] * workers, workers=workers)

    assert Counter(answer.status for answer in answers) == {200: 1, 409: workers - 1}
    assert assert_consistent(workspace) == {"canceled": 1}


def test_of_many_repeats_one_is_stored(api: Api, workspace: Workspace) -> None:
    body = later(idempotencyKey="order-1")
    workers = threads(8)

    answers = at_once([partial(api.post, SCHEDULED, body)] * workers, workers=workers)

    assert Counter(answer.status for answer in answers) == {201: 1, 200: workers - 1}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert Scheduled.objects.of(workspace.pk).count() == 1


def test_of_many_different_requests_with_one_key_one_is_stored(api: Api, workspace: Workspace) -> None:
    workers = threads(8)
    bodies = [later(idempotencyKey="order-1", subject=f"S{number}") for number in range(workers)]

    answers = at_once([partial(api.post, SCHEDULED, body) for body in bodies], workers=workers)

    assert Counter(answer.status for answer in answers) == {201: 1, 409: workers - 1}
    assert Scheduled.objects.of(workspace.pk).count() == 1


def test_racing_for_the_last_places_of_a_limit_none_is_lost(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(daily_limit=COUNT // 2)
    for _ in range(COUNT):
        make_scheduled(workspace)
    bring_due(workspace, ago=timedelta(seconds=1))
    workers = threads(4)

    at_once([dispatch] * 2 * workers, workers=workers)
    while dispatch():
        pass

    assert assert_consistent(workspace) == {"sent": COUNT // 2, "scheduled": COUNT // 2}
    waiting = Scheduled.objects.of(workspace.pk).filter(status="scheduled")
    assert set(waiting.values_list("wait_code", flat=True)) == {"limit"}
