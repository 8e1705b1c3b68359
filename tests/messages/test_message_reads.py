"""Reading messages back: every documented key, filters that refuse what they do not know, and the story."""

from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.ids import new_id
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.messages.models import Attempt, Bounce, Message, Recipient
from apps.workspaces.models import Workspace
from tests.client import MESSAGES, SEND, Api, mail
from tests.conftest import NOON
from tests.factories import make_domain, make_message

STAMP = "2026-05-12T12:00:00.000Z"
NO_IDS = [
    *("0", "-1", "x", "../x", "..%2fx", "x" * 8_000, "%00", "%F0%9F%98%80", "null", "undefined"),
    *(
        "01975c5e8d4a7b3c9d2e0123456789ab",
        "01975C5E-8D4A-7B3C-9D2E-0123456789AB",
        "00000000-0000-0000-0000-000000000000",
    ),
    *("urn:uuid:01975c5e-8d4a-7b3c-9d2e-0123456789ab", "{01975c5e-8d4a-7b3c-9d2e-0123456789ab}"),
]
UNKNOWN_PARAMETERS = [
    *(
        "ordering=-id",
        "ordering=workspace__api_keys__hash",
        "workspace=1",
        "workspace__id=2",
        "id__in=1",
        "Status=sent",
    ),
    *("filter[_connector]=OR", "_connector=OR", "offset=1", "page=2", "q=x", "a%00=1"),
]
STORIES = ["attempts", "logs", "timeline", "bounces"]


def full_message(api: Api) -> str:
    body = mail(
        **{"from": "Shop <shop@shop.example>"},
        to="Ada <ada@example.com>",
        cc="bob@example.com",
        bcc="eve@example.com",
        replyTo="help@shop.example",
        html="<p>x</p>",
        headers={"X-Order": "12"},
        tags={"order": "12"},
        stream="receipts",
        idempotencyKey="order-12",
    )
    return str(api.post(SEND, body).data["id"])


def shown(message_id: str) -> dict[str, Any]:
    """What a list shows of `full_message`."""
    return {
        "id": message_id,
        "status": "queued",
        "from": {"email": "shop@shop.example", "name": "Shop"},
        "to": [{"email": "ada@example.com", "name": "Ada"}],
        "cc": [{"email": "bob@example.com", "name": None}],
        "bcc": [{"email": "eve@example.com", "name": None}],
        "replyTo": {"email": "help@shop.example", "name": None},
        "subject": "Your order",
        "templateId": None,
        "templateVersionId": None,
        "batchId": None,
        "scheduledId": None,
        "idempotencyKey": "order-12",
        "attachments": [],
        "rfcMessageId": f"{message_id}@shop.example",
        "stream": "receipts",
        "tags": {"order": "12"},
        "recipients": [
            shown_recipient("to", "ada@example.com", "Ada"),
            shown_recipient("cc", "bob@example.com", None),
            shown_recipient("bcc", "eve@example.com", None),
        ],
        "attemptCount": 0,
        "lastError": None,
        "createdAt": STAMP,
        "queuedAt": STAMP,
        "sentAt": None,
        "failedAt": None,
        "updatedAt": STAMP,
    }


WAITS_FOR_A_WORKER = {
    "code": "queued",
    "reason": "It waits for a worker.",
    "detail": None,
    "since": STAMP,
    "until": STAMP,
    "whoCanChangeIt": "nobody needs to, while workers run; else the operator of this server",
}


def shown_recipient(kind: str, email: str, name: str | None) -> dict[str, Any]:
    return {
        "email": email,
        "name": name,
        "kind": kind,
        "status": "queued",
        "attemptCount": 0,
        "lastError": None,
        "nextAttemptAt": STAMP,
        "finishedAt": None,
        "wait": WAITS_FOR_A_WORKER,
    }


