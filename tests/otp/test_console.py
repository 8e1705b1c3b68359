"""Operators see challenges without their codes, find them, and cancel them on the record."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from apps.otp.models import Challenge
from apps.workspaces.models import User, Workspace
from apps.workspaces.services import create_operator
from tests.factories import make_challenge
from tests.otp.conftest import told

LIST = "/admin/otp/challenge/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(create_operator("ops@example.com", password="correct-horse-1"))
    return client


@pytest.fixture
def challenge(workspace: Workspace) -> Challenge:
    return make_challenge(workspace)


def shown(response: Any) -> list[Any]:
    return [row.pk for row in response.context["cl"].result_list]


def chosen(challenge: Challenge, **more: str) -> dict[str, Any]:
    return {"action": "cancel", "index": 0, "_selected_action": str(challenge.pk), **more}


def test_the_page_links_the_mails_story_and_has_no_hash(console: Client, challenge: Challenge) -> None:
    html = console.get(f"{LIST}{challenge.pk}/change/").content.decode()

    assert f"/admin/mail_messages/message/{challenge.message_id}/change/" in html
    assert "0 of 5" in html
    assert challenge.code_hash not in html + console.get(LIST).content.decode()


def test_is_found_by_address_ids_purpose_and_status(
    console: Client, challenge: Challenge, workspace: Workspace
) -> None:
    other = make_challenge(workspace, "bea@example.com", purpose="reset")

    for term in ("ADA@example.com", str(challenge.pk), str(challenge.message_id), "logi"):
        assert shown(console.get(LIST, {"q": term})) == [challenge.pk]
    assert shown(console.get(LIST, {"purpose": "reset"})) == [other.pk]
    assert shown(console.get(LIST, {"status__exact": "pending"})) == [other.pk, challenge.pk]
    assert shown(console.get(LIST, {"status__exact": "sent"})) == []


def test_is_canceled_on_the_record(console: Client, challenge: Challenge) -> None:
    console.post(LIST, chosen(challenge))
    again = console.post(LIST, chosen(challenge), follow=True)

    challenge.refresh_from_db()
    (entry,) = LogEntry.objects.all()
    assert challenge.status == "canceled"
    assert told({"id": challenge.pk}) == ["created", "canceled"]
    assert (entry.object_id, entry.get_change_message()) == (str(challenge.pk), "Canceled.")
    assert "This challenge is canceled already." in again.content.decode()


def test_who_may_only_look_cancels_nothing(client: Client, challenge: Challenge) -> None:
    reader = User.objects.create_user("reader@example.com", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)

    assert client.get(f"{LIST}{challenge.pk}/change/").status_code == 200
    client.post(LIST, chosen(challenge))

    challenge.refresh_from_db()
    assert challenge.status == "pending"
    assert not LogEntry.objects.exists()
