"""A challenge ends once, and its mail and its text end with it."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.ids import new_id
from apps.delivery.services.claim import Claimer
from apps.delivery.services.drain import drain
from apps.messages.models import Message, MessageContent, Recipient
from apps.messages.services import interventions
from apps.messages.states import Lane
from apps.otp.models import Challenge
from apps.otp.services import follow as following
from apps.otp.tasks import follow
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import Api
from tests.conftest import World, make_world
from tests.factories import make_message, make_workspace
from tests.otp.conftest import (
    CHALLENGES,
    OTP_VERIFY,
    code_of,
    expire,
    issued,
    last_event,
    stored_challenge,
    told,
    wrong,
)
from tests.parallel import at_once, threads


def recipient_of(challenge: dict[str, Any]) -> Recipient:
    row: Recipient = Recipient.objects.across_workspaces().get(message_id=challenge["messageId"])
    return row


def held(challenge: dict[str, Any]) -> None:
    interventions.hold([recipient_of(challenge).pk])


def claimed(challenge: dict[str, Any]) -> None:
    Claimer().claim(dict.fromkeys(Lane, 20))


def assert_mail_is_gone(challenge: dict[str, Any]) -> None:
    recipient, content = recipient_of(challenge), MessageContent.objects.get(pk=challenge["messageId"])
    assert (recipient.status, recipient.next_attempt_at, recipient.lease_until) == ("failed", None, None)
    assert (content.text, content.html) == (None, None)


def canceled(api: Api, challenge: dict[str, Any]) -> str:
    assert api.post(f"{CHALLENGES}/{challenge['id']}/cancel").status == 200
    return "canceled"


def expired(api: Api, challenge: dict[str, Any]) -> str:
    expire(challenge)
    follow()
    return "expired"


def verified(api: Api, challenge: dict[str, Any]) -> str:
    assert api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": code_of(challenge)}).status == 200
    return "verified"


def failed(api: Api, challenge: dict[str, Any]) -> str:
    code = wrong(code_of(challenge))
    for _ in range(5):
        api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": code})
    return "failed"


@pytest.mark.parametrize("end", [canceled, expired, verified, failed])
@pytest.mark.parametrize("mail", [lambda challenge: None, held, claimed], ids=["queued", "held", "claimed"])
def test_the_queue_entry_dies_with_the_challenge(
    api: Api, end: Callable[[Api, dict[str, Any]], str], mail: Callable[[dict[str, Any]], None]
) -> None:
    challenge = issued(api)
    mail(challenge)

    status = end(api, challenge)

    row = stored_challenge(challenge)
    assert (row.status, row.code_hash) == (status, "")
    assert_mail_is_gone(challenge)
    assert told(challenge)[-1] == status


class TestCancel:
    def test_answers_with_the_challenge(self, api: Api) -> None:
        challenge = issued(api)

        answer = api.post(f"{CHALLENGES}/{challenge['id']}/cancel")

        assert (answer.data["status"], answer.data["deliveryStatus"]) == ("canceled", "failed")
        assert answer.data["canceledAt"] is not None
        assert last_event(challenge).data["reason"] == "requested"

    @pytest.mark.parametrize("end", [canceled, expired, verified, failed])
    def test_refuses_what_has_ended(self, api: Api, end: Callable[[Api, dict[str, Any]], str]) -> None:
        challenge = issued(api)
        status = end(api, challenge)
        before = stored.everything()

        answer = api.post(f"{CHALLENGES}/{challenge['id']}/cancel")

        assert (answer.status, answer.code) == (409, "invalid_state")
        assert answer.body["error"]["details"] == {"status": status}
        assert stored.everything() == before

    def test_finds_only_its_own(self, api: Api, world: World) -> None:
        theirs = issued(world.stranger.api, **{"from": "a@stranger.example"})

        for challenge_id in (theirs["id"], str(new_id()), "x"):
            assert api.post(f"{CHALLENGES}/{challenge_id}/cancel").status == 404


class TestFollow:
    def test_notes_once_that_the_mail_was_taken(self, api: Api) -> None:
        challenge = issued(api)
        follow()
        assert stored_challenge(challenge).status == "pending"
        drain(until_idle=True)

        follow()
        follow()

        shown = api.get(f"{CHALLENGES}/{challenge['id']}").data
        assert (shown["status"], shown["deliveryStatus"]) == ("sent", "sent")
        assert told(challenge) == ["created", "sent"]

    def test_a_sent_one_is_open_until_its_end(self, api: Api) -> None:
        challenge, other = issued(api), issued(api, purpose="reset")
        code = code_of(challenge)
        drain(until_idle=True)
        follow()

        assert api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": code}).status == 200
        expired(api, other)

        assert told(other) == ["created", "sent", "expired"]
        assert stored_challenge(other).code_hash == ""

    def test_leaves_what_has_ended_as_it_is(self, api: Api) -> None:
        challenge = issued(api)
        verified(api, challenge)
        expire(challenge)

        follow()

        assert stored_challenge(challenge).status == "verified"

    def test_two_simple_questions_where_there_is_nothing_to_do(self, api: Api) -> None:
        canceled(api, issued(api))

        with CaptureQueriesContext(connection) as queries:
            follow()

        kinds = {query["sql"].split()[0] for query in queries}
        assert len([query for query in queries if "otp_challenge" in query["sql"]]) == 2
        assert kinds == {"SELECT"}

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_nobody_and_leaves_what_somebody_has(self) -> None:
        api = make_world().owner.api
        busy, free = issued(api), issued(api, purpose="reset")
        expire(busy)
        expire(free)
        locked, may_end = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                Message.objects.across_workspaces().filter(pk=busy["messageId"]).select_for_update().get()
                locked.set()
                may_end.wait(10)
            connections.close_all()

        holder = threading.Thread(target=hold)
        holder.start()
        locked.wait()
        follow()
        meanwhile = [stored_challenge(challenge).status for challenge in (busy, free)]
        may_end.set()
        holder.join()
        follow()

        # SQLite locks no rows, so there nobody is in the way.
        assert meanwhile == ["pending" if connection.vendor == "postgresql" else "expired", "expired"]
        assert_mail_is_gone(busy)
        assert stored_challenge(busy).status == "expired"

    def test_what_is_too_much_for_one_round_is_done_in_the_next(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(following, "AT_ONCE", 2)
        challenges = [issued(api, to=f"r{number}@example.com") for number in range(5)]
        for challenge in challenges:
            expire(challenge)

        assert [following.end_expired() for _ in range(4)] == [2, 2, 1, 0]

    def test_a_crash_between_the_mail_and_the_mark_is_made_good(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        challenge = issued(api)
        expire(challenge)
        with monkeypatch.context() as broken:
            broken.setattr(following, "close", _crash)
            with pytest.raises(InterruptedError):
                follow()
        assert stored_challenge(challenge).status == "pending"
        assert_mail_is_gone(challenge)

        follow()

        assert told(challenge) == ["created", "expired"]


def _crash(*_: object) -> None:
    raise InterruptedError


def test_many_followers_at_once_tell_everything_once(transactional_db: None) -> None:
    api = make_world().owner.api
    taken = [issued(api, to=f"t{number}@example.com") for number in range(20)]
    drain(until_idle=True)
    over = [issued(api, to=f"o{number}@example.com") for number in range(20)]
    for challenge in over:
        expire(challenge)

    at_once([follow] * 16, workers=threads(8))
    follow()

    assert {tuple(told(challenge)) for challenge in taken} == {("created", "sent")}
    assert {tuple(told(challenge)) for challenge in over} == {("created", "expired")}
    for challenge in over:
        assert_mail_is_gone(challenge)


def test_cancel_and_the_right_code_at_once_do_not_both_win(transactional_db: None, settings: LazySettings) -> None:
    settings.MAIL_OTP_COOLDOWN_SECONDS = 0
    settings.MAIL_OTP_HOURLY_LIMIT = settings.MAIL_OTP_DAILY_LIMIT = 1000
    api = make_world().owner.api
    for _ in range(10):
        challenge = issued(api)
        right = {"challengeId": challenge["id"], "code": code_of(challenge)}

        answers = at_once(
            [
                partial(Api(api.key).post, OTP_VERIFY, right),
                partial(Api(api.key).post, f"{CHALLENGES}/{challenge['id']}/cancel"),
            ],
            workers=2,
        )

        assert sorted(answer.status for answer in answers) == [200, 409]
        assert len(told(challenge)) == 2


def test_a_code_overtakes_whatever_waits(api: Api, workspace: Workspace) -> None:
    other = make_workspace()
    Workspace.objects.filter(pk__in=[workspace.pk, other.pk]).update(daily_limit=10_000)
    for number in range(30):
        make_message(workspace, f"r{number}@example.com", lane=Lane.BULK)
        make_message(workspace, f"r{number}@example.com")
    challenge = issued(api)

    taken = Claimer().claim(dict.fromkeys(Lane, 20))

    assert str(taken[0].message_id) == challenge["messageId"]


def test_deleting_a_message_takes_its_challenge_along(api: Api) -> None:
    challenge = issued(api)

    Message.objects.across_workspaces().filter(pk=challenge["messageId"]).delete()

    assert not Challenge.objects.across_workspaces().exists()
