"""The list of bounces of a workspace: filters, pages, and which index serves each question."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.ids import new_id
from apps.messages.models import Bounce
from apps.messages.services.outcomes import record
from apps.suppressions.models import Suppression
from apps.workspaces.models import Workspace
from tests.client import BOUNCES, MESSAGES, SUPPRESSIONS, Api
from tests.conftest import World
from tests.suppressions.making import claimed, hard, make_bounce


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


def test_a_bounce_says_what_it_was_and_what_followed(api: Api, workspace: Workspace) -> None:
    bounce = make_bounce(workspace, "Ada@example.com", is_hard=True)

    (row,) = api.get(BOUNCES).rows

    suppression = Suppression.objects.of(workspace.pk).get()
    assert row == {
        "id": str(bounce.pk),
        "messageId": str(bounce.message_id),
        "email": "Ada@example.com",
        "type": "hard",
        "source": "smtp_log",
        "smtpCode": 550,
        "enhancedCode": "5.1.1",
        "diagnostic": "550 5.1.1 No such user",
        "suppressionId": str(suppression.pk),
        "occurredAt": row["occurredAt"],
        "createdAt": row["createdAt"],
    }
    assert api.get(f"{BOUNCES}/{bounce.pk}").data == row
    assert api.get(f"{MESSAGES}/{bounce.message_id}/bounces").rows == [row]
    shown = api.get(f"{SUPPRESSIONS}/{suppression.pk}").data
    assert (shown["messageId"], shown["bounceId"]) == (row["messageId"], row["id"])


def test_each_filter_and_all_of_them(api: Api, workspace: Workspace) -> None:
    soft = [make_bounce(workspace, email) for email in ("ada@example.com", "ADA@example.com", "eve@example.com")]
    dead = make_bounce(workspace, "gone@example.com", is_hard=True)
    of_ada = [str(soft[1].pk), str(soft[0].pk)]

    assert ids(api.get(BOUNCES)) == [str(dead.pk), str(soft[2].pk), *of_ada]
    assert ids(api.get(BOUNCES, {"email": "Ada@EXAMPLE.com"})) == of_ada
    assert ids(api.get(BOUNCES, {"email": "Ada <ada@example.com>"})) == of_ada
    assert ids(api.get(BOUNCES, {"type": "hard"})) == [str(dead.pk)]
    assert ids(api.get(BOUNCES, {"type": "unknown"})) == []
    assert ids(api.get(BOUNCES, {"messageId": str(soft[2].message_id)})) == [str(soft[2].pk)]
    whole = {"email": "ada@example.com", "type": "soft", "messageId": str(soft[0].message_id)}
    assert ids(api.get(BOUNCES, whole)) == [str(soft[0].pk)]
    assert ids(api.get(BOUNCES, whole | {"type": "hard"})) == []


def test_pages_meet_without_a_gap(api: Api, workspace: Workspace) -> None:
    made = [str(make_bounce(workspace, f"r{number}@example.com").pk) for number in range(5)]

    pages, cursor = [], None
    while True:
        answer = api.get(BOUNCES, {"limit": 2} | ({"cursor": cursor} if cursor else {}))
        pages.append(ids(answer))
        if (cursor := answer.data["nextCursor"]) is None:
            break

    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]


@pytest.mark.parametrize(
    "query", [{"email": "ada"}, {"email": "%"}, {"type": "harder"}, {"messageId": "1"}, {"from": "x"}, {"limit": "x"}]
)
def test_refuses_what_cannot_be_asked(api: Api, query: dict[str, Any]) -> None:
    answer = api.get(BOUNCES, query)

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", list(query))


def test_a_stranger_sees_nothing_of_it(world: World) -> None:
    bounce = make_bounce(world.owner.workspace)

    for query in ({}, {"email": "ada@example.com"}, {"messageId": str(bounce.message_id)}):
        assert world.stranger.api.get(BOUNCES, query).rows == []


# Each question, and the index that answers it without sorting.
QUESTIONS = {
    "": "bounce_by_workspace",
    "email=ada@example.com": "bounce_by_address",
    "type=hard": "bounce_by_type",
    "email=ada@example.com&type=soft": "bounce_by_address",
}


def test_indexes_serve_the_filters(api: Api, workspace: Workspace, world: World) -> None:
    _many(workspace, 600)
    _many(world.stranger.workspace, 12_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE mail_messages_bounce")

    for question, index in QUESTIONS.items():
        with CaptureQueriesContext(connection) as captured:
            assert len(api.get(f"{BOUNCES}?{question}").rows) == 20
        (asked,) = [query["sql"] for query in captured if 'FROM "mail_messages_bounce"' in query["sql"]]
        plan = _plan(asked)
        assert index in plan, plan
        for detour in ("Sort", "Seq Scan", "TEMP B-TREE", "SCAN mail_messages_bounce"):
            assert detour not in plan, plan


def _plan(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{query}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def _many(workspace: Workspace, count: int) -> None:
    """Copies of one bounce: a quarter of them hard, a tenth for one address."""
    holding = claimed(workspace, "many@example.com")
    record([hard(holding)])
    one = Bounce.objects.of(workspace.pk).get(recipient_id=holding.recipient_id)
    rows = []
    for number in range(count):
        email = "ada@example.com" if number % 10 == 0 else f"r{number}@example.com"
        changes = {"id": new_id(), "email": email, "key": email, "type": "hard" if number % 4 == 1 else "soft"}
        fields = {field.attname: getattr(one, field.attname) for field in Bounce._meta.fields}
        rows.append(Bounce(**{**fields, **changes}))
    Bounce.objects.across_workspaces().bulk_create(rows, batch_size=2_000)
