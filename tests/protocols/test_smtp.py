"""The SMTP client against servers that behave: what arrives, byte for byte, and what is said on the way."""

import asyncio
from collections.abc import Sequence

import pytest

from apps.protocols.smtp import (
    Envelope,
    FailureKind,
    Phase,
    Policy,
    Session,
    Target,
    Transaction,
    connect,
)
from tests.fakes.smtp_sink import RawSmtpServer, SmtpSink
from tests.protocols.smtp_talk import CONTENT, TO_ONE, codes, consent, on_session, send

# What arrives.


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_message_arrives_as_it_was_handed_over(pipelining: bool) -> None:
    with SmtpSink(pipelining=pipelining) as sink:
        transaction = send(sink)
        (message,) = sink.wait_for(1)

    assert codes(transaction) == {"one@example.net": 250}
    assert (message.mail_from, message.rcpt_tos, message.content) == (
        "bounce@example.com",
        ("one@example.net",),
        CONTENT,
    )
    assert (transaction.ambiguous, transaction.reusable, transaction.stale_connection) == (False, True, False)


@pytest.mark.rfc("5321", "4.5.2")
@pytest.mark.parametrize(
    "content",
    [
        b".\r\n",
        b"..\r\n",
        b".leading\r\n",
        b"a\r\n.\r\n",
        b"a\r\n.\r\n.\r\n..\r\n...\r\nb\r\n",
        b"a\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nb\r\n.\r\n",
        b"\r\n",
        b"\r\n.\r\n\r\n",
        b"a" * 900 + b"\r\n",
        b"one\r\n.two\r\n" * 20_000,
    ],
    ids=[
        "dot",
        "dots",
        "leading",
        "end of data",
        "only dots",
        "smuggled",
        "empty",
        "blank",
        "long",
        "pieces",
    ],
)
def test_dots_survive(content: bytes) -> None:
    with SmtpSink() as sink:
        transaction = send(sink, content=content)
        messages = sink.wait_for(1)

    assert codes(transaction) == {"one@example.net": 250}
    assert [message.content for message in messages] == [content]


@pytest.mark.parametrize("excess", range(-3, 4))
def test_content_around_the_size_of_a_piece_arrives_whole(excess: int) -> None:
    line = b"x" * 62 + b"\r\n"
    content = b"x" * excess + line * 1_024 if excess >= 0 else line[-excess:] + line * 1_023
    with SmtpSink() as sink:
        send(sink, content=content)
        (message,) = sink.wait_for(1)

    assert message.content == content


def test_eight_bit_content_is_announced() -> None:
    content = "Subject: x\r\n\r\ngrüße\r\n".encode()
    with SmtpSink() as sink:
        send(sink, content=content)
        (message,) = sink.wait_for(1)

    assert message.content == content
    assert message.mail_options == (f"SIZE={len(content)}", "BODY=8BITMIME")


def test_internationalised_addresses_arrive_unchanged() -> None:
    envelope = Envelope("absender@example.com", ("größe@straße.example",))
    with SmtpSink() as sink:
        send(sink, envelope)
        (message,) = sink.wait_for(1)

    assert message.rcpt_tos == ("größe@straße.example",)
    assert message.mail_options == (f"SIZE={len(CONTENT)}", "SMTPUTF8")


def test_the_null_sender_is_allowed() -> None:
    with RawSmtpServer() as server:
        transaction = send(server, Envelope("", ("one@example.net",)))

    assert codes(transaction) == {"one@example.net": 250}
    assert "MAIL FROM:<>" in server.commands


def test_two_hundred_messages_on_one_connection() -> None:
    bodies = [b"Subject: %d\r\n\r\n.%d\r\n" % (number, number) for number in range(200)]

    async def work(session: Session) -> list[Transaction]:
        return [await session.send(TO_ONE, body, before_data=consent) for body in bodies]

    with SmtpSink() as sink:
        transactions = on_session(sink, work)
        messages = sink.wait_for(200)

    assert [message.content for message in messages] == bodies
    assert all(codes(transaction) == {"one@example.net": 250} for transaction in transactions)


