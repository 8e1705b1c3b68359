"""The packages that customers have installed drive this server, on both of its addresses."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.conftest import MOUNTS, VERSIONS, ApiError, Client
from tests.journeys.rig import SENDER, Platform

every_client = pytest.mark.parametrize(
    ("version", "mount"), [(version, mount) for version in VERSIONS for mount in MOUNTS]
)
FROM = f"Shop <shop@{SENDER}>"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@every_client
def test_every_form_of_send_is_taken_and_can_be_read_again(
    connect: Callable[..., Client], deliver: Callable[[], None], version: str, mount: str
) -> None:
    client = connect(version, mount)
    letter: dict[str, Any] = {"from_": FROM, "subject": "Your order", "text": "Thank you."}
    sent = [
        client("send", to="ada@example.com", **letter),
        client("send", to=["ada@example.com", "grace@example.com"], **letter),
        client("send", to=[{"email": "ada@example.com", "name": "Ada"}], **letter),
        client("send", to="bounce@example.com", **letter),
        client(
            "send",
            from_={"email": f"shop@{SENDER}", "name": "Shop"},
            to="ada@example.com",
            cc=["cc@example.com"],
            bcc=[{"email": "bcc@example.com"}],
            reply_to={"email": "help@example.com", "name": "Help"},
            subject="Everything",
            html="<p>Thank you.</p>",
            text="Thank you.",
            idempotency_key="receipt_12345_v1",
            **(NEWER_FIELDS if version == "1.3.1" else {}),
        ),
    ]
    for answer in sent:
        assert answer["id"]
        assert answer["status"] == "queued"
    assert [answer["idempotencyStatus"] for answer in sent] == [*["none"] * 4, "created"]
    deliver()

    whole = client("messages.get", sent[4]["id"])
    assert whole["status"] == "sent"
    assert whole["from"] == {"email": f"shop@{SENDER}", "name": "Shop"}
    assert [row["email"] for kind in ("to", "cc", "bcc") for row in whole[kind]] == [
        *("ada@example.com", "cc@example.com", "bcc@example.com")
    ]
    assert whole["replyTo"] == {"email": "help@example.com", "name": "Help"}
    assert len(client("messages.attempts", sent[4]["id"])["data"]) == 3
    assert client("messages.logs", sent[0]["id"])["data"][0]["level"] == "info"
    timeline = client("messages.timeline", sent[0]["id"])["data"]
    assert [item["type"] for item in timeline] == [f"mail.message.{step}" for step in ("queued", "sending", "sent")]
    (bounce,) = client("messages.bounces", sent[3]["id"])["data"]
    assert (bounce["type"], bounce["email"]) == ("hard", "bounce@example.com")
    assert client("messages.get", sent[3]["id"])["status"] == "bounced"


NEWER_FIELDS = {
    "headers": {"X-Order": "12345"},
    "tags": {"kind": "receipt"},
    "stream": "receipts",
    "tracking": {"opens": False, "clicks": False},
}


@every_client
def test_lists_are_filtered_and_walked_page_by_page(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    ids = [client("send", from_=FROM, to=f"r{n % 2}@example.com", subject="S", text="T")["id"] for n in range(5)]

    pages, cursor = [], None
    for _ in range(5):
        page = client("messages.list", limit=2, cursor=cursor)
        pages.append([message["id"] for message in page["data"]])
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    to_one = client("messages.list", to="r1@example.com", status="queued", from_=f"shop@{SENDER}")
    assert [message["id"] for message in to_one["data"]] == [ids[3], ids[1]]
    assert client("messages.list", status="sent")["data"] == []

    events = client("events.list", type="mail.message.queued", message_id=ids[2])["data"]
    assert [event["resourceId"] for event in events] == [ids[2]]
    assert client("events.get", events[0]["id"]) == events[0]
    assert client("events.list", resource_type="message", limit=3)["nextCursor"] is not None
    assert client("events.list", from_="2100-01-01T00:00:00Z")["data"] == []
    limits = client("limits.get")
    assert limits["dailyUsed"] == 5
    assert limits["tier"]


@every_client
def test_a_domain_is_added_verified_and_removed(
    connect: Callable[..., Client], server: Platform, version: str, mount: str
) -> None:
    client = connect(version, mount, domain="")
    domain = client("domains.create", "new.example")
    assert domain["status"] == "pending"
    assert client("domains.verify", domain["id"])["status"] == "pending"
    for record in domain["records"]:
        ending = "." if record["type"] == "CNAME" else ""
        server.dns.set(record["name"], record["type"], record["value"] + ending)

    verified = client("domains.verify", domain["id"])
    names = ("status", "spfStatus", "dkimStatus", "dmarcStatus", "returnPathStatus")
    assert {verified[name] for name in names} == {"verified"}
    assert client("domains.get", domain["id"]) == verified
    assert client("domains.list")["data"] == [verified]
    assert client("domains.delete", domain["id"]) is None
    assert client("domains.list")["data"] == []


@every_client
def test_refusals_arrive_as_the_clients_own_error(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    letter = {"from_": FROM, "to": "ada@example.com", "subject": "S", "text": "T"}
    client("send", **letter, idempotency_key="same")

    assert refusal(client, "messages.get", UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "domains.get", UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "domains.create", SENDER)[:2] == (409, "conflict")
    other_text = letter | {"text": "Something else"}
    assert refusal(client, "send", **other_text, idempotency_key="same")[:2] == (409, "idempotency_conflict")
    unknown = letter | {"from_": "shop@unknown.example"}
    assert refusal(client, "send", **unknown)[:2] == (403, "domain_not_verified")
    status, code, details = refusal(client, "send", **(letter | {"to": "nobody"}))
    assert (status, code) == (400, "validation_error")
    assert list(details["fields"]) == ["to"]
    stranger = connect(version, mount, domain="", own_key="sspat_" + "x" * 48)
    assert refusal(stranger, "limits.get")[:2] == (401, "unauthorized")


def refusal(client: Client, name: str, /, *positional: Any, **named: Any) -> tuple[int, str | None, Any]:
    with pytest.raises(ApiError) as caught:
        client(name, *positional, **named)
    assert caught.value.message
    return caught.value.status_code, caught.value.code, caught.value.details


@every_client
def test_a_repeated_send_with_its_key_is_one_message(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    letter = {
        "from_": FROM,
        "to": "ada@example.com",
        "subject": "S",
        "text": "T",
        "idempotency_key": "welcome:user_123",
    }

    first, second = client("send", **letter), client("send", **letter)

    assert (first["idempotencyStatus"], second["idempotencyStatus"]) == ("created", "replayed")
    assert first["id"] == second["id"]
    assert len(client("messages.list")["data"]) == 1