class TestDetail:
    def test_has_every_documented_key(self, api: Api, frozen: time_machine.Traveller) -> None:
        message_id = full_message(api)

        data = api.get(f"{MESSAGES}/{message_id}").data

        texts = {"html": "<p>x</p>", "text": "Thank you.", "headers": {"X-Order": "12"}}
        assert data == shown(message_id) | texts

    def test_has_null_for_what_is_absent(self, api: Api) -> None:
        message_id = api.post(SEND, mail()).data["id"]

        data = api.get(f"{MESSAGES}/{message_id}").data

        absent = ("replyTo", "idempotencyKey", "stream", "html", "sentAt", "failedAt", "lastError")
        assert {name: data[name] for name in absent} == dict.fromkeys(absent)
        assert data["from"] == {"email": "shop@shop.example", "name": None}
        assert (data["cc"], data["bcc"], data["tags"], data["headers"]) == ([], [], {}, {})

    def test_says_why_a_recipient_waits(self, api: Api, workspace: Workspace) -> None:
        message = make_message(workspace)
        Recipient.objects.of(workspace.pk).update(
            status="deferred",
            wait_code="retry",
            wait_detail="451 4.7.1 later",
            waiting_since=NOON,
            next_attempt_at=NOON,
        )

        wait = api.get(f"{MESSAGES}/{message.pk}").data["recipients"][0]["wait"]

        assert wait == {
            "code": "retry",
            "reason": "The receiving server asked us to try again later.",
            "detail": "451 4.7.1 later",
            "since": STAMP,
            "until": STAMP,
            "whoCanChangeIt": "nobody needs to: it is tried again by itself",
        }

    @pytest.mark.parametrize("text", NO_IDS, ids=lambda text: text[:40])
    def test_is_not_found_by_what_is_no_id(self, api: Api, text: str) -> None:
        answer = api.get(f"{MESSAGES}/{text}")

        assert (answer.status, answer.code) == (404, "not_found")


class TestList:
    def test_shows_what_the_detail_shows_without_the_texts(self, api: Api, frozen: time_machine.Traveller) -> None:
        message_id = full_message(api)

        assert api.get(MESSAGES).rows == [shown(message_id)]

    def test_is_newest_first(self, api: Api) -> None:
        ids = [api.post(SEND, mail()).data["id"] for _ in range(3)]

        assert [row["id"] for row in api.get(MESSAGES).rows] == ids[::-1]

    def test_costs_the_same_for_one_row_and_for_many(self, api: Api, workspace: Workspace) -> None:
        api.get(MESSAGES)  # the key's first use is written down
        counts = []
        for count in (1, 10):
            for _ in range(count):
                make_message(workspace, ["a@example.com", "b@example.com"])
            with CaptureQueriesContext(connection) as queries:
                assert api.get(MESSAGES).status == 200
            counts.append(len(queries))

        assert counts[0] == counts[1] == 4

    @pytest.mark.parametrize("status", ["queued", "sent", "bounced", "suppressed"])
    def test_filters_by_status(self, api: Api, workspace: Workspace, status: str) -> None:
        make_message(workspace)
        wanted = make_message(workspace)
        Message.objects.of(workspace.pk).update(status="failed")
        Message.objects.of(workspace.pk).filter(pk=wanted.pk).update(status=status)

        assert [row["id"] for row in api.get(MESSAGES, {"status": status}).rows] == [str(wanted.pk)]

    @pytest.mark.parametrize("written", ["b_b@example.com", " b_b@EXAMPLE.com ", "Bob <b_b@example.com>"])
    def test_filters_by_recipient(self, api: Api, workspace: Workspace, written: str) -> None:
        make_message(workspace, "bxb@example.com")
        wanted = make_message(workspace, ["ada@example.com", "b_b@example.com"])

        assert [row["id"] for row in api.get(MESSAGES, {"to": written}).rows] == [str(wanted.pk)]

    @pytest.mark.parametrize("field", ["cc", "bcc"])
    def test_filters_by_recipients_in_copy_too(self, api: Api, field: str) -> None:
        wanted = api.post(SEND, mail(**{field: "eve@example.com"})).data["id"]
        api.post(SEND, mail())

        assert [row["id"] for row in api.get(MESSAGES, {"to": "eve@example.com"}).rows] == [wanted]

    def test_filters_by_sender(self, api: Api, workspace: Workspace) -> None:
        make_domain(workspace, "other.example")
        make_message(workspace)
        wanted = api.post(SEND, mail(**{"from": "a@other.example"})).data["id"]

        assert [row["id"] for row in api.get(MESSAGES, {"from": "a@OTHER.example"}).rows] == [wanted]

    def test_filters_hold_together_and_across_pages(self, api: Api, workspace: Workspace) -> None:
        wanted = [str(make_message(workspace, "bob@example.com").pk) for _ in range(3)]
        make_message(workspace)
        query = {"to": "bob@example.com", "status": "queued", "limit": 2}

        first = api.get(MESSAGES, query)
        second = api.get(MESSAGES, query | {"cursor": first.data["nextCursor"]})

        assert [row["id"] for row in first.rows + second.rows] == wanted[::-1]
        assert second.data["nextCursor"] is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "xyz"),
            ("status", "SENT"),
            ("status", "sent "),
            ("to", "x"),
            ("to", "%"),
            ("to", "a@b.example\0"),
            ("to", "x" * 2_000),
            ("from", "@shop.example"),
            ("from", "x" * 2_000),
        ],
    )
    def test_refuses_a_wrong_filter(self, api: Api, name: str, value: str) -> None:
        answer = api.get(MESSAGES, {name: value})

        assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [name])

    @pytest.mark.parametrize("query", UNKNOWN_PARAMETERS)
    def test_refuses_an_unknown_parameter(self, api: Api, query: str) -> None:
        answer = api.get(f"{MESSAGES}?{query}")

        assert answer.status == 400
        assert list(answer.fields.values()) == [["unknown query parameter"]]

    @pytest.mark.parametrize("name", ["status", "limit", "cursor", "to"])
    def test_refuses_a_parameter_twice(self, api: Api, name: str) -> None:
        answer = api.get(f"{MESSAGES}?{name}=1&{name}=1")

        assert (answer.status, answer.fields) == (400, {name: ["may be given once"]})


