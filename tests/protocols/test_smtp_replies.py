"""The reader of SMTP replies takes whatever bytes come: a reply, a failure, never an exception."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.protocols.smtp import FailureKind, Phase, Reply, Session, Target, connect
from apps.protocols.smtp_wire import MAX_LINES, MAX_REPLY, MAX_TEXT, ReplyParser, reply_from
from tests.fakes.smtp_sink import Close, Endless, RawSmtpServer, Then
from tests.protocols.smtp_talk import CONTENT, TO_ONE, consent, failure, plain, send

ONE = TO_ONE.recipients[0]


async def exchange(server: RawSmtpServer) -> None:
    session = await connect(Target("raw.test", server.host, server.port), plain())
    if isinstance(session, Session):
        await session.send(TO_ONE, CONTENT, before_data=consent)
        session.close()


@pytest.mark.parametrize(
    "data",
    [
        b"2\r\n",
        b"999 x\r\n",
        b"150 x\r\n",
        b"25 ok\r\n",
        b"2x0 ok\r\n",
        b"250ok\r\n",
        b"\r\n",
        b"\x00\xff\r\n",
        "２５０ ok\r\n".encode(),
        b"250-a\r\n" * (MAX_LINES + 1),
        b"250-" + b"x" * 1_000_000 + b"\r\n",
        b"250 " + b"x" * 1_000_000,
        b"\x16\x03\x01\x02\x00",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_not_a_reply_is_a_failure(data: bytes) -> None:
    script = {"mail": data if b"\n" in data or len(data) > MAX_REPLY else data + b"\r\n"}
    with RawSmtpServer(script) as server:
        transaction = send(server)

    assert failure(transaction.results[ONE]) == (FailureKind.PROTOCOL, Phase.MAIL)
    assert not transaction.reusable


@pytest.mark.parametrize("data", [b"250-and so on\r\n" * 100, b"x" * 65_536, b"250 2.1.0 Ok\r\n" * 1_000])
@pytest.mark.parametrize("phase", ["banner", "mail", "dot"])
def test_an_endless_reply_ends(phase: str, data: bytes) -> None:
    with RawSmtpServer({phase: Endless(data)}) as server:
        asyncio.run(exchange(server))
        assert server.closed.wait(10)


def test_a_reply_that_stops_halfway_is_a_failure() -> None:
    with RawSmtpServer({"mail": Then("250-first", Close())}, features=()) as server:
        transaction = send(server)

    assert failure(transaction.results[ONE]) == (FailureKind.CLOSED, Phase.MAIL)


@pytest.mark.parametrize(
    ("lines", "enhanced", "text"),
    [
        (b"550 5.1.1 no such user\r\n", "5.1.1", "no such user"),
        (b"550 5.1.1: no\r\n", "5.1.1", "no"),
        (b"550 #5.1.1 no\r\n", "5.1.1", "no"),
        (b"550 05.1.1 no\r\n", None, "05.1.1 no"),
        (b"550 5.01.001 no\r\n", "5.1.1", "no"),
        (b"550 5.1\r\n", None, "5.1"),
        (b"550 5.1.\r\n", None, "5.1."),
        (b"550 5.1.1.1\r\n", None, "5.1.1.1"),
        (b"550 5.1.1234 x\r\n", None, "5.1.1234 x"),
        (b"550 5.1.1x\r\n", None, "5.1.1x"),
        (b"550 3.1.1 x\r\n", None, "3.1.1 x"),
        (b"550 5.1.1\r\n", "5.1.1", ""),
        (b"550\r\n", None, ""),
        (b"550 \r\n", None, ""),
        (b"550 bare line feed\n", None, "bare line feed"),
        (b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n", "5.7.1", "one two three"),
        (b"550-first\r\n550 5.7.1 second\r\n", "5.7.1", "first second"),
        (b"550-5.7.1 one\r\n550 5.1.1 two\r\n", "5.7.1", "one 5.1.1 two"),
        (b"250-looks good\r\n550 5.1.1 but is not\r\n", "5.1.1", "looks good but is not"),
        (b"550 no mailbox (#5.1.1)\r\n", "5.1.1", "no mailbox (#5.1.1)"),
        (b"550 gr\xfc\xdfe\r\n", None, "gr\ufffd\ufffde"),
        ("550 grüße\r\n".encode(), None, "grüße"),
        (b"550 a\x00b\x1b[31mc\td\r\n", None, "a b [31mc d"),
        ("550 a\u202eb\u2028c\r\n".encode(), None, "a b c"),
        (b"550 " + b"x" * 2_000 + b"\r\n", None, "x" * MAX_TEXT),
        (b"550 " + b"x" * 60_000 + b"\r\n", None, "x" * MAX_TEXT),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_replies_are_read_as_they_should(lines: bytes, enhanced: str | None, text: str) -> None:
    (raw,) = ReplyParser().feed(lines)
    reply = reply_from(raw, Phase.RCPT, 5)

    assert reply == Reply(550, enhanced, text, Phase.RCPT, 5)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_the_reader_never_raises(pieces: list[bytes]) -> None:
    parser = ReplyParser()

    for raw in [raw for piece in pieces for raw in parser.feed(piece)]:
        reply = reply_from(raw, Phase.MAIL, 0)

        assert 200 <= reply.code <= 599
        assert reply.text == "" or reply.text.isprintable()
        assert len(reply.text) <= MAX_TEXT
        assert reply.enhanced is None or re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", reply.enhanced, re.ASCII)


SMTP_LIKE = st.lists(
    st.sampled_from([b"250", b"-", b" ", b"\r\n", b"\n", b"5.1.1", b"x", b"\x00", b"\xff", b"550 ", b"250-"]),
    max_size=60,
).map(b"".join)


@given(SMTP_LIKE, st.integers(1, 9))
def test_how_the_bytes_are_cut_makes_no_difference(data: bytes, step: int) -> None:
    whole, parts = ReplyParser(), ReplyParser()

    in_parts = [raw for at in range(0, len(data), step) for raw in parts.feed(data[at : at + step])]

    assert in_parts == whole.feed(data)
    assert parts.broken == whole.broken
    assert parts.broken is not None or parts.is_idle == whole.is_idle
