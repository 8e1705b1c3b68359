"""Domains are looked at by themselves: often while something may change, and they fall slowly and rise at once."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from apps.core import clock
from apps.domains.models import Domain
from apps.domains.schedule import FIRST, GRACE, OFTEN, RARELY, next_look
from apps.domains.services import checking, registry
from apps.domains.services.checking import check_due
from apps.events.models import Event
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import DOMAINS, SEND, Api, mail
from tests.conftest import NOON, World
from tests.domains.conftest import publish, record_of
from tests.factories import make_domain
from tests.fakes.dns_server import DnsServer
from tests.parallel import at_once, threads

MINUTE = timedelta(minutes=1)
WRONG_SPF = "v=spf1 -all"


@pytest.fixture
def domain(world: World, dns: DnsServer, frozen: time_machine.Traveller) -> dict[str, Any]:
    """A verified domain of the owner's whose records are all in place, looked at just now."""
    row = make_domain(world.owner.workspace, "ex.example", verified=False)
    data: dict[str, Any] = world.owner.api.get(f"{DOMAINS}/{row.pk}").data
    publish(dns, data)
    Domain.objects.across_workspaces().exclude(pk=row.pk).update(next_check_at=None)
    return dict(world.owner.api.post(f"{DOMAINS}/{row.pk}/verify").data)


def row_of(domain: dict[str, Any]) -> Domain:
    row: Domain = Domain.objects.across_workspaces().get(pk=domain["id"])
    return row


def look_after(frozen: time_machine.Traveller, pause: timedelta) -> None:
    """Lets time pass, and whoever is due by then be looked at."""
    frozen.shift(pause)
    check_due()


def next_pause(domain: dict[str, Any]) -> timedelta:
    planned = row_of(domain).next_check_at
    assert planned is not None
    return planned - clock.now()


def told(domain: dict[str, Any]) -> list[str]:
    """What happened to the domain after its verification."""
    events = Event.objects.across_workspaces().filter(resource_id=domain["id"]).order_by("pk")
    return [event.type.removeprefix("mail.domain.") for event in events][1:]


class TestSchedule:
    def test_begins_dense_and_ends_sparse(self) -> None:
        assert [next_look(looks, MINUTE) for looks in range(7)] == [*FIRST, OFTEN, OFTEN]
        assert [int(pause.total_seconds()) for pause in FIRST] == [60, 120, 300, 600, 1800]
        assert next_look(80, timedelta(hours=72)) == OFTEN

    @pytest.mark.parametrize("watched_for", [None, timedelta(hours=72, seconds=1)])
    def test_is_spread_in_the_long_run(self, watched_for: timedelta | None) -> None:
        pauses = {next_look(0, watched_for) for _ in range(50)}

        assert len(pauses) > 40
        assert min(pauses) >= RARELY * 0.8
        assert max(pauses) <= RARELY * 1.2

    def test_follows_a_new_domain(self, world: World, dns: DnsServer, frozen: time_machine.Traveller) -> None:
        Domain.objects.across_workspaces().update(next_check_at=None)
        made = world.owner.api.post(DOMAINS, {"domain": "new.example"}).data
        pauses = []
        for _ in range(7):
            pauses.append(next_pause(made))
            look_after(frozen, pauses[-1])

        assert pauses == [FIRST[0], *FIRST, OFTEN]


class TestANewDomain:
    def test_is_verified_without_anybody_asking(self, api: Api, dns: DnsServer, frozen: time_machine.Traveller) -> None:
        made = api.post(DOMAINS, {"domain": "new.example"}).data
        publish(dns, made)

        look_after(frozen, timedelta(minutes=1))

        assert api.get(f"{DOMAINS}/{made['id']}").data["status"] == "verified"
        assert told(made) == ["verified"]

    def test_is_not_looked_at_before_its_time(self, api: Api, dns: DnsServer, frozen: time_machine.Traveller) -> None:
        Domain.objects.across_workspaces().update(next_check_at=None)
        api.post(DOMAINS, {"domain": "new.example"})

        look_after(frozen, timedelta(seconds=59))

        assert dns.queries == []

    def test_that_stays_wrong_is_told_once(self, api: Api, dns: DnsServer, frozen: time_machine.Traveller) -> None:
        made = api.post(DOMAINS, {"domain": "new.example"}).data
        publish(dns, made)
        dns.set("new.example", "TXT", WRONG_SPF)

        for _ in range(3):
            look_after(frozen, timedelta(minutes=30))

        assert told(made) == ["failed"]


