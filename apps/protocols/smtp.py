"""Opens an SMTP session: TCP, greeting, EHLO, STARTTLS (RFC 3207), AUTH (RFC 4954); RFC 5321 section 3.1.

The one module to import for speaking SMTP: what can be said on a session is in `smtp_session.py`, how bytes
travel in `smtp_wire.py`. All that a server or a network can do comes back as a value; only misuse raises.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache

from apps.protocols.smtp_session import (
    BeforeData,
    Envelope,
    Exchange,
    Features,
    Remark,
    Session,
    Timeouts,
    Tls,
    Transaction,
    refuse_unsafe,
)
from apps.protocols.smtp_wire import Answer, Failure, FailureKind, Phase, Reply, Wire, clean

__all__ = [
    "Answer",
    "BeforeData",
    "Envelope",
    "Exchange",
    "Failure",
    "FailureKind",
    "Features",
    "Phase",
    "Policy",
    "Refusal",
    "Remark",
    "Reply",
    "Session",
    "Target",
    "Timeouts",
    "Tls",
    "TlsMode",
    "Transaction",
    "connect",
]


class TlsMode(StrEnum):
    """How much protection a route asks for."""

    NONE = "none"  # never
    OPPORTUNISTIC = "opportunistic"  # if it can be had, unchecked; else in clear (RFC 7435)
    REQUIRED = "required"  # STARTTLS or nothing, the certificate unchecked
    VERIFY = "verify"  # STARTTLS, and the certificate must convince
    IMPLICIT = "implicit"  # TLS from the first byte (RFC 8314), and the certificate must convince


HIDDEN = "***"
LEFT_OUT = "(the server's words are left out, lest they repeat the credentials)"

_VERIFIED = frozenset({TlsMode.VERIFY, TlsMode.IMPLICIT})


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: the name for TLS and the logs, the address for the connection. Nothing is looked up here."""

    host: str
    address: str
    port: int = 25


