"""Reading events: every documented key, and filters that refuse what they do not know."""

from datetime import timedelta
from typing import Any

import pytest

from apps.core.ids import new_id
from apps.events.models import Event
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.workspaces.models import Workspace
from tests.client import EVENTS, Api
from tests.conftest import NOON

BAD_TIMES = [
    *("yesterday", "2026-05-12", "2026-05-12T12:00:00", "2026-05-12 12:00:00Z", "2026-02-30T00:00:00Z"),
    *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-05-12T12:00:00+25:00", "2026-05-12T24:01:00Z"),
    *("1778587200", "٢٠٢٦-05-12T12:00:00Z", "2026-05-12T12:00:00Z\n", "2026-05-12T12:00:60.5Z", "x" * 5_000),
]
BAD_IDS = ["1", "x", "01975C5E-8D4A-7B3C-9D2E-0123456789AB", "01975c5e8d4a7b3c9d2e0123456789ab", "a" * 5_000]


def make_event(workspace: Workspace, *, seconds: int = 0, **changes: Any) -> Event:
    facts = {"type": EventType.MESSAGE_SENT, "resource_type": ResourceType.MESSAGE, "resource_id": new_id()} | changes
    record([NewEvent(workspace.pk, **facts)], at=NOON + timedelta(seconds=seconds))
    event: Event = Event.objects.of(workspace.pk).latest("pk")
    return event


def found(api: Api, **query: str) -> list[str]:
    return [row["id"] for row in api.get(EVENTS, query).rows]


def test_shows_every_documented_key(api: Api, workspace: Workspace) -> None:
    message_id = new_id()
    event = make_event(workspace, message_id=message_id, data={"recipient": "ada@example.com", "aKey_ofOurs": 1})

    shown = {
        "id": str(event.pk),
        "type": "mail.message.sent",
        "resourceType": "message",
        "resourceId": str(event.resource_id),
        "messageId": str(message_id),
        "createdAt": "2026-05-12T12:00:00.000Z",
        "data": {"recipient": "ada@example.com", "aKey_ofOurs": 1},
    }
    assert api.get(EVENTS).rows == [shown]
    assert api.get(f"{EVENTS}/{event.pk}").data == shown


def test_is_newest_first(api: Api, workspace: Workspace) -> None:
    events = [str(make_event(workspace).pk) for _ in range(3)]

    assert found(api) == events[::-1]


def test_filters_by_what_it_is_about(api: Api, workspace: Workspace) -> None:
    wanted = make_event(workspace, type=EventType.DOMAIN_CREATED, resource_type=ResourceType.DOMAIN)
    make_event(workspace, message_id=new_id())

    assert found(api, type="mail.domain.created") == [str(wanted.pk)]
    assert found(api, resourceType="domain") == [str(wanted.pk)]
    assert found(api, resourceId=str(wanted.resource_id)) == [str(wanted.pk)]
    assert found(api, resourceType="domain", type="mail.message.sent") == []


def test_filters_by_message(api: Api, workspace: Workspace) -> None:
    message_id = new_id()
    wanted = make_event(workspace, message_id=message_id)
    make_event(workspace, message_id=new_id())

    assert found(api, messageId=str(message_id)) == [str(wanted.pk)]


def test_takes_a_span_with_its_beginning_and_without_its_end(api: Api, workspace: Workspace) -> None:
    events = [str(make_event(workspace, seconds=seconds).pk) for seconds in (0, 1, 2)]

    shown = found(api, **{"from": "2026-05-12T12:00:00Z", "to": "2026-05-12T12:00:02Z"})

    assert shown == [events[1], events[0]]


@pytest.mark.parametrize("moment", ["2026-05-12T14:00:01+02:00", "2026-05-12T12:00:01.000Z", "2026-05-12t12:00:01z"])
def test_reads_times_in_any_zone(api: Api, workspace: Workspace, moment: str) -> None:
    make_event(workspace)
    wanted = make_event(workspace, seconds=1)

    assert found(api, **{"from": moment}) == [str(wanted.pk)]


def test_a_span_that_ends_before_it_begins_is_empty(api: Api, workspace: Workspace) -> None:
    make_event(workspace)

    assert found(api, **{"from": "2026-05-13T00:00:00Z", "to": "2026-05-12T00:00:00Z"}) == []


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("text", BAD_TIMES, ids=lambda text: repr(text[:30]))
def test_refuses_what_is_no_time(api: Api, name: str, text: str) -> None:
    answer = api.get(EVENTS, {name: text})

    assert (answer.status, list(answer.fields)) == (400, [name])


@pytest.mark.parametrize("name", ["resourceId", "messageId"])
@pytest.mark.parametrize("text", BAD_IDS, ids=lambda text: text[:40])
def test_refuses_what_is_no_id(api: Api, name: str, text: str) -> None:
    answer = api.get(EVENTS, {name: text})

    assert (answer.status, list(answer.fields)) == (400, [name])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("type", "mail.message.*"),
        ("type", "Mail.Message.Sent"),
        ("type", "mail.message.sent "),
        ("resourceType", "messages"),
        ("resource_type", "message"),
        ("data__recipient", "ada@example.com"),
    ],
)
def test_refuses_what_it_does_not_know(api: Api, name: str, text: str) -> None:
    answer = api.get(EVENTS, {name: text})

    assert (answer.status, list(answer.fields)) == (400, [name])


def test_events_are_only_appended(workspace: Workspace) -> None:
    event = make_event(workspace)

    with pytest.raises(TypeError, match="only appended"):
        event.save()
