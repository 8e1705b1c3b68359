"""Servers that take their time: nothing is sent twice for it, nobody else waits for it, nothing is left behind."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from apps.delivery import connections
from apps.delivery.connections import Pool
from apps.delivery.models import Destination
from apps.delivery.routing import Router
from apps.delivery.services import deliver
from apps.delivery.services import drain as shifts
from apps.delivery.services.drain import drain
from apps.delivery.shaping import Limits
from apps.delivery.work import Carriage, Carried, Letter, Parcel
from apps.messages.models import Attempt, Recipient
from apps.messages.services.outcomes import Holding
from apps.messages.states import Lane, Status
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.delivery.held import deliver_until, due_in, holding
from tests.fakes.smtp_sink import Delay, Hang, RawSmtpServer, SmtpSink
from tests.journeys.rig import INBOX, receives_mail
from tests.journeys.story import story_of

TAKEN = "250 2.0.0 Queued"
REFUSED = "421 4.7.0 Too many connections"
CONTENT = b"Subject: a\r\n\r\nb\r\n"


def attempts() -> list[str]:
    return list(Attempt.objects.across_workspaces().values_list("status", flat=True))


class OpenGate:
    """Lets everybody pass."""

    async def passes(self, _holdings: Sequence[Holding]) -> bool:
        return True


def parcel(email: str) -> Parcel:
    held = holding(email)
    return Parcel(Letter(held.message_id, "", lambda: (CONTENT, False)), "bounces@shop.example", (held,))


class TestAShiftEndsBeforeTheAnswerToTheDot:
    """The grace at a stop is far shorter than what the server needs, so only patience makes one copy."""

    @pytest.fixture(autouse=True)
    def short(self, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deliver, "GRACE_SECONDS", 0.1)
        post.settings.MAIL_LEASE_SECONDS = 3

    def test_there_is_exactly_one_copy_and_no_ambiguous_attempt(self, post: Post) -> None:
        with RawSmtpServer({"dot": Delay(4, TAKEN)}) as server:
            post.goes_to(server)
            message_id = post.send()

            drain(shift_seconds=0.3)
            drain(shift_seconds=0.3)

            assert len(server.messages) == 1
            story = post.story(message_id)
            assert (story.status, story.tries) == ("sent", ["sent"])
            assert "delivery.ambiguous" not in story.happened

    def test_after_the_last_call_the_answer_is_waited_for_and_nothing_more_is_claimed(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shifts, "LAST_CALL_SECONDS", 0.3)
        with RawSmtpServer({"dot": Delay(3, TAKEN)}) as server:
            post.goes_to(server)
            first, later = post.send(), post.send()
            due_in(1.5, message_id=later)

            drain(shift_seconds=0.3)

            assert len(server.messages) == 1
            assert post.story(first).tries == ["sent"]
            assert (post.story(later).status, post.story(later).tries) == ("queued", [])


def test_a_tarpit_does_not_hold_up_another_workspaces_mail(
    post: Post, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tarpit's mail fills all the room that there is before the other mail becomes due."""
    monkeypatch.setattr(deliver, "ROOM", {Lane.OTP: 70, Lane.TRANSACTIONAL: 60, Lane.BULK: 50})
    monkeypatch.setattr(deliver, "CLAIM_AT_LEAST", 5)
    monkeypatch.setattr(deliver, "DESTINATION_AT_MOST", 10)
    monkeypatch.setattr(deliver, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(connections, "SLOW_SECONDS", 0.5)
    receives_mail(post.dns, "tar.example", "127.0.0.2")
    with RawSmtpServer({"rcpt": Hang()}, host="127.0.0.2") as tarpit, SmtpSink(port=tarpit.port) as healthy:
        post.goes_to(tarpit)
        for number in range(90):
            post.send(f"u{number}@tar.example")
        other = post.send(api=world.stranger.api, **{"from": "shop@stranger.example"})
        due_in(1, message_id=other)

        deliver_until(lambda: bool(healthy.messages), monkeypatch)

        assert [message.rcpt_tos for message in healthy.messages] == [(f"ada@{INBOX}",)]
        assert story_of(world.stranger.api, other).tries == ["sent"]
        waits = Counter(Recipient.objects.across_workspaces().values_list("wait_code", flat=True))
        assert waits["destination_busy"] > 0


def test_a_server_that_takes_two_connections_gets_all_mail_without_a_pause(post: Post) -> None:
    script: Any = {"banner": [None, None, *[REFUSED] * 1000], "dot": Delay(0.02, TAKEN)}
    with RawSmtpServer(script) as server:
        post.goes_to(server)
        messages = [post.send(f"r{number}@{INBOX}") for number in range(60)]
        post.deliver()

        assert sorted(message.recipients[0] for message in server.messages) == sorted(
            f"r{number}@{INBOX}" for number in range(len(messages))
        )
        assert server.connections > 2
        assert attempts() == ["sent"] * len(messages)
        assert not Destination.objects.exists()


def test_a_refusal_counts_for_nothing_while_another_connection_is_being_let_in(post: Post) -> None:
    """The refused ones hear it before the first has heard the answer to its EHLO."""
    script: Any = {"banner": [None, *[REFUSED] * 1000], "ehlo": Delay(0.5, "250 raw.test")}
    with RawSmtpServer(script) as server:
        post.goes_to(server)
        for number in range(20):
            post.send(f"r{number}@{INBOX}")
        post.deliver()

        assert attempts() == ["sent"] * 20
        assert len(server.messages) == 20
        assert not Destination.objects.exists()


def test_a_server_that_refuses_every_connection_rests_and_loses_nothing(post: Post) -> None:
    with RawSmtpServer({"banner": [REFUSED] * 1000}) as server:
        post.goes_to(server)
        for number in range(20):
            post.send(f"r{number}@{INBOX}")
        post.deliver()

        rows = Recipient.objects.across_workspaces()
        assert set(rows.values_list("status", "wait_code")) == {(Status.DEFERRED, "destination_paused")}
        assert Destination.objects.get().failures == 1

        server.script = {}
        post.deliver_later()
        assert len(server.messages) == 20


def test_a_parcel_that_comes_while_the_only_sender_says_quit_is_carried(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    with RawSmtpServer({"quit": Delay(0.5, "221 2.0.0 Bye")}) as server:
        post.goes_to(server)

        first, second = asyncio.run(_submitted_during_quit(server))

        assert isinstance(first, Carried)
        assert isinstance(second, Carried)
        assert [message.recipients for message in server.messages] == [[f"ada@{INBOX}"], [f"grace@{INBOX}"]]


async def _submitted_during_quit(server: RawSmtpServer) -> tuple[Carriage, Carriage]:
    router = Router()
    route: Any = await router.destination(INBOX, is_test=False)
    route = replace(route, limits=Limits("one", 1, 100))
    gate: Any = OpenGate()
    pool = Pool(route, router=router, gate=gate, permits=asyncio.Semaphore(1))
    first = await pool.submit(parcel(f"ada@{INBOX}"), route.hosts)
    async with asyncio.timeout(10):
        while "QUIT" not in server.commands:
            await asyncio.sleep(0.01)
        second = await pool.submit(parcel(f"grace@{INBOX}"), route.hosts)
    await pool.close()
    return first, second
