"""Ask the DNS, and answer with a value that keeps "there is none" apart from "nobody could say".

RFC 1035 for the records, RFC 2308 for negative answers. A failure is never read as an absence.
"""

import asyncio
import ipaddress
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver

from apps.protocols.dns_records import AAAA, CNAME, MX, NS, TXT, A, Kind, MxRecord, Value, host_name, is_plain

# Nobody needs more; a larger answer is a mistake or an attack on whoever walks through it.
MAX_RECORDS = 100

# The largest answer that crosses nearly every path in one piece (RFC 9715 section 3.1).
UDP_PAYLOAD = 1232

TIMEOUT_SECONDS = 2.0
LIFETIME_SECONDS = 5.0

NO_SUCH_NAME = "no such name"
NO_SUCH_RECORD = "no record of that type"
NOT_A_NAME = "not a name that the DNS can hold"
TIME_OUT = "time-out"
NO_SERVER = "no name server is configured"
UNREACHABLE = "the server could not be reached"
MALFORMED = "the answer was malformed"
BROKEN_RECORD = "the record holds forbidden characters"
ALIAS_LOOP = "the alias (CNAME) chain is a loop or too long"
TOO_MUCH = "the answers took too long, or led to too many questions"
INCONCLUSIVE = "the server did not follow the name to its end"

Server = tuple[str, int]


class Outcome(StrEnum):
    """What a look-up came to. Only `missing` is a statement about the name."""

    FOUND = "found"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """What the DNS said about one name and type; `values` are never empty when found."""

    name: str
    rdtype: str
    status: Outcome
    values: tuple[Value, ...] = ()
    ttl: int = 0
    reason: str = ""
    # Tells the two kinds of missing apart: NXDOMAIN when true, NODATA when false (RFC 2308 section 2).
    no_such_name: bool = False
    # How it came about, for whoever explains it; two answers that say the same are equal without it.
    # The names that aliases led to, the last one being where the records stand, or do not.
    aliases: tuple[str, ...] = field(default=(), compare=False)
    # Of a missing one: the zone whose server said so, by the owner of its SOA (RFC 2308 section 3).
    zone: str = field(default="", compare=False)
    # Of a failed one: the name servers of a zone below, where the answer pointed to them instead.
    referral: tuple[str, ...] = field(default=(), compare=False)
    # Records that were left out because of what they hold, made visible: control characters are escaped.
    broken: tuple[str, ...] = field(default=(), compare=False)


class Budget:
    """What one look may cost, however many resolvers and threads share it: a hostile zone must not hold us for long."""

    def __init__(self, *, questions: int, seconds: float) -> None:
        self._questions, self._seconds = questions, seconds
        self._ends_at: float | None = None
        self._lock = threading.Lock()

    def spend(self) -> float:
        """Takes one question; the seconds that it may last, none left being 0. Time runs from the first one on."""
        with self._lock:
            now = time.monotonic()
            self._ends_at = self._ends_at or now + self._seconds
            self._questions -= 1
            return max(0.0, self._ends_at - now) if self._questions >= 0 else 0.0


