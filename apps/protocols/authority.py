"""Asks the name servers of a domain's own zone, so that no cache's earlier answer is taken for the present one.

A customer who has just added a record wants to hear that it is there, while resolvers may hold the old answer for as
long as the SOA of the zone says (RFC 2308). Zone cuts below the domain are found as a resolver finds them, by the
servers' referrals (RFC 1034 section 5.3.3): `_domainkey` may be a zone of its own. A shared resolver is never asked for
a record's own name, or it would remember that there was none and tell receivers so.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from apps.protocols.dns import Answer, Outcome, Resolver, Server
from apps.protocols.dns_records import MxRecord
from apps.protocols.networks import Network, is_public

# Servers of one zone that are asked, and referrals from a zone to one below it that are followed.
MAX_SERVERS, MAX_CUTS = 4, 4
DNS_PORT = 53

Question = Callable[[Resolver, str], Answer[str]]


class AuthorityResolver:
    """The look-ups of `dns.Resolver`, answered for one domain by its own servers, or by `resolver` where none answers.

    Names of servers come from strangers' zones: only public addresses, and `allowed` ones, are spoken to. What lies
    outside the domain, such as the policies that it includes, is the resolver's business.
    """

    def __init__(
        self, resolver: Resolver, domain: str, *, port: int = DNS_PORT, allowed: Sequence[Network] = ()
    ) -> None:
        self._resolver, self._domain = resolver, domain
        self._port, self._allowed = port, allowed
        self._top: tuple[Server, ...] | None = None

    def txt(self, name: str) -> Answer[str]:
        return self._ask(name, Resolver.txt)

    def cname(self, name: str) -> Answer[str]:
        return self._ask(name, Resolver.cname)

    def mx(self, name: str) -> Answer[MxRecord]:
        return self._resolver.mx(name)

    def addresses(self, name: str) -> Answer[str]:
        return self._resolver.addresses(name)

    def txt_of_each(self, name: str) -> tuple[Answer[str], ...]:
        """What each server of the name's zone says: a change has arrived when none of them contradicts it."""
        servers = self._servers_of(name)
        if not servers:
            return self._resolver.txt_of_each(name)
        return tuple(self._direct([server]).txt(name) for server in servers)

    def _ask(self, name: str, question: Question) -> Answer[str]:
        servers = self._top_servers() if self._is_ours(name) else ()
        if not servers:
            return question(self._resolver, name)
        answer = question(self._direct(servers), name)
        for _ in range(MAX_CUTS):
            if not answer.referral or not (servers := self._reachable(answer.referral)):
                break
            answer = question(self._direct(servers), name)
        if answer.status is not Outcome.FAILED or answer.broken:
            return answer
        if answer.aliases:
            # An alias into another zone, whose end these servers cannot know.
            further = self._ask(answer.aliases[-1], question)
            return replace(further, name=name, aliases=(*answer.aliases, *further.aliases))
        # They may be out of our reach while the resolver can ask them; nobody waits for them twice.
        self._top = ()
        return question(self._resolver, name)

    def _servers_of(self, name: str) -> tuple[Server, ...]:
        """The servers of the zone that the name is in; none outside the domain, or where they cannot be found."""
        servers = self._top_servers() if self._is_ours(name) else ()
        for _ in range(MAX_CUTS if servers else 0):
            if not (below := self._direct(servers).txt(name).referral):
                break
            servers = self._reachable(below)
        return servers

    def _is_ours(self, name: str) -> bool:
        return name == self._domain or name.endswith(f".{self._domain}")

    def _top_servers(self) -> tuple[Server, ...]:
        if self._top is None:
            self._top = self._reachable(self._name_servers())
        return self._top

    def _name_servers(self) -> tuple[str, ...]:
        """The hosts of the zone that the domain is in: its own, or that of the name whose SOA denies it any."""
        answer = self._resolver.ns(self._domain)
        if answer.status is Outcome.MISSING and answer.zone:
            answer = self._resolver.ns(answer.zone)
        return answer.values if answer.status is Outcome.FOUND and not answer.aliases else ()

    def _reachable(self, hosts: Sequence[str]) -> tuple[Server, ...]:
        found = [address for host in hosts[:MAX_SERVERS] for address in self._resolver.addresses(host).values[:1]]
        return tuple((address, self._port) for address in found if is_public(address, self._allowed))

    def _direct(self, servers: Sequence[Server]) -> Resolver:
        return Resolver(servers, recurse=False, budget=self._resolver.budget)
