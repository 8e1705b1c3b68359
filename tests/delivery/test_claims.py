"""Who gets which work: lanes before one another, turns for all workspaces, nothing twice, suspects kept apart."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from apps.core import clock
from apps.delivery.services import claim
from apps.delivery.services.claim import Claimer
from apps.delivery.services.gate import Gate, mark_in_doubt
from apps.delivery.services.recover import MAX_CRASHES, recover
from apps.events.models import Event
from apps.messages.models import Attempt, Recipient
from apps.messages.services.outcomes import AttemptFacts, Holding, Outcome, record
from apps.messages.states import AttemptStatus, Lane, Status
from apps.messages.waits import WaitCode
from apps.protocols.address import Mailbox
from apps.workspaces.models import Workspace
from tests.conftest import World, make_world
from tests.delivery.conftest import Post
from tests.factories import make_message, suppress
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX
from tests.parallel import at_once

ROOM = dict.fromkeys(Lane, 20)


def queue(workspace: Workspace, count: int, *, lane: Lane = Lane.TRANSACTIONAL, sender: str = "shop.example") -> None:
    for number in range(count):
        make_message(workspace, f"r{number}@{INBOX}", lane=lane, sender=Mailbox(f"a@{sender}"))


def lease_runs_out(holdings: Sequence[Holding]) -> None:
    """What is left behind when the process that held these dies."""
    ids = [holding.recipient_id for holding in holdings]
    past = clock.database_now() - timedelta(seconds=1)
    Recipient.objects.across_workspaces().filter(pk__in=ids).update(lease_until=past)


def waits_no_longer() -> None:
    Recipient.objects.across_workspaces().filter(next_attempt_at__isnull=False).update(
        next_attempt_at=clock.database_now()
    )


def the_row() -> Recipient:
    row: Recipient = Recipient.objects.across_workspaces().get()
    return row


def sent(holding: Holding) -> Outcome:
    now = clock.now()
    return Outcome(holding, Status.SENT, AttemptFacts(AttemptStatus.SENT, now, now, smtp_code=250))


def test_five_messages_do_not_wait_behind_three_hundred_of_another_workspace(world: World) -> None:
    flood, small = world.owner.workspace, world.stranger.workspace
    queue(flood, 300)
    claimer = Claimer()
    claimer.claim(ROOM)
    queue(small, 5, sender="stranger.example")

    taken = claimer.claim(ROOM) + claimer.claim(ROOM)

    assert len(taken) == 35
    assert sum(holding.workspace_id == small.pk for holding in taken) == 5


def test_codes_go_before_letters_and_letters_before_batches(world: World) -> None:
    workspace = world.owner.workspace
    for lane in (Lane.BULK, Lane.TRANSACTIONAL, Lane.OTP):
        queue(workspace, 10, lane=lane)
    claimer, lanes = Claimer(), []

    for _ in range(6):
        lanes += [holding.lane for holding in claimer.claim(dict.fromkeys(Lane, 5))]

    assert lanes == sorted(lanes)
    assert len(lanes) == 30


def test_room_that_is_kept_for_codes_is_not_given_to_letters(world: World) -> None:
    queue(world.owner.workspace, 5, lane=Lane.TRANSACTIONAL)
    queue(world.owner.workspace, 5, lane=Lane.OTP)

    taken = Claimer().claim({Lane.OTP: 5, Lane.TRANSACTIONAL: 0, Lane.BULK: 0})

    assert [holding.lane for holding in taken] == [Lane.OTP] * 5


@pytest.mark.django_db(transaction=True)
def test_claims_at_the_same_moment_never_share_a_row() -> None:
    queue(make_world().owner.workspace, 200)

    def some() -> list[Holding]:
        return Claimer().claim(dict.fromkeys(Lane, 10))

    claims = at_once([some] * 24, workers=4)

    ids = [holding.recipient_id for taken in claims for holding in taken]
    assert len(ids) == len(set(ids)) == 200
    assert set(Recipient.objects.across_workspaces().values_list("fence", flat=True)) == {1}


def test_an_outcome_of_a_claim_that_was_taken_over_changes_nothing(world: World) -> None:
    queue(world.owner.workspace, 1)
    (late,) = Claimer().claim(ROOM)
    lease_runs_out([late])
    recover()
    (present,) = Claimer().claim(ROOM)
    events = Event.objects.across_workspaces().count()

    assert record([sent(late)]) == set()

    assert (the_row().status, the_row().fence) == (Status.QUEUED, present.fence)
    assert not Attempt.objects.across_workspaces().exists()
    assert Event.objects.across_workspaces().count() == events
    assert record([sent(present)]) == {present.recipient_id}
    assert record([sent(present)]) == set()
    assert the_row().status == Status.SENT


def test_the_gate_refuses_a_claim_that_was_taken_over(world: World) -> None:
    queue(world.owner.workspace, 1)
    (late,) = Claimer().claim(ROOM)
    lease_runs_out([late])
    recover()

    assert mark_in_doubt([late]) == set()
    (present,) = Claimer().claim(ROOM)
    assert mark_in_doubt([late]) == set()
    assert not the_row().in_doubt
    assert mark_in_doubt([present]) == {present.recipient_id}
    assert the_row().in_doubt


def test_a_parcel_stopped_at_the_gate_for_one_recipient_leaves_no_doubt_about_the_other(world: World) -> None:
    workspace = world.owner.workspace
    make_message(workspace, [f"ada@{INBOX}", f"grace@{INBOX}"])
    held = Claimer().claim(ROOM)
    suppress(workspace.pk, f"ada@{INBOX}")

    assert async_to_sync(through_the_gate)(held) is False

    assert not Recipient.objects.across_workspaces().filter(in_doubt=True).exists()
    claim.release(held)
    assert len(Claimer().claim(ROOM)) == 2


async def through_the_gate(holdings: Sequence[Holding]) -> bool:
    gate = Gate(lambda: 1)
    running = asyncio.create_task(gate.run())
    try:
        return await gate.passes(holdings)
    finally:
        running.cancel()


def test_a_claim_that_ran_out_before_the_gate_is_simply_work_again(world: World) -> None:
    queue(world.owner.workspace, 1)
    lease_runs_out(Claimer().claim(ROOM))

    assert recover() == 1

    assert the_row().status == Status.QUEUED
    assert not Attempt.objects.across_workspaces().exists()
    assert len(Claimer().claim(ROOM)) == 1


def test_a_claim_that_ran_out_behind_the_gate_is_an_ambiguous_attempt(world: World) -> None:
    queue(world.owner.workspace, 1)
    held = Claimer().claim(ROOM)
    mark_in_doubt(held)
    lease_runs_out(held)

    assert recover() == 1

    assert the_row().status == Status.DEFERRED
    assert not the_row().in_doubt
    assert [attempt.status for attempt in Attempt.objects.across_workspaces()] == [AttemptStatus.AMBIGUOUS]
    assert Event.objects.across_workspaces().filter(type="mail.delivery.ambiguous").count() == 1
    assert len(Claimer().claim(ROOM)) == 1


def test_a_code_that_perhaps_arrived_is_not_sent_again(world: World) -> None:
    queue(world.owner.workspace, 1, lane=Lane.OTP)
    held = Claimer().claim(ROOM)
    mark_in_doubt(held)
    lease_runs_out(held)

    assert recover() == 1

    assert the_row().status == Status.FAILED
    assert "perhaps" in the_row().last_error
    assert Claimer().claim(ROOM) == []


def test_what_was_given_back_counts_neither_as_a_try_nor_as_a_crash(world: World) -> None:
    queue(world.owner.workspace, 1)

    for _ in range(MAX_CRASHES + 2):
        claim.release(Claimer().claim(ROOM))

    assert (the_row().status, the_row().crashes, the_row().attempt_count) == (Status.QUEUED, 0, 0)
    assert len(Claimer().claim(ROOM)) == 1


def test_what_kills_every_worker_is_quarantined_and_told(world: World) -> None:
    message = make_message(world.owner.workspace, f"poison@{INBOX}")
    for _ in range(MAX_CRASHES):
        lease_runs_out(Claimer().claim(ROOM))
        recover()
        waits_no_longer()

    assert Claimer().claim(ROOM) == []
    (recipient,) = world.owner.api.get(f"/v1/mail/messages/{message.pk}").data["recipients"]
    assert recipient["status"] == "deferred"
    assert recipient["wait"]["code"] == WaitCode.QUARANTINE
    assert "operator" in recipient["wait"]["whoCanChangeIt"]


def test_bystanders_of_crashes_are_delivered_and_only_the_culprit_is_kept(post: Post, world: World) -> None:
    """The poison kills whatever process has it in hand; the others were only in the same hands."""
    make_message(world.owner.workspace, f"poison@{INBOX}")
    queue(world.owner.workspace, 40)
    for _ in range(40):
        held = Claimer().claim(dict.fromkeys(Lane, 100))
        if any(holding.email.startswith("poison") for holding in held):
            lease_runs_out(held)
            recover()
        else:
            record([sent(holding) for holding in held])
        waits_no_longer()

    rows = Recipient.objects.across_workspaces()
    assert [row.email for row in rows.filter(wait_code=WaitCode.QUARANTINE)] == [f"poison@{INBOX}"]
    with SmtpSink() as server:
        post.goes_to(server)
        for _ in range(40):
            post.deliver_later()
        assert not rows.exclude(wait_code=WaitCode.QUARANTINE).exclude(status=Status.SENT).exists()


@pytest.mark.parametrize(("crashes", "together"), [(0, 20), (1, 10), (2, 1), (3, 1)])
def test_the_more_suspect_the_fewer_are_in_one_process(world: World, crashes: int, together: int) -> None:
    queue(world.owner.workspace, 20)
    Recipient.objects.across_workspaces().update(crashes=crashes)
    claimer = Claimer()

    held = claimer.claim(dict.fromkeys(Lane, 100))
    waits_no_longer()
    more = claimer.claim(dict.fromkeys(Lane, 100), held)

    assert len(held) == together
    assert more == []


def test_lease_times_come_from_the_database(world: World) -> None:
    queue(world.owner.workspace, 1)
    before = clock.database_now()

    Claimer().claim(ROOM)

    lease = the_row().lease_until
    assert lease is not None
    assert before + claim.lease_time() <= lease <= clock.database_now() + claim.lease_time()
