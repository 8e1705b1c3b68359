"""Inbound domains: two records to publish, and one owner."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from apps.inbound.models import InboundDomain
from tests import stored
from tests.client import EVENTS, Api
from tests.conftest import World
from tests.fakes.dns_server import DnsServer
from tests.inbound.mail import DOMAINS, NAME, make_inbound_domain, publish


@pytest.fixture
def dns(settings: LazySettings) -> Iterator[DnsServer]:
    with DnsServer() as server:
        settings.MAIL_DNS_SERVERS = server.address
        settings.MAIL_INBOUND_HOST = "inbound.mail.example"
        yield server


def add(api: Api, name: str = NAME) -> dict[str, Any]:
    answer = api.post(DOMAINS, {"domain": name})
    assert answer.status == 201, answer
    return dict(answer.data)


def statuses(domain: dict[str, Any]) -> dict[str, str]:
    return {record["purpose"]: record["status"] for record in domain["records"]}


def test_a_new_domain_tells_its_records(api: Api, dns: DnsServer) -> None:
    domain = add(api, "In.Shop.EXAMPLE.")

    assert (domain["domain"], domain["status"], domain["verifiedAt"]) == (NAME, "pending", None)
    mx, ownership = domain["records"]
    assert (mx["type"], mx["name"], mx["value"], mx["priority"]) == ("MX", NAME, "inbound.mail.example", 10)
    assert (ownership["type"], ownership["name"]) == ("TXT", f"_stackshift-inbound.{NAME}")
    assert ownership["value"].startswith("stackshift-inbound=")
    assert [record["required"] for record in domain["records"]] == [True, True]
    assert api.get(DOMAINS).rows == [domain]
    assert api.get(f"{DOMAINS}/{domain['id']}").data == domain


def test_with_both_records_it_is_verified(api: Api, dns: DnsServer) -> None:
    domain = add(api)
    publish(dns, domain)

    checked = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    assert (checked["status"], statuses(checked)) == ("verified", {"mx": "verified", "ownership": "verified"})
    assert checked["verifiedAt"] == checked["lastCheckedAt"]
    assert api.get(EVENTS, {"resourceType": "inbound_domain"}).rows[0]["type"] == "mail.inbound.domain.verified"
    api.post(f"{DOMAINS}/{domain['id']}/verify")
    assert len(api.get(EVENTS, {"type": "mail.inbound.domain.verified"}).rows) == 1


@pytest.mark.parametrize(
    ("records", "status", "found"),
    [
        ({}, "pending", {"mx": "missing", "ownership": "missing"}),
        ({"mx": "10 mx.elsewhere.example."}, "failed", {"mx": "failed", "ownership": "missing"}),
        ({"txt": "stackshift-inbound=another"}, "failed", {"mx": "missing", "ownership": "failed"}),
        ({"mx": "10 inbound.mail.example."}, "pending", {"mx": "verified", "ownership": "missing"}),
    ],
)
def test_otherwise_it_says_what_is_missing(
    api: Api, dns: DnsServer, records: dict[str, str], status: str, found: dict[str, str]
) -> None:
    domain = add(api)
    if "mx" in records:
        dns.set(NAME, "MX", records["mx"])
    if "txt" in records:
        dns.set(f"_stackshift-inbound.{NAME}", "TXT", records["txt"])

    checked = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    assert (checked["status"], statuses(checked), checked["verifiedAt"]) == (status, found, None)
    wrong = [record for record in checked["records"] if record["status"] != "verified"]
    assert all(record["explanation"] for record in wrong)


def test_a_server_that_goes_first_is_told(api: Api, dns: DnsServer) -> None:
    domain = add(api)
    publish(dns, domain)
    dns.set(NAME, "MX", "5 mx.elsewhere.example.", "10 inbound.mail.example.")

    checked = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    assert checked["status"] == "verified"
    assert "mx.elsewhere.example first" in checked["records"][0]["explanation"]


def test_a_silent_dns_changes_nothing(api: Api, dns: DnsServer) -> None:
    domain = add(api)
    publish(dns, domain)
    api.post(f"{DOMAINS}/{domain['id']}/verify")
    dns.fail(NAME, "SERVFAIL")

    checked = api.post(f"{DOMAINS}/{domain['id']}/verify").data

    assert (checked["status"], statuses(checked)["mx"]) == ("verified", "pending")


def test_a_domain_that_another_workspace_has_verified_is_refused(world: World, dns: DnsServer) -> None:
    make_inbound_domain(world.stranger.workspace)
    before = stored.everything()

    answer = world.owner.api.post(DOMAINS, {"domain": NAME})

    assert (answer.status, answer.code) == (409, "conflict")
    assert stored.everything() == before


def test_of_two_that_add_it_the_first_to_verify_has_it(world: World, dns: DnsServer) -> None:
    theirs, ours = add(world.stranger.api), add(world.owner.api)
    make = InboundDomain.objects.across_workspaces()
    publish(dns, theirs)
    assert world.stranger.api.post(f"{DOMAINS}/{theirs['id']}/verify").data["status"] == "verified"
    publish(dns, ours)

    checked = world.owner.api.post(f"{DOMAINS}/{ours['id']}/verify").data

    assert (checked["status"], checked["verifiedAt"]) == ("pending", None)
    assert "another workspace" in checked["records"][0]["explanation"]
    assert make.filter(verified_at__isnull=False).count() == 1


@pytest.mark.parametrize("name", ["", "example", "co.uk", "no domain", "a.local", "x" * 300, "inbound.mail.example"])
def test_what_cannot_receive_is_refused(api: Api, dns: DnsServer, name: str) -> None:
    before = stored.everything()

    answer = api.post(DOMAINS, {"domain": name})

    assert (answer.status, list(answer.fields)) == (400, ["domain"])
    assert stored.everything() == before


def test_twice_is_a_conflict(api: Api, dns: DnsServer) -> None:
    add(api)

    assert api.post(DOMAINS, {"domain": NAME}).status == 409


def test_deleted_it_is_gone_and_may_be_added_again(api: Api, dns: DnsServer) -> None:
    domain = add(api)

    assert api.delete(f"{DOMAINS}/{domain['id']}").status == 204
    assert api.get(f"{DOMAINS}/{domain['id']}").status == 404
    again = add(api)
    assert again["records"][1]["value"] != domain["records"][1]["value"]


def test_asking_is_limited(api: Api, dns: DnsServer) -> None:
    domain = add(api)
    InboundDomain.objects.across_workspaces().update(asked=20, asked_since="2100-01-01T00:00:00Z")

    answer = api.post(f"{DOMAINS}/{domain['id']}/verify")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
