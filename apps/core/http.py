"""Requests to web servers that strangers named: nothing they write, resolve or answer leads to where it should not.

A name is looked up once for a connection, every address of the answer is checked against our own list, and the
connection goes to a checked address, with the name kept for Host and TLS; so it cannot lead elsewhere a moment later.
No redirect is followed, at most 64 KB are read, and one deadline stands over everything, the look-up and TLS included.
"""

import asyncio
import contextlib
import errno
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509

from apps.protocols import http_wire
from apps.protocols.dns import Answer, AsyncResolver, Outcome, Resolver, parse_servers
from apps.protocols.http_wire import MAX_BYTES, Malformed, NothingCame
from apps.protocols.networks import Network, is_allowed, is_public
from apps.protocols.web_address import NotAnAddress, WebAddress, read_address

DEADLINE_SECONDS = 10.0
# For each address of a name that has several, so that one that is silent leaves time for the next.
CONNECT_SECONDS = 4.0
MAX_ADDRESSES = 4
# A status says all that matters; for the words behind it nobody waits long.
BODY_SECONDS = 2.0
# asyncio holds up to twice as much before it makes the server wait.
READ_AHEAD = MAX_BYTES // 2
IDLE_SECONDS = 15.0
MAX_IDLE = 256
# Where strangers' HTTPS servers are. Others are ports of services that speak first, or of databases.
PUBLIC_PORTS = frozenset({443, 8443})
THIS_MACHINE = ("127.0.0.1", "::1")
LOOK_UP_SECONDS = 3.0

UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTDOWN})
# OpenSSL's X509_V_ERR_* that have a plain meaning.
EXPIRED, NOT_YET_VALID, WRONG_NAME, WRONG_ADDRESS = 10, 9, 62, 64
UNTRUSTED = frozenset({18, 19, 20, 21})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, and how long all of it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class NoReply(Exception):
    """There is no answer, for a reason with a stable code and a sentence for whoever owns the server."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


class NameServer(Protocol):
    """The look-up that is needed here."""

    async def addresses(self, name: str) -> Answer[str]: ...


def read_target(text: str, allowed: Sequence[Network], dns_servers: str) -> WebAddress:
    """An address that requests may be sent to, as far as that can be said before. Raises NotAnAddress.

    Where an address goes is looked up only if it is one that must lead into an allowed network.
    """
    address = read_address(text)
    if address.is_literal:
        if is_allowed(address.host, allowed):
            return address
        if not is_public(address.host):
            raise NotAnAddress("must not be a private, local or reserved address")
    refusal = _refusal(address)
    if refusal and not (allowed and not address.is_literal and _leads_into(address, allowed, dns_servers)):
        raise NotAnAddress(refusal)
    return address


def _refusal(address: WebAddress) -> str:
    """Why it may be used only within an allowed network; blank where it may lead anywhere public."""
    if address.scheme != "https":
        return "must begin with https://"
    if address.is_local_name:
        return "must have a host that can be found from everywhere"
    if address.port not in PUBLIC_PORTS:
        return f"must have one of the ports {', '.join(map(str, sorted(PUBLIC_PORTS)))}"
    return ""


def _leads_into(address: WebAddress, allowed: Sequence[Network], dns_servers: str) -> bool:
    if address.is_this_machine:
        return any(is_allowed(own, allowed) for own in THIS_MACHINE)
    resolver = Resolver(parse_servers(dns_servers), timeout=LOOK_UP_SECONDS / 2, lifetime=LOOK_UP_SECONDS)
    found = resolver.addresses(address.host)
    return bool(found.values) and all(is_allowed(each, allowed) for each in found.values)


class _Connection:
    """One connection to a checked address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        is_open = not self.reader.at_eof() and not self.writer.is_closing()
        return is_open and time.monotonic() - self.idle_since < IDLE_SECONDS

    def close(self) -> None:
        self.writer.transport.abort()


