"""Keys change without a gap: nothing is signed with a key that is not published, and no mail changes its key."""

from datetime import timedelta
from functools import partial
from typing import Any

import dkim as dkimpy
import pytest
import time_machine
from django.test import override_settings

from apps.core import clock
from apps.delivery.compose import letter_of, load
from apps.domains.models import DkimKey, Domain, DomainRecord
from apps.domains.schedule import KEEP_OLD_KEY
from apps.domains.services import checking, keys, registry
from apps.domains.services.checking import check_due
from apps.domains.services.sending import signing_keys
from apps.domains.states import Algorithm
from apps.events.models import Event
from apps.messages.models import Message
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import DOMAINS, Api
from tests.conftest import World
from tests.domains.conftest import publish
from tests.factories import make_domain, make_message
from tests.fakes.dns_server import DnsServer
from tests.parallel import at_once, threads

MINUTE = timedelta(minutes=1)


@pytest.fixture
def domain(world: World, dns: DnsServer, frozen: time_machine.Traveller) -> dict[str, Any]:
    """The owner's verified domain, published as the API shows it."""
    (data,) = world.owner.api.get(DOMAINS).rows
    publish(dns, data)
    frozen.shift(MINUTE)
    return dict(data)


class Signed:
    """A message as it would go out now, and who vouches for it."""

    def __init__(self, message: Message, dns: DnsServer) -> None:
        ring, _sealed = signing_keys({message.domain_id})
        self.content = letter_of(load({message.pk})[message.pk], ring).content
        self._dns = dns

    @property
    def selectors(self) -> list[str]:
        head = self.content.partition(b"\r\nDate:")[0].decode()
        return [tag.strip().removeprefix("s=") for tag in head.split(";") if tag.strip().startswith("s=")]

    @property
    def verifies(self) -> list[bool]:
        """Each of its signatures, by what the DNS has now."""
        verifier = dkimpy.DKIM(self.content)
        return [verifier.verify(number, dnsfunc=self._look) for number in range(len(self.selectors))]

    def _look(self, name: bytes, timeout: int = 5) -> bytes | None:
        found = self._dns.text(name.decode())
        return found.encode() if found else None


def rotate(api: Api, domain: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"{DOMAINS}/{domain['id']}/rotate")
    assert answer.status == 200
    return dict(answer.data)


def verify(api: Api, domain: dict[str, Any], frozen: time_machine.Traveller) -> dict[str, Any]:
    frozen.shift(MINUTE)
    return dict(api.post(f"{DOMAINS}/{domain['id']}/verify").data)


def states(domain: dict[str, Any]) -> list[str]:
    return sorted(key["state"] for key in domain["keys"])


def record_in(domain: dict[str, Any], state: str) -> dict[str, Any]:
    (record,) = [record for record in domain["records"] if record["keyState"] == state]
    return dict(record)


def selector_in(domain: dict[str, Any], state: str) -> str:
    return str(record_in(domain, state)["name"].partition(".")[0])


def told(workspace: Workspace) -> list[str]:
    events = Event.objects.of(workspace.pk).filter(type__startswith="mail.domain.").order_by("pk")
    return [event.type.removeprefix("mail.domain.") for event in events]


