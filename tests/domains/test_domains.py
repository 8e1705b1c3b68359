"""Adding, listing, showing and removing sender domains."""

import re
from typing import Any

import pytest
import time_machine
from django.test import override_settings

from apps.core.crypto import unseal
from apps.domains.models import DkimKey, DomainRecord, ReturnPathLabel
from apps.events.models import Event
from apps.protocols import dkim
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import DOMAINS, SEND, Api, mail
from tests.conftest import World
from tests.domains.conftest import record_of
from tests.factories import make_domain, private_key

STAMP = "2026-05-12T12:00:00.000Z"
REFUSED = [
    *("", " ", "a", "com", "co.uk", "github.io", "localhost", "127.0.0.1", "[::1]", "::1", "0x7f.1", "1.2"),
    *("*.ex.example", "_dmarc.ex.example", "ex.example/", "https://ex.example", "ex.example:25", "user@ex.example"),
    *("ex..example", ".ex.example", "-ex.example", "ex-.example", f"{'a' * 64}.example", "ex.local", "ex.invalid"),
    *(
        " ex.example",
        "ex.example ",
        "ex .example",
        "ex.example\r\n",
        "ex.example\n",
        "ex.example..",
        "e\u00adx.example",
    ),
    *("xn--", "xn--a.example", "ab--cd.example", "ex\u2028.example", "ex。。example", "☃\u0301.\u200d", "a," * 400),
    ".".join(["a" * 60] * 4) + ".example.org",  # 255 characters
]
SAME_NAME = ["ex.example", "EX.example", "ex.example.", "ＥＸ.example", "Ex.Example"]


