"""Webhooks with the packages that customers have installed: their methods, and their verification of what arrived."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.webhooks.services.shift import work
from tests.clients.conftest import Client
from tests.clients.test_published_clients import FROM, UNKNOWN, every_client, refusal
from tests.fakes.web_sink import Got, Say, WebSink

TYPES = ["mail.message.queued"]


@pytest.fixture
def sink(settings: Any) -> Iterator[WebSink]:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.WEBHOOK_RETRY_SCHEDULE = (3600,)
    with WebSink() as running:
        yield running


def send() -> None:
    work(until_idle=True, shift_seconds=60)


def verdict(client: Client, got: Got, secret: str, **changes: Any) -> bool:
    """What the package's own function says of a request."""
    asked = {
        "raw_body": got.body.decode(),
        "signature_header": got.headers["StackShift-Signature"],
        "timestamp_header": got.headers["StackShift-Timestamp"],
        "secret": secret,
        **changes,
    }
    answers = {client(name, **asked) for name in ("verify_webhook_signature", "webhooks.verify_signature")}
    assert len(answers) == 1
    return bool(answers.pop())


@every_client
def test_endpoints_are_made_changed_and_taken_away(
    connect: Callable[..., Client], sink: WebSink, version: str, mount: str
) -> None:
    client = connect(version, mount)
    made = client("webhooks.create", url=sink.url(), event_types=TYPES, description="Orders")
    bare = client("webhooks.create", url="https://hooks.customer.example/", event_types=["mail.message.sent"])

    assert made["secret"].startswith("whsec_")
    assert (made["status"], made["failureCount"], bare["description"]) == ("active", 0, None)
    assert [row["id"] for row in client("webhooks.list")["data"]] == [bare["id"], made["id"]]
    page = client("webhooks.list", limit=1)
    assert client("webhooks.list", limit=1, cursor=page["nextCursor"])["data"][0]["id"] == made["id"]
    changed = client("webhooks.update", made["id"], description="", status="disabled", event_types=["*"])
    assert (changed["description"], changed["status"], changed["eventTypes"]) == (None, "disabled", ["*"])
    assert client("webhooks.get", made["id"]) == changed
    assert client("webhooks.rotate_secret", made["id"])["secret"] != made["secret"]
    assert client("webhooks.delete", made["id"]) in (None, {})
    assert refusal(client, "webhooks.get", made["id"])[0] == 404
    assert refusal(client, "webhooks.get_delivery", UNKNOWN)[0] == 404
    assert refusal(client, "webhooks.create", url="http://10.0.0.1/", event_types=TYPES)[1] == "validation_error"


@every_client
def test_what_arrives_is_verified_delivered_and_retried(
    connect: Callable[..., Client], sink: WebSink, version: str, mount: str
) -> None:
    client = connect(version, mount)
    made = client("webhooks.create", url=sink.url(), event_types=TYPES)
    sink.answering = lambda got: Say(500)
    client("send", from_=FROM, to="ada@example.com", subject="S", text="T")
    send()
    send()
    (failing,) = client("webhooks.deliveries", made["id"], status="retrying", limit=5)["data"]
    sink.answering = lambda got: Say(200)
    assert client("webhooks.retry_delivery", failing["id"])["status"] == "pending"
    send()

    whole = client("webhooks.get_delivery", failing["id"])
    assert (whole["status"], [a["statusCode"] for a in whole["attempts"]]) == ("succeeded", [500, 200])
    assert refusal(client, "webhooks.retry_delivery", failing["id"])[1] == "invalid_state"
    for got in sink.got:
        sent_at = int(got.headers["StackShift-Timestamp"])
        assert verdict(client, got, made["secret"])
        assert verdict(client, got, made["secret"], now=sent_at + 300)
        assert not verdict(client, got, made["secret"], now=sent_at + 301)
        assert not verdict(client, got, made["secret"] + "x")
        assert not verdict(client, got, made["secret"], raw_body=got.body.decode() + " ")


@pytest.mark.parametrize("mount", ["/v1", "/api/v1"])
def test_the_newer_client_replays(connect: Callable[..., Client], sink: WebSink, mount: str) -> None:
    client = connect("1.3.1", mount)
    made = client("webhooks.create", url=sink.url(), event_types=TYPES)
    client("send", from_=FROM, to="ada@example.com", subject="S", text="T")
    send()
    (event,) = client("events.list", type="mail.message.queued")["data"]

    replays = [
        client("webhooks.replay", made["id"], event_ids=[event["id"]], idempotency_key="again-1") for _ in range(2)
    ]
    send()

    assert [replay["idempotencyStatus"] for replay in replays] == ["created", "replayed"]
    assert sink.ids() == [event["id"]] * 2
