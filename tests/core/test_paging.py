"""Keyset paging: everything once, newest first, also where all rows have the same time."""

import uuid
from typing import Any

import pytest

from apps.core.api.pagination import InvalidCursor, read_cursor, write_cursor
from apps.core.ids import new_id
from apps.events.models import Event
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.workspaces.models import Workspace
from tests.client import EVENTS, MESSAGES, Answer, Api
from tests.conftest import NOON
from tests.factories import make_message

BAD_LIMITS = [
    "0",
    "-1",
    "101",
    "1000000000",
    "abc",
    "٣",
    "1.0",
    "1e1",
    "",
    " 5",
    "5 ",
    "+5",
    "0x10",
    "1_0",
    "9" * 5_000,
]
BAD_CURSORS = ["x", "AAAA", "===", "ä", "a" * 5_000, "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB", " ", "%00"]


def record_events(workspace: Workspace, count: int) -> None:
    events = [NewEvent(workspace.pk, EventType.MESSAGE_QUEUED, ResourceType.MESSAGE, new_id()) for _ in range(count)]
    record(events, at=NOON)


def walk(api: Api, path: str, limit: int, **query: Any) -> list[Answer]:
    """All the pages, as a client follows them."""
    pages = [api.get(path, {"limit": limit, **query})]
    while cursor := pages[-1].data["nextCursor"]:
        pages.append(api.get(path, {"limit": limit, "cursor": cursor, **query}))
        assert len(pages) < 100, "the same page is served for ever"
    return pages


def test_shows_2_500_rows_of_one_moment_exactly_once(api: Api, workspace: Workspace) -> None:
    record_events(workspace, 2_500)

    pages = walk(api, EVENTS, 100)

    shown = [row["id"] for page in pages for row in page.rows]
    stored = [str(pk) for pk in Event.objects.of(workspace.pk).order_by("-id").values_list("pk", flat=True)]
    assert len(pages) == 25
    assert shown == stored
    assert len(set(shown)) == 2_500


def test_a_full_last_page_is_the_last(api: Api, workspace: Workspace) -> None:
    record_events(workspace, 40)

    pages = walk(api, EVENTS, 20)

    assert [len(page.rows) for page in pages] == [20, 20]
    assert [page.data["hasMore"] for page in pages] == [True, False]


def test_a_row_that_comes_in_between_moves_nothing(api: Api, workspace: Workspace) -> None:
    record_events(workspace, 4)
    first = api.get(EVENTS, {"limit": 2})
    record_events(workspace, 3)

    second = api.get(EVENTS, {"limit": 2, "cursor": first.data["nextCursor"]})

    assert len({row["id"] for row in first.rows + second.rows}) == 4
    assert second.data["nextCursor"] is None


def test_shows_twenty_unless_asked(api: Api, workspace: Workspace) -> None:
    record_events(workspace, 21)

    assert len(api.get(EVENTS).rows) == 20


def test_a_story_begins_with_its_oldest_row(api: Api, workspace: Workspace) -> None:
    message = make_message(workspace)
    events = [
        NewEvent(workspace.pk, EventType.MESSAGE_DEFERRED, ResourceType.MESSAGE, message.pk, message.pk)
        for _ in range(5)
    ]
    record(events, at=NOON)

    pages = walk(api, f"{MESSAGES}/{message.pk}/timeline", 2)

    ids = [row["id"] for page in pages for row in page.rows]
    assert len(ids) == 6
    assert ids == sorted(ids)
    assert pages[0].rows[0]["type"] == "mail.message.queued"


@pytest.mark.parametrize("path", [MESSAGES, EVENTS, "/v1/mail/domains"])
@pytest.mark.parametrize("limit", BAD_LIMITS, ids=lambda text: repr(text[:12]))
def test_refuses_a_limit_out_of_range(api: Api, path: str, limit: str) -> None:
    answer = api.get(path, {"limit": limit})

    assert (answer.status, answer.fields) == (400, {"limit": ["must be a whole number from 1 to 100"]})


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=lambda text: repr(text[:12]))
def test_refuses_a_cursor_that_is_not_ours(api: Api, cursor: str) -> None:
    answer = api.get(MESSAGES, {"cursor": cursor})

    assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_an_empty_cursor_is_not_one(api: Api) -> None:
    assert api.get(MESSAGES, {"cursor": ""}).code == "invalid_cursor"


def test_a_cursor_comes_back_as_it_was_written() -> None:
    identifier = new_id()

    assert read_cursor(write_cursor(identifier)) == identifier
    with pytest.raises(InvalidCursor):
        read_cursor(write_cursor(identifier) + "=")


def test_a_cursor_of_no_row_is_a_place_in_the_list(api: Api, workspace: Workspace) -> None:
    record_events(workspace, 3)

    answer = api.get(EVENTS, {"cursor": write_cursor(uuid.UUID(int=2**128 - 1))})

    assert len(answer.rows) == 3
