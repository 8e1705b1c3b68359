"""Mail for inbound domains is stored once for each recipient with all that was in it, and shown to its owner."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client

from apps.assets.services import library
from apps.inbound.models import InboundMessage
from apps.inbound.services import domains
from tests import stored
from tests.client import EVENTS, Api
from tests.conftest import World
from tests.fakes.dns_server import DnsServer
from tests.inbound.conftest import Doors
from tests.inbound.mail import DOMAINS, INBOUND, MESSAGES, NAME, RAW, make_inbound_domain, make_inbound_message

TO = f"info@{NAME}"


@pytest.fixture(autouse=True)
def dns(settings: LazySettings) -> Iterator[DnsServer]:
    with DnsServer() as server:
        settings.MAIL_DNS_SERVERS = server.address
        yield server


@pytest.fixture(autouse=True)
def inbound_domain(world: World) -> None:
    make_inbound_domain(world.owner.workspace)


def fetched(api: Api, path: str) -> tuple[int, bytes, dict[str, str]]:
    answer = Client().get(path, headers={"Authorization": f"Bearer {api.key}"})
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[arg-type]
    return answer.status_code, content, dict(answer.headers)


def test_it_is_readable_at_once_with_all_that_was_in_it(doors: Doors, api: Api) -> None:
    answer = doors.post(INBOUND, RAW, TO, sender="ann@a.example")

    assert answer.status == 202
    message = api.get(f"{MESSAGES}/{answer.data['id']}").data
    assert message["subject"] == "Where is my order? ☕"
    assert message["from"] == {"email": "ann@a.example", "name": "Grüß Ann"}
    assert message["to"] == [{"email": TO, "name": "Shop"}]
    assert message["cc"] == [{"email": "bob@b.example", "name": None}]
    assert (message["recipient"], message["sender"]) == (TO, "ann@a.example")
    assert message["text"] == "Where is it?"
    assert message["html"] == "<p>Where <script>alert(1)</script>is it?</p>"
    assert (message["rfcMessageId"], message["size"]) == ("1@a.example", len(RAW))
    assert {"name": "message-id", "value": "<1@a.example>"} in message["headers"]
    # What the sender claims to have checked is not taken for our own checks.
    assert "dmarc=pass" not in str(message["headers"])
    assert (message["spf"], message["dkim"], message["dmarc"]) == ("none", "none", "none")
    assert (message["isAutomatic"], message["parseError"]) == (False, None)
    (row,) = api.get(MESSAGES).rows
    assert row == {name: message[name] for name in row}
    assert "text" not in row


def test_its_files_are_assets_and_downloads(doors: Doors, api: Api) -> None:
    identifier = doors.post(INBOUND, RAW, TO).data["id"]

    html, empty = api.get(f"{MESSAGES}/{identifier}/attachments").rows

    assert (html["filename"], html["contentType"], html["size"]) == ("x.html", "text/html", 3)
    status, content, headers = fetched(api, f"{MESSAGES}/{identifier}/attachments/{html['id']}")
    assert (status, content) == (200, b"<b>")
    # Whatever the sender calls it, a browser keeps it and does not open it.
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["Content-Security-Policy"].startswith("sandbox")
    asset = api.get(f"/api/v1/assets/{html['assetId']}").data
    assert (asset["original_name"], asset["size"], asset["visibility"]) == ("x.html", 3, "private")
    assert (empty["filename"], empty["assetId"], empty["size"]) == ("empty.pdf", None, 0)
    assert fetched(api, f"{MESSAGES}/{identifier}/attachments/{empty['id']}")[:2] == (200, b"")


def test_a_deleted_asset_leaves_the_mail_and_says_so(doors: Doors, api: Api, world: World) -> None:
    identifier = doors.post(INBOUND, RAW, TO).data["id"]
    file = api.get(f"{MESSAGES}/{identifier}/attachments").rows[0]
    library.delete(world.owner.workspace.pk, UUID(file["assetId"]))

    assert fetched(api, f"{MESSAGES}/{identifier}/attachments/{file['id']}")[0] == 404
    assert api.get(f"{MESSAGES}/{identifier}").data["attachments"][0] == file


def test_the_event_tells_and_holds_no_text(doors: Doors, api: Api) -> None:
    identifier = doors.post(INBOUND, RAW, TO).data["id"]

    (event,) = api.get(EVENTS, {"type": "mail.inbound.received"}).rows

    assert (event["resourceType"], event["resourceId"]) == ("inbound_message", identifier)
    assert event["data"]["recipient"] == TO
    assert event["data"]["attachmentCount"] == 2
    assert "Where is it?" not in str(event)


def test_the_same_mail_is_stored_once_for_each_recipient(doors: Doors, api: Api) -> None:
    first = doors.post(INBOUND, RAW, TO)
    before = stored.everything()
    again = doors.post(INBOUND, RAW, f"INFO@{NAME.upper()}")
    assert (again.status, again.data["id"]) == (202, first.data["id"])
    assert stored.everything() == before

    other = doors.post(INBOUND, RAW, f"sales+eu@{NAME}")
    other_text = doors.post(INBOUND, RAW.replace(b"Where is it?", b"Here it is."), TO)
    other_id = doors.post(INBOUND, RAW.replace(b"<1@a.example>", b"<2@a.example>"), TO)

    assert len({answer.data["id"] for answer in (first, other, other_text, other_id)}) == 4
    assert api.get(MESSAGES, {"recipient": f"sales+eu@{NAME}"}).rows[0]["id"] == other.data["id"]


@pytest.mark.django_db(transaction=True)
def test_the_same_mail_at_once_is_stored_once(doors: Doors, world: World) -> None:
    def hand_in(_: int) -> str:
        try:
            return str(doors.post(INBOUND, RAW, TO).data["id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(hand_in, range(8)))

    assert len(ids) == 1
    assert InboundMessage.objects.of(world.owner.workspace.pk).count() == 1


@pytest.mark.parametrize(
    "recipient",
    ["info@elsewhere.example", "info", "", "@", f"@{NAME}", "a b@x", f"info@sub.{NAME}", f"<>@{NAME}", "x" * 320],
)
def test_a_recipient_that_is_nobodys_is_refused(doors: Doors, recipient: str) -> None:
    before = stored.everything()

    answer = doors.post(INBOUND, RAW, recipient or " ")

    assert (answer.status, answer.code) == ((404, "not_found") if recipient else (400, "validation_error"))
    assert stored.everything() == before


def test_of_several_recipients_the_known_ones_get_it(doors: Doors, world: World) -> None:
    make_inbound_domain(world.stranger.workspace, "in.stranger.example")

    answer = doors.post(INBOUND, RAW, [TO, "x@elsewhere.example", "a@in.stranger.example"])

    told = {one["recipient"]: one["id"] for one in answer.data["recipients"]}
    assert told["x@elsewhere.example"] is None
    assert world.owner.api.get(MESSAGES).rows[0]["id"] == told[TO] == answer.data["id"]
    assert world.stranger.api.get(MESSAGES).rows[0]["id"] == told["a@in.stranger.example"]
    assert world.stranger.api.get(f"{MESSAGES}/{told[TO]}").status == 404


def test_only_domains_that_are_verified_receive(doors: Doors, world: World) -> None:
    domains.create(world.owner.workspace.pk, "new.shop.example")

    assert doors.post(INBOUND, RAW, "a@new.shop.example").status == 404


def test_a_disabled_or_deleted_domain_receives_nothing_more(doors: Doors, api: Api, world: World) -> None:
    domain = make_inbound_domain(world.owner.workspace, "off.shop.example")
    domains.disable(domain)
    assert doors.post(INBOUND, RAW, "a@off.shop.example").status == 404
    domains.enable(domain)
    kept = doors.post(INBOUND, RAW, "a@off.shop.example").data["id"]

    assert api.delete(f"{DOMAINS}/{domain.pk}").status == 204

    assert doors.post(INBOUND, RAW, "b@off.shop.example").status == 404
    assert api.get(f"{MESSAGES}/{kept}").status == 200


def test_a_name_in_many_scripts_and_a_bounce_are_taken(doors: Doors, api: Api, world: World) -> None:
    make_inbound_domain(world.owner.workspace, "bücher.example")

    answer = doors.post(INBOUND, RAW, "grüße@bücher.example", sender="")

    message = api.get(f"{MESSAGES}/{answer.data['id']}").data
    assert (message["recipient"], message["sender"]) == ("grüße@xn--bcher-kva.example", None)


def test_what_cannot_be_taken_apart_is_kept_whole(doors: Doors, api: Api) -> None:
    raw = RAW.replace(b"--b--\r\n", b"") + b"--b\r\n\r\nx\r\n" * 2_000

    message = api.get(f"{MESSAGES}/{doors.post(INBOUND, raw, TO).data['id']}").data

    assert "more than 1000 parts" in message["parseError"]
    assert (message["subject"], message["text"]) == ("Where is my order? ☕", None)
    (whole,) = message["attachments"]
    assert (whole["filename"], whole["size"]) == ("message.eml", len(raw))
    assert fetched(api, f"{MESSAGES}/{message['id']}/attachments/{whole['id']}")[1] == raw


@pytest.mark.parametrize("raw", [b"\0" * 100_000, b"\xff" * 25_000, b"no header", b"Subject: \xed\xa0\x80\0\r\n\r\n\0"])
def test_anything_is_stored(doors: Doors, api: Api, raw: bytes) -> None:
    answer = doors.post(INBOUND, raw, TO)

    assert answer.status == 202
    assert api.get(f"{MESSAGES}/{answer.data['id']}").data["size"] == len(raw)


def test_a_file_that_is_large_comes_whole(doors: Doors, api: Api) -> None:
    content = bytes(range(256)) * 8_000
    encoded = base64.encodebytes(content)
    raw = b'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + encoded

    message = api.get(f"{MESSAGES}/{doors.post(INBOUND, raw, TO).data['id']}").data

    (file,) = message["attachments"]
    assert fetched(api, f"{MESSAGES}/{message['id']}/attachments/{file['id']}")[1] == content


class TestOrigin:
    def test_spf_and_dmarc_are_checked_by_what_the_mta_saw(self, doors: Doors, api: Api, dns: DnsServer) -> None:
        dns.set("a.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")
        dns.set("_dmarc.a.example", "TXT", "v=DMARC1; p=quarantine")

        answer = doors.post(INBOUND, RAW, TO, sender="ann@a.example", clientAddress="192.0.2.1", helo="mx.a.example")

        message = api.get(f"{MESSAGES}/{answer.data['id']}").data
        assert (message["spf"], message["dkim"], message["dmarc"]) == ("pass", "none", "pass")
        told = message["authentication"]
        assert told["spf"] == {"result": "pass", "domain": "a.example", "reason": "a.example: ip4:192.0.2.1"}
        assert told["policy"] == "quarantine"

    def test_who_may_not_send_fails(self, doors: Doors, api: Api, dns: DnsServer) -> None:
        dns.set("a.example", "TXT", "v=spf1 -all")
        dns.set("_dmarc.a.example", "TXT", "v=DMARC1; p=reject")

        answer = doors.post(INBOUND, RAW, TO, sender="ann@a.example", clientAddress="192.0.2.1")

        message = api.get(f"{MESSAGES}/{answer.data['id']}").data
        assert (message["spf"], message["dmarc"]) == ("fail", "fail")


def test_lists_ask_as_often_whatever_their_length(
    doors: Doors, api: Api, django_assert_max_num_queries: object, world: World
) -> None:
    for number in range(5):
        make_inbound_message(world.owner.workspace, RAW + str(number).encode())

    with django_assert_max_num_queries(4):  # type: ignore[operator]
        rows = api.get(MESSAGES).rows

    assert len(rows) == 5
    assert all(len(row["attachments"]) == 2 for row in rows)


def test_attachments_are_read_page_by_page(doors: Doors, api: Api) -> None:
    identifier = doors.post(INBOUND, RAW, TO).data["id"]
    path = f"{MESSAGES}/{identifier}/attachments"

    first = api.get(path, {"limit": 1})
    second = api.get(path, {"limit": 1, "cursor": first.data["nextCursor"]})

    assert [*first.rows, *second.rows] == api.get(path).rows
    assert (first.data["hasMore"], second.data["nextCursor"]) == (True, None)
