"""Inbound domains and mail, and bounces of a message, with the packages that customers have installed."""

from collections.abc import Callable

from apps.inbound.services import letters, reports
from apps.inbound.services.arrival import Arrival
from apps.inbound.states import Door
from apps.messages.models import Message
from apps.protocols.authentication.types import Origin
from tests.clients.conftest import Client
from tests.clients.test_published_clients import UNKNOWN, every_client, refusal
from tests.inbound.mail import NAME, RAW, publish
from tests.inbound.making import dsn, return_path
from tests.journeys.rig import SENDER, Platform


@every_client
def test_a_domain_is_added_verified_and_receives(
    connect: Callable[..., Client], server: Platform, settings: object, version: str, mount: str
) -> None:
    client = connect(version, mount, domain="")
    domain = client("inbound.domains.create", NAME)
    assert (domain["domain"], domain["status"]) == (NAME, "pending")
    assert {record["type"] for record in domain["records"]} == {"MX", "TXT"}
    publish(server.dns, domain)

    assert client("inbound.domains.verify", domain["id"])["status"] == "verified"
    assert [row["id"] for row in client("inbound.domains.list")["data"]] == [domain["id"]]
    settings.MAIL_DNS_SERVERS = server.dns.address  # type: ignore[attr-defined]
    (identifier,) = letters.take(Arrival(RAW, (f"info@{NAME}",)), Origin()).values()

    (row,) = client("inbound.messages.list")["data"]
    assert (row["id"], row["subject"]) == (str(identifier), "Where is my order? ☕")
    assert client("inbound.messages.get", row["id"])["text"] == "Where is it?"
    assert refusal(client, "inbound.messages.get", UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "inbound.domains.verify", UNKNOWN)[:2] == (404, "not_found")


@every_client
def test_a_late_bounce_is_among_those_of_its_message(
    connect: Callable[..., Client], deliver: Callable[[], None], version: str, mount: str
) -> None:
    client = connect(version, mount)
    sent = client("send", from_=f"shop@{SENDER}", to="ada@example.com", subject="Hello", text="Hello")
    deliver()
    message = Message.objects.across_workspaces().get(pk=sent["id"])
    assert message.status == "sent"

    reports.take(Door.BOUNCES, Arrival(dsn(message), (return_path(message),)))

    (bounce,) = client("messages.bounces", sent["id"])["data"]
    assert (bounce["email"], bounce["type"], bounce["source"]) == ("ada@example.com", "hard", "dsn")
    assert client("messages.get", sent["id"])["status"] == "bounced"
