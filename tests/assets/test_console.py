"""The console's pages of assets: a harmless download, and a deletion that is written down."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.assets.models import Asset
from apps.workspaces.models import User
from apps.workspaces.services import create_operator
from tests.assets.rows import make_asset
from tests.conftest import World

LIST = "/admin/assets/asset/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(create_operator("ops@example.com", password="correct-horse-1"))
    return client


def test_a_download_is_inert_and_kept_in_the_record(world: World, console: Client) -> None:
    asset = make_asset(world.owner.workspace, b"<script>alert(1)</script>", "seite.html")

    answer = console.get(f"{LIST}{asset.pk}/file/")

    assert answer.getvalue() == b"<script>alert(1)</script>"
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert (answer["X-Content-Type-Options"], answer["Content-Type"]) == ("nosniff", "text/plain")
    assert LogEntry.objects.get().object_id == str(asset.pk)
    assert f"{LIST}{asset.pk}/file/" in console.get(f"{LIST}{asset.pk}/change/").content.decode()


def test_only_who_may_see_assets_gets_the_file(world: World, client: Client) -> None:
    asset = make_asset(world.owner.workspace)
    assert client.get(f"{LIST}{asset.pk}/file/").status_code == 302
    client.force_login(User.objects.create_user("few@example.com", is_staff=True))

    assert client.get(f"{LIST}{asset.pk}/file/").status_code == 403
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("name", ["x", "00000000-0000-7000-8000-000000000000"])
def test_a_file_that_is_not_there_is_404(console: Client, name: str) -> None:
    assert console.get(f"{LIST}{name}/file/").status_code == 404


def test_deleting_is_written_down_and_happens_once(world: World, console: Client) -> None:
    asset = make_asset(world.owner.workspace)
    chosen = {"action": "delete_assets", "_selected_action": str(asset.pk)}

    first = console.post(LIST, chosen, follow=True).content.decode()
    second = console.post(LIST, chosen, follow=True).content.decode()

    assert "Deleted: 1." in first
    assert "Unchanged: 1." in second
    assert Asset.objects.across_workspaces().get().status == "deleted"
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Deleted."]
    assert console.get(f"{LIST}{asset.pk}/file/").status_code == 404
