"""Real SMTP servers on loopback: `SmtpSink` (aiosmtpd, a strict referee) and `RawSmtpServer` (misbehaviour).

`python -m tests.fakes.smtp_sink --port N --ledger FILE` runs the fast sink of `smtp_fast.py` for load.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import ipaddress
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from aiosmtpd.smtp import Envelope as ServerEnvelope
from aiosmtpd.smtp import Session as ServerSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.smtp_fast import main
from tests.fakes.smtp_raw import Close, Deaf, Delay, Drip, Endless, Hang, RawSmtpServer, Reset, Then

__all__ = [
    "CERTIFIED_NAME",
    "Close",
    "Deaf",
    "Delay",
    "Drip",
    "Endless",
    "Hang",
    "RawSmtpServer",
    "Received",
    "Reset",
    "SmtpSink",
    "Then",
    "certificate",
    "server_context",
]

CERTIFIED_NAME = "mx.sink.test"

Replies = Callable[[str], str | None] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the sink answered 250 for."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    content: bytes  # as sent, before dot-stuffing
    mail_options: tuple[str, ...]
    is_tls: bool
    user: str | None
    at: float


@functools.cache
def certificate() -> Path:
    """A self-signed certificate for CERTIFIED_NAME and 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, CERTIFIED_NAME)])
    names: list[x509.GeneralName] = [
        x509.DNSName(CERTIFIED_NAME),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = Path(tempfile.mkdtemp(prefix="smtp-sink-")) / "certificate.pem"
    path.write_bytes(pem)
    return path


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    return context


class _AnyPortController(Controller):
    """aiosmtpd tests itself by connecting to the port it was given, which fails for port 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class SmtpSink:
    """Takes mail and keeps it: `with SmtpSink(starttls=True) as sink:`."""

    starttls: bool = False
    implicit_tls: bool = False
    auth: tuple[str, str] | None = None  # then AUTH is required
    auth_mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    pipelining: bool = True
    smtputf8: bool = True
    size: int = 33_554_432
    reply_for: Replies | None = None  # RCPT: address or local part to a reply; None accepts
    reply_after_dot: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    messages: list[Received] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def __enter__(self) -> Self:
        left_out = {"PLAIN", "LOGIN"} - set(self.auth_mechanisms)
        self._controller = _AnyPortController(
            _Handler(self),
            self.host,
            self.port,
            # The referee stays on plain asyncio, whatever loop the tests choose for the client.
            loop=asyncio.SelectorEventLoop(),
            ssl_context=server_context() if self.implicit_tls else None,
            tls_context=server_context() if self.starttls else None,
            enable_SMTPUTF8=self.smtputf8,
            data_size_limit=self.size,
            authenticator=self._authenticate,
            auth_required=self.auth is not None,
            # aiosmtpd does not see TLS that was there from the first byte.
            auth_require_tls=self.starttls,
            auth_exclude_mechanism=sorted(left_out),
        )
        self._controller.start()
        self.port = self._controller.port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Received]:
        """The messages, once there are so many of them."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.messages) >= count, timeout):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {timeout} seconds")
            return list(self.messages)

    def keep(self, message: Received) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    def refusal(self, recipient: str) -> str | None:
        if self.reply_for is None:
            return None
        if callable(self.reply_for):
            return self.reply_for(recipient)
        return self.reply_for.get(recipient) or self.reply_for.get(recipient.partition("@")[0])

    def _authenticate(
        self,
        server: SMTP,
        session: ServerSession,
        envelope: ServerEnvelope,
        mechanism: str,
        auth_data: LoginPassword,
    ) -> AuthResult:
        given = (auth_data.login.decode(), auth_data.password.decode())
        return AuthResult(success=given == self.auth, handled=False, auth_data=given[0])


class _Handler:
    """aiosmtpd's hooks; it finds them by name."""

    def __init__(self, sink: SmtpSink) -> None:
        self.sink = sink

    async def handle_EHLO(
        self,
        server: SMTP,
        session: ServerSession,
        envelope: ServerEnvelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        if self.sink.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: ServerSession, envelope: ServerEnvelope, address: str, options: list[str]
    ) -> str:
        refusal = self.sink.refusal(address)
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: ServerSession, envelope: ServerEnvelope) -> str:
        if self.sink.reply_after_dot is not None and not self.sink.reply_after_dot.startswith("2"):
            return self.sink.reply_after_dot
        user: Any = session.auth_data
        self.sink.keep(
            Received(
                mail_from=envelope.mail_from or "",
                rcpt_tos=tuple(envelope.rcpt_tos),
                content=envelope.original_content or b"",
                mail_options=tuple(envelope.mail_options),
                is_tls=session.ssl is not None or self.sink.implicit_tls,
                user=user,
                at=time.time(),
            )
        )
        return self.sink.reply_after_dot or "250 2.0.0 Kept"


if __name__ == "__main__":
    main()
