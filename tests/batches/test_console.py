"""Batches in the console: how far each is, what failed first, and nothing for who may not look."""

import re
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from apps.batches.models import Batch, BatchItem
from apps.messages.models import Message
from apps.workspaces.models import User, Workspace
from tests import stored
from tests.batches.making import BATCH, FROM, batch, item
from tests.client import Api
from tests.conftest import World
from tests.console.conftest import HOSTILE, console, staff

__all__ = ["console", "staff"]

LIST = "/admin/batches/batch/"
ITEMS = "/admin/batches/batchitem/"
STATES = ("sent", "sent", "bounced", "suppressed", "failed", "queued", "deferred", "sent")
STRIP = re.compile(r'<rect class="(\w+)" x="(\d+)" width="(\d+)" height="10">')
LABEL = re.compile(r'role="img" aria-label="([^"]*)"')
PILL = re.compile(r'<span class="pill (\w+)">([^<]*)</span>')


def make(api: Api, *items: dict[str, Any], states: tuple[str, ...] = (), sender: Any = FROM) -> Batch:
    """A batch whose first messages have come to these states."""
    answer = api.post(BATCH, batch(*(items or [item(0), item(1)]), **{"from": sender}))
    for row, state in zip(answer.data["items"], states, strict=False):
        error = "550 5.1.1 No such user" if state in {"bounced", "failed"} else ""
        Message.objects.across_workspaces().filter(pk=row["messageId"]).update(status=state, last_error=error)
    made: Batch = Batch.objects.across_workspaces().get(pk=answer.data["id"])
    return made


def make_mixed(api: Api) -> Batch:
    """Ten items: three sent, one suppressed, two waiting, and four failed, two of which never had a message."""
    letters = [item(number) for number in range(len(STATES))]
    return make(api, *letters, item(8, to="nobody"), item(9, to=HOSTILE), states=STATES)


def page(console: Client, row: Batch) -> str:
    response = console.get(f"{LIST}{row.pk}/change/")
    assert response.status_code == 200
    return str(response.content.decode())


def shown(console: Client, path: str) -> list[UUID]:
    response = console.get(path)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def link_to(html: str, text: str) -> str:
    """The address behind a link."""
    found = re.search(rf'<a href="([^"]*)">{re.escape(text)}</a>', html)
    assert found is not None
    return found[1].replace("&amp;", "&")


