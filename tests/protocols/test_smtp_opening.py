"""How an SMTP session is opened: EHLO, TLS in each mode, AUTH, and what is kept back from whom."""

import asyncio
from typing import Any

import pytest

from apps.protocols.smtp import (
    LEFT_OUT,
    Answer,
    Failure,
    FailureKind,
    Phase,
    Policy,
    Refusal,
    Reply,
    Session,
    Target,
    Tls,
    TlsMode,
    connect,
)
from tests.fakes.smtp_sink import CERTIFIED_NAME, Close, RawSmtpServer, SmtpSink
from tests.protocols.smtp_talk import (
    CONTENT,
    TO_ONE,
    codes,
    consent,
    on_session,
    plain,
    refused,
    send,
    trusting,
)


@pytest.mark.rfc("5321", "3.2")
def test_an_old_server_gets_helo() -> None:
    with RawSmtpServer({"ehlo": ["502 what", "250 raw.test"]}) as server:
        assert codes(send(server)) == {"one@example.net": 250}

    assert server.commands[:2] == ["EHLO client.test", "HELO client.test"]


@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED, TlsMode.VERIFY])
@pytest.mark.parametrize("pipelining", [True, False])
def test_starttls(mode: TlsMode, pipelining: bool) -> None:
    async def work(session: Session) -> Tls | None:
        await session.send(TO_ONE, CONTENT, before_data=consent)
        return session.tls

    with SmtpSink(starttls=True, pipelining=pipelining) as sink:
        tls = on_session(sink, work, trusting(tls=mode))
        (message,) = sink.wait_for(1)

    assert message.is_tls
    assert message.content == CONTENT
    assert tls == Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", mode is TlsMode.VERIFY)


def test_implicit_tls() -> None:
    async def work(session: Session) -> Tls | None:
        await session.send(TO_ONE, CONTENT, before_data=consent)
        return session.tls

    with SmtpSink(implicit_tls=True) as sink:
        tls = on_session(sink, work, trusting(tls=TlsMode.IMPLICIT))
        messages = sink.wait_for(1)

    assert tls is not None
    assert tls.verified
    assert [message.content for message in messages] == [CONTENT]


def test_opportunistic_tls_goes_without_where_none_is_offered() -> None:
    with SmtpSink() as sink:
        send(sink, policy=plain(tls=TlsMode.OPPORTUNISTIC))
        (message,) = sink.wait_for(1)

    assert not message.is_tls


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.VERIFY])
def test_required_tls_does_not_go_without(mode: TlsMode) -> None:
    with RawSmtpServer() as server:
        answer = refused(server, trusting(tls=mode))
        assert server.closed.wait(10)

    assert isinstance(answer, Failure)
    assert (answer.command, answer.kind) == (Phase.STARTTLS, FailureKind.NOT_OFFERED)
    assert server.commands == ["EHLO client.test", "QUIT"]


@pytest.mark.parametrize(
    ("policy", "host"),
    [
        (trusting(), "other.test"),
        (plain(tls=TlsMode.VERIFY), CERTIFIED_NAME),
        (trusting(), "a" * 70 + ".test"),
        (trusting(), ".test"),
    ],
    ids=["other name", "unknown issuer", "label too long", "no name"],
)
def test_a_certificate_that_does_not_convince_is_refused(policy: Policy, host: str) -> None:
    with SmtpSink(starttls=True) as sink:
        answer = refused(sink, policy, host)

    assert isinstance(answer, Failure)
    assert (answer.kind, answer.command) == (FailureKind.TLS, Phase.STARTTLS)
    assert sink.messages == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("starttls", [True, False], ids=["tls", "loopback in clear"])
def test_auth(mechanism: str, starttls: bool) -> None:
    policy = trusting(credentials=("usér", "pässword")) if starttls else plain(credentials=("usér", "pässword"))
    with SmtpSink(starttls=starttls, auth=("usér", "pässword"), auth_mechanisms=(mechanism,)) as sink:
        transaction = send(sink, policy=policy)
        (message,) = sink.wait_for(1)

    assert (message.user, message.is_tls) == ("usér", starttls)
    assert not any("AUTH" in exchange.sent for exchange in transaction.transcript)
    assert "pässword" not in repr(policy)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_wrong_credentials_are_a_reply(mechanism: str) -> None:
    with SmtpSink(auth=("user", "password"), auth_mechanisms=(mechanism,)) as sink:
        answer = refused(sink, plain(credentials=("user", "wrong")))

    assert isinstance(answer, Reply)
    assert (answer.code, answer.command) == (535, Phase.AUTH)


def test_credentials_without_a_mechanism_are_a_failure() -> None:
    with RawSmtpServer(features=("AUTH CRAM-MD5",)) as server:
        answer = refused(server, plain(credentials=("user", "password")))

    assert isinstance(answer, Failure)
    assert (answer.kind, answer.command) == (FailureKind.AUTH, Phase.AUTH)


