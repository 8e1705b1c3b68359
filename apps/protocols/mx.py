"""Where mail for a domain goes (RFC 5321 section 5.1) and which of those addresses we may connect to.

A failure of the DNS is temporary; only the domain's own word (RFC 7505) or its absence is permanent.
"""

import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from apps.protocols.dns import Answer, MxRecord, Outcome
from apps.protocols.networks import Network, is_public

# How long an answer may be used again. The floor spares the servers of a domain whose TTL is 0 while a
# batch to it is under way; failures are short, for the next attempt must see the recovery.
SHORTEST_SECONDS = 5
LONGEST_SECONDS = 300
MISSING_SECONDS = 60
FAILED_SECONDS = 10
CACHE_SIZE = 10_000

NULL_MX = "the domain accepts no mail (null MX)"
NO_DOMAIN = "the domain does not exist"
NO_SERVERS = "the domain has neither mail servers nor an address"
NO_USABLE_SERVERS = "none of the mail servers that the domain names can be used"
NOT_PUBLIC = "the server has no public address"

Value = TypeVar("Value", str, MxRecord)


@dataclass(frozen=True, slots=True)
class MxHost:
    """One server of a domain; lower preference is tried first."""

    name: str
    preference: int


@dataclass(frozen=True, slots=True)
class Found:
    """The servers to try, in this order; implicit when the domain itself stands in for a missing MX."""

    hosts: tuple[MxHost, ...]
    implicit: bool
    ttl: int


@dataclass(frozen=True, slots=True)
class NoMail:
    """Permanent: nothing sent to this domain can arrive; the code is that of RFC 3463 or RFC 7505."""

    reason: str
    enhanced_code: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Temporary: the DNS did not say."""

    reason: str


Route = Found | NoMail | Unresolved


class AddressStatus(StrEnum):
    """What is known about the addresses of one host; only `unresolved` is temporary."""

    USABLE = "usable"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """The addresses to connect to, already checked: connect to these, never to the name again."""

    host: str
    status: AddressStatus
    addresses: tuple[str, ...] = ()
    ttl: int = 0
    reason: str = ""


class MailResolver(Protocol):
    """The look-ups that routing needs: an AsyncResolver, or one that remembers."""

    async def mx(self, name: str) -> Answer[MxRecord]: ...

    async def addresses(self, name: str) -> Answer[str]: ...


_RANDOM = random.SystemRandom()


async def find_route(domain: str, resolver: MailResolver, *, rng: random.Random = _RANDOM) -> Route:
    """Where to send mail for the domain: servers by preference, in random order within one preference."""
    answer = await resolver.mx(domain)
    if answer.status is Outcome.FAILED:
        return Unresolved(answer.reason)
    if answer.no_such_name:
        return NoMail(NO_DOMAIN, "5.1.2")
    if answer.status is Outcome.MISSING:
        return await _implicit_route(domain, resolver)
    return _explicit_route(answer, rng)


async def addresses(host: str, resolver: MailResolver, *, allowed: Sequence[Network] = ()) -> HostAddresses:
    """The addresses of a server that we may connect to, behind an alias too (RFC 2181 10.3 forbids one)."""
    answer = await resolver.addresses(host)
    if answer.status is Outcome.FAILED:
        return HostAddresses(host, AddressStatus.UNRESOLVED, reason=answer.reason)
    if answer.status is Outcome.MISSING:
        return HostAddresses(host, AddressStatus.MISSING, reason=answer.reason)
    usable = tuple(address for address in answer.values if is_public(address, allowed))
    if not usable:
        return HostAddresses(host, AddressStatus.FORBIDDEN, reason=NOT_PUBLIC)
    return HostAddresses(host, AddressStatus.USABLE, addresses=usable, ttl=answer.ttl)


def key(hosts: Sequence[MxHost]) -> str:
    """The same text for the same set of servers, in any order and case: its domains share limits."""
    names = sorted({host.name.lower() for host in hosts})
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:32]


async def _implicit_route(domain: str, resolver: MailResolver) -> Route:
    # RFC 5321 section 5.1: only a domain without any MX record is its own mail server.
    answer = await resolver.addresses(domain)
    if answer.status is Outcome.FAILED:
        return Unresolved(answer.reason)
    if answer.status is Outcome.MISSING:
        return NoMail(NO_SERVERS, "5.1.2")
    host = MxHost(domain.rstrip(".").lower(), 0)
    return Found((host,), implicit=True, ttl=answer.ttl)


def _explicit_route(answer: Answer[MxRecord], rng: random.Random) -> Route:
    # RFC 7505 section 3: a null MX stands alone; beside other records "." is an error and is passed over.
    if all(record.host == "." for record in answer.values):
        return NoMail(NULL_MX, "5.1.10")
    usable = [record for record in answer.values if _is_usable(record.host)]
    if not usable:
        # RFC 5321 section 5.1: unusable MX records must be reported, and the domain's own address not tried.
        return NoMail(NO_USABLE_SERVERS, "5.4.4")
    return Found(_ordered(usable, rng), implicit=False, ttl=answer.ttl)


def _is_usable(host: str) -> bool:
    """Refuses names that stand for this machine (RFC 6761 section 6.3) and addresses in place of a name.

    No top-level domain is a number (RFC 3696 section 2), so a last label of digits is an address.
    """
    top = host.rpartition(".")[2]
    return bool(top) and top != "localhost" and not top.isdigit()


def _ordered(records: list[MxRecord], rng: random.Random) -> tuple[MxHost, ...]:
    """By preference; equal ones at random, to spread the load (RFC 5321 section 5.1); each host once."""
    best: dict[str, int] = {}
    for record in sorted(records):
        best.setdefault(record.host, record.preference)
    hosts = [MxHost(name, preference) for name, preference in best.items()]
    rng.shuffle(hosts)
    # The sort is stable, so the shuffled order survives within each preference.
    return tuple(sorted(hosts, key=lambda host: host.preference))


class CachingResolver:
    """A resolver that remembers the answers about mail for as long as they may be believed."""

    def __init__(
        self,
        resolver: MailResolver,
        *,
        size: int = CACHE_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._mx: AnswerCache[MxRecord] = AnswerCache(size=size, clock=clock)
        self._addresses: AnswerCache[str] = AnswerCache(size=size, clock=clock)

    async def mx(self, name: str) -> Answer[MxRecord]:
        return await self._mx.ask(name, self._resolver.mx)

    async def addresses(self, name: str) -> Answer[str]:
        return await self._addresses.ask(name, self._resolver.addresses)


class AnswerCache(Generic[Value]):
    """A bounded number of answers of one kind by name; the oldest goes first when it is full."""

    def __init__(self, *, size: int = CACHE_SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Answer[Value]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def ask(self, name: str, look_up: Callable[[str], Awaitable[Answer[Value]]]) -> Answer[Value]:
        """The kept answer while it is fresh, else what the look-up says."""
        name = name.lower()
        until, answer = self._kept.get(name, (0.0, None))
        if answer is not None and self._clock() < until:
            return answer
        answer = await look_up(name)
        self._keep(name, answer)
        return answer

    def _keep(self, name: str, answer: Answer[Value]) -> None:
        self._kept[name] = (self._clock() + _fresh_seconds(answer), answer)
        self._kept.move_to_end(name)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)


def _fresh_seconds(answer: Answer[Value]) -> int:
    if answer.status is Outcome.FOUND:
        return min(max(answer.ttl, SHORTEST_SECONDS), LONGEST_SECONDS)
    return MISSING_SECONDS if answer.status is Outcome.MISSING else FAILED_SECONDS