def operator(*codenames: str) -> Client:
    user = User.objects.create_user("viewer@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def test_the_list_shows_how_far_each_batch_is(console: Client, api: Api) -> None:
    waiting = make(api)
    done = make(api, states=("sent", "suppressed"))
    mixed = make_mixed(api)

    html = console.get(LIST).content.decode()

    assert shown(console, LIST) == [mixed.pk, done.pk, waiting.pk]
    assert PILL.findall(html) == [("open", "Processing"), ("good", "Completed"), ("open", "Queued")]
    assert LABEL.findall(html) == [
        "8 of 10 done: 3 sent, 4 failed, 1 suppressed",
        "2 of 2 done: 1 sent, 0 failed, 1 suppressed",
        "0 of 2 done: 0 sent, 0 failed, 0 suppressed",
    ]
    assert re.findall(r"<span>(\d+ %)</span>", html) == ["80 %", "100 %", "0 %"]


def test_the_bar_is_as_long_as_what_it_stands_for(console: Client, api: Api) -> None:
    row = make_mixed(api)

    html = page(console, row)

    assert STRIP.findall(html) == [("good", "0", "300"), ("quiet", "300", "100"), ("bad", "400", "400")]
    assert PILL.findall(html)[0] == ("open", "Processing")


def test_the_page_begins_with_what_failed_and_says_why(console: Client, api: Api) -> None:
    row = make_mixed(api)

    response = console.get(f"{LIST}{row.pk}/change/")

    rows = [(line["item"].index, line["state"], line["error"].partition(":")[0]) for line in response.context["rows"]]
    assert rows == [
        (2, "bounced", "550 5.1.1 No such user"),
        (4, "failed", "550 5.1.1 No such user"),
        (8, "failed", "validation_error"),
        (9, "failed", "validation_error"),
        *((0, "sent", "-"), (1, "sent", "-"), (3, "suppressed", "-")),
        *((5, "queued", "-"), (6, "deferred", "-"), (7, "sent", "-")),
    ]
    first = BatchItem.objects.across_workspaces().get(batch=row, index=2)
    assert f"/admin/mail_messages/message/{first.message_id}/change/" in response.content.decode()


def test_each_count_leads_to_exactly_these_items(console: Client, api: Api) -> None:
    make_mixed(api)
    row = make_mixed(api)
    html = page(console, row)
    own = BatchItem.objects.across_workspaces().filter(batch=row).order_by("-index")
    ids = dict(own.values_list("index", "pk"))

    found = {text: shown(console, link_to(html, text)) for text in ("3 sent", "3 failed", "1 bounced", "1 queued")}

    assert found == {
        "3 sent": [ids[7], ids[1], ids[0]],
        "3 failed": [ids[9], ids[8], ids[4]],
        "1 bounced": [ids[2]],
        "1 queued": [ids[5]],
    }
    assert shown(console, link_to(html, "All 10 items")) == list(ids.values())
    assert shown(console, f"{ITEMS}?batch_id={row.pk}&state=refused") == [ids[9], ids[8]]


def test_a_batch_is_found_by_its_id_and_its_sender(console: Client, api: Api) -> None:
    plain, other = make(api), make(api, sender="news@shop.example")

    assert shown(console, f"{LIST}?q={plain.pk}") == [plain.pk]
    assert shown(console, f"{LIST}?q=news@shop.example") == [other.pk]
    assert shown(console, f"{LIST}?q=nobody@shop.example") == []


def test_of_many_items_the_page_shows_a_hundred(console: Client, api: Api) -> None:
    row = make(api, *[item(number) for number in range(105)], item(105, to="nobody"))

    response = console.get(f"{LIST}{row.pk}/change/")

    assert [line["item"].index for line in response.context["rows"]] == [105, *range(99)]
    assert "those that failed come first; 100 are shown" in response.content.decode()


def test_the_list_asks_as_often_for_many_batches_as_for_one(console: Client, api: Api) -> None:
    make(api)
    console.get(LIST)
    with CaptureQueriesContext(connection) as one:
        console.get(LIST)
    for _ in range(4):
        make(api)
    with CaptureQueriesContext(connection) as many:
        console.get(LIST)

    assert len(many) == len(one)


def test_hostile_names_and_addresses_are_only_text(console: Client, api: Api, workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(name=HOSTILE)
    row = make(api, item(0), item(1, to=HOSTILE), sender={"email": FROM, "name": HOSTILE})
    good, refused = BatchItem.objects.across_workspaces().filter(batch=row).order_by("index")
    Message.objects.across_workspaces().filter(pk=good.message_id).update(status="bounced", last_error=HOSTILE)

    pages = [LIST, f"{LIST}{row.pk}/change/", ITEMS, f"{ITEMS}{refused.pk}/change/"]
    html = [console.get(address).content.decode() for address in pages]

    assert [HOSTILE in text for text in html] == [False] * len(html)
    assert ["<img src=x" in text for text in html] == [False] * len(html)
    assert [escape(HOSTILE) in text for text in html] == [True] * len(html)


@pytest.mark.parametrize("codenames", [(), ("view_message", "view_recipient", "view_batchitem")])
def test_who_may_not_look_is_told_nothing(world: World, codenames: tuple[str, ...]) -> None:
    row = make(world.owner.api, item(0, subject="A secret"), item(1, to="nobody@"))
    client = operator(*codenames)
    before = stored.everything()

    answers = [client.get(address) for address in (LIST, f"{LIST}{row.pk}/change/", f"{LIST}{row.pk}/history/")]

    assert [answer.status_code for answer in answers] == [403] * 3
    for answer in answers:
        for secret in (str(row.pk), FROM, "r0@example.com", "A secret", "nobody@"):
            assert secret not in answer.content.decode()
    assert stored.everything() == before


def test_an_id_that_is_none_tells_no_more_than_one_that_is(world: World) -> None:
    row = make(world.owner.api)
    client = operator()

    real, unreal = (client.get(f"{LIST}{pk}/change/") for pk in (row.pk, "00000000-0000-0000-0000-000000000000"))

    assert (real.status_code, unreal.status_code) == (403, 403)
    assert real.json()["error"] == unreal.json()["error"]


def test_who_may_see_batches_sees_no_items_list(world: World) -> None:
    row = make(world.owner.api)
    client = operator("view_batch")

    assert client.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert client.get(ITEMS).status_code == 403


def test_nothing_can_be_changed_here(console: Client, api: Api) -> None:
    row = make(api)
    before = stored.everything()

    answers = [
        console.post(f"{LIST}add/", {"type": "message"}),
        console.post(f"{LIST}{row.pk}/change/", {"from_email": "evil@example.com"}),
        console.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert stored.everything() == before
