"""Suppressions as a caller sees them: list, add, look at, lift."""

from functools import partial
from typing import Any

import pytest

from apps.events.models import Event
from apps.suppressions.models import Reason, Source, Suppression
from apps.suppressions.services import NewSuppression, add, ensure, lift
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import BOUNCES, EVENTS, SEND, SUPPRESSIONS, Api, mail
from tests.conftest import World
from tests.factories import make_workspace, suppress
from tests.parallel import at_once, threads
from tests.suppressions.making import make_bounce

BAD: list[tuple[str, list[Any]]] = [
    ("email", [None, "", " ", "ada", "@example.com", "example.com", "*@example.com", "*", "%@example.com", "a@b@c.de"]),
    ("email", ["ada@localhost", "ada@127.0.0.1", "ada@[127.0.0.1]", "ada@example.com.", '"ada"@example.com']),
    ("email", ["Ada <ada@example.com>", "ada@example.com, eve@example.com", "ada@example.com\r\nx", "a\u200bda@x.com"]),
    (
        "email",
        ["ada(comment)@example.com", "=?utf-8?q?ada?=@example.com", "ada＠example.com", "a" * 65 + "@example.com"],
    ),
    ("email", [["ada@example.com"], {"email": "ada@example.com"}, 7, True, 1.5, "a@" + "b" * 1_000_000]),
    ("reason", ["hard_bounce", "repeated_soft_bounce", "=cmd()", "", "Manual", None, 7, [], {}, ["manual"]]),
    ("metadata", ["x", 7, True, [], [{}], None, {"x": "y" * 16_000}, {str(n): n for n in range(5_000)}]),
    ("scope", ["global"]),
    ("source", ["system"]),
    ("workspaceId", ["00000000-0000-0000-0000-000000000000"]),
    ("messageId", ["00000000-0000-0000-0000-000000000000"]),
]


@pytest.mark.parametrize(("name", "values"), BAD, ids=[f"{n}-{name}" for n, (name, _) in enumerate(BAD)])
def test_what_cannot_be_meant_is_refused_with_its_field(api: Api, name: str, values: list[Any]) -> None:
    before = stored.everything()

    for value in values:
        answer = api.post(SUPPRESSIONS, {"email": "ada@example.com", name: value})

        assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [name]), value
    assert stored.everything() == before


def test_reasons_of_the_platforms_own_are_told_apart_from_what_is_no_reason(api: Api) -> None:
    answer = api.post(SUPPRESSIONS, {"email": "ada@example.com", "reason": "hard_bounce"})

    assert answer.fields == {
        "reason": [
            "is given by the platform alone, which has the bounces; use one of manual, blocked, unsubscribe, complaint"
        ]
    }


def test_an_address_is_added_and_stops_mail(api: Api, workspace: Workspace) -> None:
    created = api.post(SUPPRESSIONS, {"email": " Ada@EXAMPLE.com "})

    assert created.status == 201
    assert created.data == {
        "id": created.data["id"],
        "email": "Ada@example.com",
        "reason": "manual",
        "source": "user",
        "messageId": None,
        "bounceId": None,
        "metadata": {},
        "createdAt": created.data["createdAt"],
    }
    assert api.get(f"{SUPPRESSIONS}/{created.data['id']}").data == created.data
    assert api.post(SEND, mail(to="ada@example.com")).data["status"] == "suppressed"
    (event,) = api.get(EVENTS, {"type": "mail.suppression.created"}).rows
    assert (event["resourceType"], event["resourceId"]) == ("suppression", created.data["id"])
    assert event["data"] == {"email": "Ada@example.com", "reason": "manual", "source": "user"}


@pytest.mark.parametrize("reason", ["blocked", "unsubscribe", "complaint", "manual"])
def test_a_caller_may_say_why(api: Api, reason: str) -> None:
    created = api.post(SUPPRESSIONS, {"email": "ada@example.com", "reason": reason})

    assert (created.status, created.data["reason"], created.data["source"]) == (201, reason, "user")