class Resolver:
    """Look-ups for code that may wait."""

    def __init__(
        self,
        servers: Sequence[Server] | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        lifetime: float = LIFETIME_SECONDS,
        recurse: bool = True,
        budget: Budget | None = None,
    ) -> None:
        self.budget = budget
        self._resolver = dns.resolver.Resolver(configure=False)
        _configure(self._resolver, servers, timeout=timeout, lifetime=lifetime)
        if not recurse:
            # Of an authoritative server: what it knows itself (RFC 1035 section 4.1.1, RD).
            self._resolver.flags = dns.flags.Flag(0)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Whom it asks, in its order."""
        known = (dns.nameserver.Do53Nameserver,)
        return tuple((s.address, s.port) for s in self._resolver.nameservers if isinstance(s, known))

    def txt(self, name: str) -> Answer[str]:
        return self._ask(name, TXT)

    def txt_of_each(self, name: str) -> tuple[Answer[str], ...]:
        """What each server says by itself."""
        timeout, lifetime = self._resolver.timeout, self._resolver.lifetime
        each = (Resolver([s], timeout=timeout, lifetime=lifetime, budget=self.budget) for s in self.servers)
        return tuple(resolver.txt(name) for resolver in each) or (self.txt(name),)

    def cname(self, name: str) -> Answer[str]:
        return self._ask(name, CNAME)

    def mx(self, name: str) -> Answer[MxRecord]:
        return self._ask(name, MX)

    def ns(self, name: str) -> Answer[str]:
        return self._ask(name, NS)

    def addresses(self, name: str) -> Answer[str]:
        return _both(self._ask(name, A), self._ask(name, AAAA))

    def _ask(self, name: str, kind: Kind[Value]) -> Answer[Value]:
        question = _question(name)
        if question is None:
            return _missing(name, kind, reason=NOT_A_NAME, no_such_name=True)
        lifetime = self._resolver.lifetime if self.budget is None else min(self._resolver.lifetime, self.budget.spend())
        if lifetime <= 0:
            return _failed(name, kind, reason=TOO_MUCH)
        try:
            # The search list of the machine would turn a missing name into somebody else's record.
            reply = self._resolver.resolve(question, kind.rdtype, search=False, lifetime=lifetime)
        except dns.exception.DNSException as error:
            return _unanswered(name, kind, error)
        return _answered(name, kind, reply)


class AsyncResolver:
    """The same look-ups for code that runs many at once."""

    def __init__(
        self,
        servers: Sequence[Server] | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        lifetime: float = LIFETIME_SECONDS,
    ) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        _configure(self._resolver, servers, timeout=timeout, lifetime=lifetime)

    async def txt(self, name: str) -> Answer[str]:
        return await self._ask(name, TXT)

    async def cname(self, name: str) -> Answer[str]:
        return await self._ask(name, CNAME)

    async def mx(self, name: str) -> Answer[MxRecord]:
        return await self._ask(name, MX)

    async def addresses(self, name: str) -> Answer[str]:
        return _both(*await asyncio.gather(self._ask(name, A), self._ask(name, AAAA)))

    async def _ask(self, name: str, kind: Kind[Value]) -> Answer[Value]:
        question = _question(name)
        if question is None:
            return _missing(name, kind, reason=NOT_A_NAME, no_such_name=True)
        try:
            reply = await self._resolver.resolve(question, kind.rdtype, search=False)
        except dns.exception.DNSException as error:
            return _unanswered(name, kind, error)
        return _answered(name, kind, reply)


def parse_servers(text: str) -> tuple[Server, ...] | None:
    """The servers in "address:port,...", port 53 unless given; None (the system's resolver) when blank.

    IPv6 addresses stand in brackets. Raises ValueError on anything else.
    """
    servers = tuple(_server(part.strip()) for part in text.split(",") if part.strip())
    return servers or None


_SERVER = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


def _server(text: str) -> Server:
    match = _SERVER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not address:port (IPv6 as [address]:port)")
    host = ipaddress.IPv6Address(match["v6"]) if match["v6"] else ipaddress.IPv4Address(match["v4"])
    port = int(match["port"] or 53)
    if not 1 <= port <= 65535:
        raise ValueError(f"{text!r}: the port is not between 1 and 65535")
    return str(host), port


def _configure(
    resolver: dns.resolver.BaseResolver,
    servers: Sequence[Server] | None,
    *,
    timeout: float,
    lifetime: float,
) -> None:
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    else:
        # A machine without one answers every look-up with a failure, not the program with a crash.
        with suppress(dns.resolver.NoResolverConfiguration):
            resolver.read_resolv_conf("/etc/resolv.conf")
    resolver.timeout = timeout
    resolver.lifetime = lifetime
    resolver.use_edns(0, 0, UDP_PAYLOAD)


def _question(name: str) -> dns.name.Name | None:
    """The absolute name to ask for, or None where no such name can exist (RFC 1035 section 2.3.4)."""
    try:
        question = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008)
    except dns.exception.DNSException:
        return None
    return question if question != dns.name.root and is_plain(question) else None


def _answered(name: str, kind: Kind[Value], reply: dns.resolver.Answer) -> Answer[Value]:
    sound = [value for value in map(kind.read, reply) if value is not None]
    broken = tuple(kind.reveal(rdata) for rdata in reply if kind.read(rdata) is None)[:MAX_RECORDS]
    chain = reply.chaining_result
    aliases = _aliases(chain)
    # A broken record is as if it were not there, but a set of broken ones is no proof that there is none.
    if not sound:
        return _failed(name, kind, reason=BROKEN_RECORD, aliases=aliases, broken=broken)
    values = tuple(sorted(sound) if kind.is_sorted else sound)[:MAX_RECORDS]
    return Answer(
        name, kind.rdtype, Outcome.FOUND, values=values, ttl=chain.minimum_ttl, aliases=aliases, broken=broken
    )


def _aliases(chain: dns.message.ChainingResult) -> tuple[str, ...]:
    return tuple(host_name(alias[0].target) or "" for alias in chain.cnames)


def _unanswered(name: str, kind: Kind[Value], error: dns.exception.DNSException) -> Answer[Value]:
    if isinstance(error, dns.resolver.NXDOMAIN):
        (response,) = error.responses().values()
        return _missing(name, kind, response, reason=NO_SUCH_NAME, no_such_name=True)
    if isinstance(error, dns.resolver.NoAnswer):
        response = error.response()
        if not _is_conclusive(response):
            aliases = _aliases(response.resolve_chaining())
            return replace(_failed(name, kind, reason=INCONCLUSIVE, aliases=aliases), referral=_referral(response))
        return _missing(name, kind, response, reason=NO_SUCH_RECORD)
    if isinstance(error, dns.exception.Timeout):
        return _failed(name, kind, reason=TIME_OUT)
    return _failed(name, kind, reason=_failure(error))


def _referral(response: dns.message.QueryMessage) -> tuple[str, ...]:
    """The hosts of the zone below that the answer points to (RFC 1034 section 4.3.2, step 3b)."""
    below = [rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.NS]
    hosts = [host_name(rdata.target) for rrset in below for rdata in rrset]
    return tuple(host for host in hosts if host)[:MAX_RECORDS] if not response.answer else ()


def _is_conclusive(response: dns.message.QueryMessage) -> bool:
    """Whether an empty answer says "no such record" and is not a referral or an unfinished alias.

    RFC 2308 section 2.2: a SOA says so; without one, NS records make the reply a referral.
    """
    authority = {rrset.rdtype for rrset in response.authority}
    if dns.rdatatype.SOA in authority:
        return True
    return dns.rdatatype.NS not in authority and not response.answer


def _failure(error: dns.exception.DNSException) -> str:
    """Why no server answered, in words that hold nothing from the network but a response code's name."""
    if isinstance(error, dns.resolver.YXDOMAIN):
        return ALIAS_LOOP
    tries = error.kwargs.get("errors") or ()
    if not tries:
        return NO_SERVER
    cause = tries[-1][3]
    if isinstance(cause, str):
        return f"the server failed ({cause})"
    if isinstance(cause, dns.message.ChainTooLong):
        return ALIAS_LOOP
    return UNREACHABLE if isinstance(cause, OSError | EOFError) else MALFORMED


def _missing(
    name: str,
    kind: Kind[Value],
    response: dns.message.QueryMessage | None = None,
    *,
    reason: str,
    no_such_name: bool = False,
) -> Answer[Value]:
    status = Outcome.MISSING
    if response is None:
        return Answer(name, kind.rdtype, status, reason=reason, no_such_name=no_such_name)
    chain = response.resolve_chaining()
    zone = next((rrset.name for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA), None)
    return Answer(
        name,
        kind.rdtype,
        status,
        ttl=chain.minimum_ttl,  # min(SOA minimum, SOA TTL), RFC 2308 section 5
        reason=reason,
        no_such_name=no_such_name,
        aliases=_aliases(chain),
        zone=(host_name(zone) or "") if zone is not None else "",
    )


def _failed(
    name: str, kind: Kind[Value], *, reason: str, aliases: tuple[str, ...] = (), broken: tuple[str, ...] = ()
) -> Answer[Value]:
    return Answer(name, kind.rdtype, Outcome.FAILED, reason=reason, aliases=aliases, broken=broken)


def _both(v4: Answer[str], v6: Answer[str]) -> Answer[str]:
    """The addresses of both families, IPv4 first: a mail host without IPv6 is common, the reverse is not."""
    rdtype = "A/AAAA"
    found = [answer for answer in (v4, v6) if answer.status is Outcome.FOUND]
    if found:
        # One family that answers is enough: some servers fail on every AAAA query (RFC 4074).
        values = tuple(value for answer in found for value in answer.values)
        ttl = min(answer.ttl for answer in found)
        return Answer(v4.name, rdtype, Outcome.FOUND, values=values, ttl=ttl)
    for answer in (v4, v6):
        if answer.status is Outcome.FAILED:
            return Answer(v4.name, rdtype, Outcome.FAILED, reason=answer.reason)
    # A name that one of the two knows exists, whatever the other says.
    sure = v4 if not v4.no_such_name else v6
    ttl = min(v4.ttl, v6.ttl)
    return Answer(v4.name, rdtype, Outcome.MISSING, ttl=ttl, reason=sure.reason, no_such_name=sure.no_such_name)