@pytest.fixture(autouse=True)
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a key takes a tenth of a second; apps.protocols.dkim has tests of its own."""
    key = private_key()
    monkeypatch.setattr("apps.domains.services.registry.dkim.generate_rsa", lambda: key)


class TestCreate:
    def test_shows_the_records_to_publish(self, api: Api, workspace: Workspace, frozen: time_machine.Traveller) -> None:
        with override_settings(
            MAIL_SPF_INCLUDE="spf.platform.example", MAIL_RETURN_PATH_HOST="return.platform.example"
        ):
            answer = api.post(DOMAINS, {"domain": "ex.example"})

        data = answer.data
        selector = record_of(data, "dkim")["name"].removesuffix("._domainkey.ex.example")
        assert answer.status == 201
        (key,) = data["keys"]
        assert key == {
            "selector": selector,
            "algorithm": "rsa",
            "state": "active",
            "activatedAt": STAMP,
            "retiresAt": None,
        }
        label = ReturnPathLabel.objects.get(workspace_id=workspace.pk).label
        assert re.fullmatch(r"rp[0-9a-f]{20}", label)
        assert data == {
            "id": data["id"],
            "domain": "ex.example",
            "status": "pending",
            "spfStatus": "pending",
            "dkimStatus": "pending",
            "dmarcStatus": "pending",
            "returnPathStatus": "pending",
            "managedDns": False,
            "createdAt": STAMP,
            "updatedAt": STAMP,
            "verifiedAt": None,
            "lastCheckedAt": None,
            "nextCheckAt": "2026-05-12T12:01:00.000Z",
            "failingSince": None,
            "sendingStopsAt": None,
            "keys": [key],
            "records": [
                _record("spf", "TXT", "ex.example", "v=spf1 include:spf.platform.example ~all"),
                _record("dkim", "TXT", f"{selector}._domainkey.ex.example", dkim.public_record(private_key())),
                _record("dmarc", "TXT", "_dmarc.ex.example", "v=DMARC1; p=none;", required=False),
                _record("return_path", "CNAME", "bounces.ex.example", f"{label}.return.platform.example"),
            ],
        }

    @override_settings(MAIL_DMARC_REQUIRED=True)
    def test_asks_for_dmarc_where_it_is_required(self, api: Api) -> None:
        assert record_of(api.post(DOMAINS, {"domain": "ex.example"}).data, "dmarc")["required"] is True

    def test_keeps_the_private_key_to_itself(self, api: Api, workspace: Workspace) -> None:
        domain_id = api.post(DOMAINS, {"domain": "ex.example"}).data["id"]

        key = DkimKey.objects.of(workspace.pk).get(domain_id=domain_id)
        assert unseal(key.private_sealed, bound_to=f"dkim:{key.pk}") == private_key()
        dump = str(stored.everything()) + str(api.get(f"{DOMAINS}/{domain_id}").body)
        assert "PRIVATE KEY" not in dump
        assert private_key().splitlines()[1] not in dump

    def test_is_told_as_an_event(self, api: Api, workspace: Workspace) -> None:
        domain_id = api.post(DOMAINS, {"domain": "ex.example"}).data["id"]

        event = Event.objects.of(workspace.pk).get()
        assert (event.type, event.resource_type, str(event.resource_id)) == ("mail.domain.created", "domain", domain_id)
        assert event.data == {"domain": "ex.example", "status": "pending"}

    @pytest.mark.parametrize("spelling", SAME_NAME)
    def test_has_one_row_for_every_spelling(self, api: Api, workspace: Workspace, spelling: str) -> None:
        assert api.post(DOMAINS, {"domain": spelling}).data["domain"] == "ex.example"
        before = stored.everything()

        answer = api.post(DOMAINS, {"domain": "ex.example"})

        assert (answer.status, answer.code) == (409, "conflict")
        assert answer.body["error"]["details"] == {"domain": "ex.example"}
        assert stored.everything() == before

    @pytest.mark.parametrize(
        "spelling", ["bücher.example", "BÜCHER.example", "bu\u0308cher.example", "xn--bcher-kva.example"]
    )
    def test_stores_a_labels(self, api: Api, spelling: str) -> None:
        assert api.post(DOMAINS, {"domain": spelling}).data["domain"] == "xn--bcher-kva.example"

    @pytest.mark.parametrize("name", REFUSED, ids=lambda name: repr(name[:30]))
    def test_refuses_what_is_no_domain_of_ones_own(self, api: Api, name: str) -> None:
        before = stored.everything()

        answer = api.post(DOMAINS, {"domain": name})

        assert (answer.status, list(answer.fields)) == (400, ["domain"])
        assert stored.everything() == before

    @pytest.mark.parametrize(("length", "status"), [(228, 201), (229, 201), (230, 400), (253, 400), (254, 400)])
    def test_leaves_room_for_the_name_of_the_key(self, api: Api, length: int, status: int) -> None:
        name = ".".join(["a" * 60, "b" * 60, "c" * 60, "d" * (length - 191), "example"])

        answer = api.post(DOMAINS, {"domain": name})

        assert answer.status == status
        assert status == 201 or list(answer.fields) == ["domain"]

    @pytest.mark.parametrize(
        "body", [{}, {"domain": None}, {"domain": 1}, {"domain": ["ex.example"]}, {"domain": {}}, {"domain": True}]
    )
    def test_refuses_what_is_no_text(self, api: Api, body: dict[str, Any]) -> None:
        answer = api.post(DOMAINS, body)

        assert (answer.status, list(answer.fields)) == (400, ["domain"])

    @pytest.mark.parametrize("extra", ["selector", "dkimSelector", "workspaceId", "status", "verifiedAt"])
    def test_lets_nobody_choose_what_is_ours_to_choose(self, api: Api, extra: str) -> None:
        answer = api.post(DOMAINS, {"domain": "ex.example", extra: "../x"})

        assert (answer.status, answer.fields) == (400, {extra: ["unknown field"]})

    @override_settings(
        MAIL_HELO_HOST="mail.platform.example",
        MAIL_RETURN_PATH_HOST="bounces.platform.example",
        MAIL_INBOUND_HOST="inbound.platform.example",
        MAIL_SPF_INCLUDE="spf.platform.example",
    )
    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("mail.platform.example", 400),
            ("MAIL.platform.example.", 400),
            ("bounces.platform.example", 400),
            ("inbound.platform.example", 400),
            ("platform.example", 201),
            ("news.platform.example", 201),
        ],
    )
    def test_refuses_the_names_of_this_server(self, api: Api, name: str, status: int) -> None:
        assert api.post(DOMAINS, {"domain": name}).status == status

    def test_lets_two_workspaces_try_for_one_domain(self, world: World) -> None:
        ours = world.owner.api.post(DOMAINS, {"domain": "ex.example"})
        theirs = world.stranger.api.post(DOMAINS, {"domain": "ex.example"})

        assert (ours.status, theirs.status) == (201, 201)
        assert record_of(ours.data, "dkim")["name"] != record_of(theirs.data, "dkim")["name"]

    def test_of_a_domain_that_another_has_verified_says_nothing_of_it(self, world: World) -> None:
        answer = world.stranger.api.post(DOMAINS, {"domain": "shop.example"})

        assert (answer.status, answer.data["status"]) == (201, "pending")


class TestRead:
    def test_lists_newest_first(self, api: Api) -> None:
        for name in ("a.example", "b.example"):
            api.post(DOMAINS, {"domain": name})

        assert [row["domain"] for row in api.get(DOMAINS).rows] == ["b.example", "a.example", "shop.example"]

    def test_lists_a_hundred_unless_asked(self, api: Api, workspace: Workspace) -> None:
        for number in range(101):
            make_domain(workspace, f"d{number}.example")

        page = api.get(DOMAINS)

        assert len(page.rows) == 100
        assert len(api.get(DOMAINS, {"cursor": page.data["nextCursor"]}).rows) == 2

    def test_shows_one_as_it_was_made(self, api: Api) -> None:
        made = api.post(DOMAINS, {"domain": "ex.example"}).data

        assert api.get(f"{DOMAINS}/{made['id']}").data == made

    @pytest.mark.parametrize("query", ["status=verified", "domain=ex.example", "ordering=name"])
    def test_refuses_unknown_parameters(self, api: Api, query: str) -> None:
        assert api.get(f"{DOMAINS}?{query}").status == 400


class TestDelete:
    def test_removes_the_domain_its_records_and_its_key(self, api: Api, workspace: Workspace) -> None:
        domain_id = api.post(DOMAINS, {"domain": "ex.example"}).data["id"]

        answer = api.delete(f"{DOMAINS}/{domain_id}")

        assert (answer.status, answer.body) == (204, None)
        assert api.get(f"{DOMAINS}/{domain_id}").status == 404
        assert DkimKey.objects.of(workspace.pk).filter(domain_id=domain_id).count() == 0
        assert DomainRecord.objects.of(workspace.pk).filter(domain_id=domain_id).count() == 0

    def test_is_told_as_an_event(self, api: Api, workspace: Workspace) -> None:
        domain_id = api.get(DOMAINS).rows[0]["id"]

        api.delete(f"{DOMAINS}/{domain_id}")

        event = Event.objects.of(workspace.pk).get()
        assert (event.type, str(event.resource_id)) == ("mail.domain.deleted", domain_id)

    def test_is_not_found_the_second_time(self, api: Api) -> None:
        domain_id = api.get(DOMAINS).rows[0]["id"]

        assert [api.delete(f"{DOMAINS}/{domain_id}").status for _ in range(2)] == [204, 404]

    def test_stops_sending(self, api: Api) -> None:
        api.delete(f"{DOMAINS}/{api.get(DOMAINS).rows[0]['id']}")

        assert api.post(SEND, mail()).code == "domain_not_verified"

    def test_leaves_the_mail_that_was_accepted(self, api: Api) -> None:
        message_id = api.post(SEND, mail()).data["id"]

        api.delete(f"{DOMAINS}/{api.get(DOMAINS).rows[0]['id']}")

        assert api.get(f"/v1/mail/messages/{message_id}").data["status"] == "queued"

    def test_lets_it_be_added_anew_with_another_selector(self, api: Api) -> None:
        first = api.post(DOMAINS, {"domain": "ex.example"}).data
        api.delete(f"{DOMAINS}/{first['id']}")

        second = api.post(DOMAINS, {"domain": "ex.example"}).data

        assert second["id"] != first["id"]
        assert record_of(second, "dkim")["name"] != record_of(first, "dkim")["name"]


def _record(purpose: str, kind: str, name: str, value: str, *, required: bool = True) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "type": kind,
        "name": name,
        "value": value,
        "status": "pending",
        "required": required,
        "explanation": None,
        "diagnosis": None,
        "found": [],
        "cachedUntil": None,
        "keyState": "active" if purpose == "dkim" else None,
        "ttl": 300,
        "priority": None,
    }
