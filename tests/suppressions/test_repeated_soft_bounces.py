"""Five soft bounces of the mailbox kind within 30 days, with no delivery in between, suppress an address."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.ids import first_id_at
from apps.events.models import Event
from apps.messages.models import Bounce
from apps.messages.services.outcomes import record
from apps.messages.soft_bounces import REPEATED
from apps.protocols import reply_rules
from apps.protocols.reply import Fault
from apps.suppressions.models import Suppression
from apps.suppressions.services import lift
from apps.workspaces.models import Workspace
from tests.client import BOUNCES, SEND, SUPPRESSIONS, Api, mail
from tests.conftest import World, make_world
from tests.factories import suppress
from tests.parallel import at_once, threads
from tests.suppressions.making import claimed, hard, make_bounce, refused, sent, soft, soft_bounces

ADA = "ada@example.com"


def reasons(workspace: Workspace) -> dict[str, str]:
    return dict(Suppression.objects.of(workspace.pk).values_list("email", "reason"))


def test_the_policy_counts_what_is_about_a_mailbox_and_nothing_else() -> None:
    rules = [*reply_rules.ENHANCED, *reply_rules.PLAIN, *reply_rules.BEFORE_MAIL]
    meanings = {rule.meaning.rule: rule.meaning for rule in rules}

    assert (REPEATED.bounces, REPEATED.within) == (5, timedelta(days=30))
    assert REPEATED.rules <= set(meanings)
    assert {meanings[rule].fault for rule in REPEATED.rules} == {Fault.RECIPIENT, Fault.TEMPORARY}
    assert {rule for rule in REPEATED.rules if meanings[rule].fault is Fault.TEMPORARY} == {"mailbox_full_now"}


def test_the_fifth_suppresses_with_all_five_as_evidence(api: Api, workspace: Workspace) -> None:
    soft_bounces(workspace, 4)
    assert reasons(workspace) == {}
    assert api.post(SEND, mail()).data["status"] == "queued"

    fifth = make_bounce(workspace)

    (row,) = api.get(SUPPRESSIONS).rows
    assert (row["email"], row["reason"], row["source"]) == (ADA, "repeated_soft_bounce", "bounce_processor")
    assert (row["messageId"], row["bounceId"]) == (str(fifth.message_id), str(fifth.pk))
    assert [bounce["suppressionId"] for bounce in api.get(BOUNCES).rows] == [row["id"]] * 5
    assert api.post(SEND, mail(to="ADA@example.com")).data["status"] == "suppressed"
    event = Event.objects.of(workspace.pk).get(type="mail.suppression.created")
    assert event.data == {"email": ADA, "reason": "repeated_soft_bounce", "source": "bounce_processor"}


def test_five_at_once_in_one_recording_suppress_too(workspace: Workspace) -> None:
    outcomes = [soft(claimed(workspace)) for _ in range(7)]

    record(outcomes)

    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}
    assert Bounce.objects.of(workspace.pk).filter(suppression_id=None).count() == 0


def test_spellings_of_one_mailbox_are_counted_together(workspace: Workspace) -> None:
    soft_bounces(workspace, 5, [ADA, "Ada@example.com", "ADA@example.com"])

    assert list(reasons(workspace).values()) == ["repeated_soft_bounce"]


def test_others_are_not_counted(world: World) -> None:
    ours, theirs = world.owner.workspace, world.stranger.workspace
    soft_bounces(ours, 4)
    soft_bounces(ours, 4, ["eve@example.com"])
    soft_bounces(theirs, 4)

    assert reasons(ours) == reasons(theirs) == {}


@pytest.mark.parametrize("rule", ["mailbox_rate", "expired", "block_listed", "policy", "unexplained_recipient", ""])
def test_other_rules_never_count(workspace: Workspace, rule: str) -> None:
    soft_bounces(workspace, 4)

    record([soft(claimed(workspace), rule) for _ in range(6)])
    record([refused(claimed(workspace), rule) for _ in range(6)])

    assert reasons(workspace) == {}


def test_a_delivery_in_between_begins_anew(workspace: Workspace) -> None:
    soft_bounces(workspace, 4)
    record([sent(claimed(workspace))])

    soft_bounces(workspace, 4)
    assert reasons(workspace) == {}

    make_bounce(workspace)
    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}
    assert Bounce.objects.of(workspace.pk).filter(suppression_id=None).count() == 4


@pytest.mark.parametrize("email", ["eve@example.com", "ada@example.org"])
def test_a_delivery_to_somebody_else_does_not(workspace: Workspace, email: str) -> None:
    soft_bounces(workspace, 4)
    record([sent(claimed(workspace, email))])

    make_bounce(workspace)

    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}


def test_a_delivery_in_another_workspace_does_not(world: World) -> None:
    ours = world.owner.workspace
    soft_bounces(ours, 4)
    record([sent(claimed(world.stranger.workspace))])

    make_bounce(ours)

    assert reasons(ours) == {ADA: "repeated_soft_bounce"}


def test_what_a_relay_took_and_then_sent_back_was_no_delivery(workspace: Workspace) -> None:
    soft_bounces(workspace, 4)
    holding = claimed(workspace)
    record([sent(holding)])
    back = make_bounce(workspace, "eve@example.com")
    Bounce.objects.of(workspace.pk).filter(pk=back.pk).update(recipient_id=holding.recipient_id)

    make_bounce(workspace)

    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}


def test_what_is_older_than_the_policy_looks_back_is_forgotten(workspace: Workspace) -> None:
    first, *_ = soft_bounces(workspace, 4)
    Bounce.objects.of(workspace.pk).filter(pk=first.pk).update(
        id=first_id_at(clock.now() - REPEATED.within - timedelta(minutes=1))
    )

    make_bounce(workspace)

    assert reasons(workspace) == {}


def test_after_it_was_lifted_five_more_are_needed(workspace: Workspace) -> None:
    soft_bounces(workspace, 5)
    lift(Suppression.objects.of(workspace.pk).get())

    soft_bounces(workspace, 4)
    assert reasons(workspace) == {}

    make_bounce(workspace)
    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}


def test_an_earlier_suppression_keeps_its_reason_and_the_bounces_name_it(workspace: Workspace) -> None:
    holdings = [claimed(workspace) for _ in range(5)]
    manual = suppress(workspace.pk, ADA)

    record([soft(holding) for holding in holdings])

    assert reasons(workspace) == {ADA: "manual"}
    assert set(Bounce.objects.of(workspace.pk).values_list("suppression_id", flat=True)) == {manual.pk}


def test_a_hard_bounce_beside_soft_ones_needs_no_count(workspace: Workspace) -> None:
    holdings = [claimed(workspace) for _ in range(3)]

    record([soft(holdings[0]), hard(holdings[1]), soft(holdings[2])])

    assert reasons(workspace) == {ADA: "hard_bounce"}


def test_recording_success_asks_nothing_about_bounces(workspace: Workspace) -> None:
    soft_bounces(workspace, 4)
    outcomes = [sent(claimed(workspace, f"r{number}@example.com")) for number in range(20)]

    with CaptureQueriesContext(connection) as captured:
        record(outcomes)

    assert [query["sql"] for query in captured if "bounce" in query["sql"] or "suppression" in query["sql"]] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [0, 3])
def test_of_soft_bounces_recorded_at_once_none_is_overlooked(before: int) -> None:
    workspace = make_world().owner.workspace
    soft_bounces(workspace, before)
    outcomes = [soft(claimed(workspace)) for _ in range(5 - before)]

    at_once([_recording([outcome]) for outcome in outcomes], workers=min(threads(5), len(outcomes)))

    assert reasons(workspace) == {ADA: "repeated_soft_bounce"}
    assert Event.objects.of(workspace.pk).filter(type="mail.suppression.created").count() == 1
    (suppression,) = Suppression.objects.of(workspace.pk)
    assert set(Bounce.objects.of(workspace.pk).values_list("suppression_id", flat=True)) == {suppression.pk}


@pytest.mark.django_db(transaction=True)
def test_recordings_with_the_same_addresses_in_any_order_do_not_wait_in_a_circle() -> None:
    workspace = make_world().owner.workspace
    names = [f"r{number}@example.com" for number in range(6)]
    batches = [[soft(claimed(workspace, name)) for name in names[::step]] for step in (1, -1) * 6]

    at_once([_recording(batch) for batch in batches], workers=threads(6))

    assert reasons(workspace) == dict.fromkeys(names, "repeated_soft_bounce")
    assert Bounce.objects.of(workspace.pk).count() == 72


@pytest.mark.django_db(transaction=True)
def test_a_delivery_recorded_at_the_same_time_either_counts_or_does_not() -> None:
    workspace = make_world().owner.workspace
    soft_bounces(workspace, 4)
    outcomes = [soft(claimed(workspace)), sent(claimed(workspace))]

    at_once([_recording([outcome]) for outcome in outcomes], workers=2)

    assert reasons(workspace) in ({}, {ADA: "repeated_soft_bounce"})
    assert Bounce.objects.of(workspace.pk).filter(suppression_id=None).count() == (0 if reasons(workspace) else 5)


def _recording(outcomes: list[object]) -> Callable[[], object]:
    return lambda: record(outcomes)  # type: ignore[arg-type]
