"""How an SMTP session is opened: EHLO, TLS in each mode, AUTH, and what is kept back from whom."""

import pytest

from apps.protocols.smtp import Answer, Failure, FailureKind, Phase, Policy, Reply, Session, Tls, TlsMode
from tests.fakes.smtp_sink import CERTIFIED_NAME, RawSmtpServer, SmtpSink
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
