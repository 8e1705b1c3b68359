"""The SMTP client against servers that hang, lie, drip and break: always a value, never an exception."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.protocols.smtp import (
    Envelope,
    Failure,
    FailureKind,
    Phase,
    Policy,
    Refusal,
    Reply,
    Session,
    Target,
    Timeouts,
    TlsMode,
    Transaction,
    connect,
)
from tests.fakes.smtp_sink import Close, Deaf, Delay, Drip, Hang, RawSmtpServer, Reset, Then
from tests.protocols.smtp_talk import CONTENT, TO_ONE, consent, failure

ONE = TO_ONE.recipients[0]
# Long enough for a slow machine to be in time everywhere else.
PATIENT = 30.0
SOON = 0.1


def policy(**changes: Any) -> Policy:
    return Policy("client.test", **{"tls": TlsMode.NONE, "timeouts": hurried(), **changes})


def hurried(**changes: float) -> Timeouts:
    names = ("connect", "tls", "banner", "helo", "auth", "mail", "rcpt", "data", "block", "dot", "total")
    return Timeouts(**{name: changes.get(name, PATIENT) for name in names})


async def attempt(
    server: RawSmtpServer, chosen: Policy | None = None, *, messages: int = 1, content: bytes = CONTENT
) -> list[Transaction] | Reply | Failure:
    session = await connect(Target("raw.test", server.host, server.port), chosen or policy())
    if not isinstance(session, Session):
        return session.answer
    done = []
    for _ in range(messages):
        done.append(await session.send(TO_ONE, content, before_data=consent))
    session.close()
    return done


def send(server: RawSmtpServer, chosen: Policy | None = None, content: bytes = CONTENT) -> Transaction:
    done = asyncio.run(attempt(server, chosen, content=content))
    assert isinstance(done, list), done
    return done[0]


def send_twice(server: RawSmtpServer) -> tuple[Transaction, Transaction]:
    done = asyncio.run(attempt(server, messages=2))
    assert isinstance(done, list), done
    return done[0], done[1]


def refused(server: RawSmtpServer, chosen: Policy | None = None) -> Reply | Failure:
    answer = asyncio.run(attempt(server, chosen))
    assert not isinstance(answer, list)
    return answer


# Silence, at each place.


@pytest.mark.parametrize(
    ("phase", "field"), [("banner", "banner"), ("ehlo", "helo"), ("starttls", "helo"), ("auth", "auth")]
)
def test_a_server_that_hangs_while_opening_times_out_there(phase: str, field: str) -> None:
    features = ("STARTTLS", "AUTH PLAIN")
    chosen = policy(
        tls=TlsMode.REQUIRED if phase == "starttls" else TlsMode.NONE,
        credentials=("user", "password"),
        timeouts=hurried(**{field: SOON}),
    )
    with RawSmtpServer({phase: Hang()}, features=features) as server:
        answer = refused(server, chosen)
        assert server.closed.wait(10)

    assert failure(answer) == (FailureKind.TIMEOUT, Phase(phase))


@pytest.mark.parametrize("features", [("PIPELINING",), ()], ids=["pipelining", "step by step"])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_a_server_that_hangs_in_a_transaction_times_out_there(phase: str, features: tuple[str, ...]) -> None:
    with RawSmtpServer({phase: Hang()}, features=features) as server:
        transaction = send(server, policy(timeouts=hurried(**{phase: SOON})))
        assert server.closed.wait(10)

    assert failure(transaction.results[ONE]) == (FailureKind.TIMEOUT, Phase(phase))
    assert transaction.ambiguous is (phase == "dot")
    assert not transaction.reusable
    assert not transaction.stale_connection
    assert len(server.messages) == (phase == "dot")


def test_a_handshake_that_never_ends_is_a_failure_of_tls() -> None:
    with RawSmtpServer({"starttls": Then("220 go", Hang())}, features=("STARTTLS",)) as server:
        chosen = policy(tls=TlsMode.REQUIRED, timeouts=hurried(tls=SOON))
        assert failure(refused(server, chosen)) == (FailureKind.TLS, Phase.STARTTLS)


@pytest.mark.parametrize("phase", ["banner", "ehlo"])
def test_a_drip_does_not_outlast_the_deadline_while_opening(phase: str) -> None:
    with RawSmtpServer({phase: Drip(b"220-" + b"x" * 1_000)}) as server:
        answer = refused(server, policy(timeouts=hurried(banner=SOON, helo=SOON)))

    assert failure(answer) == (FailureKind.TIMEOUT, Phase(phase))


@pytest.mark.parametrize("phase", ["mail", "dot"])
def test_a_drip_does_not_outlast_the_deadline_in_a_transaction(phase: str) -> None:
    with RawSmtpServer({phase: Drip(b"250-" + b"x" * 1_000)}) as server:
        transaction = send(server, policy(timeouts=hurried(mail=SOON, dot=SOON)))

    assert failure(transaction.results[ONE]) == (FailureKind.TIMEOUT, Phase(phase))


def test_the_total_bounds_many_slow_answers() -> None:
    with RawSmtpServer({"rcpt": Delay(0.05, "250 ok")}, features=()) as server:
        envelope = Envelope("bounce@example.com", tuple(f"r{number}@example.net" for number in range(1_000)))

        async def run() -> Transaction:
            session = await connect(Target("raw.test", server.host, server.port), policy())
            assert isinstance(session, Session)
            session.timeouts = hurried(total=0.2)
            return await session.send(envelope, CONTENT, before_data=consent)

        transaction = asyncio.run(run())

    assert {failure(answer) for answer in transaction.results.values()} == {(FailureKind.TIMEOUT, Phase.RCPT)}
    assert server.messages == []


def test_a_server_that_stops_reading_content_times_out_unambiguously() -> None:
    # More than the buffers of two sockets hold.
    content = b"y" * 62 + b"\r\n"
    with RawSmtpServer({"data": Then("354 go", Deaf())}) as server:
        transaction = send(server, policy(timeouts=hurried(block=SOON)), content * 500_000)

    assert failure(transaction.results[ONE]) == (FailureKind.TIMEOUT, Phase.DATA)
    assert not transaction.ambiguous


# Hanging up, at each place.


@pytest.mark.parametrize(("action", "kind"), [(Close(), FailureKind.CLOSED), (Reset(), FailureKind.RESET)])
@pytest.mark.parametrize("phase", ["banner", "ehlo"])
def test_hanging_up_while_opening_is_a_failure_there(phase: str, action: Any, kind: FailureKind) -> None:
    with RawSmtpServer({phase: action}) as server:
        found, where = failure(refused(server))

    assert found is kind
    # A reset in place of the banner may be there before the connection is set up.
    assert where is Phase(phase) or (phase == "banner" and where is Phase.CONNECT)


@pytest.mark.parametrize(("action", "kind"), [(Close(), FailureKind.CLOSED), (Reset(), FailureKind.RESET)])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_hanging_up_in_a_transaction_is_ambiguous_only_after_the_dot(
    phase: str, action: Any, kind: FailureKind
) -> None:
    with RawSmtpServer({phase: action}, features=()) as server:
        transaction = send(server)

    assert failure(transaction.results[ONE]) == (kind, Phase(phase))
    assert transaction.ambiguous is (phase == "dot")
    assert (transaction.reusable, transaction.stale_connection) == (False, False)
    assert [message.data for message in server.messages] == ([CONTENT] if phase == "dot" else [])


def test_a_late_answer_after_the_dot_is_an_answer() -> None:
    with RawSmtpServer({"dot": Delay(0.2, "250 2.0.0 at last")}) as server:
        transaction = send(server)

    assert transaction.results[ONE].line == "250 2.0.0 at last"
    assert not transaction.ambiguous


def test_a_closed_port_is_refused() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        target = Target("raw.test", "127.0.0.1", held.getsockname()[1])
        refusal = asyncio.run(connect(target, policy()))

    assert isinstance(refusal, Refusal)
    assert failure(refusal.answer) == (FailureKind.REFUSED, Phase.CONNECT)


# Kept connections that are not there any more.


@pytest.mark.parametrize("action", ["421 4.3.2 too many messages", Close(), Reset()])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_a_kept_connection_that_ends_before_the_content_is_stale(phase: str, action: Any) -> None:
    with RawSmtpServer({phase: [None, action]}) as server:
        first, second = send_twice(server)

    assert isinstance(first.results[ONE], Reply)
    assert (second.stale_connection, second.ambiguous, second.reusable) == (True, False, False)
    assert len(server.messages) == 1


@pytest.mark.parametrize("after", [Close(), Reset()])
def test_a_connection_closed_while_idle_is_stale(after: Any) -> None:
    async def run(server: RawSmtpServer) -> Transaction:
        session = await connect(Target("raw.test", server.host, server.port), policy())
        assert isinstance(session, Session)
        await session.send(TO_ONE, CONTENT, before_data=consent)
        await asyncio.to_thread(server.closed.wait, 10)
        while session.is_open:
            await asyncio.sleep(0)
        return await session.send(TO_ONE, CONTENT, before_data=consent)

    with RawSmtpServer({"dot": Then("250 ok", after)}) as server:
        transaction = asyncio.run(run(server))

    assert transaction.stale_connection
    assert len(server.messages) == 1


@pytest.mark.rfc("5321", "3.8")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (b"421 4.4.2 idle\r\n", "421 4.4.2 idle"),
        (b"250 hm\r\n", "(protocol) the server said 250 out of turn"),
    ],
)
def test_what_is_said_to_an_idle_client_ends_the_session(words: bytes, line: str) -> None:
    async def run(server: RawSmtpServer) -> Transaction:
        session = await connect(Target("raw.test", server.host, server.port), policy())
        assert isinstance(session, Session)
        await session.send(TO_ONE, CONTENT, before_data=consent)
        while session.is_open:
            await asyncio.sleep(0)
        return await session.send(TO_ONE, CONTENT, before_data=consent)

    with RawSmtpServer({"dot": f"250 ok\r\n{words.decode().rstrip()}"}) as server:
        transaction = asyncio.run(run(server))

    assert transaction.results[ONE].line == line
    assert (transaction.stale_connection, transaction.reusable) == (True, False)
    assert server.commands.count("DATA") == 1


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_a_421_is_an_answer_and_the_end(phase: str) -> None:
    with RawSmtpServer({phase: "421 4.3.2 bye"}) as server:
        transaction = send(server)

    assert transaction.results[ONE].line == "421 4.3.2 bye"
    assert (transaction.reusable, transaction.stale_connection, transaction.ambiguous) == (
        False,
        False,
        False,
    )


def test_a_server_that_cannot_reset_gets_no_further_message() -> None:
    with RawSmtpServer({"rcpt": "550 5.1.1 no", "data": "503 no", "rset": "500 what"}) as server:
        _first, second = send_twice(server)

    assert second.results[ONE].command is Phase.RSET
    assert (second.reusable, second.stale_connection) == (False, True)


# Answers out of turn.


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        ({"mail": "354 go"}, Phase.MAIL),
        ({"rcpt": "354 go"}, Phase.RCPT),
        ({"data": "250 ok"}, Phase.DATA),
        ({"dot": "354 go"}, Phase.DOT),
    ],
)
def test_a_reply_that_makes_no_sense_there_is_no_consent(script: Any, phase: Phase) -> None:
    with RawSmtpServer(script) as server:
        transaction = send(server)

    assert failure(transaction.results[ONE]) == (FailureKind.PROTOCOL, phase)
    assert transaction.ambiguous is (phase is Phase.DOT)
    assert not transaction.reusable


def test_consent_before_the_content_is_no_consent() -> None:
    with RawSmtpServer({"data": "354 go\r\n250 2.0.0 delivered already"}) as server:
        transaction = send(server)

    assert failure(transaction.results[ONE]) == (FailureKind.PROTOCOL, Phase.DATA)
    assert not transaction.ambiguous
    assert server.messages == []


def test_a_refusal_before_the_content_is_an_answer() -> None:
    with RawSmtpServer({"data": "354 go\r\n552 5.3.4 too large after all"}) as server:
        transaction = send(server)

    assert transaction.results[ONE].line == "552 5.3.4 too large after all"
    assert (transaction.ambiguous, transaction.reusable) == (False, False)
    assert server.messages == []


@pytest.mark.parametrize(("phase", "line"), [("banner", "250 hello"), ("ehlo", "354 go"), ("auth", "250 fine")])
def test_a_success_of_the_wrong_sort_opens_no_session(phase: str, line: str) -> None:
    with RawSmtpServer({phase: line}, features=("AUTH PLAIN",)) as server:
        answer = refused(server, policy(credentials=("user", "password")))

    assert failure(answer) == (FailureKind.PROTOCOL, Phase(phase))


@pytest.mark.parametrize("line", ["554 5.7.1 blocked", "421 4.3.2 busy", "450 later"])
def test_a_refusal_at_the_door_is_a_reply(line: str) -> None:
    with RawSmtpServer({"banner": line}) as server:
        answer = refused(server)

    assert isinstance(answer, Reply)
    assert (answer.line, answer.command) == (line, Phase.BANNER)


# TLS under attack.


@pytest.mark.rfc("3207", "5")
@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED, TlsMode.VERIFY])
@pytest.mark.parametrize("injected", [b"220 go\r\n250 fake\r\n", b"220 go\r\n25"])
def test_words_slipped_in_before_the_handshake_end_the_connection(mode: TlsMode, injected: bytes) -> None:
    with RawSmtpServer({"starttls": injected}, features=("STARTTLS",)) as server:
        answer = refused(server, policy(tls=mode))

    assert failure(answer) == (FailureKind.PROTOCOL, Phase.STARTTLS)
    assert server.connections == 1
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_opportunistic_tls_that_fails_goes_on_in_clear_on_a_new_connection() -> None:
    with RawSmtpServer(features=("STARTTLS",)) as server:
        transaction = send(server, policy(tls=TlsMode.OPPORTUNISTIC))

    assert isinstance(transaction.results[ONE], Reply)
    assert server.connections == 2
    assert len(server.messages) == 1


def test_opportunistic_tls_that_is_refused_goes_on_in_clear() -> None:
    with RawSmtpServer({"starttls": "454 4.7.0 not now"}, features=("STARTTLS",)) as server:
        transaction = send(server, policy(tls=TlsMode.OPPORTUNISTIC))

    assert isinstance(transaction.results[ONE], Reply)
    assert server.connections == 1


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.VERIFY])
def test_required_tls_that_fails_sends_no_mail(mode: TlsMode) -> None:
    with RawSmtpServer(features=("STARTTLS",)) as server:
        answer = refused(server, policy(tls=mode))

    assert failure(answer) == (FailureKind.TLS, Phase.STARTTLS)
    assert (server.connections, server.messages) == (1, [])
    assert not any(command.startswith("MAIL") for command in server.commands)


# Ourselves.


@pytest.mark.parametrize("phase", ["mail", "dot"])
def test_a_cancelled_task_leaves_no_connection(phase: str) -> None:
    async def run(server: RawSmtpServer) -> Session:
        session = await connect(Target("raw.test", server.host, server.port), policy())
        assert isinstance(session, Session)
        task = asyncio.create_task(session.send(TO_ONE, CONTENT, before_data=consent))
        while "DATA" not in server.commands and "MAIL FROM:<bounce@example.com>" not in server.commands:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return session

    with RawSmtpServer({phase: Hang()}) as server:
        session = asyncio.run(run(server))
        assert server.closed.wait(10)

    assert not session.is_open


def test_a_cancelled_opening_leaves_no_connection() -> None:
    async def run(server: RawSmtpServer) -> None:
        task = asyncio.create_task(connect(Target("raw.test", server.host, server.port), policy()))
        while not server.connections:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with RawSmtpServer({"banner": Hang()}) as server:
        asyncio.run(run(server))
        assert server.closed.wait(10)


@pytest.mark.parametrize("action", [Close(), Reset(), "500 what"])
def test_taking_leave_never_fails(action: Any) -> None:
    async def run(server: RawSmtpServer) -> bool:
        session = await connect(Target("raw.test", server.host, server.port), policy())
        assert isinstance(session, Session)
        await session.quit()
        await session.quit()
        return session.is_open

    with RawSmtpServer({"quit": action}) as server:
        assert asyncio.run(run(server)) is False

    assert server.commands == ["EHLO client.test", "QUIT"]


# The fast sink, as the bench uses it.


def test_the_fast_sink_keeps_a_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    command = [
        sys.executable,
        "-m",
        "tests.fakes.smtp_sink",
        "--ledger",
        str(ledger),
        "--drop-after-dot-every",
        "2",
    ]

    async def run(port: int) -> list[Transaction]:
        session = await connect(Target("sink", "127.0.0.1", port), policy())
        assert isinstance(session, Session)
        content = b"Message-ID: <1@example.com>\r\n\r\n.dots\r\n..\r\n"
        return [await session.send(TO_ONE, content, before_data=consent) for _ in range(2)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as sink:
        assert sink.stdout is not None
        ready, port = sink.stdout.readline().split()
        first, second = asyncio.run(run(int(port)))
        sink.terminate()

    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert ready == "ready"
    assert isinstance(first.results[ONE], Reply)
    assert second.ambiguous
    assert [line["replied"] for line in lines] == [True, False]
    assert {line["message_id"] for line in lines} == {"<1@example.com>"}
    assert {tuple(line["rcpts"]) for line in lines} == {(ONE,)}
    assert {line["octets"] for line in lines} == {len(b"Message-ID: <1@example.com>\r\n\r\n.dots\r\n..\r\n")}
