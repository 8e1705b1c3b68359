"""The relay transport: a smarthost with TLS and a password."""

from collections.abc import Iterator

import pytest

from apps.protocols import smtp
from tests import stored
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import RawSmtpServer, SmtpSink, certificate

USER, PASSWORD = "stackshift", "p@ss:word"


@pytest.fixture
def relay(post: Post) -> Post:
    post.settings.MAIL_TRANSPORT = "relay"
    return post


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the sink's certificate came from an authority that this machine trusts."""
    smtp._context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate()))
    yield
    smtp._context.cache_clear()


def use(
    post: Post,
    server: SmtpSink | RawSmtpServer,
    *,
    scheme: str = "smtp",
    password: str = "p%40ss%3Aword",
    query: str = "",
) -> None:
    post.settings.MAIL_RELAY_URL = f"{scheme}://{USER}:{password}@127.0.0.1:{server.port}{query}"


def test_mail_leaves_through_the_relay_protected_and_with_the_password(relay: Post) -> None:
    with SmtpSink(starttls=True, auth=(USER, PASSWORD)) as server:
        use(relay, server, query="?starttls=required")
        message_id = relay.send()
        relay.deliver()

        (message,) = server.wait_for(1)
        assert message.is_tls
        assert message.user == USER
        story = relay.story(message_id)
        assert story.tries == ["sent"]
        assert story.attempts[0]["transport"] == "relay"
        assert story.attempts[0]["tls"].startswith("TLSv1.")


def test_a_wrong_password_is_told_and_loses_nothing(relay: Post) -> None:
    with SmtpSink(starttls=True, auth=(USER, PASSWORD)) as server:
        use(relay, server, password="wrong", query="?starttls=required")
        message_id = relay.send()
        for _ in range(5):
            relay.deliver_later()

        waiting = relay.story(message_id)
        assert waiting.status == "deferred"
        assert waiting.attempts[0]["smtpCode"] == 535
        assert "535" in waiting.wait["detail"]
        assert PASSWORD not in str(waiting)
        assert "wrong" not in str(waiting)

        use(relay, server, query="?starttls=required")
        relay.deliver_later()
        assert relay.story(message_id).status == "sent"
        assert len(server.messages) == 1


def test_a_relay_that_repeats_the_password_leaves_no_trace_of_it(relay: Post) -> None:
    said = "AHN0YWNrc2hpZnQAcEBzczp3b3Jk"
    echo = f"500-5.5.1 AUTH PLAIN {said[:12]}\r\n500 5.5.1 {said[12:]} {USER} {PASSWORD}\r\n"
    with RawSmtpServer({"auth": echo.encode()}, features=("AUTH PLAIN",)) as server:
        use(relay, server)
        message_id = relay.send()
        relay.deliver()

    assert relay.story(message_id).attempts[0]["response"] == f"500 5.5.1 {smtp.LEFT_OUT}"
    kept = str(stored.everything())
    assert not any(piece in kept for piece in (said[:12], said[12:], PASSWORD, f" {USER} "))


def test_without_the_tls_that_is_required_nothing_leaves(relay: Post) -> None:
    with SmtpSink() as server:
        use(relay, server, query="?starttls=required")
        message_id = relay.send()
        relay.deliver()

        story = relay.story(message_id)
        assert story.status == "deferred"
        assert "STARTTLS" in story.attempts[0]["response"]
        assert server.messages == []


def test_implicit_tls_with_a_certificate_that_convinces(relay: Post, trusted: None) -> None:
    with SmtpSink(implicit_tls=True, auth=(USER, PASSWORD)) as server:
        use(relay, server, scheme="smtps")
        message_id = relay.send()
        relay.deliver()

        (message,) = server.wait_for(1)
        assert message.is_tls
        assert message.user == USER
        assert relay.story(message_id).attempts[0]["tls"].endswith(", verified")


def test_implicit_tls_with_a_certificate_that_does_not_convince_gets_no_password(relay: Post) -> None:
    with SmtpSink(implicit_tls=True, auth=(USER, PASSWORD)) as server:
        use(relay, server, scheme="smtps")
        message_id = relay.send()
        relay.deliver()

        story = relay.story(message_id)
        assert story.status == "deferred"
        assert "certificate" in story.attempts[0]["response"].lower()
        assert server.messages == []
