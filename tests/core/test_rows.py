"""Rows that are written set by set are the rows that the ORM would have written."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from apps.core.ids import new_id
from apps.core.rows import insert, insert_all, update
from apps.events.models import Event
from apps.events.types import EventType, ResourceType
from apps.keys.models import IdempotencyKey
from apps.messages.models import Message
from apps.messages.states import Status
from apps.workspaces.models import UsageCount, Workspace

MOMENT = datetime(2026, 5, 12, 9, 30, 15, 123456, tzinfo=UTC)


def event(workspace: Workspace) -> dict[str, object]:
    return {
        "id": new_id(),
        "workspace_id": workspace.pk,
        "type": EventType.MESSAGE_QUEUED.value,
        "resource_type": ResourceType.MESSAGE.value,
        "resource_id": new_id(),
        "data": {"text": 'ä 😀 "quoted" \\', "list": [1, None, True]},
        "created_at": MOMENT,
    }


def message(workspace: Workspace) -> dict[str, object]:
    """What a message cannot do without; the database fills in the rest."""
    identifier = new_id()
    return {
        "id": identifier,
        "workspace_id": workspace.pk,
        "status": Status.QUEUED.value,
        "from_email": "a@shop.example",
        "from_name": "",
        "subject": "x",
        "rfc_message_id": f"{identifier}@shop.example",
        "idempotency_key": "",
        "stream": "",
        "tags": {},
        "size": 0,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }


def key(workspace: Workspace) -> dict[str, object]:
    return {
        "id": new_id(),
        "workspace_id": workspace.pk,
        "family": "send",
        "key": "k",
        "fingerprint": "f",
        "resource_id": new_id(),
        "created_at": MOMENT,
    }


def count_one(*, ceiling: int) -> tuple[str, list[object]]:
    """A statement that counts, as limits do: it writes a row, or none where the ceiling is reached."""
    sql = "UPDATE workspaces_usagecount SET recipients = recipients + 1 WHERE period = %s AND recipients < %s"
    return sql, ["day", ceiling]


def test_insert_writes_what_the_orm_reads(workspace: Workspace) -> None:
    row = event(workspace)

    insert(Event, [row])

    stored = Event.objects.of(workspace.pk).get()
    assert {name: getattr(stored, name) for name in row} == row
    assert stored.message_id is None


def test_insert_leaves_the_rest_to_the_database(workspace: Workspace) -> None:
    insert_all([(Message, [message(workspace)])])

    stored = Message.objects.of(workspace.pk).get()
    assert (stored.attempt_count, stored.last_error, stored.sent_at) == (0, "", None)


@pytest.mark.parametrize("count", [1, 2, 3, 5_000])
def test_insert_takes_any_number_of_rows(workspace: Workspace, count: int) -> None:
    rows = [event(workspace) for _ in range(count)]

    insert(Event, rows)

    stored = set(Event.objects.of(workspace.pk).values_list("pk", flat=True))
    assert stored == {row["id"] for row in rows}


def test_insert_all_leaves_out_parts_without_rows(workspace: Workspace) -> None:
    insert_all([(IdempotencyKey, []), (Event, [event(workspace)])])

    assert Event.objects.of(workspace.pk).count() == 1


def test_insert_raises_what_a_constraint_says_and_stores_nothing(workspace: Workspace) -> None:
    insert(IdempotencyKey, [key(workspace)])

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all([(Message, [message(workspace)]), (IdempotencyKey, [key(workspace)])])

    assert Message.objects.of(workspace.pk).count() == 0


@pytest.mark.parametrize(("ceiling", "counts", "stored"), [(8, [1], 1), (7, [0], 0)])
def test_insert_stores_only_what_could_be_counted(
    workspace: Workspace, ceiling: int, counts: list[int], stored: int
) -> None:
    UsageCount.objects.create(workspace=workspace, period="day", starts_at=MOMENT, recipients=7)

    answer = insert_all([(Event, [event(workspace)])], counting=[count_one(ceiling=ceiling)])

    assert answer == counts
    assert Event.objects.of(workspace.pk).count() == stored
    assert UsageCount.objects.get().recipients == 7 + stored


def test_update_changes_rows_and_says_which(workspace: Workspace) -> None:
    rows = [message(workspace) for _ in range(3)]
    insert(Message, rows)
    gone = new_id()
    changes = [{"id": identifier, "status": "sent", "sent_at": MOMENT} for identifier in (rows[0]["id"], gone)]

    changed = update(Message, changes, match=("id",))

    assert changed == {rows[0]["id"]}
    stored = dict(Message.objects.of(workspace.pk).values_list("pk", "status"))
    assert stored == {rows[0]["id"]: "sent", rows[1]["id"]: "queued", rows[2]["id"]: "queued"}


def test_update_leaves_rows_that_no_longer_match(workspace: Workspace) -> None:
    row = message(workspace)
    insert(Message, [row])

    changed = update(Message, [{"id": row["id"], "status": "sent"}], match=("id",), where="t.status = 'deferred'")

    assert changed == set()
    assert Message.objects.of(workspace.pk).get().status == "queued"


def test_update_of_nothing_does_nothing(workspace: Workspace) -> None:
    assert update(Message, [], match=("id",)) == set()


def test_many_texts_arrive_as_they_were(workspace: Workspace) -> None:
    texts = [
        *("", " ", "NULL", "null", '"', '""', "\\", '\\"', "\\\\", "{}", "{a,b}", "a,b", "'", "''", "$1", "%s", "\\n"),
        *("\n", "\r\n\t", "\x01\x7f", "ä 😀", "\u2028", '{"a": "\\""}', "\\u0000", "E'\\x41'", "x" * 100_000),
    ]
    rows = [message(workspace) | {"subject": text, "tags": {text: text}} for text in texts]

    insert(Message, rows)
    insert_all([(Message, [message(workspace) | {"subject": text, "tags": [text]} for text in texts])])
    update(Message, [{"id": row["id"], "last_error": row["subject"]} for row in rows], match=["id"])

    stored = Message.objects.of(workspace.pk).order_by("pk")
    assert list(stored.values_list("subject", flat=True)) == texts * 2
    assert [row.tags for row in stored[: len(texts)]] == [{text: text} for text in texts]
    assert [row.tags for row in stored[len(texts) :]] == [[text] for text in texts]
    assert [row.last_error for row in stored[: len(texts)]] == texts
