"""Look-ups against a live server: what is there, what is not, and what nobody could say."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.protocols.dns import Answer, AsyncResolver, MxRecord, Outcome, Resolver, parse_servers
from tests.fakes.dns_server import DnsServer, Query

LookUp = Callable[[str, str], Answer]


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def look_up(request: pytest.FixtureRequest, dns: DnsServer) -> LookUp:
    """Both resolvers must give the same answers, so each claim is held against both."""
    servers = parse_servers(dns.address)
    if request.param == "sync":
        resolver = Resolver(servers, timeout=2, lifetime=4)
        return lambda kind, name: getattr(resolver, kind)(name)
    asynchronous = AsyncResolver(servers, timeout=2, lifetime=4)
    return lambda kind, name: asyncio.run(getattr(asynchronous, kind)(name))


@pytest.fixture(params=["sync", "async"])
def hasty_look_up(request: pytest.FixtureRequest, dns: DnsServer) -> LookUp:
    """For servers that stay silent."""
    servers = parse_servers(dns.address)
    if request.param == "sync":
        resolver = Resolver(servers, timeout=0.05, lifetime=0.05)
        return lambda kind, name: getattr(resolver, kind)(name)
    asynchronous = AsyncResolver(servers, timeout=0.05, lifetime=0.05)
    return lambda kind, name: asyncio.run(getattr(asynchronous, kind)(name))


class TestFound:
    def test_joins_the_strings_of_one_txt_record(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", ["v=spf1 ", "include:x.test", " ~all"], "other", ttl=77)

        answer = look_up("txt", "a.test")

        assert answer == Answer("a.test", "TXT", Outcome.FOUND, values=("other", "v=spf1 include:x.test ~all"), ttl=77)

    def test_joins_a_value_cut_at_255_bytes(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", "x" * 700)

        assert look_up("txt", "a.test").values == ("x" * 700,)

    def test_keeps_quotes_that_are_part_of_the_value(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", '"v=spf1 ~all"')

        assert look_up("txt", "a.test").values == ('"v=spf1 ~all"',)

    def test_writes_bytes_beyond_ascii_as_escapes(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", b"caf\xc3\xa9\ttab")

        assert look_up("txt", "a.test").values == ("caf\\xc3\\xa9\ttab",)

    def test_reads_mx_with_preference_and_lower_case_host(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "MX", "20 MX2.a.test.", "10 mx1.a.test.")

        answer = look_up("mx", "a.test")

        assert answer.values == (MxRecord(10, "mx1.a.test"), MxRecord(20, "mx2.a.test"))

    def test_reads_a_null_mx_as_a_dot(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "MX", "0 .")

        assert look_up("mx", "a.test").values == (MxRecord(0, "."),)

    def test_reads_the_direct_target_of_an_alias(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("bounces.a.test", "CNAME", "Return.Example.")
        dns.set("return.example", "CNAME", "elsewhere.example.")

        assert look_up("cname", "bounces.a.test").values == ("return.example",)

    def test_follows_aliases_to_the_record_with_the_shortest_ttl(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("key.a.test", "CNAME", "one.b.test.", ttl=30)
        dns.set("one.b.test", "CNAME", "two.b.test.", ttl=600)
        dns.set("two.b.test", "TXT", "v=DKIM1; p=abc", ttl=600)

        answer = look_up("txt", "key.a.test")

        assert (answer.values, answer.ttl) == (("v=DKIM1; p=abc",), 30)

    def test_gives_ipv4_before_ipv6_addresses(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "AAAA", "2606:4700::1111", ttl=50)
        dns.set("a.test", "A", "1.1.1.1", "1.0.0.1", ttl=40)

        answer = look_up("addresses", "a.test")

        assert sorted(answer.values[:2]) == ["1.0.0.1", "1.1.1.1"]
        assert answer.values[2:] == ("2606:4700::1111",)
        assert (answer.rdtype, answer.ttl) == ("A/AAAA", 40)

    def test_keeps_a_ttl_of_zero(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "A", "1.1.1.1", ttl=0)

        answer = look_up("addresses", "a.test")

        assert (answer.status, answer.ttl) == (Outcome.FOUND, 0)

    def test_uses_the_addresses_of_one_family_when_the_other_fails(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "A", "1.1.1.1")
        dns.fail("a.test", "SERVFAIL", "AAAA")

        answer = look_up("addresses", "a.test")

        assert (answer.status, answer.values) == (Outcome.FOUND, ("1.1.1.1",))

    def test_asks_for_the_a_label_of_idna_2008(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("_dmarc.xn--strae-oqa.test", "TXT", "v=DMARC1; p=none")

        answer = look_up("txt", "_dmarc.straße.test")

        assert answer.values == ("v=DMARC1; p=none",)
        assert dns.queries == [Query("_dmarc.xn--strae-oqa.test", "TXT", "udp")]


class TestLargeAnswers:
    def test_asks_again_over_tcp_when_udp_was_cut_off(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", "whole")
        dns.fail("a.test", "truncate")

        assert look_up("txt", "a.test").values == ("whole",)
        assert [query.transport for query in dns.queries] == ["udp", "tcp"]

    def test_reads_100_mx_records_which_need_tcp(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "MX", *(f"{n} mx{n}.a.test." for n in range(100)))

        answer = look_up("mx", "a.test")

        assert answer.values == tuple(MxRecord(n, f"mx{n}.a.test") for n in range(100))
        assert [query.transport for query in dns.queries] == ["udp", "tcp"]

    def test_uses_no_more_than_the_best_100_records(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "MX", *(f"{n} mx{n}.a.test." for n in range(150)))

        answer = look_up("mx", "a.test")

        assert answer.values == tuple(MxRecord(n, f"mx{n}.a.test") for n in range(100))

    def test_reads_a_txt_record_of_60_kilobytes(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", "y" * 60_000)

        assert look_up("txt", "a.test").values == ("y" * 60_000,)


@pytest.mark.rfc(2308, "2")
class TestMissing:
    def test_tells_a_name_that_does_not_exist(self, look_up: LookUp) -> None:
        answer = look_up("txt", "nobody.test")

        assert answer == Answer("nobody.test", "TXT", Outcome.MISSING, ttl=60, reason="no such name", no_such_name=True)

    def test_tells_a_name_without_such_a_record(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "A", "1.1.1.1")

        answer = look_up("txt", "a.test")

        assert answer == Answer("a.test", "TXT", Outcome.MISSING, ttl=60, reason="no record of that type")

    def test_knows_a_name_that_only_has_names_below(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("deep.below.a.test", "A", "1.1.1.1")

        answer = look_up("mx", "below.a.test")

        assert (answer.status, answer.no_such_name) == (Outcome.MISSING, False)

    def test_is_missing_when_an_alias_ends_nowhere(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "CNAME", "gone.test.")

        answer = look_up("txt", "a.test")

        assert (answer.status, answer.no_such_name) == (Outcome.MISSING, True)

    def test_needs_both_families_to_miss_an_address(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", "no address here")

        answer = look_up("addresses", "a.test")

        assert answer == Answer("a.test", "A/AAAA", Outcome.MISSING, ttl=60, reason="no record of that type")

    @pytest.mark.parametrize("family", ["A", "AAAA"])
    def test_is_no_miss_when_one_family_failed(self, dns: DnsServer, look_up: LookUp, family: str) -> None:
        dns.set("a.test", "TXT", "no address here")
        dns.fail("a.test", "SERVFAIL", family)

        answer = look_up("addresses", "a.test")

        assert (answer.status, answer.reason) == (Outcome.FAILED, "the server failed (SERVFAIL)")

    @pytest.mark.parametrize(
        "name",
        ["", ".", "a..test", "x" * 64 + ".test", "a." * 130 + "test", "a b.test", "a\r\nb.test", "a\x00.test"]
        + ["[192.0.2.1]", "a\\013b.test", "user@a.test", "\ud800.test"],
    )
    def test_does_not_ask_for_what_cannot_be_a_name(self, dns: DnsServer, look_up: LookUp, name: str) -> None:
        answer = look_up("mx", name)

        assert (answer.status, answer.no_such_name) == (Outcome.MISSING, True)
        assert answer.reason == "not a name that the DNS can hold"
        assert dns.queries == []


class TestFailed:
    @pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
    def test_names_the_code_of_a_failing_server(self, dns: DnsServer, look_up: LookUp, code: str) -> None:
        dns.set("a.test", "TXT", "here")
        dns.fail("a.test", code)

        answer = look_up("txt", "a.test")

        assert answer == Answer("a.test", "TXT", Outcome.FAILED, reason=f"the server failed ({code})")

    # dnspython goes on listening after bytes that are no answer, for anybody may have sent them.
    @pytest.mark.parametrize("how", ["timeout", "malformed", "empty"])
    def test_gives_up_on_a_silent_server(self, dns: DnsServer, hasty_look_up: LookUp, how: str) -> None:
        dns.set("a.test", "TXT", "here")
        dns.fail("a.test", how)

        answer = hasty_look_up("txt", "a.test")

        assert answer == Answer("a.test", "TXT", Outcome.FAILED, reason="time-out")

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ("truncate-malformed", "the answer was malformed"),
            ("truncate-empty", "the server could not be reached"),
        ],
    )
    def test_fails_when_tcp_fails(self, dns: DnsServer, look_up: LookUp, how: str, reason: str) -> None:
        dns.fail("a.test", how)

        answer = look_up("txt", "a.test")

        assert answer == Answer("a.test", "TXT", Outcome.FAILED, reason=reason)

    def test_fails_on_an_alias_loop(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "CNAME", "b.test.")
        dns.set("b.test", "CNAME", "a.test.")

        answer = look_up("addresses", "a.test")

        assert (answer.status, answer.values) == (Outcome.FAILED, ())
        assert answer.reason == "the alias (CNAME) chain is a loop or too long"

    @pytest.mark.rfc(2308, "2.2")
    def test_does_not_take_a_referral_for_an_absence(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.fail("a.test", "referral")

        answer = look_up("mx", "a.test")

        assert (answer.status, answer.reason) == (
            Outcome.FAILED,
            "the server did not follow the name to its end",
        )

    def test_answers_again_after_the_server_recovers(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "TXT", "here")
        dns.fail("*", "SERVFAIL")
        assert look_up("txt", "a.test").status is Outcome.FAILED

        dns.recover("*")

        assert look_up("txt", "a.test").values == ("here",)


class TestBrokenRecords:
    """Bytes that a record may carry and that must not reach SMTP, headers, storage or logs."""

    BROKEN_HOSTS = [
        r"evil\013\010RCPT\032TO.test.",
        r"evil\000.test.",
        r"evil\127.test.",
        r"evil\032.test.",
        r"evil\.dot.test.",
        r"evil\255.test.",
        r"evil\062\060.test.",
    ]

    @pytest.mark.parametrize("host", BROKEN_HOSTS)
    def test_fails_on_a_broken_mx_host(self, dns: DnsServer, look_up: LookUp, host: str) -> None:
        dns.set("a.test", "MX", f"10 {host}")

        answer = look_up("mx", "a.test")

        assert answer == Answer("a.test", "MX", Outcome.FAILED, reason="the record holds forbidden characters")

    @pytest.mark.parametrize("host", BROKEN_HOSTS)
    def test_fails_on_a_broken_alias(self, dns: DnsServer, look_up: LookUp, host: str) -> None:
        dns.set("a.test", "CNAME", host)

        answer = look_up("cname", "a.test")

        assert (answer.status, answer.values) == (Outcome.FAILED, ())

    def test_uses_the_sound_records_beside_a_broken_one(self, dns: DnsServer, look_up: LookUp) -> None:
        dns.set("a.test", "MX", r"10 evil\013\010.test.", "20 good.test.")

        assert look_up("mx", "a.test").values == (MxRecord(20, "good.test"),)

    @pytest.mark.parametrize("value", [b"v=spf1\r\nall", b"nul\x00", b"esc\x1b[2J", b"del\x7f"])
    def test_fails_on_a_txt_record_with_control_characters(self, dns: DnsServer, look_up: LookUp, value: bytes) -> None:
        dns.set("a.test", "TXT", value)

        answer = look_up("txt", "a.test")

        assert (answer.status, answer.values) == (Outcome.FAILED, ())
        assert answer.reason == "the record holds forbidden characters"


class TestServers:
    def test_moves_on_to_a_server_on_another_port(self, dns: DnsServer) -> None:
        dns.set("a.test", "TXT", "from the second")
        with DnsServer() as first:
            first.fail("*", "SERVFAIL")
            servers = parse_servers(f"{first.address},{dns.address}")

            answer = Resolver(servers).txt("a.test")

        assert answer.values == ("from the second",)
        assert (len(first.queries), len(dns.queries)) == (1, 1)

    @pytest.mark.parametrize(
        ("text", "servers"),
        [
            ("127.0.0.1:5353", (("127.0.0.1", 5353),)),
            ("9.9.9.9", (("9.9.9.9", 53),)),
            ("[2620:FE::fe]:5353, 9.9.9.9:53,", (("2620:fe::fe", 5353), ("9.9.9.9", 53))),
            ("[::1]", (("::1", 53),)),
            ("", None),
            (" , ", None),
        ],
    )
    def test_reads_a_list_of_servers(self, text: str, servers: tuple[tuple[str, int], ...] | None) -> None:
        assert parse_servers(text) == servers

    @pytest.mark.parametrize(
        "text",
        ["::1", "::1:5353", "dns.example", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:dns"]
        + ["[127.0.0.1]:53", "[::1", "127.1", "127.0.0.1:٥٣", "udp://9.9.9.9"],
    )
    def test_refuses_what_is_no_server(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            parse_servers(text)

    def test_serves_other_processes(self, tmp_path: Path) -> None:
        zones = tmp_path / "zones.json"
        zones.write_text(json.dumps({"a.test": {"TXT": ["one", ["two ", "parts"]]}, "b.test": {"FAIL": ["REFUSED"]}}))
        command = [sys.executable, "-m", "tests.fakes.dns_server", str(zones)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            word, port = process.stdout.readline().split()
            resolver = Resolver([("127.0.0.1", int(port))])

            found, failed = resolver.txt("a.test"), resolver.txt("b.test")
            process.send_signal(signal.SIGTERM)

        assert word == "ready"
        assert found.values == ("one", "two parts")
        assert failed.reason == "the server failed (REFUSED)"
