"""Which server gets the mail (RFC 5321 section 5.1, RFC 7505), and what happens when none can be reached."""

import contextlib
from typing import Any

import pytest

from apps.delivery.models import Destination
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import RawSmtpServer, SmtpSink
from tests.journeys.rig import free_port, receives_mail

ADA = "ada@there.example"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"


def test_the_preferred_server_gets_everything(post: Post) -> None:
    receives_mail(post.dns, "there.example", FIRST, SECOND)
    with SmtpSink(host=FIRST) as first, SmtpSink(host=SECOND, port=first.port) as second:
        post.goes_to(first)
        for _ in range(5):
            post.send(ADA)
        post.deliver()

        assert len(first.wait_for(5)) == 5
        assert second.messages == []


@pytest.mark.parametrize("banner", [None, "421 4.3.2 Too busy", "554 5.3.2 No mail service here"])
def test_the_next_server_takes_what_the_first_does_not(post: Post, banner: str | None) -> None:
    """`None`: nobody listens at the first one's address."""
    receives_mail(post.dns, "there.example", FIRST, SECOND)
    with contextlib.ExitStack() as stack:
        port = free_port()
        if banner is not None:
            port = stack.enter_context(RawSmtpServer({"banner": banner}, host=FIRST)).port
        second = stack.enter_context(SmtpSink(host=SECOND, port=port))
        post.goes_to(second)
        message_id = post.send(ADA)
        post.deliver()

        assert len(second.wait_for(1)) == 1
        story = post.story(message_id)
        assert story.tries == ["sent"]
        assert story.attempts[0]["remoteAddress"] == SECOND
        assert story.attempts[0]["remoteHost"] == "mx1.there.example"


@pytest.mark.parametrize(
    ("records", "enhanced", "smtp_code"),
    [({"MX": ["0 ."]}, "5.1.10", 556), ({}, "5.1.2", 550), ({"TXT": ["no mail"]}, "5.1.2", 550)],
    ids=["null MX", "no such domain", "neither MX nor address"],
)
def test_a_domain_without_mail_bounces(post: Post, records: Any, enhanced: str, smtp_code: int) -> None:
    for rdtype, values in records.items():
        post.dns.set("there.example", rdtype, *values)
    message_id = post.send(ADA)
    post.deliver()

    story = post.story(message_id)
    assert story.status == "bounced"
    assert (story.attempts[0]["enhancedCode"], story.attempts[0]["smtpCode"]) == (enhanced, smtp_code)


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED"])
def test_a_dns_failure_is_never_the_end(post: Post, how: str) -> None:
    receives_mail(post.dns, "there.example")
    post.dns.fail("there.example", how)
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        for _ in range(6):
            post.deliver_later()
        waiting = post.story(message_id)
        assert waiting.status == "deferred"
        assert set(waiting.tries) == {"deferred"}

        post.dns.recover("there.example")
        post.deliver_later()
        assert post.story(message_id).status == "sent"


def test_a_domain_without_mx_is_its_own_server(post: Post) -> None:
    post.dns.set("there.example", "A", FIRST)
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA)
        post.deliver()

        assert len(server.wait_for(1)) == 1
        assert post.story(message_id).attempts[0]["remoteHost"] == "there.example"


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "192.168.1.1"])
def test_a_private_address_is_not_connected_to(post: Post, address: str) -> None:
    receives_mail(post.dns, "there.example", address)
    post.settings.MAIL_MX_PORT = 2525
    message_id = post.send(ADA)
    post.deliver()

    story = post.story(message_id)
    assert story.status == "deferred"
    assert "no public address" in story.attempts[0]["response"]
    assert story.attempts[0]["remoteAddress"] is None


def test_loopback_is_an_allowed_address_only_where_the_port_was_moved(post: Post) -> None:
    receives_mail(post.dns, "there.example")
    post.settings.MAIL_MX_PORT = 25
    message_id = post.send(ADA)
    post.deliver()

    assert "no public address" in post.story(message_id).attempts[0]["response"]


def test_an_allowed_network_is_connected_to(post: Post) -> None:
    post.settings.MAIL_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    post.settings.MAIL_MX_PORT = 25
    receives_mail(post.dns, "there.example", "127.0.0.9")
    message_id = post.send(ADA)
    post.deliver()

    # Nobody listens there; what counts is that it was tried.
    assert post.story(message_id).attempts[0]["remoteAddress"] == "127.0.0.9"


def test_an_unreachable_destination_rests_and_costs_the_messages_no_tries(post: Post) -> None:
    receives_mail(post.dns, "there.example")
    port = free_port()
    post.settings.MAIL_MX_PORT = port
    message_id = post.send(ADA)
    for _ in range(8):
        post.deliver_later()

    waiting = post.story(message_id)
    assert waiting.status == "deferred"
    assert waiting.wait["code"] == "destination_paused"
    assert len(waiting.tries) == 8
    (destination,) = Destination.objects.all()
    assert destination.failures == 8

    late = post.send(ADA)
    post.deliver()
    assert post.story(late).wait["code"] == "destination_paused"
    assert post.story(late).attempts == []

    with SmtpSink(port=port) as server:
        post.deliver_later()
        assert len(server.wait_for(2)) == 2
    assert post.story(message_id).status == post.story(late).status == "sent"
    assert not Destination.objects.exists()
