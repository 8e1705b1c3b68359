"""Batches by the packages that customers have installed, on both of the server's addresses."""

from collections.abc import Callable
from typing import Any

from apps.workspaces.models import Workspace
from tests.clients.conftest import Client
from tests.clients.test_published_clients import FROM, UNKNOWN, every_client, refusal
from tests.templates.making import make_template

NEWER_FIELDS: dict[str, Any] = {
    "headers": {"X-Campaign": "spring"},
    "tags": {"kind": "news"},
    "stream": "news",
    "tracking": {"opens": False, "clicks": False},
}


@every_client
def test_a_batch_is_sent_and_its_items_can_be_read(
    connect: Callable[..., Client], deliver: Callable[[], None], version: str, mount: str
) -> None:
    client = connect(version, mount)
    letter = {"subject": "Your order", "text": "Thank you."}

    sent = client(
        "batch.send",
        from_=FROM,
        messages=[
            {"to": "ada@example.com", **letter, "idempotencyKey": "welcome:user_123"},
            {"to": [{"email": "grace@example.com", "name": "Grace"}], **letter},
            {"to": "nobody", **letter},
            {"to": "bounce@example.com", **letter},
        ],
    )

    assert (sent["status"], sent["messageCount"], sent["failedCount"]) == ("queued", 4, 1)
    assert [row["status"] for row in sent["items"]] == ["queued", "queued", "failed", "queued"]
    deliver()
    assert client("messages.get", sent["items"][0]["messageId"])["batchId"] == sent["id"]
    if version == "1.3.1":  # the older one sends batches and cannot read them
        whole = client("batch.get", sent["id"])
        assert (whole["status"], whole["sentCount"], whole["failedCount"]) == ("partially_failed", 2, 2)
        assert client("batch.list")["data"] == [whole]
        items = client("batch.items", sent["id"])["data"]
        assert [row["status"] for row in items] == ["sent", "sent", "failed", "bounced"]
        assert items[2]["error"]["code"] == "validation_error"
        assert refusal(client, "batch.get", UNKNOWN)[:2] == (404, "not_found")
        assert refusal(client, "batch.items", UNKNOWN)[:2] == (404, "not_found")
    assert refusal(client, "batch.send", from_=FROM, messages=[])[:2] == (400, "validation_error")


@every_client
def test_a_template_batch_renders_for_each_recipient(connect: Callable[..., Client], version: str, mount: str) -> None:
    client = connect(version, mount)
    template = make_template(Workspace.objects.get(), "news", subject="Hello {{ name }}", html="<p>{{ name }}</p>")
    people = [{"to": f"{name.lower()}@example.com", "data": {"name": name}} for name in ("Ada", "Grace")]

    sent = client(
        "batch.send_template",
        template="news",
        from_=FROM,
        recipients=[*people, {"to": "jean@example.com", "data": {}}],
        **(NEWER_FIELDS if version == "1.3.1" else {}),
    )

    assert (sent["type"], sent["templateId"], sent["messageCount"]) == ("template", str(template.pk), 3)
    ada, grace, jean = sent["items"]
    assert client("messages.get", ada["messageId"])["subject"] == "Hello Ada"
    assert client("messages.get", grace["messageId"])["subject"] == "Hello Grace"
    assert (jean["status"], jean["error"]["code"]) == ("failed", "missing_variables")
    unknown = {"from_": FROM, "recipients": people, "template": "unknown"}
    assert refusal(client, "batch.send_template", **unknown)[:2] == (404, "not_found")
