"""A domain is verified by what a live DNS server says, never by its silence, and for one workspace only."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection

from apps.domains.models import Domain, DomainRecord
from apps.domains.states import Status
from apps.events.models import Event
from apps.protocols.dns import Resolver, parse_servers
from apps.workspaces.models import Workspace
from tests.client import DOMAINS, SEND, Api, mail
from tests.conftest import NOON, World
from tests.domains.conftest import publish, record_of, statuses
from tests.factories import make_domain
from tests.fakes.dns_server import DnsServer
from tests.parallel import at_once, threads

ALL_VERIFIED = {"spf": "verified", "dkim": "verified", "dmarc": "verified", "returnPath": "verified"}
NO_ANSWER = ["SERVFAIL", "REFUSED", "timeout", "malformed", "referral"]
# Purpose in the API's records, name of the status, and a wrong value that is published.
WRONG = [
    ("spf", "spf", "v=spf1 include:elsewhere.example ~all"),
    ("spf", "spf", "v=spf1 -all"),
    ("dkim", "dkim", "v=DKIM1; k=rsa; p="),
    ("dkim", "dkim", "v=DKIM1; k=rsa; p=AAAA"),
    ("return_path", "returnPath", "elsewhere.example."),
]


@pytest.fixture
def domain(world: World) -> dict[str, Any]:
    """A new domain of the owner's, as the API shows it."""
    row = make_domain(world.owner.workspace, "ex.example", verified=False)
    data: dict[str, Any] = world.owner.api.get(f"{DOMAINS}/{row.pk}").data
    return data


def verify(api: Api, domain: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"{DOMAINS}/{domain['id']}/verify")
    assert answer.status == 200
    data: dict[str, Any] = answer.data
    return data