def test_a_kept_connection_needs_no_reset_after_success() -> None:
    async def work(session: Session) -> None:
        for _ in range(3):
            await session.send(TO_ONE, CONTENT, before_data=consent)

    with RawSmtpServer() as server:
        on_session(server, work)

    assert server.connections == 1
    assert server.commands == [
        "EHLO client.test",
        *["MAIL FROM:<bounce@example.com>", "RCPT TO:<one@example.net>", "DATA"] * 3,
        "QUIT",
    ]


# Recipient by recipient.

MIXED = {
    "gone@example.net": "550 5.1.1 no such user",
    "later@example.net": "451 4.7.1 greylisted",
}
TO_MANY = Envelope(
    "bounce@example.com", ("one@example.net", "gone@example.net", "later@example.net", "two@example.net")
)


@pytest.mark.parametrize("pipelining", [True, False])
def test_each_recipient_gets_an_answer_of_its_own(pipelining: bool) -> None:
    asked: list[Sequence[str]] = []

    async def note(accepted: Sequence[str]) -> bool:
        asked.append(accepted)
        return True

    async def work(session: Session) -> Transaction:
        return await session.send(TO_MANY, CONTENT, before_data=note)

    with SmtpSink(pipelining=pipelining, reply_for=MIXED) as sink:
        transaction = on_session(sink, work)
        (message,) = sink.wait_for(1)

    assert codes(transaction) == {
        "one@example.net": 250,
        "gone@example.net": 550,
        "later@example.net": 451,
        "two@example.net": 250,
    }
    assert asked == [("one@example.net", "two@example.net")]
    assert message.rcpt_tos == ("one@example.net", "two@example.net")


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_transaction_refused_for_all_is_reset_before_the_next(pipelining: bool) -> None:
    async def work(session: Session) -> list[Transaction]:
        gone = Envelope("bounce@example.com", ("gone@example.net",))
        return [
            await session.send(gone, CONTENT, before_data=consent),
            await session.send(TO_ONE, CONTENT, before_data=consent),
        ]

    with SmtpSink(pipelining=pipelining, reply_for=MIXED) as sink:
        first, second = on_session(sink, work)
        messages = sink.wait_for(1)

    assert codes(first) == {"gone@example.net": 550}
    assert first.reusable
    assert second.transcript[0].sent == "RSET"
    assert codes(second) == {"one@example.net": 250}
    assert [message.rcpt_tos for message in messages] == [("one@example.net",)]


@pytest.mark.rfc("2920", "3.1")
def test_a_server_ready_for_content_to_nobody_gets_a_lone_dot() -> None:
    async def never(_accepted: Sequence[str]) -> bool:
        raise AssertionError("nobody was accepted")

    async def work(session: Session) -> list[Transaction]:
        return [
            await session.send(TO_ONE, CONTENT, before_data=never),
            await session.send(TO_ONE, CONTENT, before_data=consent),
        ]

    script = {"rcpt": ["550 5.1.1 no", None], "dot": ["250 thank you for nothing", None]}
    with RawSmtpServer(script) as server:
        first, second = on_session(server, work)

    assert codes(first) == {"one@example.net": 550}
    assert codes(second) == {"one@example.net": 250}
    assert [message.data for message in server.messages] == [b"", CONTENT]


def test_a_refused_sender_is_the_answer_for_every_recipient() -> None:
    with RawSmtpServer({"mail": "550 5.1.8 bad sender", "rcpt": "503 no", "data": "503 no"}) as server:
        transaction = send(server, TO_MANY)

    assert {(answer.command, answer.line) for answer in transaction.results.values()} == {
        (Phase.MAIL, "550 5.1.8 bad sender")
    }
    assert server.messages == []