class TestStory:
    def test_of_a_new_message_is_that_it_is_queued(self, api: Api, frozen: time_machine.Traveller) -> None:
        message_id = api.post(SEND, mail()).data["id"]

        (item,) = api.get(f"{MESSAGES}/{message_id}/timeline").rows
        (line,) = api.get(f"{MESSAGES}/{message_id}/logs").rows

        facts = {"from": "shop@shop.example", "subject": "Your order", "recipients": ["ada@example.com"]}
        assert item.pop("id") == line.pop("id")
        assert item == {
            "type": "mail.message.queued",
            "label": "Accepted and waiting for delivery",
            "createdAt": STAMP,
            "metadata": facts,
        }
        assert line == {
            "messageId": message_id,
            "level": "info",
            "message": "Accepted and waiting for delivery",
            "metadata": facts,
            "createdAt": STAMP,
        }

    def test_of_one_recipient_leaves_out_the_others(self, api: Api, workspace: Workspace) -> None:
        message = make_message(workspace)
        record([_event(message, EventType.MESSAGE_SENT, email) for email in ("a@example.com", "b@example.com")])

        rows = api.get(f"{MESSAGES}/{message.pk}/timeline", {"recipient": "a@EXAMPLE.com"}).rows

        assert [row["type"] for row in rows] == ["mail.message.queued", "mail.message.sent"]
        assert rows[1]["metadata"] == {"recipient": "a@example.com"}

    @pytest.mark.parametrize(
        ("kind", "level"),
        [
            (EventType.MESSAGE_SENT, "info"),
            (EventType.MESSAGE_DEFERRED, "warning"),
            (EventType.MESSAGE_FAILED, "error"),
            (EventType.MESSAGE_BOUNCED, "error"),
        ],
    )
    def test_has_a_level_for_each_event(self, api: Api, workspace: Workspace, kind: EventType, level: str) -> None:
        message = make_message(workspace)
        record([_event(message, kind, "ada@example.com")])

        line = api.get(f"{MESSAGES}/{message.pk}/logs").rows[-1]

        assert (line["level"], line["message"]) == (level, f"{kind.label}, for ada@example.com")

    def test_shows_attempts_with_every_documented_key(self, api: Api, workspace: Workspace) -> None:
        message = make_message(workspace)
        attempt_id = _attempt(workspace, message, smtp_code=451, enhanced_code="4.7.1", response="451 4.7.1 later")

        assert api.get(f"{MESSAGES}/{message.pk}/attempts").rows == [
            {
                "id": str(attempt_id),
                "messageId": str(message.pk),
                "recipient": "ada@example.com",
                "attemptNumber": 1,
                "status": "deferred",
                "smtpCode": 451,
                "enhancedCode": "4.7.1",
                "response": "451 4.7.1 later",
                "transport": None,
                "remoteHost": None,
                "remoteAddress": None,
                "tls": None,
                "tlsDecision": None,
                "fault": None,
                "startedAt": STAMP,
                "finishedAt": STAMP,
                "nextAttemptAt": None,
            }
        ]

    def test_shows_bounces_with_every_documented_key(self, api: Api, workspace: Workspace) -> None:
        message = make_message(workspace)
        bounce_id = _bounce(workspace, message)

        assert api.get(f"{MESSAGES}/{message.pk}/bounces").rows == [
            {
                "id": str(bounce_id),
                "messageId": str(message.pk),
                "email": "ada@example.com",
                "type": "hard",
                "source": "dsn",
                "smtpCode": 550,
                "enhancedCode": "5.1.1",
                "diagnostic": "no such user",
                "suppressionId": None,
                "occurredAt": STAMP,
                "createdAt": STAMP,
            }
        ]

    @pytest.mark.parametrize("story", STORIES)
    def test_of_nothing_is_an_empty_list(self, api: Api, workspace: Workspace, story: str) -> None:
        message = make_message(workspace)
        _other = make_message(workspace)

        answer = api.get(f"{MESSAGES}/{message.pk}/{story}")

        assert answer.status == 200
        assert answer.data["nextCursor"] is None
        assert len(answer.rows) == (1 if story in {"timeline", "logs"} else 0)

    @pytest.mark.parametrize("story", STORIES)
    def test_of_an_unknown_message_is_not_found(self, api: Api, story: str) -> None:
        assert api.get(f"{MESSAGES}/{new_id()}/{story}").status == 404

    @pytest.mark.parametrize("story", STORIES)
    def test_refuses_unknown_parameters(self, api: Api, workspace: Workspace, story: str) -> None:
        answer = api.get(f"{MESSAGES}/{make_message(workspace).pk}/{story}", {"order": "desc"})

        assert (answer.status, list(answer.fields)) == (400, ["order"])


def _event(message: Message, kind: EventType, email: str) -> NewEvent:
    data = {"recipient": email}
    return NewEvent(message.workspace_id, kind, ResourceType.MESSAGE, message.pk, message.pk, data)


def _attempt(workspace: Workspace, message: Message, **facts: Any) -> UUID:
    recipient = Recipient.objects.of(workspace.pk).get(message=message)
    attempt = Attempt(
        workspace=workspace,
        message=message,
        recipient=recipient,
        email=recipient.email,
        number=1,
        status="deferred",
        started_at=NOON,
        finished_at=NOON,
        **facts,
    )
    attempt.save(force_insert=True)
    identifier: UUID = attempt.pk
    return identifier


def _bounce(workspace: Workspace, message: Message) -> UUID:
    recipient = Recipient.objects.of(workspace.pk).get(message=message)
    bounce = Bounce(
        workspace=workspace,
        message=message,
        recipient=recipient,
        email=recipient.email,
        type="hard",
        source="dsn",
        smtp_code=550,
        enhanced_code="5.1.1",
        diagnostic="no such user",
        occurred_at=NOON,
        created_at=NOON,
    )
    bounce.save(force_insert=True)
    identifier: UUID = bounce.pk
    return identifier
