"""What an operator's verbs do to a recipient in each of its states, and what they leave alone."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from apps.core import clock
from apps.core.ids import new_id
from apps.events.models import Event
from apps.events.types import EventType
from apps.messages.models import Attempt, Bounce, Message, Recipient
from apps.messages.services import interventions
from apps.messages.services.interventions import Intervention
from apps.messages.states import FINAL, Status
from apps.messages.waits import WaitCode
from apps.suppressions.models import Suppression
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import MESSAGES, Api
from tests.factories import make_message
from tests.parallel import at_once

VERBS = {
    "hold": lambda ids: interventions.hold(ids, reason="wrong prices"),
    "release": interventions.release,
    "retry_now": interventions.retry_now,
    "cancel": interventions.cancel,
}
EACH_VERB = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture
def recipient(workspace: Workspace) -> Recipient:
    """Accepted and never tried."""
    return Recipient.objects.of(workspace.pk).get(message=make_message(workspace))


def become(row: Recipient, **changes: Any) -> None:
    Recipient.objects.of(row.workspace_id).filter(pk=row.pk).update(**changes)
    row.refresh_from_db()


def become_deferred(row: Recipient, **changes: Any) -> None:
    waits = {"wait_code": WaitCode.RETRY, "wait_detail": "451 later", "waiting_since": clock.now()}
    tried = {"attempt_count": 2, "tries": 2, "next_attempt_at": clock.now() + timedelta(hours=1)}
    become(row, **{"status": Status.DEFERRED} | waits | tried | changes)


def become_claimed(row: Recipient, **changes: Any) -> None:
    become(row, lease_until=clock.now() + timedelta(minutes=1), fence=7, crashes=1, **changes)


def become_quarantined(row: Recipient) -> None:
    become_deferred(row, next_attempt_at=None, wait_code=WaitCode.QUARANTINE, crashes=4)


def only(answer: Intervention, row: Recipient) -> str:
    """Why the one recipient was refused, or nothing where it was changed."""
    assert (answer.changed | answer.refused.keys()) == {row.pk}
    row.refresh_from_db()
    return answer.refused.get(row.pk, "")


def told(row: Recipient) -> list[tuple[str, Any]]:
    events = Event.objects.of(row.workspace_id).filter(message_id=row.message_id).order_by("pk")
    return [(event.type, event.data.get("detail")) for event in events]


def status_of_message(row: Recipient) -> str:
    return Message.objects.of(row.workspace_id).get(pk=row.message_id).status


class TestHold:
    @pytest.mark.parametrize("before", [lambda row: None, become_deferred, become_claimed])
    def test_stops_what_is_not_being_handed_over(self, before: Any, recipient: Recipient) -> None:
        before(recipient)
        fence, attempts, crashes = recipient.fence, recipient.attempt_count, recipient.crashes

        assert only(VERBS["hold"]([recipient.pk]), recipient) == ""

        assert (recipient.status, recipient.next_attempt_at, recipient.lease_until) == (Status.DEFERRED, None, None)
        assert (recipient.wait_code, recipient.wait_detail) == (WaitCode.HOLD, "wrong prices")
        # A worker's claim counted as a possible crash, and it was none.
        assert (recipient.fence, recipient.attempt_count) == (fence + 1, attempts)
        assert recipient.crashes == max(0, crashes - 1)
        assert status_of_message(recipient) == Status.DEFERRED
        assert told(recipient)[-1] == (EventType.MESSAGE_DEFERRED, "wrong prices")

    def test_is_told_by_the_api(self, recipient: Recipient, api: Api) -> None:
        VERBS["hold"]([recipient.pk])

        wait = api.get(f"{MESSAGES}/{recipient.message_id}").data["recipients"][0]["wait"]

        assert (wait["code"], wait["reason"], wait["until"]) == ("hold", "Held by an operator.", None)
        assert wait["detail"] == "wrong prices"
        assert wait["whoCanChangeIt"] == "an operator of this server, by releasing it"

    def test_of_what_is_held_or_in_quarantine_changes_nothing(self, recipient: Recipient) -> None:
        VERBS["hold"]([recipient.pk])
        before = stored.everything()
        assert only(interventions.hold([recipient.pk]), recipient) == interventions.HELD_ALREADY
        assert stored.everything() == before

        become_quarantined(recipient)
        before = stored.everything()
        assert only(VERBS["hold"]([recipient.pk]), recipient) == interventions.QUARANTINED
        assert stored.everything() == before

    def test_lasts_when_other_waits_are_ended(self, recipient: Recipient) -> None:
        VERBS["hold"]([recipient.pk])
        for code in WaitCode:
            interventions.make_due_after(code)
        recipient.refresh_from_db()
        assert (recipient.wait_code, recipient.next_attempt_at) == (WaitCode.HOLD, None)


class TestRelease:
    @pytest.mark.parametrize(
        ("before", "status"), [(lambda row: None, Status.QUEUED), (become_deferred, Status.DEFERRED)]
    )
    def test_makes_what_was_held_due_without_a_reason_to_wait(
        self, before: Any, status: Status, recipient: Recipient
    ) -> None:
        before(recipient)
        VERBS["hold"]([recipient.pk])

        assert only(interventions.release([recipient.pk]), recipient) == ""

        assert recipient.next_attempt_at <= clock.now()
        assert (recipient.status, recipient.wait_code, recipient.waiting_since) == (status, "", None)
        assert status_of_message(recipient) == status

    def test_ends_a_quarantine_and_its_suspicion(self, recipient: Recipient) -> None:
        become_quarantined(recipient)
        assert only(interventions.release([recipient.pk]), recipient) == ""
        assert (recipient.crashes, recipient.wait_code, recipient.status) == (0, "", Status.DEFERRED)
        assert recipient.next_attempt_at <= clock.now()

    @pytest.mark.parametrize("before", [lambda row: None, become_deferred, become_claimed])
    def test_of_what_nobody_holds_changes_nothing(self, before: Any, recipient: Recipient) -> None:
        before(recipient)
        everything = stored.everything()
        assert only(interventions.release([recipient.pk]), recipient) == interventions.NOT_HELD
        assert stored.everything() == everything


class TestRetryNow:
    @pytest.mark.parametrize("code", sorted(set(WaitCode) - {WaitCode.HOLD, WaitCode.QUARANTINE}))
    def test_makes_due_whatever_it_waits_for(self, code: WaitCode, recipient: Recipient) -> None:
        become_deferred(recipient, wait_code=code)
        assert only(interventions.retry_now([recipient.pk]), recipient) == ""
        assert recipient.next_attempt_at <= clock.now()
        assert (recipient.status, recipient.wait_code, recipient.tries) == (Status.DEFERRED, code, 2)
        assert told(recipient) == [(EventType.MESSAGE_QUEUED, None)]

    def test_ends_a_quarantine(self, recipient: Recipient) -> None:
        become_quarantined(recipient)
        assert only(interventions.retry_now([recipient.pk]), recipient) == ""
        assert (recipient.crashes, recipient.wait_code) == (0, "")

    def test_leaves_to_release_what_is_held(self, recipient: Recipient) -> None:
        VERBS["hold"]([recipient.pk])
        before = stored.everything()
        assert only(interventions.retry_now([recipient.pk]), recipient) == interventions.HELD
        assert stored.everything() == before

    def test_leaves_alone_what_a_worker_has_in_hand(self, recipient: Recipient) -> None:
        become_claimed(recipient)
        before = stored.everything()
        assert only(interventions.retry_now([recipient.pk]), recipient) == interventions.IN_HAND
        assert stored.everything() == before


class TestCancel:
    @pytest.mark.parametrize(
        "before",
        [
            lambda row: None,
            become_deferred,
            become_claimed,
            become_quarantined,
            lambda row: VERBS["hold"]([row.pk]),
        ],
    )
    def test_ends_what_is_not_being_handed_over(self, before: Any, recipient: Recipient) -> None:
        before(recipient)

        assert only(interventions.cancel([recipient.pk]), recipient) == ""

        assert (recipient.status, recipient.next_attempt_at, recipient.lease_until) == (Status.FAILED, None, None)
        assert recipient.last_error == "Canceled by an operator."
        assert recipient.finished_at is not None
        assert status_of_message(recipient) == Status.FAILED
        assert told(recipient)[-1] == (EventType.MESSAGE_FAILED, "Canceled by an operator.")

    def test_leaves_no_bounce_no_attempt_and_no_suppression(self, recipient: Recipient, workspace: Workspace) -> None:
        interventions.cancel([recipient.pk], reason="sent by mistake")
        for model in (Bounce, Attempt, Suppression):
            assert not model.objects.of(workspace.pk).exists()
        recipient.refresh_from_db()
        assert recipient.last_error == "Canceled by an operator: sent by mistake"

    def test_leaves_the_other_recipients_of_the_message_alone(self, workspace: Workspace) -> None:
        message = make_message(workspace, ["ada@example.com", "bob@example.com"])
        ada, bob = Recipient.objects.of(workspace.pk).filter(message=message).order_by("position")
        interventions.cancel([ada.pk])
        bob.refresh_from_db()
        assert (bob.status, status_of_message(bob)) == (Status.QUEUED, Status.QUEUED)


def test_of_a_worker_that_died_it_is_said_that_it_did(recipient: Recipient) -> None:
    become_claimed(recipient)
    become(recipient, lease_until=clock.now() - timedelta(hours=3))
    assert only(interventions.retry_now([recipient.pk]), recipient) == interventions.DIED_IN_HAND
    become(recipient, in_doubt=True)
    assert only(interventions.cancel([recipient.pk]), recipient) == interventions.DIED_IN_DOUBT


@EACH_VERB
class TestEveryVerb:
    @pytest.mark.parametrize("end", sorted(FINAL))
    def test_leaves_alone_what_has_ended(self, verb: str, end: Status, recipient: Recipient) -> None:
        become(recipient, status=end, next_attempt_at=None, finished_at=clock.now())
        before = stored.everything()
        assert only(VERBS[verb]([recipient.pk]), recipient) == f"It has ended already: {end}."
        assert stored.everything() == before

    def test_leaves_alone_what_is_being_handed_over(self, verb: str, recipient: Recipient) -> None:
        become_claimed(recipient, in_doubt=True, status=Status.SENDING)
        before = stored.everything()
        assert only(VERBS[verb]([recipient.pk]), recipient) == interventions.IN_DOUBT
        assert stored.everything() == before

    def test_says_so_where_there_is_no_such_recipient(self, verb: str, db: None) -> None:
        nobody: UUID = new_id()
        assert VERBS[verb]([nobody]) == Intervention(frozenset(), {nobody: interventions.GONE})


@pytest.mark.django_db(transaction=True)
def test_of_two_holds_at_once_one_is_told_that_it_is_held(recipient: Recipient) -> None:
    answers = at_once([lambda: VERBS["hold"]([recipient.pk])] * 4, workers=4)

    assert [len(answer.changed) for answer in answers].count(1) == 1
    assert [answer.refused.get(recipient.pk) for answer in answers].count(interventions.HELD_ALREADY) == 3
    assert told(recipient) == [
        (EventType.MESSAGE_QUEUED, None),
        (EventType.MESSAGE_DEFERRED, "wrong prices"),
    ]


@pytest.mark.django_db(transaction=True)
def test_of_hold_and_cancel_at_once_on_many_recipients_each_has_one_end(workspace: Workspace) -> None:
    for number in range(6):
        make_message(workspace, [f"ada{number}@example.com", f"bob{number}@example.com"])
    chosen = list(Recipient.objects.of(workspace.pk).values_list("pk", flat=True))

    at_once([lambda: VERBS["hold"](chosen), lambda: interventions.cancel(chosen[::-1])] * 2, workers=4)

    # A cancel after a hold ends it; a hold after a cancel changes nothing.
    assert set(Recipient.objects.of(workspace.pk).values_list("status", flat=True)) == {Status.FAILED}
    failed = Event.objects.of(workspace.pk).filter(type=EventType.MESSAGE_FAILED)
    assert failed.count() == len(chosen)