@dataclass(frozen=True, slots=True)
class Policy:
    """How to speak to a target."""

    helo: str
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    ca_file: str | None = None  # trusted beside nothing else, where the certificate is checked


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reply or failure that stood in the way of a session, and what had been said until then."""

    answer: Answer
    transcript: tuple[Exchange, ...]


async def connect(target: Target, policy: Policy) -> Session | Refusal:
    """A session ready for mail, or what stood in the way.

    With opportunistic TLS a failed handshake leads to a second connection in clear. Raises ValueError for a
    target or policy that no conversation could be opened with.
    """
    _check(target, policy)
    opened = await _Opening(target, policy).run()
    if policy.tls is TlsMode.OPPORTUNISTIC and isinstance(opened, Refusal) and _is_tls_failure(opened.answer):
        # RFC 3207 section 4.1 leaves the choice to the client; mail in clear is what "opportunistic" accepts.
        opened = await _Opening(target, replace(policy, tls=TlsMode.NONE), after=opened).run()
    return opened


def _is_tls_failure(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.kind is FailureKind.TLS


def _check(target: Target, policy: Policy) -> None:
    ipaddress.ip_address(target.address)
    if not policy.helo:
        raise ValueError("EHLO needs the name of this host.")
    refuse_unsafe(policy.helo)
    if policy.credentials is not None and "\0" in "".join(policy.credentials):
        raise ValueError("NUL parts the fields of AUTH PLAIN and cannot be inside one (RFC 4616 section 2).")


class _Ended(Exception):
    """Unwinds an opening; never leaves this module."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class _Opening:
    """The steps from no connection to a session."""

    def __init__(self, target: Target, policy: Policy, *, after: Refusal | None = None) -> None:
        self._target, self._policy, self._wait = target, policy, policy.timeouts
        self._call = f"<connect to {target.host} [{target.address}]:{target.port}>"
        self._transcript = list(after.transcript) if after is not None else []
        self._in_clear = f"handshake failed, {after.answer.line}" if after is not None else "no TLS was asked for"
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + self._wait.total
        self._wire = Wire(self._loop)
        self._tls: Tls | None = None

    async def run(self) -> Session | Refusal:
        try:
            await self._reach()
            if self._policy.tls is TlsMode.IMPLICIT:
                await self._handshake(Phase.CONNECT)
            await self._greeting()
            features = await self._protect(await self._introduce())
            await self._authenticate(features)
        except _Ended as ended:
            self._wire.dismiss()
            return Refusal(ended.answer, tuple(self._transcript))
        except BaseException:
            self._wire.abort()
            raise
        in_clear = self._in_clear if self._tls is None else ""
        return Session(features, self._tls, self._wait, self._wire, tuple(self._transcript), in_clear)

    async def _reach(self) -> None:
        began = self._loop.time()
        try:
            async with asyncio.timeout(self._wait.connect):
                await self._loop.create_connection(lambda: self._wire, self._target.address, self._target.port)
        except OSError as error:
            milliseconds = round((self._loop.time() - began) * 1000)
            text = clean(error.strerror or str(error)) or "no connection in time"
            failure = Failure(_kind(error), Phase.CONNECT, text, milliseconds)
            self._transcript.append(Exchange(self._call, failure))
            raise _Ended(failure) from error

    async def _greeting(self) -> None:
        # Where TLS came first, the call has been noted with it.
        reply = await self._hear("" if self._tls else self._call, Phase.BANNER, self._wait.banner)
        if reply.code != 220:
            raise _Ended(self._sensible(reply))

    async def _introduce(self) -> Features:
        reply = await self._ask(f"EHLO {self._policy.helo}", Phase.EHLO, self._wait.helo)
        lines = self._wire.last_lines
        if reply.code >= 500:
            # RFC 5321 section 3.2: an old server gets HELO, and has nothing to offer.
            reply = await self._ask(f"HELO {self._policy.helo}", Phase.EHLO, self._wait.helo)
            lines = []
        if reply.code != 250:
            raise _Ended(self._sensible(reply))
        return _features(lines[1:])

    async def _protect(self, features: Features) -> Features:
        """STARTTLS, as far as the policy asks for it; the features that hold from then on."""
        mode = self._policy.tls
        if mode in (TlsMode.NONE, TlsMode.IMPLICIT):
            return features
        is_optional = mode is TlsMode.OPPORTUNISTIC
        if not features.starttls:
            if is_optional:
                self._in_clear = "the server does not offer STARTTLS"
                return features
            raise self._failed(FailureKind.NOT_OFFERED, Phase.STARTTLS, "the server does not offer STARTTLS")
        reply = await self._ask("STARTTLS", Phase.STARTTLS, self._wait.helo)
        if reply.code != 220:
            if is_optional and self._wire.is_open:
                self._in_clear = f"the server refused STARTTLS, {reply.line}"
                return features
            raise _Ended(self._sensible(reply))
        await self._handshake(Phase.STARTTLS)
        # RFC 3207 section 4.2: what was learnt in clear is forgotten.
        return await self._introduce()

    async def _handshake(self, phase: Phase) -> None:
        verified, began = self._policy.tls in _VERIFIED, self._loop.time()
        label = "<TLS handshake>" if phase is Phase.STARTTLS else self._call
        failure = await self._wire.start_tls(
            _context(verified, self._policy.ca_file),
            self._target.host,
            command=phase,
            by=self._by(self._wait.tls),
        )
        if failure is not None:
            self._transcript.append(Exchange(label, failure))
            raise _Ended(failure)
        state = self._wire.ssl_object
        cipher = state.cipher() if state is not None else None
        version = state.version() if state is not None else None
        self._tls = Tls(version or "unknown", cipher[0] if cipher else "unknown", verified)
        milliseconds = round((self._loop.time() - began) * 1000)
        self._transcript.append(Exchange(label, Remark(self._tls.line, milliseconds)))

    async def _authenticate(self, features: Features) -> None:
        if self._policy.credentials is None:
            return
        is_private = self._tls is not None and self._tls.verified
        if not is_private and not ipaddress.ip_address(self._target.address).is_loopback:
            # RFC 4954 section 4: a password is worth nothing once it went to whoever answered.
            raise self._failed(FailureKind.AUTH, Phase.AUTH, "credentials are only sent over verified TLS")
        if "PLAIN" in features.auth:
            reply = await self._plain(*self._policy.credentials)
        elif "LOGIN" in features.auth:
            reply = await self._login(*self._policy.credentials)
        else:
            raise self._failed(FailureKind.AUTH, Phase.AUTH, "the server offers neither AUTH PLAIN nor LOGIN")
        if reply.code != 235:
            raise _Ended(self._sensible(reply))

    async def _plain(self, user: str, password: str) -> Reply:
        # RFC 4616 section 2: no identity to act as, so the first field is empty.
        secret = _base64("\0".join(("", user, password)))
        return await self._ask("AUTH PLAIN ", Phase.AUTH, self._wait.auth, secret=secret)

    async def _login(self, user: str, password: str) -> Reply:
        reply = await self._ask("AUTH LOGIN", Phase.AUTH, self._wait.auth)
        for answer in (user, password):
            if reply.code != 334:
                break
            reply = await self._ask("", Phase.AUTH, self._wait.auth, secret=_base64(answer))
        return reply

    async def _ask(self, line: str, phase: Phase, seconds: float, *, secret: str = "") -> Reply:
        """Says the line, with a secret at its end if there is one; that is never written down."""
        self._wire.write(f"{line}{secret}\r\n".encode())
        return await self._hear(f"{line}{HIDDEN if secret else ''}", phase, seconds, secret=secret)

    async def _hear(self, sent: str, phase: Phase, seconds: float, *, secret: str = "") -> Reply:
        answer = await self._wire.reply(phase, self._by(seconds))
        if secret and (isinstance(answer, Reply) or answer.kind is FailureKind.PROTOCOL):
            # "500 unknown command AUTH PLAIN ...": some servers repeat what they did not understand, in pieces too.
            answer = replace(answer, text=LEFT_OUT)
        self._transcript.append(Exchange(sent, answer))
        if isinstance(answer, Failure):
            raise _Ended(answer)
        return answer

    def _sensible(self, reply: Reply) -> Answer:
        """A refusal as it stands; consent where none makes sense is a failure, lest it pass for success."""
        if reply.code >= 400:
            return reply
        return self._wire.fail(FailureKind.PROTOCOL, reply.command, f"the server said {reply.code} out of turn")

    def _failed(self, kind: FailureKind, phase: Phase, text: str) -> _Ended:
        return _Ended(Failure(kind, phase, text, 0))

    def _by(self, seconds: float) -> float:
        return min(self._loop.time() + seconds, self._until)


def _features(lines: list[bytes]) -> Features:
    """RFC 5321 section 4.1.1.1: one keyword a line, then its parameters."""
    offered: dict[str, list[str]] = {}
    for line in lines:
        # Old servers write AUTH=LOGIN.
        words = line.decode("ascii", "replace").upper().replace("AUTH=", "AUTH ").split()
        if words:
            offered.setdefault(words[0], []).extend(words[1:])
    size = next(iter(offered.get("SIZE", [])), "")
    return Features(
        pipelining="PIPELINING" in offered,
        starttls="STARTTLS" in offered,
        eight_bit="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        size=int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0,
        auth=frozenset(offered.get("AUTH", [])),
    )


def _kind(error: OSError) -> FailureKind:
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return FailureKind.REFUSED
    if isinstance(error, ConnectionError):
        return FailureKind.RESET
    return FailureKind.UNREACHABLE


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@lru_cache(maxsize=16)
def _context(verified: bool, ca_file: str | None) -> ssl.SSLContext:
    """Loading the trusted roots costs milliseconds, so a context is made once."""
    if verified:
        return ssl.create_default_context(cafile=ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
