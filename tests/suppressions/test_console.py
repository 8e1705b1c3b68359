"""Suppressions in the console: import and export with their record, evidence, and what a message's story says."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.messages.models import Attempt
from apps.suppressions.models import Suppression
from apps.suppressions.services import lift
from apps.workspaces.models import User, Workspace
from tests import stored
from tests.client import SEND, mail
from tests.conftest import World
from tests.console.conftest import HOSTILE
from tests.factories import suppress
from tests.suppressions.making import make_bounce, soft_bounces

LIST = "/admin/suppressions/suppression/"


def upload(client: Client, workspace: Workspace, content: bytes | str, name: str = "list.csv", more: Any = None) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    file = SimpleUploadedFile(name, raw, content_type="text/csv")
    return client.post(f"{LIST}import/", {"workspace": workspace.pk, "file": file, "reason": "manual"} | (more or {}))


def reader_with(*names: str) -> Client:
    user = User.objects.create_user("reader@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def test_an_import_reports_every_line_and_leaves_a_record(console: Client, world: World) -> None:
    workspace = world.owner.workspace
    suppress(workspace.pk, "known@example.com")

    page = upload(console, workspace, f"email,reason\nada@example.com,\nKnown@example.com,\n{HOSTILE},blocked\n")

    text = page.content.decode()
    assert page.status_code == 200
    assert HOSTILE not in text
    assert "<dd>1 suppressed from now on</dd>" in text
    assert "<dd>1 suppressed before, unchanged</dd>" in text
    assert "<td>4</td>" in text
    assert set(Suppression.objects.of(workspace.pk).values_list("email", flat=True)) == {
        *("known@example.com", "ada@example.com")
    }
    (entry,) = LogEntry.objects.all()
    assert (entry.user.email, entry.object_id) == ("ops@example.com", str(workspace.pk))
    assert entry.change_message == "Imported suppressions from list.csv, lines 2 to 4: 1 new."


def test_a_check_stores_nothing_and_leaves_no_record(console: Client, workspace: Workspace) -> None:
    before = stored.everything()

    page = upload(console, workspace, "email\nada@example.com\nx\n", more={"is_trial": "on"})

    assert "Nothing was stored." in page.content.decode()
    assert "1 would be suppressed" in page.content.decode()
    assert stored.everything() == before
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"email\n" + b"a@b.example\n" * 50_001, 413, "more than 50,000 rows"),
        ("email\na@b.example".encode("utf-16"), 400, "save it as CSV UTF-8"),
        (b"name\nAda\n", 400, "must name its columns"),
        (b"", 200, "The submitted file is empty."),
    ],
    ids=["rows", "utf-16", "columns", "empty"],
)
def test_a_file_that_is_none_is_refused_with_words(
    console: Client,
    workspace: Workspace,
    content: bytes,
    status: int,
    said: str,
) -> None:
    before = stored.everything()

    page = upload(console, workspace, content)

    assert page.status_code == status
    assert said in page.content.decode()
    assert stored.everything() == before


@pytest.mark.parametrize("name", [f"{HOSTILE}.csv", "=cmd().csv", "x" * 500 + ".csv", "\u202egpj.csv"])
def test_a_hostile_file_name_is_only_text(console: Client, workspace: Workspace, name: str) -> None:
    page = upload(console, workspace, "email\nada@example.com\n", name)

    assert page.status_code == 200
    assert "<img src=x" not in page.content.decode()
    history = console.get(f"/admin/workspaces/workspace/{workspace.pk}/history/").content.decode()
    assert "Imported suppressions from" in history
    assert "<img src=x" not in history


@pytest.mark.parametrize("fields", [{"workspace": "x"}, {"workspace": ""}, {"reason": "x"}, {"reason": ""}], ids=str)
def test_a_form_that_is_wrong_is_shown_again(console: Client, workspace: Workspace, fields: Any) -> None:
    before = stored.everything()

    page = upload(console, workspace, "email\nada@example.com\n", more=fields)

    assert (page.status_code, "errorlist" in page.content.decode()) == (200, True)
    assert stored.everything() == before


def test_who_may_not_add_may_not_import(workspace: Workspace) -> None:
    reader = reader_with("view_suppression", "view_workspace")
    before = stored.everything()

    assert upload(reader, workspace, "email\nada@example.com\n").status_code == 403
    assert reader.get(f"{LIST}import/").status_code == 403
    assert stored.everything() == before
    text = reader.get(LIST).content.decode()
    assert ("/import/" in text, "/export/" in text) == (False, True)


def exported(answer: Any) -> list[str]:
    return b"".join(answer.streaming_content).decode().splitlines()


def test_an_export_has_what_the_list_shows_of_one_workspace(console: Client, world: World) -> None:
    ours = world.owner.workspace
    bounce = make_bounce(ours, "dead@example.com", is_hard=True)
    suppress(ours.pk, "=cmd@example.com")
    suppress(world.stranger.workspace.pk, "theirs@example.com")

    everything = console.get(f"{LIST}export/", {"workspace": ours.pk})
    bounced = console.get(f"{LIST}export/", {"workspace": ours.pk, "reason__exact": "hard_bounce"})
    found = console.get(f"{LIST}export/", {"workspace": ours.pk, "q": "=CMD@example.com"})

    assert everything["Content-Disposition"] == 'attachment; filename="suppressions-shop.csv"'
    assert everything["Content-Type"] == "text/csv; charset=utf-8"
    assert everything["X-Content-Type-Options"] == "nosniff"
    header, cmd, dead = exported(everything)
    assert cmd.startswith("'=cmd@example.com,manual,user,")
    assert dead.endswith(f",{bounce.message_id},{bounce.pk},")
    assert exported(bounced) == [header, dead]
    assert exported(found) == [header, cmd]
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Exported suppressions."]


@pytest.mark.parametrize("query", [{}, {"workspace": "x"}, {"workspace": "01a2270d-4fb8-7533-9088-30434c660ea2"}])
def test_an_export_is_of_one_workspace(console: Client, workspace: Workspace, query: Any) -> None:
    answer = console.get(f"{LIST}export/", query)

    assert answer.status_code == 302
    assert answer["Location"].startswith(LIST)
    assert not LogEntry.objects.exists()


def test_who_may_see_nothing_may_not_export(workspace: Workspace) -> None:
    reader = reader_with("view_message")

    assert reader.get(f"{LIST}export/", {"workspace": workspace.pk}).status_code == 403


def test_a_suppression_shows_what_it_came_of(console: Client, workspace: Workspace) -> None:
    bounce = make_bounce(workspace, is_hard=True)
    row = Suppression.objects.of(workspace.pk).get()
    attempt = Attempt.objects.of(workspace.pk).get(recipient_id=bounce.recipient_id)

    text = console.get(f"{LIST}{row.pk}/change/").content.decode()

    assert f'/admin/mail_messages/message/{bounce.message_id}/change/">Your order</a>' in text
    assert f'/admin/mail_messages/bounce/{bounce.pk}/change/">550 5.1.1 No such user</a>' in text
    assert f'/admin/mail_messages/attempt/{attempt.pk}/change/">try 1</a> by mx.example.com' in text
    assert "The address is dead, as its server said." in text
    assert f'/admin/mail_messages/bounce/{bounce.pk}/change/">a bounce</a>' in console.get(LIST).content.decode()
    back = console.get(f"/admin/mail_messages/bounce/{bounce.pk}/change/").content.decode()
    assert f"{LIST}{row.pk}/change/" in back

    lift(row)
    assert "lifted since" in console.get(f"/admin/mail_messages/bounce/{bounce.pk}/change/").content.decode()


def test_repeated_soft_bounces_are_explained(console: Client, workspace: Workspace) -> None:
    soft_bounces(workspace, 5)
    row = Suppression.objects.of(workspace.pk).get()

    text = console.get(f"{LIST}{row.pk}/change/").content.decode()

    assert "Its mailbox took no mail 5 times within 30 days, with no delivery in between." in text


def test_evidence_that_is_gone_breaks_no_page(console: Client, workspace: Workspace) -> None:
    bounce = make_bounce(workspace, is_hard=True)
    bounce.message.delete()
    row = Suppression.objects.of(workspace.pk).get()

    text = console.get(f"{LIST}{row.pk}/change/").content.decode()

    assert text.count("no longer kept") == 2


def test_the_story_of_a_suppressed_recipient_leads_to_the_suppression(world: World, console: Client) -> None:
    row = suppress(world.owner.workspace.pk, "ADA@example.com")
    message_id = world.owner.api.post(SEND, mail()).data["id"]
    url = f"/admin/mail_messages/message/{message_id}/change/"

    text = console.get(url).content.decode()
    assert f'<a href="{LIST}{row.pk}/change/">Suppressed</a>' in text
    assert "To lift it, open it and delete it; mail that is sent after that goes out." in text

    console.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    text = console.get(url).content.decode()
    assert f"{LIST}{row.pk}" not in text
    assert "The suppression was lifted since" in text
    assert world.owner.api.post(SEND, mail()).data["status"] == "queued"


def test_whole_addresses_are_found_in_any_spelling(console: Client, world: World) -> None:
    for person in (world.owner, world.stranger):
        suppress(person.workspace.pk, "ada@example.com")
    suppress(world.owner.workspace.pk, "eve@example.com")

    text = console.get(LIST, {"q": "ADA@Example.com"}).content.decode()

    assert text.count('<td class="field-workspace') == 2
