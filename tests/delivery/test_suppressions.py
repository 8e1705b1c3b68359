"""Suppressions and the engine: one that comes while mail is going out, and mailboxes that stay full."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, connections

from apps.delivery.shaping import DEFAULT_CONNECTIONS
from apps.messages.models import Recipient
from apps.suppressions.models import Suppression
from apps.workspaces.models import Workspace
from tests.batches.making import BATCH
from tests.client import SUPPRESSIONS, Answer, Api
from tests.conftest import World, make_world
from tests.delivery.conftest import Post
from tests.fakes.dns_server import DnsServer
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX

ADA, GRACE = f"ada@{INBOX}", f"grace@{INBOX}"


class Midway:
    """Adds a suppression when a server hears of its recipient for the n-th time; the server waits for the answer."""

    def __init__(self, api: Api, server: SmtpSink, *, at: int) -> None:
        self.api, self.server, self.at = api, server, at
        self.heard = 0
        self.taken_before = -1
        self.answer: Answer | None = None

    def __call__(self, recipient: str) -> str | None:
        self.heard += recipient == ADA
        if self.heard == self.at and self.answer is None:
            with ThreadPoolExecutor(1) as own_thread:  # this one has an event loop, which Django would object to
                self.answer = own_thread.submit(self._suppress).result()
            self.taken_before = len(_to(self.server, ADA))
        return None

    def _suppress(self) -> Answer:
        try:
            return self.api.post(SUPPRESSIONS, {"email": "ADA@inbox.example"})
        finally:
            connections.close_all()


def _to(server: SmtpSink, recipient: str) -> list[Any]:
    return [message for message in server.messages if recipient in message.rcpt_tos]


@pytest.mark.django_db(transaction=True)
def test_one_that_is_added_while_a_thousand_go_out_stops_all_that_are_not_in_data(
    dns: DnsServer, settings: LazySettings
) -> None:
    api = make_world().owner.api
    # SQLite writes a tenth as fast, and has one writer to serialise it all anyway.
    total = 1_000 if connection.vendor == "postgresql" else 300
    for _ in range(total // 100):
        items = [{"to": GRACE if number % 20 == 0 else ADA, "subject": "S", "text": "T"} for number in range(100)]
        assert api.post(BATCH, {"from": "shop@shop.example", "messages": items}).status == 202

    with SmtpSink() as server:
        server.reply_for = midway = Midway(api, server, at=100)
        post = Post(api, dns, settings)
        settings.MAIL_TRANSPORT, settings.MAIL_DNS_SERVERS, settings.DELIVERY_WORKERS = "mx", dns.address, 1
        post.goes_to(server)
        post.deliver()
        # What was turned back at that door is due again in a second.
        post.deliver_later()

        assert midway.answer is not None
        assert midway.answer.status == 201
        taken = len(_to(server, ADA))
        # Each connection may have been in DATA, or at its door, when the suppression was committed.
        assert 0 <= taken - midway.taken_before <= DEFAULT_CONNECTIONS
        assert taken < 100 + DEFAULT_CONNECTIONS
        assert len(_to(server, GRACE)) == total // 20
    rows = Recipient.objects.across_workspaces()
    assert rows.filter(email=ADA, status="sent").count() == taken
    assert rows.filter(email=ADA, status="suppressed").count() == total * 19 // 20 - taken
    assert rows.filter(email=GRACE, status="sent").count() == total // 20


def reasons(workspace: Workspace) -> dict[str, str]:
    return dict(Suppression.objects.of(workspace.pk).values_list("email", "reason"))


@pytest.mark.parametrize("reply", ["552 5.2.2 Mailbox full", "452 4.2.2 Mailbox full"])
def test_a_mailbox_that_stays_full_is_suppressed(post: Post, world: World, reply: str) -> None:
    with SmtpSink(reply_for={ADA: reply}) as server:
        post.goes_to(server)
        ids = [post.send(ADA) for _ in range(5)]
        for _ in range(4):
            post.deliver_later()

    assert {post.story(message_id).status for message_id in ids} == {"bounced"}
    assert reasons(world.owner.workspace) == {ADA: "repeated_soft_bounce"}


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.1 Rejected by policy",
        "554 5.7.1 Client host blocked using zen.spamhaus.org",
        "550 5.2.1 The user is receiving mail at a rate that prevents additional messages",
        "554 5.4.7 Delivery time expired",
    ],
)
def test_what_is_no_fault_of_the_mailbox_suppresses_nobody(post: Post, world: World, reply: str) -> None:
    with SmtpSink(reply_for={ADA: reply}) as server:
        post.goes_to(server)
        ids = [post.send(ADA) for _ in range(6)]
        post.deliver()

    assert {post.story(message_id).status for message_id in ids} <= {"bounced", "failed"}
    assert reasons(world.owner.workspace) == {}