@pytest.mark.parametrize("line", ["451 4.3.0 later", "554 5.7.1 spam"])
def test_a_refusal_after_the_dot_is_certain(line: str) -> None:
    with SmtpSink(reply_after_dot=line) as sink:
        transaction = send(sink, TO_MANY)

    assert {answer.line for answer in transaction.results.values()} == {line}
    assert (transaction.ambiguous, transaction.reusable) == (False, True)
    assert sink.messages == []


def test_the_transcript_tells_everything_but_the_content() -> None:
    with RawSmtpServer(features=("PIPELINING", "SIZE 1000000")) as server:
        transaction = send(server, content=b"x\r\n" * 1_374 + b"\r\n")

    assert [(exchange.sent, exchange.received) for exchange in transaction.transcript] == [
        ("MAIL FROM:<bounce@example.com> SIZE=4124", "250 2.1.0 Ok"),
        ("RCPT TO:<one@example.net>", "250 2.1.5 Ok"),
        ("DATA", "354 Go"),
        ("<4,124 octets>", "250 2.0.0 Queued"),
    ]


# The point of no return.


def test_calling_it_off_leaves_nothing_at_the_server() -> None:
    async def decline(_accepted: Sequence[str]) -> bool:
        return False

    async def work(session: Session) -> Transaction:
        return await session.send(TO_MANY, CONTENT, before_data=decline)

    with RawSmtpServer({"rcpt": [None, "550 5.1.1 no", None]}) as server:
        transaction = on_session(server, work)
        assert server.closed.wait(10)

    assert codes(transaction) == {
        "one@example.net": FailureKind.ABORTED,
        "gone@example.net": 550,
        "later@example.net": FailureKind.ABORTED,
        "two@example.net": FailureKind.ABORTED,
    }
    assert (transaction.ambiguous, transaction.reusable, transaction.stale_connection) == (
        False,
        False,
        False,
    )
    assert server.messages == []


def test_calling_it_off_leaves_nothing_at_the_referee() -> None:
    async def decline(_accepted: Sequence[str]) -> bool:
        return False

    async def work(session: Session) -> None:
        await session.send(TO_ONE, CONTENT, before_data=decline)

    with SmtpSink() as sink:
        on_session(sink, work)
        send(sink, content=b"the next\r\n")
        messages = sink.wait_for(1)

    assert [message.content for message in messages] == [b"the next\r\n"]


def test_an_error_before_the_content_closes_the_connection() -> None:
    async def fail(_accepted: Sequence[str]) -> bool:
        raise LookupError

    async def work(session: Session) -> bool:
        with pytest.raises(LookupError):
            await session.send(TO_ONE, CONTENT, before_data=fail)
        return session.is_open

    with RawSmtpServer() as server:
        assert on_session(server, work) is False
        assert server.closed.wait(10)

    assert server.messages == []


# What the server cannot take is not sent.


@pytest.mark.parametrize(
    ("features", "envelope", "content", "kind"),
    [
        (("SIZE 10",), TO_ONE, CONTENT, FailureKind.TOO_LARGE),
        (("8BITMIME",), Envelope("a@b.c", ("ü@b.c",)), CONTENT, FailureKind.SMTPUTF8),
        (("8BITMIME",), Envelope("ü@b.c", ("a@b.c",)), CONTENT, FailureKind.SMTPUTF8),
        (("8BITMIME",), Envelope("a@b.c", ("a@b.c",), smtputf8=True), CONTENT, FailureKind.SMTPUTF8),
        ((), TO_ONE, b"\xff\r\n", FailureKind.EIGHT_BIT),
    ],
)
def test_what_is_not_offered_is_not_tried(
    features: tuple[str, ...], envelope: Envelope, content: bytes, kind: FailureKind
) -> None:
    with RawSmtpServer(features=features) as server:
        transaction = send(server, envelope, content)

    assert set(codes(transaction).values()) == {kind}
    assert (transaction.transcript, transaction.ambiguous, transaction.reusable) == ((), False, True)
    assert server.commands == ["EHLO client.test", "QUIT"]


