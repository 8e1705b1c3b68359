"""Reports, the bounce debugger, inbound domains and inbound mail in the console."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.inbound.models import InboundDomain
from apps.inbound.services import domains
from apps.workspaces.models import User
from apps.workspaces.services import create_operator
from tests import stored
from tests.conftest import World, make_world
from tests.fakes.dns_server import DnsServer
from tests.inbound.conftest import Doors
from tests.inbound.mail import make_inbound_message
from tests.inbound.making import BOUNCES, dsn, make_sent, return_path

DEBUG = "/admin/inbound/report/debug/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ops@example.com", "correct-horse-1"))
    return client


@pytest.fixture
def clerk(db: None) -> Client:
    """Somebody of the staff who may see domains and nothing confidential."""
    user = User.objects.create_user("clerk@example.com", "correct-horse-1", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_inbounddomain"))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def test_an_unmatched_report_is_shown_with_what_was_read_and_why(doors: Doors, console: Client) -> None:
    report = doors.post(BOUNCES, dsn(email="who@example.com")).data["id"]

    listed = text(console, "/admin/inbound/report/?status__exact=unmatched")
    page = text(console, reverse("admin:inbound_report_change", args=(report,)))

    assert "who@example.com: It names neither" in listed
    assert "Bounce debugger" in listed
    assert "Final-Recipient: rfc822; who@example.com" in page
    assert "&quot;status&quot;" in page
    assert LogEntry.objects.filter(object_id=report, change_message="Looked at it.").exists()


def test_the_debugger_says_what_would_follow_and_nothing_does(world: World, console: Client) -> None:
    message = make_sent(world.owner.workspace)
    path = return_path(message)
    text(console, DEBUG)
    before = stored.everything()

    response = console.post(DEBUG, {"mail": dsn(message).decode(), "recipient": path})

    page = response.content.decode()
    assert "Matched" in page
    assert "by its signed return path" in page
    assert "a bounce of type hard; suppressed (hard bounce)" in page
    assert str(message.pk) in page
    assert stored.everything() == before


@pytest.mark.parametrize("pasted", ["", "x" * 100_000, "Subject: <img src=x onerror=alert(1)>\n\nx", "\ud800"])
def test_anything_may_be_pasted(console: Client, pasted: str) -> None:
    response = console.post(DEBUG, {"mail": pasted.encode("utf-8", "replace").decode()})

    assert response.status_code == 200
    assert "<img src=x" not in response.content.decode()


def test_mail_is_shown_in_a_frame_where_nothing_runs(world: World, console: Client) -> None:
    message = make_inbound_message(world.owner.workspace)
    page = text(console, reverse("admin:inbound_inboundmessage_change", args=(message.pk,)))
    html = console.get(reverse("admin:inbound_inboundmessage_html", args=(message.pk,)))
    file = console.get(reverse("admin:inbound_inboundmessage_attachment", args=(message.pk, 0)))

    assert "<iframe sandbox " in page
    assert "Where is it?" in page
    assert "<script>" not in page.partition("<main")[2]
    assert html.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert file.headers["Content-Disposition"].startswith("attachment;")
    assert b"".join(file.streaming_content) == b"<b>"  # type: ignore[arg-type]
    assert "Where is my order" in text(console, "/admin/inbound/inboundmessage/?q=info@in.shop.example")


def test_who_may_not_see_mail_sees_none(world: World, clerk: Client) -> None:
    message = make_inbound_message(world.owner.workspace)

    for name, arguments in (
        ("inboundmessage_changelist", ()),
        ("inboundmessage_change", (message.pk,)),
        ("inboundmessage_html", (message.pk,)),
        ("inboundmessage_attachment", (message.pk, 0)),
        ("report_changelist", ()),
        ("report_debug", ()),
    ):
        assert clerk.get(reverse(f"admin:inbound_{name}", args=arguments)).status_code == 403, name
    assert clerk.get("/admin/inbound/inbounddomain/").status_code == 200


def test_a_domain_is_added_trusted_and_disabled(world: World, console: Client) -> None:
    workspace = world.owner.workspace
    console.post("/admin/inbound/inbounddomain/add/", {"workspace": str(workspace.pk), "name": "in.shop.example"})
    domain = InboundDomain.objects.of(workspace.pk).get()
    assert "_stackshift-inbound" in text(console, reverse("admin:inbound_inbounddomain_change", args=(domain.pk,)))

    for action, receives in (("trust", True), ("disable", False), ("enable", True)):
        console.post("/admin/inbound/inbounddomain/", {"action": action, "_selected_action": str(domain.pk)})

        assert bool(domains.receiving(["in.shop.example"])) is receives
    assert LogEntry.objects.filter(object_id=str(domain.pk)).count() == 4


@pytest.mark.django_db(transaction=True)
def test_verifying_talks_to_the_dns_outside_of_any_transaction(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    world = make_world()
    domain = domains.create(world.owner.workspace.pk, "in.example")
    operator = Client()
    operator.force_login(create_operator("ops@example.com", password="correct-horse-1"))
    seen: list[bool] = []
    original = domains.look

    def look(name: str) -> Any:
        seen.append(connection.in_atomic_block)
        return original(name)

    monkeypatch.setattr(domains, "look", look)
    chosen = {"action": "verify_now", "_selected_action": str(domain.pk)}
    with DnsServer() as server:
        settings.MAIL_DNS_SERVERS = server.address
        answer = operator.post(reverse("admin:inbound_inbounddomain_changelist"), chosen, follow=True)

    assert seen == [False]
    assert [str(message) for message in answer.context["messages"]] == ["in.example is pending."]
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Looked up: pending."]
