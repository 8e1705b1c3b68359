"""What a caller is told about an accepted message, and what stands in the database from then on."""

import re
from datetime import UTC, datetime

import time_machine

from apps.events.models import Event
from apps.messages.models import Message, MessageContent, Recipient
from apps.workspaces.models import Workspace
from tests.client import SEND, Api, mail
from tests.conftest import NOON, World
from tests.factories import make_key


def test_tells_id_status_and_time(api: Api, frozen: time_machine.Traveller) -> None:
    data = api.post(SEND, mail()).data

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", data["id"])
    assert data == {
        "id": data["id"],
        "status": "queued",
        "idempotencyStatus": "none",
        "rfcMessageId": f"{data['id']}@shop.example",
        "createdAt": "2026-05-12T12:00:00.000Z",
        "suppressedRecipients": [],
    }


def test_answers_202_in_the_envelope(api: Api) -> None:
    answer = api.post(SEND, mail())

    assert (answer.status, answer.body["status"], answer.body["status_code"]) == (202, "Accepted", 202)
    assert answer.body["success"] is True


def test_stores_everything_that_delivery_needs(api: Api, workspace: Workspace, frozen: time_machine.Traveller) -> None:
    body = mail(
        **{"from": "Shop <shop@shop.example>"},
        to="Ada <ada@example.com>",
        replyTo="help@shop.example",
        html="<p>Thank you.</p>",
        headers={"X-Order": "12"},
        tags={"order": "12"},
        stream="receipts",
    )

    message_id = api.post(SEND, body).data["id"]

    message = Message.objects.of(workspace.pk).get()
    assert (str(message.pk), message.status, message.subject) == (message_id, "queued", "Your order")
    assert (message.from_email, message.from_name) == ("shop@shop.example", "Shop")
    assert (message.tags, message.stream, message.created_at) == ({"order": "12"}, "receipts", NOON)
    content = MessageContent.objects.get(message=message)
    assert (content.text, content.html) == ("Thank you.", "<p>Thank you.</p>")
    assert (content.headers, content.reply_to_email) == ({"X-Order": "12"}, "help@shop.example")
    recipient = Recipient.objects.of(workspace.pk).get()
    assert (recipient.message_id, recipient.kind, recipient.email) == (message.pk, "to", "ada@example.com")
    assert (recipient.status, recipient.next_attempt_at, recipient.lease_until) == ("queued", NOON, None)
    assert (recipient.attempt_count, recipient.in_doubt, recipient.wait_code) == (0, False, "")


def test_tells_the_event_without_the_texts(api: Api, workspace: Workspace) -> None:
    api.post(SEND, mail(to=["ada@example.com", "bob@example.com"], bcc="eve@example.com"))

    event = Event.objects.of(workspace.pk).get()
    assert event.type == "mail.message.queued"
    assert event.data == {
        "from": "shop@shop.example",
        "subject": "Your order",
        "recipients": ["ada@example.com", "bob@example.com", "eve@example.com"],
    }


def test_both_mounts_accept(world: World) -> None:
    assert world.owner.api.post("/api/v1/mail/send", mail()).status == 202
    assert Message.objects.of(world.owner.workspace.pk).count() == 1


def test_a_test_key_needs_no_domain(world: World) -> None:
    row, key = make_key(world.stranger.workspace, is_test=True)

    answer = Api(key).post(SEND, mail(**{"from": "a@anything.example"}))

    assert answer.status == 202
    assert Message.objects.of(row.workspace_id).get().domain_id is None
    assert Message.objects.of(world.stranger.workspace.pk).count() == 0


def test_ids_follow_the_order_of_acceptance(api: Api, workspace: Workspace) -> None:
    ids = [api.post(SEND, mail()).data["id"] for _ in range(20)]

    assert ids == sorted(ids)
    assert Message.objects.of(workspace.pk).latest("pk").created_at <= datetime.now(UTC)