def test_what_was_not_tried_needs_no_reset() -> None:
    async def work(session: Session) -> list[Transaction]:
        return [
            await session.send(TO_ONE, b"too large\r\n" * 3, before_data=consent),
            await session.send(TO_ONE, CONTENT, before_data=consent),
        ]

    with RawSmtpServer(features=("PIPELINING", "SIZE 30")) as server:
        first, second = on_session(server, work)

    assert codes(first) == {"one@example.net": FailureKind.TOO_LARGE}
    assert codes(second) == {"one@example.net": 250}
    assert "RSET" not in server.commands


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE x", "SIZE -1", f"SIZE {'9' * 5_00}"])
def test_an_unreadable_size_is_no_limit(size: str) -> None:
    with RawSmtpServer(features=(size,)) as server:
        assert codes(send(server)) == {"one@example.net": 250}


# Misuse raises, and nothing is sent.


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no end",
        b"a\nb\r\n",
        b"a\rb\r\n",
        b"a\r\n.\nb\r\n",
        b"a\n.\r\nb\r\n",
        b"a\r.\rb\r\n",
        b"a\r\r\n",
        b"a\n\r\n",
    ],
)
def test_a_bare_line_end_is_misuse(content: bytes) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(ValueError, match="CRLF"):
            await session.send(TO_ONE, content, before_data=consent)

    with RawSmtpServer() as server:
        on_session(server, work)

    assert server.commands == ["EHLO client.test", "QUIT"]


UNSAFE = [
    "b@y.com>\r\nRCPT TO:<evil@z.com",
    "b@y.com\nRCPT TO:<evil@z.com>",
    "b@y.com> NOTIFY=NEVER",
    "b@y.com\r",
    "b@y.com\0",
    "b @y.com",
    "<b@y.com>",
    "b@y.com\x7f",
    "b@y.com\x85",
    "b@y.com\u2028",
    "b@y.com\udc80",
]


@pytest.mark.parametrize("address", UNSAFE)
def test_an_unsafe_address_is_misuse(address: str) -> None:
    async def work(session: Session) -> None:
        for envelope in (Envelope(address, ("a@b.c",)), Envelope("a@b.c", ("a@b.c", address))):
            with pytest.raises(ValueError, match="SMTP command"):
                await session.send(envelope, CONTENT, before_data=consent)

    with RawSmtpServer() as server:
        on_session(server, work)

    assert server.commands == ["EHLO client.test", "QUIT"]


@pytest.mark.parametrize("recipients", [(), ("",), ("a@b.c", "a@b.c")])
def test_an_envelope_without_clear_recipients_is_misuse(recipients: tuple[str, ...]) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(ValueError, match="recipient"):
            await session.send(Envelope("a@b.c", recipients), CONTENT, before_data=consent)

    with RawSmtpServer() as server:
        on_session(server, work)

    assert server.commands == ["EHLO client.test", "QUIT"]


@pytest.mark.parametrize(
    ("target", "policy"),
    [
        (Target("x", "127.0.0.1", 1), Policy("me.test\r\nMAIL FROM:<a@b.c>")),
        (Target("x", "127.0.0.1", 1), Policy("")),
        (Target("x", "127.0.0.1", 1), Policy("me.test", credentials=("a", "b\0c"))),
        (Target("x", "localhost", 1), Policy("me.test")),
    ],
)
def test_an_impossible_policy_is_misuse(target: Target, policy: Policy) -> None:
    with pytest.raises(ValueError, match=r"."):
        asyncio.run(connect(target, policy))


def test_two_transactions_at_once_are_misuse() -> None:
    async def work(session: Session) -> None:
        async def again(_accepted: Sequence[str]) -> bool:
            with pytest.raises(RuntimeError):
                await session.send(TO_ONE, CONTENT, before_data=consent)
            return True

        assert codes(await session.send(TO_ONE, CONTENT, before_data=again)) == {"one@example.net": 250}

    with RawSmtpServer() as server:
        on_session(server, work)

    assert len(server.messages) == 1
