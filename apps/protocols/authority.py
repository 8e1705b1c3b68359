"""Asks the name servers of a name's own zone, so that no cache's earlier answer is taken for the present one.

A customer who has just added a record wants to hear that it is there, while resolvers may hold the old answer for as
long as the zone's SOA says (RFC 2308). Zone cuts are found by asking, not by counting labels: `_domainkey` may be a
zone of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from apps.protocols.dns import Answer, Outcome, Resolver, Server
from apps.protocols.networks import Network, is_public

# Servers of one zone that are asked, and aliases that are followed from zone to zone.
MAX_SERVERS, MAX_ALIASES = 4, 8
DNS_PORT = 53

Question = Callable[[Resolver, str], Answer[str]]


class AuthorityResolver:
    """The look-ups of `dns.Resolver`, answered by the authoritative servers, or by `resolver` where none answers.

    Names of servers come from strangers' zones: only public addresses, and `allowed` ones, are spoken to.
    """

    def __init__(self, resolver: Resolver, *, port: int = DNS_PORT, allowed: Sequence[Network] = ()) -> None:
        self._resolver = resolver
        self._port, self._allowed = port, allowed
        self._zones: dict[str, str] = {}
        self._known: dict[str, tuple[Server, ...]] = {}

    def txt(self, name: str) -> Answer[str]:
        return self._ask(name, Resolver.txt)

    def cname(self, name: str) -> Answer[str]:
        return self._ask(name, Resolver.cname)

    def addresses(self, name: str) -> Answer[str]:
        return self._resolver.addresses(name)

    def txt_of_each(self, name: str) -> tuple[Answer[str], ...]:
        """What each server of the name's zone says: a change has arrived when all of them agree."""
        servers = self._servers(name)
        if not servers:
            return (self._resolver.txt(name),)
        return tuple(_direct([server]).txt(name) for server in servers)

    def _ask(self, name: str, question: Question) -> Answer[str]:
        aliases: tuple[str, ...] = ()
        while len(aliases) < MAX_ALIASES:
            asked = aliases[-1] if aliases else name
            servers = self._servers(asked)
            answer = question(_direct(servers), asked) if servers else None
            if answer is None:
                break
            if answer.status is Outcome.FAILED and not answer.aliases and not answer.broken:
                # They may be out of our reach while the resolver can ask them; nobody waits for them twice.
                self._known[self._zone(asked)] = ()
                break
            aliases += answer.aliases
            if answer.status is not Outcome.FAILED or answer.broken:
                return replace(answer, name=name, aliases=aliases)
        return question(self._resolver, name)

    def _servers(self, name: str) -> tuple[Server, ...]:
        """The servers of the zone that the name is in; none where they cannot be found."""
        zone = self._zone(name)
        if zone not in self._known:
            hosts = self._resolver.ns(zone).values if zone else ()
            addresses = [address for host in hosts for address in self._resolver.addresses(host).values[:1]]
            public = [address for address in addresses if is_public(address, self._allowed)]
            self._known[zone] = tuple((address, self._port) for address in public[:MAX_SERVERS])
        return self._known[zone]

    def _zone(self, name: str) -> str:
        """The zone cut above or at the name: a name with NS records is one, and a negative answer names its zone."""
        if name not in self._zones:
            answer = self._resolver.ns(name)
            is_top = answer.status is Outcome.FOUND and not answer.aliases
            is_below = answer.status is Outcome.MISSING and not answer.aliases
            self._zones[name] = name if is_top else answer.zone if is_below else ""
        return self._zones[name]


def _direct(servers: Sequence[Server]) -> Resolver:
    return Resolver(servers, recurse=False)