class TestTheNextKey:
    def test_is_shown_beside_the_one_that_signs(self, api: Api, domain: dict[str, Any], workspace: Workspace) -> None:
        data = rotate(api, domain)

        record = record_in(data, "next")
        assert states(data) == ["active", "next"]
        assert (record["required"], record["status"], data["dkimStatus"]) == (False, "pending", "verified")
        assert record["explanation"] == "The next key: mail is signed with it as soon as this record is seen."
        assert record["value"].startswith("v=DKIM1; k=rsa; p=MII")
        assert told(workspace) == ["key_created"]

    def test_signs_nothing_while_it_is_not_seen(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        rotate(api, domain)
        data = verify(api, domain, frozen)

        assert states(data) == ["active", "next"]
        assert data["status"] == "verified"
        assert Signed(make_message(workspace), dns).selectors == [selector_in(data, "active")]

    def test_waits_for_the_last_name_server(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        publish(dns, rotate(api, domain))
        with DnsServer(host="127.0.0.2", port=dns.port) as slow:
            publish(slow, domain)
            with override_settings(MAIL_DNS_SERVERS=f"{dns.address},{slow.address}"):
                data = verify(api, domain, frozen)

                assert (states(data), record_in(data, "next")["diagnosis"]) == (["active", "next"], "spreading")
                assert record_in(data, "next")["explanation"].endswith(
                    "This record is seen, but not yet at every name server of the zone. It is looked up again by "
                    "itself."
                )
                publish(slow, data)
                assert states(verify(api, domain, frozen)) == ["active", "retiring"]

    def test_does_not_wait_for_a_name_server_that_fails(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        publish(dns, rotate(api, domain))
        with DnsServer(host="127.0.0.2", port=dns.port) as lame:
            lame.fail("*", "REFUSED")
            with override_settings(MAIL_DNS_SERVERS=f"{dns.address},{lame.address}"):
                assert states(verify(api, domain, frozen)) == ["active", "retiring"]

    def test_is_watched_although_a_look_was_under_way_when_it_was_made(
        self, api: Api, domain: dict[str, Any], frozen: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        look_at = checking._look_at

        def rotating(domains: list[Domain]) -> Any:
            found = look_at(domains)
            for domain in domains:
                keys.rotate(domain)
            return found

        monkeypatch.setattr(checking, "_look_at", rotating)
        data = verify(api, domain, frozen)

        assert states(data) == ["active", "next"]
        assert data["nextCheckAt"] == "2026-05-12T12:03:00.000Z"

    def test_signs_as_soon_as_it_is_seen(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        rotated = rotate(api, domain)
        publish(dns, rotated)

        data = verify(api, domain, frozen)

        assert selector_in(data, "active") == selector_in(rotated, "next")
        assert selector_in(data, "retiring") == selector_in(rotated, "active")
        assert (record_in(data, "active")["required"], record_in(data, "retiring")["required"]) == (True, False)
        assert [record["purpose"] for record in data["records"]] == ["spf", "dkim", "dmarc", "return_path", "dkim"]
        assert told(workspace) == ["key_created", "key_activated"]
        signed = Signed(make_message(workspace), dns)
        assert (signed.selectors, signed.verifies) == ([selector_in(data, "active")], [True])

    def test_is_seen_without_anybody_asking(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> None:
        publish(dns, rotate(api, domain))
        frozen.shift(MINUTE)

        check_due()

        assert states(api.get(f"{DOMAINS}/{domain['id']}").data) == ["active", "retiring"]

    def test_is_made_once(self, api: Api, domain: dict[str, Any], workspace: Workspace) -> None:
        first, second = rotate(api, domain), rotate(api, domain)

        assert first["keys"] == second["keys"]
        assert told(workspace) == ["key_created"]

    def test_can_be_withdrawn(self, api: Api, domain: dict[str, Any], workspace: Workspace) -> None:
        rotate(api, domain)
        row = Domain.objects.of(workspace.pk).get()

        assert [keys.withdraw(row), keys.withdraw(row)] == [True, False]

        data = api.get(f"{DOMAINS}/{domain['id']}").data
        assert (data["keys"], data["records"]) == (domain["keys"], domain["records"])

    def test_keeps_its_private_half_to_itself(self, api: Api, domain: dict[str, Any], workspace: Workspace) -> None:
        data = rotate(api, domain)

        assert "PRIVATE" not in str(data) + str(stored.everything())
        assert DkimKey.objects.of(workspace.pk).filter(private_sealed="").count() == 0

    @pytest.mark.django_db(transaction=True)
    def test_is_one_however_many_ask_at_once(self, world: World) -> None:
        (data,) = world.owner.api.get(DOMAINS).rows
        call = partial(world.owner.api.post, f"{DOMAINS}/{data['id']}/rotate")

        answers = at_once([call] * 8, workers=threads(8))

        assert {answer.status for answer in answers} == {200}
        assert {selector_in(answer.data, "next") for answer in answers} == {selector_in(answers[0].data, "next")}


class TestRefused:
    def test_while_the_domain_is_not_verified(self, api: Api, world: World) -> None:
        row = make_domain(world.owner.workspace, "new.example", verified=False)
        before = stored.everything()

        answer = api.post(f"{DOMAINS}/{row.pk}/rotate")

        assert (answer.status, answer.code) == (409, "invalid_state")
        assert "verify it first" in answer.body["message"]
        assert stored.everything() == before

    def test_for_a_domain_that_is_never_looked_up(self, api: Api, workspace: Workspace) -> None:
        row = registry.create(workspace.pk, "demo.example")
        registry.trust(row)

        assert api.post(f"{DOMAINS}/{row.pk}/rotate").code == "invalid_state"


class TestTheOldKey:
    @pytest.fixture
    def rotated(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller
    ) -> dict[str, Any]:
        publish(dns, rotate(api, domain))
        return verify(api, domain, frozen)

    def test_is_kept_for_seven_days(self, rotated: dict[str, Any]) -> None:
        assert record_in(rotated, "retiring")["explanation"] == (
            "The old key: keep this record until 2026-05-19 12:02 UTC, for mail that is still on its way."
        )

    def test_goes_on_signing_what_was_accepted_before(
        self,
        api: Api,
        dns: DnsServer,
        domain: dict[str, Any],
        workspace: Workspace,
        frozen: time_machine.Traveller,
    ) -> None:
        message = make_message(workspace)
        before = Signed(message, dns)
        publish(dns, rotate(api, domain))
        verify(api, domain, frozen)

        after = Signed(message, dns)

        assert after.content == before.content
        assert after.verifies == [True]

    def test_signs_no_more_once_its_record_is_gone(
        self,
        api: Api,
        dns: DnsServer,
        domain: dict[str, Any],
        workspace: Workspace,
        frozen: time_machine.Traveller,
    ) -> None:
        message = make_message(workspace)
        publish(dns, rotate(api, domain))
        data = verify(api, domain, frozen)
        dns.remove(record_in(data, "retiring")["name"])

        data = verify(api, domain, frozen)

        assert states(data) == ["active"]
        signed = Signed(message, dns)
        assert (signed.selectors, signed.verifies) == ([selector_in(data, "active")], [True])

    def test_may_go_after_seven_days(
        self,
        api: Api,
        rotated: dict[str, Any],
        dns: DnsServer,
        workspace: Workspace,
        frozen: time_machine.Traveller,
    ) -> None:
        frozen.shift(KEEP_OLD_KEY)

        data = verify(api, rotated, frozen)

        assert states(data) == ["active", "retired"]
        assert record_in(data, "retired")["explanation"] == (
            "The old key is no longer needed: this record may be removed."
        )
        assert told(workspace)[-1] == "key_retired"
        assert DkimKey.objects.of(workspace.pk).get(state="retired").private_sealed == ""
        dns.remove(record_in(data, "retired")["name"])
        assert states(verify(api, data, frozen)) == ["active"]
        assert DomainRecord.objects.of(workspace.pk).count() == 4

    def test_that_cannot_be_looked_up_stays(
        self, api: Api, rotated: dict[str, Any], dns: DnsServer, frozen: time_machine.Traveller
    ) -> None:
        dns.fail(record_in(rotated, "retiring")["name"], "SERVFAIL")

        assert states(verify(api, rotated, frozen)) == ["active", "retiring"]

    def test_signs_no_more_once_another_stands_in_its_place(
        self, api: Api, rotated: dict[str, Any], dns: DnsServer, frozen: time_machine.Traveller
    ) -> None:
        dns.set(record_in(rotated, "retiring")["name"], "TXT", "v=DKIM1; k=rsa; p=QUJD")

        assert states(verify(api, rotated, frozen)) == ["active", "retired"]

    def test_that_was_lost_before_the_new_one_was_seen_signs_nothing(
        self,
        api: Api,
        dns: DnsServer,
        domain: dict[str, Any],
        workspace: Workspace,
        frozen: time_machine.Traveller,
    ) -> None:
        message = make_message(workspace)
        publish(dns, rotate(api, domain))
        dns.remove(record_in(domain, "active")["name"])

        data = verify(api, domain, frozen)

        assert states(data) == ["active", "retired"]
        assert Signed(message, dns).verifies == [True]

    def test_makes_way_for_the_next_rotation(
        self, api: Api, rotated: dict[str, Any], dns: DnsServer, frozen: time_machine.Traveller
    ) -> None:
        publish(dns, rotate(api, rotated))

        assert states(verify(api, rotated, frozen)) == ["active", "retiring", "retiring"]


class TestTheSecondSignature:
    @pytest.fixture
    def twice(self, api: Api, dns: DnsServer, domain: dict[str, Any], frozen: time_machine.Traveller) -> dict[str, Any]:
        answer = api.call("PUT", f"{DOMAINS}/{domain['id']}/second-signature")
        assert answer.status == 200
        publish(dns, answer.data)
        return verify(api, domain, frozen)

    def test_is_off_until_asked_for(self, domain: dict[str, Any], dns: DnsServer, workspace: Workspace) -> None:
        assert [key["algorithm"] for key in domain["keys"]] == ["rsa"]
        assert len(Signed(make_message(workspace), dns).selectors) == 1

    def test_is_made_once_its_record_is_seen(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], workspace: Workspace
    ) -> None:
        data = api.call("PUT", f"{DOMAINS}/{domain['id']}/second-signature").data

        assert [(key["algorithm"], key["state"]) for key in data["keys"]] == [("rsa", "active"), ("ed25519", "next")]
        assert len(Signed(make_message(workspace), dns).selectors) == 1

    def test_stands_beside_the_first_and_both_verify(
        self, dns: DnsServer, twice: dict[str, Any], workspace: Workspace
    ) -> None:
        signed = Signed(make_message(workspace), dns)

        assert signed.selectors == [key["selector"] for key in twice["keys"]]
        assert signed.verifies == [True, True]
        assert twice["dkimStatus"] == "verified"

    def test_is_not_added_to_what_was_accepted_before(
        self, api: Api, dns: DnsServer, domain: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        message = make_message(workspace)
        publish(dns, api.call("PUT", f"{DOMAINS}/{domain['id']}/second-signature").data)
        verify(api, domain, frozen)

        assert len(Signed(message, dns).selectors) == 1

    def test_ends_at_the_first_look_that_misses_its_record(
        self, api: Api, dns: DnsServer, twice: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        (record,) = [record for record in twice["records"] if "ed25519" in record["value"]]
        dns.remove(record["name"])

        data = verify(api, twice, frozen)

        assert (data["status"], data["failingSince"]) == ("verified", None)
        assert len(Signed(make_message(workspace), dns).selectors) == 1
        publish(dns, data)
        verify(api, twice, frozen)
        assert len(Signed(make_message(workspace), dns).selectors) == 2

    def test_that_fails_while_its_successor_waits_ends(
        self, api: Api, dns: DnsServer, twice: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        keys.rotate(Domain.objects.of(workspace.pk).get(), Algorithm.ED25519)
        (record,) = [record for record in twice["records"] if "ed25519" in record["value"]]
        dns.set(record["name"], "TXT", "v=DKIM1; k=ed25519; p=QUJD")

        data = verify(api, twice, frozen)

        assert data["status"] == "verified"
        assert sorted(key["state"] for key in data["keys"]) == ["active", "next", "retired"]
        assert len(Signed(make_message(workspace), dns).selectors) == 1

    def test_rotates_by_itself(
        self, api: Api, dns: DnsServer, twice: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        keys.rotate(Domain.objects.of(workspace.pk).get(), Algorithm.ED25519)
        publish(dns, api.get(f"{DOMAINS}/{twice['id']}").data)

        data = verify(api, twice, frozen)

        assert sorted((key["algorithm"], key["state"]) for key in data["keys"]) == [
            ("ed25519", "active"),
            ("ed25519", "retiring"),
            ("rsa", "active"),
        ]
        assert Signed(make_message(workspace), dns).verifies == [True, True]

    def test_is_left_out_at_once(
        self, api: Api, dns: DnsServer, twice: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
    ) -> None:
        frozen.shift(MINUTE)
        answer = api.delete(f"{DOMAINS}/{twice['id']}/second-signature")

        assert (answer.status, states(answer.data)) == (200, ["active", "retiring"])
        assert len(Signed(make_message(workspace), dns).selectors) == 1

    def test_is_not_made_anew_where_it_is_made_already(self, api: Api, twice: dict[str, Any]) -> None:
        again = api.call("PUT", f"{DOMAINS}/{twice['id']}/second-signature")

        assert (again.status, again.data["keys"]) == (200, twice["keys"])

    def test_of_an_unverified_domain_is_refused(self, api: Api, world: World) -> None:
        row = make_domain(world.owner.workspace, "new.example", verified=False)

        assert api.call("PUT", f"{DOMAINS}/{row.pk}/second-signature").code == "invalid_state"


def test_a_domain_added_anew_signs_what_its_predecessor_left(
    api: Api, dns: DnsServer, domain: dict[str, Any], workspace: Workspace, frozen: time_machine.Traveller
) -> None:
    message = make_message(workspace)
    api.delete(f"{DOMAINS}/{domain['id']}")
    frozen.shift(MINUTE)
    made = api.post(DOMAINS, {"domain": "shop.example"}).data
    publish(dns, made)
    verify(api, made, frozen)
    Message.objects.of(workspace.pk).update(domain_id=made["id"])
    message.refresh_from_db()

    signed = Signed(message, dns)

    assert message.created_at < clock.now() - MINUTE
    assert (signed.selectors, signed.verifies) == ([made["keys"][0]["selector"]], [True])
