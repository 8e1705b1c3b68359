"""Takes mail by SMTP (RFC 5321): for inbound domains, for signed return paths, for the feedback address; no other.

A 250 means stored: the rows are committed and the files synced before it is said.
"""

import asyncio
import ipaddress
import logging
import re
import ssl
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax
from django.conf import settings
from django.db import close_old_connections

from apps.core.errors import Problem
from apps.inbound.errors import NoSuchRecipient
from apps.inbound.services.arrival import MAX_RECIPIENTS, Arrival
from apps.inbound.services.doors import door_of, take
from apps.protocols.authentication.types import Origin

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# Of silence, and of a whole session however busy; in seconds (RFC 5321 section 4.5.3.2 asks for 5 minutes).
IDLE_SECONDS, SESSION_SECONDS = 300, 1_800
# Of one session; nobody needs more, and each RCPT asks the database.
MAX_COMMANDS = {"RCPT": 1_000, "MAIL": 200, "DATA": 200, "NOOP": 50, "VRFY": 0, "RSET": 200, "*": 50}
# Longer lines than RFC 5321 allows come from many senders; what is longer than this is refused.
MAX_LINE = 64 * 1024
THREADS = 8

TRY_AGAIN = "451 4.3.0 Not now; please try again later"
NOBODY = "550 5.1.1 Nobody here receives mail at this address"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients; send the others in another transaction"
BARE_LINE_END = "550 5.6.0 A line must end with CRLF; there is a CR or LF by itself"
_FORWARDED = re.compile(r"(NAME|ADDR|HELO)=(\S{1,255})", re.IGNORECASE)
_UNAVAILABLE = "[UNAVAILABLE]"


@dataclass(slots=True)
class Gate:
    """Who may connect: so many in all, and so many of each stranger."""

    most: int
    trusted: list[Any]
    open: Counter[str] = field(default_factory=Counter)

    def admits(self, address: str) -> bool:
        if self.open.total() >= self.most:
            return False
        return self.is_trusted(address) or self.open[address] < max(1, self.most // 5)

    def is_trusted(self, address: str) -> bool:
        found = ipaddress.ip_address(address.partition("%")[0])
        return any(found.version == network.version and found in network for network in self.trusted)


class Talk(Session):
    """One session, with what our own relay says of the client that it took the mail from."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.forwarded: dict[str, str] = {}

    @property
    def address(self) -> str:
        return str(self.peer[0]) if self.peer else ""


class Handler:
    """The hooks of aiosmtpd; whatever asks the database runs in a thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="listener")

    async def handle_EHLO(
        self, server: SMTP, session: Talk, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._gate.is_trusted(session.address):
            responses.insert(-1, "250-XFORWARD NAME ADDR HELO")
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Talk, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        try:
            door = await self._in_thread(door_of, _text(address))
        except Exception:
            logger.exception("a recipient could not be looked up")
            return TRY_AGAIN
        if door is None:
            return NOBODY
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Talk, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        pairs = content.count(b"\r\n")
        if content.count(b"\r") != pairs or content.count(b"\n") != pairs:
            # What one server takes for the end of a mail another may not: whoever sends so may smuggle a second one in.
            return BARE_LINE_END
        sender = _text(envelope.mail_from or "").strip("<>")
        arrival = Arrival(content, tuple(_text(address) for address in envelope.rcpt_tos), sender)
        try:
            await self._in_thread(take, arrival, self._origin(session))
        except NoSuchRecipient:
            return NOBODY
        except Problem as problem:
            logger.warning("mail could not be taken: %s", problem.code)
            return TRY_AGAIN
        except Exception:
            logger.exception("mail could not be taken")
            return TRY_AGAIN
        return "250 2.0.0 Stored"

    async def handle_exception(self, error: Exception) -> str:
        logger.error("a session failed: %s", type(error).__name__)
        return TRY_AGAIN

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def _origin(self, session: Talk) -> Origin:
        told = session.forwarded
        if self._gate.is_trusted(session.address):
            # Our own relay's address says nothing about who sent it; what the relay says does.
            return Origin(client_address=told.get("ADDR", ""), helo=told.get("HELO", ""))
        return Origin(client_address=session.address, helo=session.host_name or "")

    async def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _with_fresh_database, work, *arguments)


