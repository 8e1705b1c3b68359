"""Answers of a zone's own servers, found through a resolver that still holds yesterday's."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from apps.protocols.authority import AuthorityResolver
from apps.protocols.dns import Budget, Outcome, Resolver
from apps.protocols.networks import parse_networks
from tests.fakes.dns_server import DnsServer

LOOPBACK = parse_networks("127.0.0.0/8")
KEY_NAME = "s1._domainkey.shop.example"


@dataclass(frozen=True, slots=True)
class Internet:
    """A resolver, and the server of shop.example, both on one port."""

    cache: DnsServer
    shop: DnsServer

    def look(self, allowed: str = "127.0.0.0/8") -> AuthorityResolver:
        resolver = Resolver([(self.cache.host, self.cache.port)], timeout=1, lifetime=2)
        allowed_networks = parse_networks(allowed)
        return AuthorityResolver(resolver, "shop.example", port=self.cache.port, allowed=allowed_networks)


@pytest.fixture
def net() -> Iterator[Internet]:
    with DnsServer() as cache, DnsServer(host="127.0.0.2", port=cache.port) as shop:
        cache.cut("shop.example")
        cache.set("shop.example", "NS", "ns1.shop.example.")
        cache.set("ns1.shop.example", "A", "127.0.0.2")
        shop.cut("shop.example", negative_ttl=900)
        yield Internet(cache, shop)


def test_the_zones_own_answer_counts_and_not_the_resolvers(net: Internet) -> None:
    net.cache.set("shop.example", "TXT", "old")
    net.shop.set("shop.example", "TXT", "new")

    assert net.look().txt("shop.example").values == ("new",)


def test_what_is_missing_there_is_missing_whatever_a_resolver_remembers(net: Internet) -> None:
    net.cache.set(KEY_NAME, "TXT", "old")

    answer = net.look().txt(KEY_NAME)

    assert (answer.status, answer.zone, answer.ttl) == (Outcome.MISSING, "shop.example", 900)


def test_a_delegated_part_is_asked_at_its_own_servers(net: Internet) -> None:
    with DnsServer(host="127.0.0.3", port=net.cache.port) as keys:
        net.shop.delegate("_domainkey.shop.example", "ns.keys.example.")
        net.cache.set("ns.keys.example", "A", "127.0.0.3")
        keys.set(KEY_NAME, "TXT", "below the cut")

        assert net.look().txt(KEY_NAME).values == ("below the cut",)
        assert [answer.values for answer in net.look().txt_of_each(KEY_NAME)] == [("below the cut",)]


def test_an_alias_into_another_zone_ends_where_the_resolver_says(net: Internet) -> None:
    net.shop.set(KEY_NAME, "CNAME", "s1.keys.example.")
    net.shop.answers_only_below("shop.example")
    net.cache.set(KEY_NAME, "TXT", "old")
    net.cache.set("s1.keys.example", "TXT", "the key")

    answer = net.look().txt(KEY_NAME)

    assert (answer.name, answer.values, answer.aliases) == (KEY_NAME, ("the key",), ("s1.keys.example",))


def test_an_alias_is_the_zones_own_and_not_a_caches(net: Internet) -> None:
    net.cache.set("bounces.shop.example", "CNAME", "old.example.")
    net.shop.set("bounces.shop.example", "CNAME", "new.example.")

    assert net.look().cname("bounces.shop.example").values == ("new.example",)


def test_no_shared_resolver_is_asked_for_a_records_own_name(net: Internet) -> None:
    look = net.look()
    look.txt(KEY_NAME)
    look.txt_of_each(KEY_NAME)

    assert {query.name for query in net.cache.queries} == {"shop.example", "ns1.shop.example"}


def test_what_lies_outside_the_domain_is_the_resolvers_business(net: Internet) -> None:
    net.cache.set("crm.example", "TXT", "found")

    assert net.look().txt("crm.example").values == ("found",)
    assert net.shop.queries == []


def test_a_domain_within_a_zone_is_asked_at_the_zones_servers(net: Internet) -> None:
    net.shop.set("mail.shop.example", "TXT", "new")
    resolver = Resolver([(net.cache.host, net.cache.port)], timeout=1, lifetime=2)

    look = AuthorityResolver(resolver, "mail.shop.example", port=net.cache.port, allowed=LOOPBACK)

    assert look.txt("mail.shop.example").values == ("new",)


def test_many_servers_cost_no_more_than_four(net: Internet) -> None:
    net.cache.set("shop.example", "NS", *(f"ns{number}.shop.example." for number in range(100)))

    net.look().txt("shop.example")

    assert len(net.cache.queries) <= 1 + 4 * 2 + 1


class TestBudget:
    def look(self, net: Internet, budget: Budget) -> AuthorityResolver:
        resolver = Resolver([(net.cache.host, net.cache.port)], timeout=1, lifetime=2, budget=budget)
        return AuthorityResolver(resolver, "shop.example", port=net.cache.port, allowed=LOOPBACK)

    def test_ends_the_questions_of_all_who_share_it(self, net: Internet) -> None:
        net.shop.set("shop.example", "TXT", "found")
        look = self.look(net, Budget(questions=6, seconds=30))

        answers = [look.txt("shop.example") for _ in range(10)]

        assert [answer.status for answer in answers] == [Outcome.FOUND] * 3 + [Outcome.FAILED] * 7
        assert answers[-1].reason == "the answers took too long, or led to too many questions"
        assert len(net.cache.queries) + len(net.shop.queries) == 6

    def test_ends_the_waiting(self, net: Internet) -> None:
        net.cache.fail("*", "timeout")
        look = self.look(net, Budget(questions=100, seconds=0.3))

        reasons = [look.txt(f"n{number}.shop.example").reason for number in range(20)]

        assert set(reasons[2:]) == {"the answers took too long, or led to too many questions"}


def test_servers_out_of_reach_leave_the_resolvers_answer(net: Internet) -> None:
    net.cache.set("shop.example", "TXT", "remembered")
    net.shop.fail("*", "SERVFAIL")

    assert net.look().txt("shop.example").values == ("remembered",)


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "127.0.0.1/32"])
def test_no_private_address_is_spoken_to(net: Internet, allowed: str) -> None:
    net.cache.set("shop.example", "TXT", "remembered")

    assert net.look(allowed).txt("shop.example").values == ("remembered",)
    assert net.shop.queries == []


def test_the_servers_are_looked_for_once(net: Internet) -> None:
    look = net.look()
    for name in ("a.shop.example", "b.shop.example"):
        look.txt(name)

    assert [query.name for query in net.cache.queries if query.type == "A"] == ["ns1.shop.example"]


def test_every_server_is_asked_whether_a_change_has_arrived(net: Internet) -> None:
    with DnsServer(host="127.0.0.3", port=net.cache.port) as second:
        net.cache.set("shop.example", "NS", "ns1.shop.example.", "ns2.shop.example.")
        net.cache.set("ns2.shop.example", "A", "127.0.0.3")
        net.shop.set(KEY_NAME, "TXT", "new")
        second.set(KEY_NAME, "TXT", "old")

        answers = net.look().txt_of_each(KEY_NAME)

        assert {answer.values for answer in answers} == {("new",), ("old",)}


def test_without_servers_of_its_own_the_resolver_speaks_for_all(net: Internet) -> None:
    net.cache.set("elsewhere.example", "TXT", "found")

    assert [answer.values for answer in net.look().txt_of_each("elsewhere.example")] == [("found",)]
