"""What the sweep removes, and what it leaves alone."""

from datetime import timedelta
from pathlib import Path

import time_machine

from apps.assets.models import Asset, Blob, SignedLink, UploadPart, UploadSession
from apps.assets.services.sweeping import sweep
from tests.assets.calls import ASSETS, SESSIONS, download, put, put_part, upload
from tests.assets.conftest import files_in
from tests.client import Api


def test_bytes_of_a_deleted_asset_go_after_an_hour_and_its_row_after_a_month(
    api: Api, folder: Path, frozen: time_machine.Traveller
) -> None:
    api.delete(f"{ASSETS}/{upload(api).data['id']}")
    frozen.shift(timedelta(minutes=59))
    sweep()
    assert len(files_in(folder)) == 1

    frozen.shift(timedelta(minutes=2))
    sweep()
    assert (files_in(folder), Blob.objects.across_workspaces().count()) == ([], 0)
    assert Asset.objects.across_workspaces().get().status == "deleted"

    frozen.shift(timedelta(days=31))
    sweep()
    assert Asset.objects.across_workspaces().count() == 0


def test_a_blob_stays_while_one_asset_refers_to_it(api: Api, folder: Path, frozen: time_machine.Traveller) -> None:
    first, second = upload(api).data, upload(api, visibility="public").data
    api.delete(f"{ASSETS}/{first['id']}")
    frozen.shift(timedelta(days=40))
    sweep()

    assert download(second["url"]).body == b"hello"


def test_what_a_died_upload_left_is_removed(api: Api, folder: Path, frozen: time_machine.Traveller) -> None:
    # A process that died after the file was written and before its asset was.
    Asset.objects.across_workspaces().filter(pk=upload(api).data["id"]).delete()
    frozen.shift(timedelta(hours=2))

    sweep()

    assert (files_in(folder), Blob.objects.across_workspaces().count()) == ([], 0)


def test_unfinished_sessions_go_with_their_parts_a_day_after_their_end(
    api: Api, folder: Path, frozen: time_machine.Traveller
) -> None:
    url = api.post(SESSIONS, {"mode": "chunked", "expires_in": "1h"}).data["url"]
    done = api.post(SESSIONS, {}).data
    put_part(url, 1, b"abc")
    put(done["url"], b"done")
    frozen.shift(timedelta(hours=24))
    sweep()
    assert UploadPart.objects.across_workspaces().count() == 1

    frozen.shift(timedelta(hours=2))
    sweep()

    assert [str(row.pk) for row in UploadSession.objects.across_workspaces()] == [done["upload_session_id"]]
    assert (UploadPart.objects.across_workspaces().count(), len(files_in(folder))) == (0, 1)


def test_links_go_a_day_after_their_end(api: Api, frozen: time_machine.Traveller) -> None:
    api.post(f"{ASSETS}/{upload(api).data['id']}/signed-url", {"expires_in": "1m"})
    frozen.shift(timedelta(hours=25))

    sweep()

    assert SignedLink.objects.across_workspaces().count() == 0


def test_a_storage_that_does_not_answer_is_asked_again(api: Api, folder: Path, frozen: time_machine.Traveller) -> None:
    api.delete(f"{ASSETS}/{upload(api).data['id']}")
    frozen.shift(timedelta(hours=2))
    (name,) = files_in(folder)
    path = folder / name
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    sweep()
    assert Blob.objects.across_workspaces().get().doomed_at is not None

    (path / "in the way").unlink()
    sweep()

    assert Blob.objects.across_workspaces().count() == 0


def test_a_doomed_blob_is_not_used_again(api: Api, folder: Path) -> None:
    first = upload(api).data
    Blob.objects.across_workspaces().update(doomed_at="2026-05-12T12:00:00Z")

    second = upload(api, visibility="public").data

    assert first["checksum_sha256"] == second["checksum_sha256"]
    assert Blob.objects.across_workspaces().count() == len(files_in(folder)) == 2
    assert download(second["url"]).body == b"hello"


def test_one_file_that_cannot_be_removed_keeps_no_other(api: Api, folder: Path, frozen: time_machine.Traveller) -> None:
    for content in (b"1", b"2", b"3"):
        api.delete(f"{ASSETS}/{upload(api, content).data['id']}")
    frozen.shift(timedelta(hours=2))
    stuck = folder / files_in(folder)[0]
    stuck.unlink()
    (stuck / "in the way").mkdir(parents=True)

    sweep()

    assert Blob.objects.across_workspaces().count() == 1