class Listener(SMTP):
    """One session. Tells nothing of its software, and knows XFORWARD of our own relay."""

    line_length_limit = MAX_LINE
    command_size_limit = 1024

    def __init__(self, handler: Handler, gate: Gate, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            handler,
            data_size_limit=settings.MAIL_INBOUND_MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname=settings.MAIL_INBOUND_HOST,
            ident="ESMTP",
            tls_context=tls,
            timeout=IDLE_SECONDS,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            command_call_limit=MAX_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._gate = gate
        self._counted = ""
        self._limit: asyncio.TimerHandle | None = None

    def _create_session(self) -> Talk:
        return Talk(self.loop)

    def connection_made(self, transport: Any) -> None:
        if not self._counted:  # else it is the same connection, now with TLS
            address = str(transport.get_extra_info("peername")[0])
            if not self._gate.admits(address):
                transport.write(b"421 4.7.0 Too many connections; please try again later\r\n")
                transport.close()
                return
            self._counted = address
            self._gate.open[address] += 1
            self._limit = self.loop.call_later(SESSION_SECONDS, transport.abort)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._counted:
            return
        self._gate.open[self._counted] -= 1
        if self._gate.open[self._counted] <= 0:
            del self._gate.open[self._counted]
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(error)

    @syntax("XFORWARD attribute=value")
    async def smtp_XFORWARD(self, arg: str | None) -> None:
        """Postfix's own extension: who the client was that the relay took the mail from."""
        if not isinstance(self.session, Talk) or not self._gate.is_trusted(self.session.address):
            await self.push("550 5.7.0 Not from here")
            return
        found = {name.upper(): _decoded(value) for name, value in _FORWARDED.findall(arg or "")}
        self.session.forwarded |= {name: value for name, value in found.items() if value != _UNAVAILABLE}
        await self.push("250 2.0.0 Ok")


async def serve(*, started: Callable[[int], None], until: asyncio.Event) -> None:
    """Listens until the event is set; what is being taken then is finished. Raises OSError."""
    gate = Gate(
        settings.MAIL_LISTENER_CONNECTIONS, [ipaddress.ip_network(text) for text in settings.MAIL_LISTENER_TRUSTED]
    )
    handler, tls = Handler(gate), tls_context()
    server = await asyncio.get_running_loop().create_server(
        lambda: Listener(handler, gate, tls), settings.MAIL_LISTENER_HOST, settings.MAIL_LISTENER_PORT
    )
    started(server.sockets[0].getsockname()[1])
    try:
        await until.wait()
    finally:
        server.close()
        # What has not said 250 is not ours; its sender tries again.
        await asyncio.to_thread(handler.close)


def tls_context() -> ssl.SSLContext | None:
    """Raises OSError and ssl.SSLError where the files cannot be used."""
    if not (settings.MAIL_LISTENER_CERT and settings.MAIL_LISTENER_KEY):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.MAIL_LISTENER_CERT, settings.MAIL_LISTENER_KEY)
    return context


def _with_fresh_database(work: Callable[..., Result], *arguments: Any) -> Result:
    close_old_connections()
    try:
        return work(*arguments)
    finally:
        close_old_connections()


def _text(address: str) -> str:
    """An address as text that can be stored; what is no UTF-8 becomes a mark and so nobody's."""
    return address.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "\ufffd")


def _decoded(value: str) -> str:
    """RFC 1891 xtext, as XFORWARD writes it; an IPv6 address loses its label."""
    text = re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), value)
    return text if text.upper() == _UNAVAILABLE else re.sub(r"(?i)^ipv6:", "", text)
