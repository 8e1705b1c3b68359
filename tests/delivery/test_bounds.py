"""What is bounded: content in memory, addresses tried in one go, and what a fault of ours may cost."""

from typing import Any

import pytest

from apps.delivery.services import deliver, prepare
from apps.delivery.services.deliver import Engine
from apps.messages.models import Attempt, Recipient
from apps.messages.states import Status
from tests.delivery.conftest import Post
from tests.delivery.held import deliver_until
from tests.fakes.smtp_sink import Hang, RawSmtpServer, SmtpSink
from tests.journeys.rig import INBOX, receives_mail

BOUND, LETTER = 200_000, 60_000


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the engine held at each look; its bound is a small one."""
    monkeypatch.setattr(deliver, "MEMORY_BYTES", BOUND)
    seen: list[int] = []
    look = Engine._claim_once

    async def claim_once(engine: Engine) -> bool:
        seen.append(sum(engine._sizes.values()))
        return await look(engine)

    monkeypatch.setattr(Engine, "_claim_once", claim_once)
    return seen


def rows() -> Any:
    return Recipient.objects.across_workspaces()


def test_content_in_memory_stays_within_its_bound_and_the_rest_is_claimed_only_once(
    post: Post, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The breather of what is given back is longer than the test: a claim beyond the first would be a hot loop."""
    monkeypatch.setattr(deliver, "BREATHER", prepare.RECHECK)
    monkeypatch.setattr(deliver, "GRACE_SECONDS", 0.1)
    with RawSmtpServer({"rcpt": Hang()}) as server:
        post.goes_to(server)
        for number in range(12):
            post.send(f"r{number}@{INBOX}", text="z" * LETTER)

        deliver_until(lambda: len(sizes) > 30, monkeypatch)

    assert 0 < max(sizes) <= BOUND
    assert list(rows().values_list("fence", flat=True)) == [1] * 12
    assert list(rows().values_list("crashes", flat=True)) == [0] * 12


def test_all_go_out_in_the_end_although_few_fit_into_memory(post: Post, sizes: list[int]) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        for number in range(8):
            post.send(f"r{number}@{INBOX}", text="z" * LETTER)
        for _ in range(8):
            post.deliver_later()

        assert len(server.messages) == 8
    assert max(sizes) <= BOUND


def test_a_letter_larger_than_the_whole_bound_goes_alone(post: Post, sizes: list[int]) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(text="z" * (2 * BOUND))
        post.deliver()

        assert post.story(message_id).tries == ["sent"]


def test_at_most_five_addresses_are_tried(post: Post) -> None:
    receives_mail(post.dns, "many.example", *(f"127.0.1.{number}" for number in range(1, 21)))
    with RawSmtpServer({"banner": "421 4.3.2 Not now"}, host="0.0.0.0") as server:
        post.goes_to(server)
        message_id = post.send("ada@many.example")
        post.deliver()

        assert server.connections == 5
        assert post.story(message_id).tries == ["deferred"]


def test_a_fault_of_ours_in_a_sender_is_a_visible_wait_and_no_loop(post: Post) -> None:
    """No server can be greeted with such a name; the refusal comes out of the conversation as an exception."""
    post.settings.MAIL_HELO_HOST = "mail host"
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send([f"ada@{INBOX}", f"grace@{INBOX}"])
        post.deliver()

        assert {row.wait_code for row in rows()} == {"configuration"}
        assert {(row.status, row.fence, row.crashes) for row in rows()} == {(Status.DEFERRED, 1, 0)}
        assert not Attempt.objects.across_workspaces().exists()

        post.settings.MAIL_HELO_HOST = "mail.example"
        post.deliver_later()
        assert post.story(message_id).status == "sent"


def test_a_fault_in_one_parcel_stops_no_other(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = post.send(f"poison@{INBOX}")
    others = [post.send(f"r{number}@{INBOX}") for number in range(5)]
    fallen = poisoned(monkeypatch)
    with SmtpSink() as server:
        post.goes_to(server)
        post.deliver()

        assert fallen == ["poison"]
        assert post.story(poison).wait["code"] == "configuration"
        assert [post.story(other).status for other in others] == ["sent"] * 5


def poisoned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes the poison's envelope a fault that nobody has foreseen; returns who ran into it."""
    fallen: list[str] = []
    make = deliver.Pool._send

    async def send(pool: Any, parcel: Any, *rest: Any) -> Any:
        if parcel.addresses[0].startswith("poison"):
            fallen.append("poison")
            raise KeyError("nobody has foreseen this")
        return await make(pool, parcel, *rest)

    monkeypatch.setattr(deliver.Pool, "_send", send)
    return fallen
