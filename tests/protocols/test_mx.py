"""Where mail for a domain goes, against a live DNS server."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from apps.protocols.dns import AsyncResolver, parse_servers
from apps.protocols.mx import (
    AddressStatus,
    CachingResolver,
    Found,
    HostAddresses,
    MxHost,
    NoMail,
    Route,
    Unresolved,
    addresses,
    find_route,
    key,
)
from apps.protocols.networks import parse_networks
from tests.fakes.dns_server import DnsServer


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def resolver(dns: DnsServer) -> AsyncResolver:
    return AsyncResolver(parse_servers(dns.address), timeout=2, lifetime=4)


def route(domain: str, resolver: AsyncResolver, seed: int = 1) -> Route:
    return asyncio.run(find_route(domain, resolver, rng=random.Random(seed)))


def usable(host: str, resolver: AsyncResolver, allowed: str = "") -> HostAddresses:
    return asyncio.run(addresses(host, resolver, allowed=parse_networks(allowed)))


def names(found: Route) -> list[str]:
    assert isinstance(found, Found)
    return [host.name for host in found.hosts]


@pytest.mark.rfc(5321, "5.1")
class TestFound:
    def test_orders_the_servers_by_preference(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", "30 three.a.test.", "10 one.a.test.", "20 two.a.test.", ttl=90)

        found = route("a.test", resolver)

        assert found == Found(
            (MxHost("one.a.test", 10), MxHost("two.a.test", 20), MxHost("three.a.test", 30)),
            implicit=False,
            ttl=90,
        )

    def test_spreads_load_over_servers_of_one_preference(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", "10 a1.test.", "10 a2.test.", "10 a3.test.", "5 first.test.", "20 last.test.")

        orders = [names(route("a.test", resolver, seed)) for seed in range(40)]

        assert {order[0] for order in orders} == {"first.test"}
        assert {order[4] for order in orders} == {"last.test"}
        assert {order[1] for order in orders} == {"a1.test", "a2.test", "a3.test"}
        assert orders == [names(route("a.test", resolver, seed)) for seed in range(40)]

    def test_lists_a_server_once_at_its_best_preference(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", "20 mx.a.test.", "10 MX.a.test.", "15 other.test.")

        found = route("a.test", resolver)

        assert isinstance(found, Found)
        assert found.hosts == (MxHost("mx.a.test", 10), MxHost("other.test", 15))

    def test_takes_100_servers(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", *(f"{n} mx{n}.a.test." for n in range(100)))

        assert names(route("a.test", resolver)) == [f"mx{n}.a.test" for n in range(100)]

    def test_takes_the_servers_behind_an_alias(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "CNAME", "b.test.")
        dns.set("b.test", "MX", "10 mx.b.test.")

        assert names(route("a.test", resolver)) == ["mx.b.test"]

    def test_asks_the_domain_itself_when_it_has_an_address_and_no_mx(
        self, dns: DnsServer, resolver: AsyncResolver
    ) -> None:
        dns.set("A.test", "A", "93.184.216.34", ttl=70)

        assert route("A.test", resolver) == Found((MxHost("a.test", 0),), implicit=True, ttl=70)

    def test_asks_the_domain_itself_over_ipv6(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "AAAA", "2606:4700::1111")

        assert route("a.test", resolver) == Found((MxHost("a.test", 0),), implicit=True, ttl=60)

    @pytest.mark.parametrize("host", ["192.0.2.1.", "127.1.", "2130706433.", "localhost.", "mail.localhost.", "."])
    def test_passes_over_what_names_no_server(self, dns: DnsServer, resolver: AsyncResolver, host: str) -> None:
        dns.set("a.test", "MX", f"1 {host}", "10 mx.a.test.")

        assert names(route("a.test", resolver)) == ["mx.a.test"]

    def test_passes_over_a_server_name_with_line_breaks(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", r"1 mx\013\010RCPT.test.", "10 mx.a.test.")

        assert names(route("a.test", resolver)) == ["mx.a.test"]


class TestPermanent:
    @pytest.mark.rfc(7505, "4.1")
    def test_a_null_mx_accepts_no_mail_even_with_an_address(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", "0 .")
        dns.set("a.test", "A", "93.184.216.34")

        assert route("a.test", resolver) == NoMail("the domain accepts no mail (null MX)", "5.1.10")
        assert [query.type for query in dns.queries] == ["MX"]

    def test_a_domain_that_does_not_exist_accepts_no_mail(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        assert route("nobody.test", resolver) == NoMail("the domain does not exist", "5.1.2")
        assert [query.type for query in dns.queries] == ["MX"]

    def test_a_domain_without_mx_and_address_accepts_no_mail(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "TXT", "only text")

        assert route("a.test", resolver) == NoMail("the domain has neither mail servers nor an address", "5.1.2")

    def test_an_empty_answer_is_no_mx(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX")

        assert route("a.test", resolver) == NoMail("the domain has neither mail servers nor an address", "5.1.2")

    @pytest.mark.rfc(5321, "5.1")
    @pytest.mark.parametrize("host", ["192.0.2.1.", "localhost."])
    def test_unusable_servers_are_not_replaced_by_the_domain_itself(
        self, dns: DnsServer, resolver: AsyncResolver, host: str
    ) -> None:
        dns.set("a.test", "MX", f"10 {host}")
        dns.set("a.test", "A", "93.184.216.34")

        assert route("a.test", resolver) == NoMail(
            "none of the mail servers that the domain names can be used", "5.4.4"
        )

    def test_what_is_no_domain_name_accepts_no_mail(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        assert route("a.test>\r\nRCPT TO:<b@c.test", resolver) == NoMail("the domain does not exist", "5.1.2")
        assert dns.queries == []


class TestTemporary:
    @pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
    def test_a_failing_server_decides_nothing(self, dns: DnsServer, resolver: AsyncResolver, code: str) -> None:
        dns.fail("a.test", code)

        assert route("a.test", resolver) == Unresolved(f"the server failed ({code})")

    @pytest.mark.parametrize("how", ["timeout", "malformed", "empty"])
    def test_a_silent_server_decides_nothing(self, dns: DnsServer, how: str) -> None:
        dns.fail("a.test", how)
        hasty = AsyncResolver(parse_servers(dns.address), timeout=0.05, lifetime=0.05)

        assert route("a.test", hasty) == Unresolved("time-out")

    def test_an_alias_loop_at_the_domain_decides_nothing(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "CNAME", "b.test.")
        dns.set("b.test", "CNAME", "a.test.")

        assert route("a.test", resolver) == Unresolved("the alias (CNAME) chain is a loop or too long")

    def test_a_failure_of_the_address_look_up_decides_nothing(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "TXT", "the domain exists")
        dns.fail("a.test", "SERVFAIL", "AAAA")

        assert route("a.test", resolver) == Unresolved("the server failed (SERVFAIL)")

    def test_only_broken_servers_decide_nothing(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", r"10 evil\013\010.test.")
        dns.set("a.test", "A", "93.184.216.34")

        assert route("a.test", resolver) == Unresolved("the record holds forbidden characters")


class TestAddresses:
    def test_gives_the_public_addresses(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("mx.test", "A", "93.184.216.34", ttl=80)
        dns.set("mx.test", "AAAA", "2606:4700::1111", ttl=90)

        assert usable("mx.test", resolver) == HostAddresses(
            "mx.test", AddressStatus.USABLE, addresses=("93.184.216.34", "2606:4700::1111"), ttl=80
        )

    def test_leaves_out_private_addresses(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("mx.test", "A", "10.0.0.1", "93.184.216.34", "169.254.169.254")
        dns.set("mx.test", "AAAA", "::ffff:10.0.0.1", "64:ff9b::7f00:1")

        assert usable("mx.test", resolver).addresses == ("93.184.216.34",)

    def test_forbids_a_server_with_private_addresses_only(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("mx.test", "A", "127.0.0.1")
        dns.set("mx.test", "AAAA", "::1")

        assert usable("mx.test", resolver) == HostAddresses(
            "mx.test", AddressStatus.FORBIDDEN, reason="the server has no public address"
        )

    def test_gives_private_addresses_that_are_allowed(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("mx.test", "A", "127.0.0.1", "10.0.0.1")

        assert usable("mx.test", resolver, "127.0.0.0/8").addresses == ("127.0.0.1",)

    def test_follows_a_server_that_is_an_alias(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("mx.test", "CNAME", "real.test.")
        dns.set("real.test", "A", "93.184.216.34")

        assert usable("mx.test", resolver).addresses == ("93.184.216.34",)

    def test_a_server_in_an_alias_loop_is_temporary(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.set("a.test", "MX", "10 mx.test.")
        dns.set("mx.test", "CNAME", "other.test.")
        dns.set("other.test", "CNAME", "mx.test.")

        assert names(route("a.test", resolver)) == ["mx.test"]
        assert usable("mx.test", resolver) == HostAddresses(
            "mx.test",
            AddressStatus.UNRESOLVED,
            reason="the alias (CNAME) chain is a loop or too long",
        )

    def test_a_server_that_does_not_exist_is_missing(self, resolver: AsyncResolver) -> None:
        assert usable("gone.test", resolver) == HostAddresses("gone.test", AddressStatus.MISSING, reason="no such name")

    def test_a_failing_look_up_is_temporary(self, dns: DnsServer, resolver: AsyncResolver) -> None:
        dns.fail("mx.test", "SERVFAIL")

        assert usable("mx.test", resolver) == HostAddresses(
            "mx.test", AddressStatus.UNRESOLVED, reason="the server failed (SERVFAIL)"
        )


class TestKey:
    def test_is_the_same_in_any_order_case_and_preference(self) -> None:
        one = key([MxHost("a.test", 10), MxHost("b.test", 20)])
        other = key([MxHost("B.test", 5), MxHost("A.TEST", 5)])

        assert one == other == "fe28eab7341a103b5bb110d8f1c894b1"

    def test_differs_for_another_set(self) -> None:
        assert key([MxHost("a.test", 10)]) != key([MxHost("a.test", 10), MxHost("b.test", 20)])


class TestCaching:
    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    @pytest.fixture
    def clock(self) -> Clock:
        return self.Clock()

    @pytest.fixture
    def caching(self, resolver: AsyncResolver, clock: Clock) -> CachingResolver:
        return CachingResolver(resolver, size=3, clock=clock)

    def asked(self, dns: DnsServer, caching: CachingResolver, clock: Clock, name: str, after: float) -> int:
        """How many times the server is asked when the same question comes again so much later."""
        before = len(dns.queries)
        asyncio.run(caching.mx(name))
        clock.now += after
        asyncio.run(caching.mx(name))
        return len(dns.queries) - before

    @pytest.mark.parametrize(("ttl", "kept"), [(0, 5), (1, 5), (60, 60), (300, 300), (86_400, 300)], ids=str)
    def test_keeps_an_answer_for_its_ttl_within_bounds(
        self, dns: DnsServer, caching: CachingResolver, clock: Clock, ttl: int, kept: int
    ) -> None:
        dns.set("in.test", "MX", "10 mx.test.", ttl=ttl)
        dns.set("out.test", "MX", "10 mx.test.", ttl=ttl)

        assert self.asked(dns, caching, clock, "in.test", kept - 0.5) == 1
        assert self.asked(dns, caching, clock, "out.test", kept) == 2

    def test_keeps_an_absence_for_a_minute(self, dns: DnsServer, caching: CachingResolver, clock: Clock) -> None:
        assert self.asked(dns, caching, clock, "in.test", 59.5) == 1
        assert self.asked(dns, caching, clock, "out.test", 60) == 2

    def test_keeps_a_failure_for_ten_seconds(self, dns: DnsServer, caching: CachingResolver, clock: Clock) -> None:
        dns.fail("*", "SERVFAIL")

        assert self.asked(dns, caching, clock, "in.test", 9.5) == 1
        assert self.asked(dns, caching, clock, "out.test", 10) == 2

    def test_knows_a_name_in_any_case(self, dns: DnsServer, caching: CachingResolver) -> None:
        dns.set("a.test", "MX", "10 mx.test.")

        first = asyncio.run(caching.mx("A.test"))
        second = asyncio.run(caching.mx("a.TEST"))

        assert first is second
        assert len(dns.queries) == 1

    def test_forgets_the_oldest_when_it_is_full(self, dns: DnsServer, caching: CachingResolver, clock: Clock) -> None:
        for name in ("one.test", "two.test", "three.test", "four.test"):
            asyncio.run(caching.mx(name))
        assert len(dns.queries) == 4

        assert self.asked(dns, caching, clock, "four.test", 0) == 0
        assert self.asked(dns, caching, clock, "two.test", 0) == 0
        assert self.asked(dns, caching, clock, "one.test", 0) == 1

    def test_still_spreads_the_load(self, dns: DnsServer, caching: CachingResolver) -> None:
        dns.set("a.test", "MX", "10 a1.test.", "10 a2.test.")

        first = {names(asyncio.run(find_route("a.test", caching, rng=random.Random(seed))))[0] for seed in range(20)}

        assert first == {"a1.test", "a2.test"}
        assert len(dns.queries) == 1

    def test_keeps_addresses_too(self, dns: DnsServer, caching: CachingResolver) -> None:
        dns.set("mx.test", "A", "93.184.216.34")

        found = [asyncio.run(addresses("mx.test", caching)) for _ in range(3)]

        assert found[0] == found[1] == found[2]
        assert sorted(query.type for query in dns.queries) == ["A", "AAAA"]