class TestAVerifiedDomain:
    def test_is_looked_at_now_and_then(self, domain: dict[str, Any]) -> None:
        assert RARELY * 0.8 <= next_pause(domain) <= RARELY * 1.2

    def test_is_not_blamed_for_one_bad_look(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)

        look_after(frozen, RARELY * 2)

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["status"], data["spfStatus"], data["failingSince"]) == ("verified", "failed", None)
        assert told(domain) == []
        assert next_pause(domain) == FIRST[0]

    def test_is_told_to_be_failing_after_the_second(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        look_after(frozen, RARELY * 2)

        look_after(frozen, MINUTE)

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["status"], data["failingSince"]) == ("verified", "2026-05-13T00:01:00.000Z")
        assert data["sendingStopsAt"] == "2026-05-15T00:01:00.000Z"
        assert told(domain) == ["failing"]
        event = Event.objects.across_workspaces().get(type="mail.domain.failing")
        assert event.data == {
            "domain": "ex.example",
            "status": "verified",
            "sendingStopsAt": "2026-05-15T00:01:00.000Z",
        }
        assert api.post(SEND, mail(**{"from": "a@ex.example"})).status == 202

    def test_stops_sending_when_the_grace_is_over(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        for pause in (RARELY * 2, MINUTE, GRACE - timedelta(seconds=1)):
            look_after(frozen, pause)
        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "verified"

        look_after(frozen, MINUTE)

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["status"], data["failingSince"], data["sendingStopsAt"]) == ("failed", None, None)
        assert told(domain) == ["failing", "failed"]
        assert api.post(SEND, mail(**{"from": "a@ex.example"})).code == "domain_not_verified"

    def test_is_looked_at_the_moment_its_grace_ends(
        self, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        for pause in (RARELY * 2, *[timedelta(hours=1)] * 6, GRACE - timedelta(hours=5, minutes=20)):
            look_after(frozen, pause)

        assert next_pause(domain) == timedelta(minutes=20)

    def test_that_is_missing_a_record_falls_alike(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.remove(record_of(domain, "dkim")["name"])

        for pause in (RARELY * 2, MINUTE, GRACE):
            look_after(frozen, pause)

        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "failed"

    def test_recovers_at_once(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        for pause in (RARELY * 2, MINUTE):
            look_after(frozen, pause)
        publish(dns, domain)

        look_after(frozen, timedelta(minutes=2))

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["status"], data["failingSince"]) == ("verified", None)
        assert told(domain) == ["failing", "recovered"]

    def test_that_recovers_after_one_bad_look_says_nothing(
        self, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        look_after(frozen, RARELY * 2)
        publish(dns, domain)

        look_after(frozen, MINUTE)

        assert told(domain) == []
        assert row_of(domain).failed_at is None

    def test_is_not_hurried_by_who_presses_twice(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        for _ in range(3):
            frozen.shift(timedelta(seconds=10))
            api.post(f"{DOMAINS}/{domain['id']}/verify")

        assert told(domain) == []

    def test_is_not_brought_down_by_a_server_that_fails(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        look_after(frozen, RARELY * 2)
        dns.fail("*", "SERVFAIL")

        for _ in range(10):
            look_after(frozen, RARELY * 2)

        assert told(domain) == []
        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "verified"

    def test_loses_its_grace_to_silence_too(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.set("ex.example", "TXT", WRONG_SPF)
        for pause in (RARELY * 2, MINUTE):
            look_after(frozen, pause)
        dns.fail("*", "SERVFAIL")

        look_after(frozen, GRACE)

        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "failed"
        assert next_pause(domain) >= MINUTE

    def test_that_fell_stays_fallen_while_a_record_is_missing(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        dns.remove(record_of(domain, "dkim")["name"])
        for pause in (RARELY * 2, MINUTE, GRACE, RARELY * 2):
            look_after(frozen, pause)

        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "failed"
        assert told(domain) == ["failing", "failed"]

    def test_is_saved_by_a_new_key_in_the_last_look_of_its_grace(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        api.post(f"{DOMAINS}/{domain['id']}/rotate")
        dns.remove(record_of(domain, "dkim")["name"])
        for pause in (RARELY * 2, MINUTE):
            look_after(frozen, pause)
        rows = api.get(f"{DOMAINS}/{domain['id']}").data["records"]
        (new,) = [row for row in rows if row["keyState"] == "next"]
        dns.set(new["name"], "TXT", new["value"])

        look_after(frozen, GRACE)

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["status"], data["dkimStatus"], data["failingSince"]) == ("verified", "verified", None)

    def test_that_was_disabled_needs_a_look_that_sees_everything(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        registry.disable(row_of(domain))
        registry.enable(row_of(domain))
        dns.fail("*", "SERVFAIL")

        look_after(frozen, MINUTE)

        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "pending"
        assert api.post(SEND, mail(**{"from": "a@ex.example"})).status == 403
        dns.recover("*")
        look_after(frozen, timedelta(hours=1))
        assert api.get(f"{DOMAINS}/{domain['id']}").data["status"] == "verified"

    def test_counts_no_further_than_its_schedule(
        self, api: Api, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        Domain.objects.across_workspaces().filter(pk=domain["id"]).update(looks=32_767)
        frozen.shift(MINUTE)

        assert api.post(f"{DOMAINS}/{domain['id']}/verify").status == 200
        assert row_of(domain).looks == len(FIRST)


class TestNotLookedAt:
    def test_is_a_disabled_domain(self, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller) -> None:
        registry.disable(row_of(domain))
        dns.queries.clear()

        look_after(frozen, timedelta(days=9))

        assert dns.queries == []

    def test_is_one_that_the_operator_vouches_for(
        self, api: Api, workspace: Workspace, dns: DnsServer, frozen: time_machine.Traveller
    ) -> None:
        row = registry.create(workspace.pk, "demo.example")
        registry.trust(row)
        dns.queries.clear()

        look_after(frozen, timedelta(days=9))

        assert [query for query in dns.queries if "demo" in query.name] == []
        assert api.post(f"{DOMAINS}/{row.pk}/verify").data["status"] == "verified"
        assert [query for query in dns.queries if "demo" in query.name] == []

    def test_stays_so_after_it_was_disabled_for_a_while(
        self, api: Api, workspace: Workspace, dns: DnsServer, frozen: time_machine.Traveller
    ) -> None:
        row = registry.create(workspace.pk, "demo.example")
        registry.trust(row)
        row.refresh_from_db()
        registry.disable(row)

        registry.enable(row)

        look_after(frozen, timedelta(days=9))
        assert api.get(f"{DOMAINS}/{row.pk}").data["status"] == "verified"


class TestTheJob:
    def test_goes_on_where_one_domain_cannot_be_stored(
        self, world: World, dns: DnsServer, frozen: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = [make_domain(world.owner.workspace, f"d{number}.example", verified=False) for number in range(4)]
        Domain.objects.across_workspaces().update(next_check_at=None)
        Domain.objects.across_workspaces().filter(pk__in=[row.pk for row in ours]).update(next_check_at=NOON)
        store = checking._store

        def storing(domain: Domain, found: Any) -> bool:
            if domain.name == "d1.example":
                raise ValueError("a fault of ours")
            return store(domain, found)

        monkeypatch.setattr(checking, "_store", storing)
        check_due()

        looked_at = Domain.objects.across_workspaces().filter(last_checked_at=NOON)
        assert sorted(row.name for row in looked_at) == ["d0.example", "d2.example", "d3.example"]

    def test_that_dies_leaves_its_domains_to_the_next(
        self, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frozen.shift(RARELY * 2)
        with monkeypatch.context() as patch:
            patch.setattr("apps.domains.services.checking.examine", _die)
            with pytest.raises(MemoryError):
                check_due()
        before = row_of(domain).last_checked_at

        look_after(frozen, timedelta(minutes=9))
        assert row_of(domain).last_checked_at == before
        look_after(frozen, MINUTE)

        assert row_of(domain).last_checked_at == clock.now()

    @pytest.mark.django_db(transaction=True)
    def test_that_runs_twice_looks_once(self, world: World, dns: DnsServer) -> None:
        ours = [make_domain(world.owner.workspace, f"d{number}.example", verified=False) for number in range(20)]
        Domain.objects.across_workspaces().update(next_check_at=None)
        Domain.objects.across_workspaces().filter(pk__in=[row.pk for row in ours]).update(next_check_at=NOON)

        at_once([check_due] * 4, workers=threads(4))

        asked = [query.name for query in dns.queries if query.type == "CNAME" and query.name.startswith("bounces.d")]
        assert sorted(name for name in asked if name.count("example") == 1) == sorted(
            f"bounces.{row.name}" for row in ours
        )

    def test_looks_at_many_in_one_go(self, world: World, dns: DnsServer, frozen: time_machine.Traveller) -> None:
        ours = [make_domain(world.owner.workspace, f"d{number}.example", verified=False) for number in range(20)]
        Domain.objects.across_workspaces().filter(pk__in=[row.pk for row in ours]).update(next_check_at=NOON)

        check_due()

        assert (
            Domain.objects.across_workspaces().filter(pk__in=[row.pk for row in ours], last_checked_at=NOON).count()
            == 20
        )


class TestAskingTooOften:
    def test_is_refused_and_looks_nothing_up(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        frozen.shift(timedelta(minutes=2))
        path = f"{DOMAINS}/{domain['id']}/verify"
        assert {api.post(path).status for _ in range(20)} == {200}
        before, asked = stored.everything(), len(dns.queries)

        answer = api.post(path)

        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, "rate_limited", "60")
        assert (stored.everything(), len(dns.queries)) == (before, asked)
        frozen.shift(timedelta(minutes=1))
        assert api.post(path).status == 200

    @pytest.mark.django_db(transaction=True)
    def test_counts_a_hundred_at_once_as_a_hundred(self, world: World, dns: DnsServer) -> None:
        row = make_domain(world.owner.workspace, "ex.example", verified=False)
        call = partial(world.owner.api.post, f"{DOMAINS}/{row.pk}/verify")

        answers = at_once([call] * 100, workers=threads(10))

        assert sorted(answer.status for answer in answers) == [200] * 20 + [429] * 80


def _die(*_: object) -> None:
    raise MemoryError
