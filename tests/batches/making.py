"""Batches as callers send them, and what must hold of every batch."""

from typing import Any
from uuid import UUID

from apps.workspaces.models import Workspace
from tests.client import Api
from tests.factories import make_key

BATCH = "/v1/mail/batch"
TEMPLATE_BATCH = "/v1/mail/batch-template"
BATCHES = "/v1/mail/batches"
FROM = "shop@shop.example"
COUNTS = ("queuedCount", "sentCount", "failedCount", "suppressedCount")


def item(number: int = 0, **changes: Any) -> dict[str, Any]:
    """One message without a sender; None leaves a field out."""
    body = {"to": f"r{number}@example.com", "subject": f"Order {number}", "text": f"Thank you, {number}."} | changes
    return {name: value for name, value in body.items() if value is not None}


def batch(*items: Any, **changes: Any) -> dict[str, Any]:
    body = {"from": FROM, "messages": list(items)} | changes
    return {name: value for name, value in body.items() if value is not None}


def template_batch(*recipients: Any, **changes: Any) -> dict[str, Any]:
    body = {"template": "welcome", "from": FROM, "recipients": list(recipients)} | changes
    return {name: value for name, value in body.items() if value is not None}


def make_batch(workspace: Workspace) -> UUID:
    """The id of a batch of two, one of which was refused."""
    answer = Api(make_key(workspace)[1]).post(BATCH, batch(item(0), item(1, to="nobody")))
    return UUID(answer.data["id"])


def read(api: Api, batch_id: str) -> dict[str, Any]:
    """The batch, once it is sure that it adds up to its items."""
    whole: dict[str, Any] = api.get(f"{BATCHES}/{batch_id}").data
    items = read_items(api, batch_id)
    assert [row["index"] for row in items] == list(range(whole["messageCount"]))
    assert sum(whole[name] for name in COUNTS) == whole["messageCount"]
    states = [row["status"] for row in items]
    assert whole["queuedCount"] == sum(state in {"queued", "sending", "deferred"} for state in states)
    assert whole["sentCount"] == states.count("sent")
    assert whole["failedCount"] == sum(state in {"failed", "bounced"} for state in states)
    assert whole["suppressedCount"] == states.count("suppressed")
    assert (whole["completedAt"] is None) == (whole["queuedCount"] > 0)
    return whole


def read_items(api: Api, batch_id: str, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.get(f"{BATCHES}/{batch_id}/items", query | ({"cursor": cursor} if cursor else {}))
        assert page.status == 200, page.body
        rows += page.rows
        cursor = page.data["nextCursor"]
        if cursor is None:
            return rows
