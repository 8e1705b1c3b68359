"""What an attempt remembers of its connection: the opening once, the decision about TLS, and how far a failure came."""

from apps.messages.models import Attempt
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import Close, RawSmtpServer, SmtpSink

OPEN_ALREADY = ["", "on a connection that was already open", 0]


def attempts(world: World) -> list[Attempt]:
    return list(Attempt.objects.of(world.owner.workspace.pk).order_by("pk"))


def test_the_first_message_on_a_connection_has_its_opening(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        for _ in range(40):
            post.send()
        post.deliver()

    heads = [attempt.conversation[0] for attempt in attempts(world)]
    opened = [head for head in heads if head != OPEN_ALREADY]
    assert all(head[0] == f"<connect to mx0.inbox.example [127.0.0.1]:{server.port}>" for head in opened)
    assert 1 <= len(opened) < len(heads)
    first = next(attempt for attempt in attempts(world) if attempt.conversation[0] != OPEN_ALREADY)
    said = [line[0].split(" ")[0] for line in first.conversation]
    assert said[:-1] == ["<connect", "EHLO", "MAIL", "RCPT", "DATA"]


def test_the_decision_about_tls_stands_in_words(post: Post, world: World) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        post.send()
        post.deliver()
    with SmtpSink(starttls=True) as server:
        post.goes_to(server)
        post.send()
        post.deliver()

    assert [attempt.tls for attempt in attempts(world)] == [
        "in clear: the server does not offer STARTTLS",
        "TLSv1.3, TLS_AES_256_GCM_SHA384, not verified",
    ]


def test_the_api_calls_nothing_protected_that_went_in_clear(post: Post) -> None:
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send()
        post.deliver()

    (attempt,) = post.story(message_id).attempts
    assert (attempt["tls"], attempt["tlsDecision"]) == (None, "in clear: the server does not offer STARTTLS")


def test_a_reason_longer_than_its_column_is_cut(post: Post, world: World) -> None:
    refusal = f"454 4.7.0 {'no TLS today ' * 40}"
    with RawSmtpServer({"starttls": refusal}, features=("STARTTLS",)) as server:
        post.goes_to(server)
        post.send()
        post.deliver()

    (attempt,) = attempts(world)
    assert attempt.status == "sent"
    assert attempt.tls.startswith("in clear: the server refused STARTTLS, 454 4.7.0 no TLS today")
    assert len(attempt.tls) == 200


def test_a_failed_opening_tells_how_far_it_came(post: Post, world: World) -> None:
    with RawSmtpServer({"ehlo": Close()}) as server:
        post.goes_to(server)
        post.send()
        post.deliver()

    (attempt,) = attempts(world)
    assert [line[0].split(" ")[0] for line in attempt.conversation] == ["<connect", "EHLO"]
    assert attempt.conversation[1][1] == "(closed) the server closed the connection"