def test_metadata_comes_back_as_it_was_given(api: Api) -> None:
    given = b'{"email":"ada@example.com","metadata":{"b_B":1e20,"a":[1.50,{"z":null,"y":"\xc3\xbc"}]}}'

    created = api.post(SUPPRESSIONS, given)

    assert created.data["metadata"] == {"b_B": 1e20, "a": [1.5, {"z": None, "y": "ü"}]}
    assert list(created.data["metadata"]) == ["b_B", "a"]
    assert api.get(SUPPRESSIONS).rows[0]["metadata"] == created.data["metadata"]


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@ＥＸＡＭＰＬＥ.com"])
def test_a_second_create_answers_with_the_first_row_and_changes_nothing(api: Api, again: str) -> None:
    first = api.post(SUPPRESSIONS, {"email": "ada@example.com", "metadata": {"by": "ops"}})
    before = stored.everything()

    second = api.post(SUPPRESSIONS, {"email": again, "reason": "complaint", "metadata": {"by": "me"}})

    assert (second.status, second.data) == (200, first.data)
    assert stored.everything() == before


def test_a_suppression_of_the_platforms_own_keeps_its_reason(api: Api, workspace: Workspace) -> None:
    bounce = make_bounce(workspace, is_hard=True)

    answer = api.post(SUPPRESSIONS, {"email": "ada@example.com", "reason": "blocked"})

    assert answer.status == 200
    assert (answer.data["reason"], answer.data["source"]) == ("hard_bounce", "bounce_processor")
    assert (answer.data["messageId"], answer.data["bounceId"]) == (str(bounce.message_id), str(bounce.pk))
    assert api.get(f"{BOUNCES}/{bounce.pk}").data["suppressionId"] == answer.data["id"]


def test_the_same_address_in_two_workspaces_is_two_rows(world: World) -> None:
    answers = [person.api.post(SUPPRESSIONS, {"email": "ada@example.com"}) for person in (world.owner, world.stranger)]

    assert [answer.status for answer in answers] == [201, 201]
    assert [len(person.api.get(SUPPRESSIONS).rows) for person in (world.owner, world.stranger)] == [1, 1]


def test_the_list_is_filtered_and_walked_page_by_page(api: Api, workspace: Workspace) -> None:
    ids = [str(suppress(workspace.pk, f"r{number}@example.com").pk) for number in range(5)]
    blocked = api.post(SUPPRESSIONS, {"email": "Eve@example.com", "reason": "blocked"}).data

    first = api.get(SUPPRESSIONS, {"limit": 4})
    rest = api.get(SUPPRESSIONS, {"limit": 4, "cursor": first.data["nextCursor"]})

    assert [row["id"] for row in first.rows + rest.rows] == [blocked["id"], *reversed(ids)]
    assert (rest.data["nextCursor"], rest.data["hasMore"]) == (None, False)
    assert [row["id"] for row in api.get(SUPPRESSIONS, {"reason": "blocked"}).rows] == [blocked["id"]]
    assert [row["id"] for row in api.get(SUPPRESSIONS, {"email": "EVE@Example.com"}).rows] == [blocked["id"]]
    assert api.get(SUPPRESSIONS, {"email": "eve@example.com", "reason": "manual"}).rows == []


def test_a_filter_is_no_pattern(api: Api, workspace: Workspace) -> None:
    suppress(workspace.pk, "ada@example.com")

    for text in ("___@example.com", "a.a@example.com", "ad[a]@example.com".replace("[a]", "{1}")):
        assert api.get(SUPPRESSIONS, {"email": text}).rows == []
    for text in ("%@example.com", "*", "ad?@example.com)", "'; --"):
        answer = api.get(SUPPRESSIONS, {"email": text})
        assert (answer.status, list(answer.fields)) == (400, ["email"])


