"""What the tests of the SMTP client share: a message, policies, and a session from beginning to end."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

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
    TlsMode,
    Transaction,
    connect,
)
from tests.fakes.smtp_sink import CERTIFIED_NAME, certificate

CONTENT = b"Subject: hello\r\n\r\nbody\r\n"
TO_ONE = Envelope("bounce@example.com", ("one@example.net",))


async def consent(_accepted: Sequence[str]) -> bool:
    return True


def plain(**changes: Any) -> Policy:
    return Policy("client.test", **{"tls": TlsMode.NONE, **changes})


def trusting(**changes: Any) -> Policy:
    return plain(**{"tls": TlsMode.VERIFY, "ca_file": str(certificate()), **changes})


async def opened(server: Any, policy: Policy, host: str = CERTIFIED_NAME) -> Session:
    session = await connect(Target(host, server.host, server.port), policy)
    assert isinstance(session, Session), session
    return session


def refused(server: Any, policy: Policy, host: str = CERTIFIED_NAME) -> Reply | Failure:
    refusal = asyncio.run(connect(Target(host, server.host, server.port), policy))
    assert isinstance(refusal, Refusal)
    return refusal.answer


def on_session(server: Any, work: Callable[[Session], Coroutine[Any, Any, Any]], policy: Policy | None = None) -> Any:
    async def run() -> Any:
        session = await opened(server, policy or plain())
        result = await work(session)
        await session.quit()
        return result

    return asyncio.run(run())


def send(
    server: Any, envelope: Envelope = TO_ONE, content: bytes = CONTENT, policy: Policy | None = None
) -> Transaction:
    async def work(session: Session) -> Transaction:
        return await session.send(envelope, content, before_data=consent)

    transaction: Transaction = on_session(server, work, policy)
    return transaction


def codes(transaction: Transaction) -> dict[str, int | FailureKind]:
    return {to: answer.code if isinstance(answer, Reply) else answer.kind for to, answer in transaction.results.items()}


def failure(answer: object) -> tuple[FailureKind, Phase]:
    assert isinstance(answer, Failure), answer
    return answer.kind, answer.command
