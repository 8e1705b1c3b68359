"""Scheduled mail in the console: found, looked at for the record, sent now, canceled by who may."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from apps.core import clock
from apps.core.ids import first_id_at
from apps.events.models import Event
from apps.messages.models import Message
from apps.scheduled.models import Scheduled
from apps.scheduled.tasks import dispatch
from apps.workspaces.models import User, Workspace
from apps.workspaces.services import switch
from tests import stored
from tests.conftest import World
from tests.console.conftest import console, staff
from tests.scheduled.making import bring_due, fresh, later, make_scheduled, statuses

__all__ = ["console", "staff"]
LIST = "/admin/scheduled/scheduled/"


def act(console: Client, action: str, *rows: Scheduled, **fields: Any) -> Any:
    data = {"action": action, "index": 0, "_selected_action": [str(row.pk) for row in rows], **fields}
    return console.post(LIST, data, follow=True)


def shown(console: Client, query: str = "") -> list[UUID]:
    response = console.get(LIST + query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def record_of(row: Scheduled) -> list[str]:
    return list(LogEntry.objects.filter(object_id=str(row.pk)).order_by("pk").values_list("change_message", flat=True))


def told(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def age(row: Scheduled, by: timedelta) -> Scheduled:
    """As if it had been made so long ago."""
    old = first_id_at(clock.now() - by)
    Scheduled.objects.of(row.workspace_id).filter(pk=row.pk).update(id=old)
    found: Scheduled = Scheduled.objects.of(row.workspace_id).get(pk=old)
    return found


def test_the_list_shows_all_that_waits_and_what_has_ended_newly(console: Client, workspace: Workspace) -> None:
    old, ended, new = (make_scheduled(workspace) for _ in range(3))
    old, ended = age(old, timedelta(days=20)), age(ended, timedelta(days=19))
    Scheduled.objects.of(workspace.pk).filter(pk=ended.pk).update(status="canceled", due_at=None)

    assert shown(console) == [new.pk, old.pk]
    assert shown(console, "?when=30d") == [new.pk, ended.pk, old.pk]
    assert shown(console, "?status__exact=canceled&when=any") == [ended.pk]


def test_the_list_is_narrowed_to_what_stands_in_the_way(console: Client, workspace: Workspace) -> None:
    stuck, _waiting = make_scheduled(workspace), make_scheduled(workspace)
    bring_due(workspace, stuck)
    switch(workspace, Workspace.Status.SUSPENDED)
    dispatch()

    assert shown(console, "?waits_for=workspace_suspended") == [stuck.pk]
    assert shown(console, "?waits_for=limit") == []


def test_it_is_found_by_ids_and_addresses(console: Client, workspace: Workspace) -> None:
    ada, grace = (
        make_scheduled(workspace),
        make_scheduled(workspace, later(to=["grace@example.com", "bob@example.com"])),
    )

    assert shown(console, f"?q={ada.pk}") == [ada.pk]
    assert shown(console, "?q=bob@example.com") == [grace.pk]
    assert shown(console, "?q=ob@example.com") == []
    bring_due(workspace)
    dispatch()
    Scheduled.objects.of(workspace.pk).update(recipients="\n\n")
    assert shown(console, f"?q={fresh(ada).message_id}") == [ada.pk]
    assert shown(console, "?q=bob@example.com") == [grace.pk]


def test_the_page_tells_why_it_waits_and_each_look_is_kept(console: Client, workspace: Workspace) -> None:
    row = make_scheduled(workspace, later(text="A secret between us."))

    html = console.get(f"{LIST}{row.pk}/change/").content.decode()

    assert "A secret between us." in html
    assert "Its time has not come." in html
    assert record_of(row) == ["Looked at it."]
    assert "A secret between us." not in console.get(LIST).content.decode()


def test_send_now_makes_it_due(console: Client, workspace: Workspace) -> None:
    row = make_scheduled(workspace)

    response = act(console, "send_now", row)

    assert told(response) == ["Made due now: 1."]
    assert fresh(row).send_at <= clock.database_now()
    assert dispatch() == 1
    assert fresh(row).status == "sent"
    assert record_of(row) == ["Made due now."]


def test_cancel_asks_first(console: Client, workspace: Workspace) -> None:
    row = make_scheduled(workspace)

    asked = act(console, "cancel", row)
    assert "Yes, cancel it" in asked.content.decode()
    assert fresh(row).status == "scheduled"
    done = act(console, "cancel", row, confirmed="1")

    assert told(done) == ["Canceled: 1."]
    assert fresh(row).status == "canceled"
    assert record_of(row) == ["Canceled."]
    assert Event.objects.of(workspace.pk).filter(type="mail.scheduled.canceled").count() == 1


@pytest.mark.parametrize("action", ["send_now", "cancel"])
def test_what_has_ended_stays_and_it_is_said(console: Client, workspace: Workspace, action: str) -> None:
    sent, waiting = make_scheduled(workspace), make_scheduled(workspace)
    bring_due(workspace, sent)
    dispatch()

    response = act(console, action, sent, waiting, confirmed="1")

    assert told(response)[1] == "Unchanged: 1. It is sent; only what is still scheduled can be changed."
    assert statuses(workspace) == ["sent", "canceled" if action == "cancel" else "scheduled"]
    assert record_of(sent) == []
    page = console.get(f"{LIST}{sent.pk}/change/").content.decode()
    assert "Send now" not in page
    assert str(Message.objects.of(workspace.pk).get().pk) in page


@pytest.mark.parametrize("action", ["send_now", "cancel"])
def test_who_may_only_look_changes_nothing(client: Client, world: World, action: str) -> None:
    row = make_scheduled(world.owner.workspace)
    viewer = User.objects.create_user("viewer@example.com", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_scheduled"))
    client.force_login(viewer)
    before = stored.everything()

    act(client, action, row, confirmed="1")

    page = client.get(f"{LIST}{row.pk}/change/")
    assert page.status_code == 200
    assert "Send now" not in page.content.decode()
    assert stored.everything() == before


def test_who_may_not_look_is_refused_and_that_is_kept(client: Client, world: World) -> None:
    row = make_scheduled(world.owner.workspace)
    client.force_login(User.objects.create_user("other@example.com", is_staff=True))

    assert client.get(f"{LIST}{row.pk}/change/").status_code == 403
    assert record_of(row) == ["Refused: may not be seen by this user."]