@pytest.mark.parametrize(
    "query",
    [{"email": "x" * 400}, {"reason": "soft"}, {"limit": 0}, {"limit": 101}, {"brand": "x"}, {"force": "true"}],
    ids=str,
)
def test_a_list_refuses_what_it_does_not_know(api: Api, query: dict[str, Any]) -> None:
    answer = api.get(SUPPRESSIONS, query)

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", list(query))


def test_a_cursor_of_somebody_elses_making_is_refused(api: Api) -> None:
    assert api.get(SUPPRESSIONS, {"cursor": "x"}).code == "invalid_cursor"


def test_lifting_lets_new_mail_out_and_is_an_event(api: Api, workspace: Workspace) -> None:
    row = suppress(workspace.pk, "ada@example.com")

    answer = api.delete(f"{SUPPRESSIONS}/{row.pk}")

    assert (answer.status, answer.body) == (204, None)
    assert api.get(f"{SUPPRESSIONS}/{row.pk}").status == 404
    assert api.post(SEND, mail()).data["status"] == "queued"
    assert [e["resourceId"] for e in api.get(EVENTS, {"type": "mail.suppression.deleted"}).rows] == [str(row.pk)]
    assert api.delete(f"{SUPPRESSIONS}/{row.pk}").status == 404


@pytest.mark.parametrize("name", ["0", "x", "%25", "01A2270D-4FB8-7533-9088-30434C660EA2"])
def test_lifting_what_is_not_there_is_refused(api: Api, workspace: Workspace, name: str) -> None:
    suppress(workspace.pk, "ada@example.com")
    before = stored.everything()

    answer = api.delete(f"{SUPPRESSIONS}/{name}")

    assert (answer.status, answer.code) == (404, "not_found")
    assert stored.everything() == before


def test_a_complaint_that_a_provider_reported_is_lifted_by_force_only(api: Api, workspace: Workspace) -> None:
    add([NewSuppression(workspace.pk, "ada@example.com", Reason.COMPLAINT, Source.COMPLAINT_PROCESSOR)])
    url = f"{SUPPRESSIONS}/{Suppression.objects.of(workspace.pk).get().pk}"
    before = stored.everything()

    for query in ("", "?force=false"):
        refused = api.delete(f"{url}{query}")
        assert (refused.status, refused.code) == (409, "invalid_state")
    for query, name in (("?force=1", "force"), ("?force=true&force=true", "force"), ("?hard=true", "hard")):
        assert list(api.delete(f"{url}{query}").fields) == [name]
    assert stored.everything() == before

    assert api.delete(f"{url}?force=true").status == 204


def test_a_complaint_of_the_callers_own_needs_no_force(api: Api) -> None:
    created = api.post(SUPPRESSIONS, {"email": "ada@example.com", "reason": "complaint"}).data

    assert api.delete(f"{SUPPRESSIONS}/{created['id']}").status == 204


@pytest.mark.django_db(transaction=True)
def test_of_many_creates_at_once_one_is_new_and_all_answer_alike() -> None:
    workspace = make_workspace()
    api = partial(_post_once, workspace)

    answers = at_once([api] * 24, workers=threads(8))

    assert sorted(is_new for _, is_new in answers) == [False] * 23 + [True]
    assert len({row.pk for row, _ in answers}) == 1
    assert Event.objects.of(workspace.pk).count() == 1


def _post_once(workspace: Workspace) -> tuple[Suppression, bool]:
    from_caller = NewSuppression(workspace.pk, "ada@example.com", Reason.MANUAL, Source.USER)
    return ensure(from_caller)


@pytest.mark.django_db(transaction=True)
def test_creating_and_lifting_at_once_leaves_events_that_add_up() -> None:
    workspace = make_workspace()

    def turn() -> bool:
        row, is_new = _post_once(workspace)
        return is_new + 2 * lift(row)

    at_once([turn] * 40, workers=threads(8))

    kinds = list(Event.objects.of(workspace.pk).values_list("type", flat=True))
    left = Suppression.objects.of(workspace.pk).count()
    assert kinds.count("mail.suppression.created") - kinds.count("mail.suppression.deleted") == left
