"""Whose turn it is: who has nothing due takes nobody's place, and hosts with wrong clocks delay nobody."""

from datetime import timedelta
from uuid import UUID

import pytest

from apps.core import clock
from apps.delivery.services.claim import MAX_TURNS, Claimer
from apps.messages.models import Recipient
from apps.messages.states import Lane, Status
from tests.conftest import World
from tests.factories import make_accepted, make_caller, make_message, make_workspace

ROOM = dict.fromkeys(Lane, 20)


def workspace_with_mail() -> UUID:
    """A test workspace, which needs no domain, with one recipient that is due."""
    workspace = make_workspace()
    caller = make_caller(workspace, is_test=True)
    make_accepted(workspace, caller=caller)
    return caller.workspace_id


@pytest.mark.parametrize("due", ["first", "middle", "last"])
def test_300_workspaces_with_deferred_mail_do_not_hide_one_due_recipient(db: None, due: str) -> None:
    """Workspaces are walked in the order of their ids, so the one that has something due stands anywhere."""
    workspaces = sorted(workspace_with_mail() for _ in range(300))
    rows = Recipient.objects.across_workspaces()
    now = clock.database_now()
    rows.update(next_attempt_at=now + timedelta(hours=1), status=Status.DEFERRED)
    chosen = workspaces[{"first": 0, "middle": 150, "last": -1}[due]]
    rows.filter(workspace_id=chosen).update(next_attempt_at=now)

    taken = Claimer().claim(ROOM)

    assert [holding.workspace_id for holding in taken] == [chosen]


def test_all_of_many_workspaces_have_their_turn(db: None) -> None:
    workspaces = [workspace_with_mail() for _ in range(2 * MAX_TURNS + 10)]
    claimer, room = Claimer(), dict.fromkeys(Lane, 100)

    taken = [holding.workspace_id for _ in range(3) for holding in claimer.claim(room)]

    assert sorted(taken) == sorted(workspaces)


def test_a_host_clock_that_runs_ahead_does_not_delay_a_new_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite the database's clock is the host's own; on PostgreSQL it is another's."""
    right = clock.now
    monkeypatch.setattr(clock, "now", lambda: right() + timedelta(minutes=5))
    make_message(world.owner.workspace)

    assert len(Claimer().claim(ROOM)) == 1


def test_a_host_clock_that_runs_behind_does_not_delay_a_new_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = clock.now
    monkeypatch.setattr(clock, "now", lambda: right() - timedelta(minutes=5))
    make_message(world.owner.workspace)

    assert len(Claimer().claim(ROOM)) == 1
