"""Where mail for a domain goes, by the transport of this server: our own inbox, a relay, or the domain's MX."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.delivery import shaping
from apps.protocols import mx
from apps.protocols.dns import AsyncResolver, parse_servers
from apps.protocols.networks import Network, parse_networks
from apps.protocols.smtp import Policy, Target, Timeouts, TlsMode

# RFC 5321 section 4.5.3.2, except that nobody waits long for a server that does not even open.
TIMEOUTS = Timeouts(connect=20, banner=60, helo=60)
STANDARD_PORTS = {"smtp": 25, "smtps": 465}
LOOPBACK = parse_networks("127.0.0.0/8,::1/128")


@dataclass(frozen=True, slots=True)
class Destination:
    """A set of servers that take the mail of some domains; its key groups mail, connections and pauses."""

    key: str
    transport: str
    hosts: tuple[str, ...]
    limits: shaping.Limits


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Nothing goes to this domain: for good, with the code of RFC 3463, or until the DNS answers."""

    reason: str
    is_permanent: bool
    enhanced_code: str = ""


CAPTURE = Destination("capture", "capture", (), shaping.Limits("capture", 1, 1))


class Router:
    """Finds destinations, and the addresses to connect to. One per process, because it remembers look-ups."""

    def __init__(self) -> None:
        servers = parse_servers(settings.MAIL_DNS_SERVERS)
        self._resolver = mx.CachingResolver(AsyncResolver(servers))
        self._relay = Relay.from_url(settings.MAIL_RELAY_URL) if settings.MAIL_TRANSPORT == "relay" else None

    async def destination(self, domain: str, *, is_test: bool) -> Destination | NoRoute:
        if is_test or settings.MAIL_TRANSPORT == "capture":
            return CAPTURE
        if self._relay is not None:
            return self._relay.destination
        route = await mx.find_route(domain, self._resolver)
        if isinstance(route, mx.NoMail):
            return NoRoute(route.reason, is_permanent=True, enhanced_code=route.enhanced_code)
        if isinstance(route, mx.Unresolved):
            return NoRoute(route.reason, is_permanent=False)
        key = f"mx:{mx.key(route.hosts)}"
        hosts = tuple(host.name for host in route.hosts)
        return Destination(key, "mx", hosts, shaping.limits_of(key, hosts))

    async def targets(self, host: str) -> tuple[list[Target], str]:
        """The addresses of one host to try in turn; with none, the reason."""
        is_relay = self._relay is not None
        # Who sets up a relay means it, wherever it stands.
        allowed = parse_networks("0.0.0.0/0,::/0") if is_relay else _allowed()
        port = self._relay.port if self._relay is not None else settings.MAIL_MX_PORT
        if is_relay and (address := _literal(host)) is not None:
            return [Target(host, address, port)], ""
        found = await mx.addresses(host, self._resolver, allowed=allowed)
        addresses = found.addresses
        if is_relay and not addresses:
            addresses = await _from_this_machine(host)
        return [Target(host, address, port) for address in addresses], found.reason

    def policy(self, target: Target) -> Policy:
        if self._relay is not None:
            return self._relay.policy(target)
        return Policy(helo=settings.MAIL_HELO_HOST, tls=TlsMode.OPPORTUNISTIC, timeouts=TIMEOUTS)


@dataclass(frozen=True, slots=True)
class Relay:
    """The smarthost of MAIL_RELAY_URL."""

    host: str
    port: int
    is_implicit: bool
    is_starttls_required: bool
    credentials: tuple[str, str] | None

    @classmethod
    def from_url(cls, url: str) -> "Relay":
        """`smtp://[user:password@]host:port` or `smtps://`, `?starttls=required`. Raises ImproperlyConfigured."""
        parts = urlsplit(url)
        if parts.scheme not in STANDARD_PORTS or not parts.hostname:
            raise ImproperlyConfigured(
                "MAIL_TRANSPORT is relay, so MAIL_RELAY_URL must be smtp://[user:password@]host:port or smtps://..."
            )
        credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        starttls = parse_qs(parts.query).get("starttls", [""])[-1]
        if starttls not in {"", "required"}:
            raise ImproperlyConfigured(f"MAIL_RELAY_URL: starttls must be required, not {starttls!r}")
        return cls(
            host=parts.hostname,
            port=_port(parts),
            is_implicit=parts.scheme == "smtps",
            is_starttls_required=starttls == "required",
            credentials=credentials,
        )

    @property
    def destination(self) -> Destination:
        return Destination(f"relay:{self.host}:{self.port}", "relay", (self.host,), shaping.RELAY)

    def policy(self, target: Target) -> Policy:
        """A password is only given to a relay whose certificate convinces, or that is this machine itself."""
        is_here = target.address in {"127.0.0.1", "::1"}
        mode = TlsMode.OPPORTUNISTIC
        if self.is_implicit:
            mode = TlsMode.IMPLICIT
        elif self.is_starttls_required or self.credentials:
            mode = TlsMode.VERIFY
        if mode is TlsMode.VERIFY and is_here:
            mode = TlsMode.REQUIRED if self.is_starttls_required else TlsMode.OPPORTUNISTIC
        return Policy(helo=settings.MAIL_HELO_HOST, tls=mode, timeouts=TIMEOUTS, credentials=self.credentials)


async def _from_this_machine(host: str) -> tuple[str, ...]:
    """A relay's addresses as the operating system knows them: its name may stand in no DNS, only in a hosts file."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or STANDARD_PORTS[parts.scheme]
    except ValueError:
        # Not the parser's own words: an unescaped character of the password makes a "port" of the rest of it.
        raise ImproperlyConfigured(
            "MAIL_RELAY_URL: the port is not a number up to 65535; write special characters of the password as %XX"
        ) from None


def _literal(host: str) -> str | None:
    """The address that a relay's host is, where it needs no look-up."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _allowed() -> Sequence[Network]:
    """Loopback is a mail server's address only where a test has moved the port."""
    own = parse_networks(",".join(settings.MAIL_ALLOWED_NETWORKS))
    return (*own, *LOOPBACK) if settings.MAIL_MX_PORT != 25 else own