class TestRecordsInPlace:
    def test_verify_the_domain(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        publish(dns, domain)

        data = verify(api, domain)

        assert (data["status"], statuses(data)) == ("verified", ALL_VERIFIED)
        assert data["verifiedAt"] == data["lastCheckedAt"] == "2026-05-12T12:00:00.000Z"
        assert [record["explanation"] for record in data["records"]] == [None] * 4
        assert api.get(f"{DOMAINS}/{domain['id']}").data == data

    def test_let_it_send(self, api: Api, dns: DnsServer, domain: dict[str, Any]) -> None:
        body = mail(**{"from": "a@ex.example"})
        assert api.post(SEND, body).status == 403
        publish(dns, domain)

        verify(api, domain)

        assert api.post(SEND, body).status == 202

    def test_are_told_once(self, api: Api, workspace: Workspace, dns: DnsServer, domain: dict[str, Any]) -> None:
        publish(dns, domain)

        verify(api, domain)
        verify(api, domain)

        event = Event.objects.of(workspace.pk).get()
        assert (event.type, event.data) == ("mail.domain.verified", {"domain": "ex.example", "status": "verified"})

    def test_suffice_without_dmarc(self, api: Api, dns: DnsServer, domain: dict[str, Any]) -> None:
        publish(dns, domain, without="dmarc")

        data = verify(api, domain)

        assert (data["status"], data["dmarcStatus"]) == ("verified", "missing")

    def test_may_come_in_pieces_and_beside_others(self, api: Api, dns: DnsServer, domain: dict[str, Any]) -> None:
        publish(dns, domain)
        key = record_of(domain, "dkim")
        pieces = [key["value"][start : start + 50] for start in range(0, len(key["value"]), 50)]
        dns.set(key["name"], "TXT", pieces)
        dns.set("ex.example", "TXT", "google-site-verification=x", record_of(domain, "spf")["value"], "x" * 60_000)

        assert verify(api, domain)["status"] == "verified"

    def test_keep_the_time_of_the_first_verification(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        publish(dns, domain)
        verify(api, domain)
        frozen.move_to(NOON + timedelta(days=1))

        data = verify(api, domain)

        assert data["verifiedAt"] == "2026-05-12T12:00:00.000Z"
        assert data["lastCheckedAt"] == "2026-05-13T12:00:00.000Z"


class TestRecordsMissing:
    def test_leave_the_domain_pending(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        data = verify(api, domain)

        assert data["status"] == "pending"
        assert set(statuses(data).values()) == {"missing"}
        assert [record["explanation"] for record in data["records"]] == [
            f"There is no {record['type']} record at {record['name']}. Add it with the value shown.\nAfter a change, "
            "resolvers that have asked may hold this answer until 2026-05-12 12:01 UTC."
            for record in data["records"]
        ]
        assert {record["cachedUntil"] for record in data["records"]} == {"2026-05-12T12:01:00.000Z"}
        assert (data["verifiedAt"], data["lastCheckedAt"]) == (None, "2026-05-12T12:00:00.000Z")

    @pytest.mark.parametrize(("purpose", "name"), [("spf", "spf"), ("dkim", "dkim"), ("return_path", "returnPath")])
    def test_each_alone_is_enough(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], purpose: str, name: str
    ) -> None:
        publish(dns, domain, without=purpose)

        data = verify(api, domain)

        assert (data["status"], statuses(data)) == ("pending", ALL_VERIFIED | {name: "missing"})

    def test_are_no_event(self, api: Api, workspace: Workspace, dns: DnsServer, domain: dict[str, Any]) -> None:
        verify(api, domain)

        assert Event.objects.of(workspace.pk).count() == 0


class TestRecordsWrong:
    @pytest.mark.parametrize(("purpose", "name", "value"), WRONG)
    def test_fail_the_domain(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], purpose: str, name: str, value: str
    ) -> None:
        publish(dns, domain)
        record = record_of(domain, purpose)
        dns.set(record["name"], record["type"], value)

        data = verify(api, domain)

        assert (data["status"], statuses(data)) == ("failed", ALL_VERIFIED | {name: "failed"})
        assert record_of(data, purpose)["explanation"]

    def test_fail_it_also_where_the_right_one_stands_beside(
        self, api: Api, dns: DnsServer, domain: dict[str, Any]
    ) -> None:
        publish(dns, domain)
        spf = record_of(domain, "spf")["value"]
        dns.set("ex.example", "TXT", spf, "v=spf1 -all")

        data = verify(api, domain)

        assert (record_of(data, "spf")["diagnosis"], record_of(data, "spf")["found"]) == (
            "several_records",
            ["v=spf1 -all", spf],
        )

    def test_are_not_right_because_the_right_text_is_part_of_them(
        self, api: Api, dns: DnsServer, domain: dict[str, Any]
    ) -> None:
        publish(dns, domain)
        dns.set("ex.example", "TXT", "x " + record_of(domain, "spf")["value"])

        assert verify(api, domain)["spfStatus"] == "missing"

    def test_are_told_as_an_event(self, api: Api, workspace: Workspace, dns: DnsServer, domain: dict[str, Any]) -> None:
        dns.set("ex.example", "TXT", "v=spf1 -all")

        verify(api, domain)

        assert Event.objects.of(workspace.pk).get().type == "mail.domain.failed"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", NO_ANSWER)
class TestNoAnswer:
    def test_is_not_missing(self, api: Api, dns: DnsServer, domain: dict[str, Any], how: str) -> None:
        dns.fail("*", how)

        data = verify(api, domain)

        assert (data["status"], set(statuses(data).values())) == ("pending", {"pending"})
        assert all(record["explanation"] for record in data["records"])

    def test_takes_nothing_from_a_verified_domain(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], how: str
    ) -> None:
        Domain.objects.across_workspaces().filter(pk=domain["id"]).update(status=Status.VERIFIED, verified_at=NOON)
        for record in stored_records(domain):
            record.status = "verified"
            record.save()
        dns.fail("*", how)

        data = verify(api, domain)

        assert (data["status"], statuses(data)) == ("verified", ALL_VERIFIED)
        assert api.post(SEND, mail(**{"from": "a@ex.example"})).status == 202


def test_one_server_that_fails_decides_nothing_about_the_others(
    api: Api, dns: DnsServer, domain: dict[str, Any]
) -> None:
    publish(dns, domain)
    dns.fail("bounces.ex.example", "SERVFAIL")

    data = verify(api, domain)

    assert (data["status"], statuses(data)) == ("pending", ALL_VERIFIED | {"returnPath": "pending"})