@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED, TlsMode.NONE])
def test_credentials_stay_here_unless_the_server_proved_its_name(
    mode: TlsMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loopback is the one exception, and all servers of the tests live there.
    monkeypatch.setattr("ipaddress.IPv4Address.is_loopback", False)
    with SmtpSink(starttls=True, auth=("user", "password")) as sink:
        answer: Answer = refused(sink, plain(tls=mode, credentials=("user", "password")))

    assert isinstance(answer, Failure)
    assert (answer.kind, answer.text) == (FailureKind.AUTH, "credentials are only sent over verified TLS")


# What is written down of it.


def opening(server: Any, policy: Policy) -> tuple[list[tuple[str, str]], str]:
    """What was said, without the parts that differ from run to run, and why it is in clear."""

    async def work(session: Session) -> Session:
        return session

    session = on_session(server, work, policy)
    call = f"<connect to {CERTIFIED_NAME} [127.0.0.1]:{server.port}>"
    said = [(exchange.sent.replace(call, "<call>"), exchange.received) for exchange in session.opening]
    assert all(exchange.milliseconds >= 0 for exchange in session.opening)
    return said, session.in_clear


def test_the_opening_is_written_down_and_why_it_is_in_clear() -> None:
    with RawSmtpServer() as server:
        said, in_clear = opening(server, plain(tls=TlsMode.OPPORTUNISTIC))

    assert [sent for sent, _ in said] == ["<call>", "EHLO client.test"]
    assert said[0][1].startswith("220 ")
    assert in_clear == "the server does not offer STARTTLS"


def test_a_handshake_is_written_down_with_what_it_gave() -> None:
    with SmtpSink(starttls=True) as sink:
        said, in_clear = opening(sink, trusting())

    assert [sent for sent, _ in said] == [
        "<call>",
        "EHLO client.test",
        "STARTTLS",
        "<TLS handshake>",
        "EHLO client.test",
    ]
    assert said[3][1] == "TLSv1.3, TLS_AES_256_GCM_SHA384, verified"
    assert in_clear == ""


def test_a_failed_handshake_and_the_way_in_clear_after_it_are_written_down() -> None:
    with RawSmtpServer({"ehlo": "250-raw.test\r\n250 STARTTLS", "starttls": ["220 go", Close()]}) as server:
        said, in_clear = opening(server, plain(tls=TlsMode.OPPORTUNISTIC))

    sent = [sent for sent, _ in said]
    assert sent == ["<call>", "EHLO client.test", "STARTTLS", "<TLS handshake>", "<call>", "EHLO client.test"]
    assert in_clear.startswith("handshake failed, (tls) ")


def test_no_tls_is_written_down_as_our_own_wish() -> None:
    with SmtpSink(starttls=True) as sink:
        assert opening(sink, plain())[1] == "no TLS was asked for"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_credentials_are_never_written_down(mechanism: str) -> None:
    policy = plain(credentials=("user", "password"))
    with SmtpSink(auth=("user", "password"), auth_mechanisms=(mechanism,)) as sink:
        said, _ = opening(sink, policy)

    hidden = [sent for sent, _ in said if "***" in sent]
    assert hidden == (["AUTH PLAIN ***"] if mechanism == "PLAIN" else ["***", "***"])
    assert not any(secret in str(said) for secret in ("password", "AHVzZXIAcGFzc3dvcmQ=", "cGFzc3dvcmQ="))


ECHOES = {
    "whole": b"500 5.5.1 unknown command AUTH PLAIN AHVzZXIAcGFzc3dvcmQ=\r\n",
    "over lines": b"500-5.5.1 unknown command AUTH PLAIN AHVzZXIAcGFz\r\n500 5.5.1 c3dvcmQ=\r\n",
    "its beginning": b"500 5.5.1 unknown command: auth plain AHVzZXIAcGFzc3dv...\r\n",
    "in clear": b"500 5.5.1 password 'password' of user is wrong\r\n",
    "where text is cut": b"500-5.5.1 " + b"x" * 970 + b"\r\n500 5.5.1 AUTH PLAIN AHVzZXIAcGFzc3dvcmQ=\r\n",
}


def written_down_after(echo: bytes) -> tuple[str, str]:
    """The answer, and all that is kept of the conversation after the offer of AUTH."""
    script = {"ehlo": "250-raw.test\r\n250 AUTH PLAIN", "auth": echo}
    with RawSmtpServer(script) as server:
        target = Target(CERTIFIED_NAME, server.host, server.port)
        refusal = asyncio.run(connect(target, plain(credentials=("user", "password"))))
    assert isinstance(refusal, Refusal)
    return refusal.answer.line, str(refusal.transcript[2:])


@pytest.mark.parametrize("echo", ECHOES)
def test_of_credentials_that_the_server_repeats_nothing_is_written_down(echo: str) -> None:
    line, said = written_down_after(ECHOES[echo])
    assert line == f"500 5.5.1 {LEFT_OUT}"
    kept = (line + said).replace(LEFT_OUT, "")
    assert not any(piece in kept for piece in ("user", "password", "AHVz", "c3dvcmQ", "xxx"))


def test_of_credentials_in_what_is_no_reply_nothing_is_written_down() -> None:
    line, said = written_down_after(b"AUTH PLAIN AHVzZXIAcGFzc3dvcmQ=\r\n")
    assert line == f"(protocol) {LEFT_OUT}"
    assert "AHVz" not in line + said


def test_a_failed_opening_tells_how_far_it_came() -> None:
    with RawSmtpServer({"ehlo": "421 4.3.2 busy"}) as server:
        target = Target(CERTIFIED_NAME, server.host, server.port)
        refusal = asyncio.run(connect(target, plain()))

    assert isinstance(refusal, Refusal)
    assert [exchange.sent for exchange in refusal.transcript][1:] == ["EHLO client.test"]
    assert refusal.transcript[-1].received == "421 4.3.2 busy"
