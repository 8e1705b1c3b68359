"""Each mistake that customers make in their zones, published at a live DNS server, and what the API says about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine

from tests.client import DOMAINS, Api
from tests.conftest import World
from tests.domains.conftest import publish, record_of
from tests.factories import make_domain
from tests.fakes.dns_server import DnsServer

NAME = "ex.example"
HELD = "\nAfter a change, resolvers that have asked may hold this answer until 2026-05-12 12:01 UTC."


@dataclass(frozen=True, slots=True)
class Mistake:
    """What the customer did to the zone, and what has to be said of which record."""

    purpose: str
    make: Callable[[DnsServer, dict[str, Any]], None]
    status: str
    diagnosis: str
    says: str


def put(value: str | Callable[[str], str]) -> Callable[[DnsServer, dict[str, Any]], None]:
    """Another value in the record's place."""

    def make(dns: DnsServer, record: dict[str, Any]) -> None:
        dns.set(record["name"], record["type"], value if isinstance(value, str) else value(record["value"]))

    return make


def two_policies(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.set(NAME, "TXT", record["value"], "v=spf1 mx -all")


def eleven_lookups(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.set("crm.example", "TXT", "v=spf1 " + "a:ex.example " * 9 + "-all")
    dns.set(NAME, "A", "93.184.216.34")
    dns.set(NAME, "TXT", "v=spf1 include:spf.localhost include:crm.example ~all")


def doubled(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.remove(record["name"])
    dns.cut(NAME)
    dns.set(f"{record['name']}.{NAME}", "TXT", record["value"])


def text_beside_alias(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.set(record["name"], "TXT", "site-verification=1")


def flattened(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.remove(record["name"])
    dns.set(record["name"], "A", "93.184.216.34")


def delegated(dns: DnsServer, record: dict[str, Any]) -> None:
    dns.remove(record["name"])
    dns.cut(f"_domainkey.{NAME}")


MISTAKES = {
    "two SPF records": Mistake(
        "spf",
        two_policies,
        "failed",
        "several_records",
        "ex.example has 2 SPF records, and receivers then take none of them. Join them into one: "
        "v=spf1 include:spf.localhost mx ~all",
    ),
    "more than ten look-ups": Mistake(
        "spf",
        eleven_lookups,
        "failed",
        "spf_too_many_lookups",
        "The SPF record needs 11 DNS look-ups and receivers stop at 10: include:spf.localhost 1, "
        "include:crm.example 10. Remove what no longer sends for you.",
    ),
    "more than two void look-ups": Mistake(
        "spf",
        put("v=spf1 a:one.example a:two.example a:three.example include:spf.localhost ~all"),
        "failed",
        "spf_void_lookups",
        "The SPF record, or what it includes, names 3 hosts of which the DNS knows nothing, and receivers stop "
        "after 2: a:one.example, a:two.example, a:three.example. Remove them.",
    ),
    "everybody may send": Mistake(
        "spf",
        put("v=spf1 include:spf.localhost +all"),
        "failed",
        "spf_allows_all",
        "The SPF record has '+all', which lets every server of the world send as ex.example. Write ~all in its place.",
    ),
    "a doubled name": Mistake(
        "dkim",
        doubled,
        "missing",
        "name_doubled",
        "The record stands at {name}.ex.example: the zone editor adds the domain to the name by itself, and "
        "it was typed "
        "in too. Move it to {name}; in most editors that is the name {short}.",
    ),
    "quotes pasted in": Mistake(
        "dkim",
        put(lambda value: f'"{value}"'),
        "failed",
        "quotes",
        "Quotation marks or backslashes have become part of the value. Replace the record's value by the one shown. "
        "Leave the marks out.",
    ),
    "line breaks pasted in": Mistake(
        "dkim",
        put(lambda value: f"{value[:200]}\n{value[200:]}"),
        "failed",
        "forbidden_characters",
        "The record at {name} holds a line break or another control character, as happens when a value is pasted in "
        "several lines. Delete it and paste the value again as one line.",
    ),
    "a TXT beside a CNAME": Mistake(
        "return_path",
        text_beside_alias,
        "failed",
        "beside_alias",
        "bounces.ex.example has a CNAME and a TXT record. Beside a CNAME no other record may stand (RFC 1034), so some "
        "resolvers see the one and some the other. Keep only the CNAME record shown here.",
    ),
    "a wrong key": Mistake(
        "dkim",
        put("v=DKIM1; k=rsa; p=QUJD"),
        "failed",
        "dkim_wrong_key",
        "Another key is published. Replace the record's value by the one shown.",
    ),
    "a truncated key": Mistake(
        "dkim",
        put(lambda value: value[:255]),
        "failed",
        "dkim_cut_off",
        "The key is cut off after 237 of 392 characters. Some editors keep only 255 in one string: split the "
        "value into "
        "several quoted strings of one record, or use the editor's field for long TXT.",
    ),
    "a DMARC version below another tag": Mistake(
        "dmarc",
        put("p=none; v=DMARC1"),
        "failed",
        "dmarc_version_not_first",
        "The DMARC record begins with p=; receivers only read records that begin with v=DMARC1. Move v=DMARC1 "
        "to the front.",
    ),
    "an alias that a proxy flattens": Mistake(
        "return_path",
        flattened,
        "missing",
        "alias_flattened",
        "bounces.ex.example answers with addresses instead of an alias. The DNS provider flattens or proxies "
        "the CNAME: "
        "switch that off for this record (at Cloudflare: DNS only), so that it shows {value}.",
    ),
    "a part of the zone that is delegated": Mistake(
        "dkim",
        delegated,
        "missing",
        "missing",
        "There is no TXT record at {name}. Add it with the value shown, in the zone _domainkey.ex.example: "
        "that part of "
        "ex.example is delegated to name servers of its own.",
    ),
}


@pytest.fixture
def domain(world: World, dns: DnsServer, frozen: time_machine.Traveller) -> dict[str, Any]:
    row = make_domain(world.owner.workspace, NAME, verified=False)
    data: dict[str, Any] = world.owner.api.get(f"{DOMAINS}/{row.pk}").data
    publish(dns, data)
    return data


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_explained_and_can_be_mended(
    api: Api, dns: DnsServer, domain: dict[str, Any], mistake: Mistake
) -> None:
    wanted = record_of(domain, mistake.purpose)
    mistake.make(dns, wanted)

    data = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    record = record_of(data, mistake.purpose)
    assert (record["status"], record["diagnosis"]) == (mistake.status, mistake.diagnosis)
    short = wanted["name"].removesuffix(f".{NAME}")
    said = mistake.says.format(name=wanted["name"], value=wanted["value"], short=short)
    assert record["explanation"].removesuffix(HELD) == said
    others = {other["diagnosis"] for other in data["records"] if other["purpose"] != mistake.purpose}
    assert others == {"right"}
    assert data["status"] != "verified" or mistake.purpose == "dmarc"


def test_the_organisations_policy_is_enough(api: Api, world: World, dns: DnsServer) -> None:
    row = make_domain(world.owner.workspace, "news.ex.example", verified=False)
    data = api.get(f"{DOMAINS}/{row.pk}").data
    publish(dns, data, without="dmarc")
    dns.set("_dmarc.ex.example", "TXT", "v=DMARC1; p=reject; sp=quarantine")

    data = api.post(f"{DOMAINS}/{row.pk}/verify").data

    record = record_of(data, "dmarc")
    assert (data["status"], record["status"], record["diagnosis"]) == ("verified", "verified", "dmarc_inherited")
    assert record["explanation"] == (
        "news.ex.example needs none of its own: the record of ex.example holds for it (policy quarantine)."
    )


def test_what_was_wrong_a_moment_ago_may_still_be_remembered_elsewhere(
    api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
) -> None:
    dns.cut(NAME, negative_ttl=3600)
    record = record_of(domain, "dkim")
    dns.remove(record["name"])
    api.post(f"{DOMAINS}/{domain['id']}/verify")
    publish(dns, domain)

    data = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    record = record_of(data, "dkim")
    assert (data["status"], record["cachedUntil"]) == ("verified", "2026-05-12T13:00:00.000Z")
    assert record["explanation"] == "Resolvers that asked earlier may hold the old answer until 2026-05-12 13:00 UTC."


@pytest.mark.usefixtures("impatient")
def test_a_failing_server_silence_and_absence_are_three_things(api: Api, world: World, dns: DnsServer) -> None:
    row = make_domain(world.owner.workspace, NAME, verified=False)
    domain = api.get(f"{DOMAINS}/{row.pk}").data
    publish(dns, domain)
    names = {purpose: record_of(domain, purpose)["name"] for purpose in ("spf", "dkim", "return_path")}
    dns.fail(names["spf"], "SERVFAIL")
    dns.remove(names["dkim"])
    dns.fail(names["return_path"], "timeout")

    data = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    found = {purpose: record_of(data, purpose) for purpose in names}
    assert {purpose: (record["diagnosis"], record["status"]) for purpose, record in found.items()} == {
        "spf": ("server_failed", "pending"),
        "dkim": ("missing", "missing"),
        "return_path": ("timed_out", "pending"),
    }