class TestOneOwner:
    def test_is_who_was_first(self, world: World, dns: DnsServer, domain: dict[str, Any]) -> None:
        theirs = rival_of(domain, world)
        publish(dns, domain)
        publish(dns, theirs)

        ours, theirs = verify(world.owner.api, domain), verify(world.stranger.api, theirs)

        assert (ours["status"], theirs["status"]) == ("verified", "pending")
        assert {record["explanation"] for record in theirs["records"]} == {
            "Every record is right, but the domain is verified by another workspace; ask the operator of this server."
        }
        assert world.stranger.api.post(SEND, mail(**{"from": "a@ex.example"})).status == 403

    def test_remains_so_while_the_records_are_wrong(self, world: World, dns: DnsServer, domain: dict[str, Any]) -> None:
        publish(dns, domain)
        verify(world.owner.api, domain)
        dns.remove(record_of(domain, "dkim")["name"])
        assert verify(world.owner.api, domain)["dkimStatus"] == "missing"
        theirs = rival_of(domain, world)
        publish(dns, theirs)

        assert verify(world.stranger.api, theirs)["status"] == "pending"

    def test_may_change_after_a_deletion(self, world: World, dns: DnsServer, domain: dict[str, Any]) -> None:
        publish(dns, domain)
        verify(world.owner.api, domain)
        theirs = rival_of(domain, world)
        publish(dns, theirs)

        world.owner.api.delete(f"{DOMAINS}/{domain['id']}")

        assert verify(world.stranger.api, theirs)["status"] == "verified"

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.timeout(300)
    def test_comes_out_of_two_hundred_races(self, world: World, dns: DnsServer) -> None:
        # SQLite has one writer, and fifty races are as many ways to run as two hundred.
        races = 200 if connection.vendor == "postgresql" else 50
        names = [f"raced{number}.example" for number in range(races)]
        calls = []
        for name in names:
            row = make_domain(world.owner.workspace, name, verified=False)
            ours = world.owner.api.get(f"{DOMAINS}/{row.pk}").data
            theirs = rival_of(ours, world)
            for person, domain in ((world.owner, ours), (world.stranger, theirs)):
                publish(dns, domain)
                calls.append(partial(person.api.post, f"{DOMAINS}/{domain['id']}/verify"))

        answers = at_once(calls, workers=threads(4))

        assert {answer.status for answer in answers} == {200}
        verified = Domain.objects.across_workspaces().filter(name__in=names, status=Status.VERIFIED)
        assert sorted(verified.values_list("name", flat=True)) == sorted(names)
        told = Event.objects.across_workspaces().filter(type="mail.domain.verified")
        assert sorted(event.data["domain"] for event in told) == sorted(names)


def rival_of(domain: dict[str, Any], world: World) -> dict[str, Any]:
    """The stranger's domain of the same name, whose records can all stand in the DNS beside the owner's.

    Each workspace has a return path of its own, and one alias has one target; so in truth only one of them is right.
    """
    rival = make_domain(world.stranger.workspace, domain["domain"], verified=False)
    alias = record_of(domain, "return_path")["value"]
    DomainRecord.objects.of(rival.workspace_id).filter(domain=rival, purpose="return_path").update(value=alias)
    data: dict[str, Any] = world.stranger.api.get(f"{DOMAINS}/{rival.pk}").data
    return data


def test_the_alias_of_one_workspace_does_not_count_for_another(
    world: World, dns: DnsServer, domain: dict[str, Any]
) -> None:
    rival = make_domain(world.stranger.workspace, "ex.example", verified=False)
    theirs = world.stranger.api.get(f"{DOMAINS}/{rival.pk}").data
    publish(dns, theirs)
    publish(dns, domain)

    answer = verify(world.stranger.api, theirs)

    assert (answer["status"], statuses(answer)) == ("failed", ALL_VERIFIED | {"returnPath": "failed"})


def test_a_domain_that_an_operator_disabled_is_not_looked_up(
    api: Api, workspace: Workspace, dns: DnsServer, domain: dict[str, Any]
) -> None:
    Domain.objects.of(workspace.pk).filter(pk=domain["id"]).update(status=Status.DISABLED)
    publish(dns, domain)
    before = api.get(f"{DOMAINS}/{domain['id']}").data

    data = verify(api, domain)

    assert data["status"] == "disabled"
    assert dns.queries == []
    assert data == before


def test_a_verification_holds_no_transaction_while_it_waits(
    api: Api, dns: DnsServer, domain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    depths = []
    outside = len(connection.savepoint_ids)
    watch = partial(_Watched, seen=lambda: depths.append(len(connection.savepoint_ids)))
    monkeypatch.setattr("apps.domains.services.checking.look", watch)

    verify(api, domain)

    assert set(depths) == {outside}


class _Watched(Resolver):
    """Calls back at each look-up."""

    def __init__(self, domain: str, seen: Any) -> None:
        super().__init__(parse_servers(settings.MAIL_DNS_SERVERS))
        self._seen = seen

    def txt(self, name: str) -> Any:
        self._seen()
        return super().txt(name)


def stored_records(domain: dict[str, Any]) -> list[Any]:
    return list(DomainRecord.objects.across_workspaces().filter(domain_id=domain["id"]))
