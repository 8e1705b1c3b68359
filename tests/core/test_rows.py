"""Rows that are written set by set are the rows that the ORM would have written."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from apps.core.ids import new_id
from apps.core.rows import insert, insert_all
from apps.events.models import Event
from apps.events.types import EventType, ResourceType
from apps.keys.models import IdempotencyKey
from apps.messages.models import Message, MessageContent
from apps.workspaces.models import UsageCount, Workspace

MOMENT = datetime(2026, 5, 12, 9, 30, 15, 123456, tzinfo=UTC)


def event(workspace: Workspace, **changes: object) -> dict[str, object]:
    return {
        "workspace_id": workspace.pk,
        "type": EventType.MESSAGE_QUEUED.value,
        "resource_type": ResourceType.MESSAGE.value,
        "resource_id": new_id(),
        "data": {"text": 'ä 😀 "quoted" \\', "list": [1, None, True]},
        "created_at": MOMENT,
        **changes,
    }


def message(workspace: Workspace) -> dict[str, object]:
    identifier = new_id()
    return {
        "id": identifier,
        "workspace_id": workspace.pk,
        "from_email": "a@shop.example",
        "subject": "x",
        "rfc_message_id": f"{identifier}@shop.example",
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }


def test_insert_writes_what_the_orm_reads(workspace: Workspace) -> None:
    row = event(workspace, id=new_id())

    insert(Event, [row])

    stored = Event.objects.of(workspace.pk).get()
    assert {name: getattr(stored, name) for name in row} == row
    assert stored.message_id is None


def test_insert_gives_defaults_to_what_is_left_out(workspace: Workspace) -> None:
    row = message(workspace)

    insert_all([(Message, [row]), (MessageContent, [{"message_id": row["id"], "workspace_id": workspace.pk}])])

    stored = Message.objects.of(workspace.pk).select_related("content").get()
    assert (stored.status, stored.tags, stored.attempt_count, stored.sent_at) == ("queued", {}, 0, None)
    assert (stored.content.headers, stored.content.text, stored.content.scenario) == ({}, None, "")


def test_insert_gives_each_row_an_id_of_its_own(workspace: Workspace) -> None:
    insert(Event, [event(workspace) for _ in range(3)])

    assert len(set(Event.objects.of(workspace.pk).values_list("pk", flat=True))) == 3


def test_insert_takes_more_rows_than_one_statement_can(workspace: Workspace) -> None:
    insert(Event, [event(workspace) for _ in range(5_000)])

    assert Event.objects.of(workspace.pk).count() == 5_000


def test_insert_of_nothing_does_nothing(workspace: Workspace) -> None:
    insert(Event, [])
    insert_all([(Event, []), (IdempotencyKey, [])])

    assert Event.objects.of(workspace.pk).count() == 0


def test_insert_leaves_automatic_ids_to_the_database(workspace: Workspace) -> None:
    insert(UsageCount, [{"workspace_id": workspace.pk, "period": "day", "starts_at": MOMENT, "recipients": 7}])

    assert UsageCount.objects.get(workspace=workspace).recipients == 7


def test_insert_raises_what_a_constraint_says(workspace: Workspace) -> None:
    key = {"workspace_id": workspace.pk, "family": "send", "key": "k", "fingerprint": "f", "resource_id": new_id()}
    key["created_at"] = MOMENT
    insert(IdempotencyKey, [key])

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all([(Message, [message(workspace)]), (IdempotencyKey, [key])])

    assert Message.objects.of(workspace.pk).count() == 0