class HttpClient:
    """Sends requests from one event loop, and keeps connections that can be used again for a few seconds."""

    def __init__(
        self,
        resolver: NameServer,
        *,
        allowed: Sequence[Network] = (),
        deadline: float = DEADLINE_SECONDS,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver, self._allowed, self._deadline = resolver, tuple(allowed), deadline
        self._context = context or ssl.create_default_context()
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}

    async def post(self, address: WebAddress, headers: Mapping[str, str], body: bytes) -> Reply:
        """Raises NoReply. Whether the request arrived is then not known."""
        started = time.monotonic()
        # RFC 9112, section 3.2. What is compressed would have to be unpacked to be shown, and might be a bomb.
        fixed = {"Host": address.authority, "Accept": "*/*", "Accept-Encoding": "identity"}
        wire = http_wire.request("POST", address.target, {**fixed, **headers}, body)
        exchange = _Exchange(address)
        try:
            async with asyncio.timeout(self._deadline):
                return await self._send(exchange, wire, started)
        except TimeoutError:
            raise NoReply("timeout", exchange.too_late(self._deadline)) from None
        except Malformed as error:
            raise NoReply("malformed_answer", f"The answer cannot be read: {error}.") from error
        except (NothingCame, ConnectionError, asyncio.IncompleteReadError):
            raise NoReply("connection_lost", "The connection was closed before an answer came.") from None
        except ssl.SSLError as error:
            raise NoReply("tls_failed", f"TLS failed: {_ssl_words(error)}.") from error
        except OSError:
            raise NoReply("connection_lost", "The connection broke before an answer came.") from None

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def close_stale(self) -> None:
        """Lets go of connections that nobody will use again; to be called now and then."""
        for origin, connections in list(self._idle.items()):
            usable = [connection for connection in connections if connection.is_usable]
            for connection in connections:
                if connection not in usable:
                    connection.close()
            self._idle[origin] = usable
            if not usable:
                del self._idle[origin]

    async def _send(self, exchange: "_Exchange", wire: bytes, started: float) -> Reply:
        if (kept := self._kept(exchange.address)) is not None:
            # A server may close a connection just as it is used again; it has then not read the request.
            with contextlib.suppress(NothingCame, ConnectionError):
                return await self._talk(exchange, kept, wire, started)
        return await self._talk(exchange, await self._open(exchange), wire, started)

    async def _talk(self, exchange: "_Exchange", connection: _Connection, wire: bytes, started: float) -> Reply:
        exchange.phase = "answer"
        is_reusable = False
        try:
            connection.writer.write(wire)
            await connection.writer.drain()
            budget, body = http_wire.Budget(), http_wire.Body()
            head = await http_wire.read_head(connection.reader, budget)
            with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                left = self._deadline - (time.monotonic() - started)
                async with asyncio.timeout(max(0.0, min(BODY_SECONDS, left - 0.1))):
                    await http_wire.read_body(connection.reader, head, budget, body)
            is_reusable = head.may_be_kept and body.is_whole
            return Reply(head.status, head.headers, body.content, time.monotonic() - started)
        finally:
            if is_reusable:
                self._keep(exchange.address, connection)
            else:
                connection.close()

    async def _open(self, exchange: "_Exchange") -> _Connection:
        exchange.phase = "name"
        addresses = await self._checked(exchange.address)
        exchange.phase = "connection"
        failure: NoReply | None = None
        for host in addresses[:MAX_ADDRESSES]:
            try:
                return await self._connect(exchange.address, host)
            except NoReply as error:
                failure = error
        raise failure or NoReply("dns_no_address", f"The name {exchange.address.host} has no address.")

    async def _checked(self, address: WebAddress) -> Sequence[str]:
        """The addresses to connect to, each of which we may. Raises NoReply."""
        found = await self._addresses(address)
        may_be_public = not _refusal(address)
        for each in found:
            if not (is_allowed(each, self._allowed) or (may_be_public and is_public(each))):
                raise NoReply(
                    "blocked_destination", f"{address.host} leads to an address that is not public; nothing was sent."
                )
        return found

    async def _addresses(self, address: WebAddress) -> Sequence[str]:
        if address.is_literal:
            return (address.host,)
        if address.is_this_machine:
            return tuple(own for own in THIS_MACHINE if is_allowed(own, self._allowed)) or THIS_MACHINE
        answer = await self._resolver.addresses(address.host)
        if answer.status is Outcome.FAILED:
            raise NoReply("dns_failed", f"The name {address.host} could not be looked up: {answer.reason}.")
        if not answer.values:
            raise NoReply("dns_no_address", f"The name {address.host} has no address.")
        return answer.values

    async def _connect(self, address: WebAddress, host: str) -> _Connection:
        try:
            return await self._connect_with(address, host, self._context)
        except TimeoutError:
            raise NoReply("connect_timeout", f"No connection within {CONNECT_SECONDS:.0f} s.") from None
        except ssl.SSLCertVerificationError as error:
            raise await self._certificate_trouble(address, host, error) from error
        except ssl.SSLError as error:
            raise NoReply("tls_failed", f"TLS failed: {_ssl_words(error)}.") from error
        except ConnectionRefusedError:
            where = f"{address.host} port {address.port}"
            raise NoReply("connection_refused", f"Nothing answers at {where}: the connection was refused.") from None
        except OSError as error:
            is_far = error.errno in UNREACHABLE
            words = "The server cannot be reached from here." if is_far else "The server closed the connection at once."
            raise NoReply("unreachable" if is_far else "connection_lost", words) from None

    async def _connect_with(self, address: WebAddress, host: str, context: ssl.SSLContext) -> _Connection:
        async with asyncio.timeout(CONNECT_SECONDS):
            if address.scheme == "https":
                opened = asyncio.open_connection(
                    host, address.port, limit=READ_AHEAD, ssl=context, server_hostname=address.host
                )
            else:
                opened = asyncio.open_connection(host, address.port, limit=READ_AHEAD)
            return _Connection(*await opened)

    async def _certificate_trouble(
        self, address: WebAddress, host: str, error: ssl.SSLCertVerificationError
    ) -> NoReply:
        """What is wrong with a certificate, in words that let its owner mend it."""
        code = error.verify_code
        if code == EXPIRED:
            when = await self._expiry(address, host)
            return NoReply("certificate_expired", f"The certificate expired{f' on {when}' if when else ''}.")
        if code == NOT_YET_VALID:
            return NoReply(
                "certificate_not_yet_valid", "The certificate is not valid yet; is the server's clock right?"
            )
        if code in {WRONG_NAME, WRONG_ADDRESS}:
            return NoReply("certificate_name", f"The certificate is not for {address.host}.")
        if code in UNTRUSTED:
            sentence = (
                "Nobody we know vouches for the certificate: it is self-signed, or the chain lacks a certificate."
            )
            return NoReply("certificate_untrusted", sentence)
        return NoReply("certificate_refused", f"The certificate cannot be accepted: {error.verify_message}.")

    async def _expiry(self, address: WebAddress, host: str) -> str:
        """The day on which the certificate ended; a refused handshake keeps it to itself, so it is fetched again.

        Nothing is sent over that second connection.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            connection = await self._connect_with(address, host, context)
            encrypted = connection.writer.get_extra_info("ssl_object")
            raw = encrypted.getpeercert(binary_form=True)
            connection.close()
            return f"{x509.load_der_x509_certificate(raw).not_valid_after_utc:%Y-%m-%d}"
        except (OSError, TimeoutError, ValueError):
            return ""

    def _kept(self, address: WebAddress) -> _Connection | None:
        connections = self._idle.get(address.origin, [])
        while connections:
            connection = connections.pop()
            if connection.is_usable:
                return connection
            connection.close()
        self._idle.pop(address.origin, None)
        return None

    def _keep(self, address: WebAddress, connection: _Connection) -> None:
        if sum(map(len, self._idle.values())) >= MAX_IDLE:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.setdefault(address.origin, []).append(connection)


@dataclass(slots=True)
class _Exchange:
    """How far one request has come, for the words when time is over."""

    address: WebAddress
    phase: str = "name"

    def too_late(self, deadline: float) -> str:
        words = {
            "name": f"The name {self.address.host} could not be looked up within {deadline:g} s.",
            "connection": f"No connection within {deadline:g} s.",
            "answer": f"It did not answer within {deadline:g} s.",
        }
        return words[self.phase]


def system_resolver(dns_servers: str) -> AsyncResolver:
    """The operator's name servers, or those of the system."""
    return AsyncResolver(parse_servers(dns_servers))


def _ssl_words(error: ssl.SSLError) -> str:
    """OpenSSL's reason without its file names."""
    return (error.reason or "the handshake failed").lower().replace("_", " ")
