"""Uploads, deletes, completions and downloads at the same moment: real threads, storage and database."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.files.storage import Storage
from django.db import connection

from apps.assets.models import Asset, Blob, SignedLink, UploadSession
from apps.assets.services import blobs, sessions, sweeping
from apps.core import clock
from tests.assets.calls import ASSETS, SESSIONS, download, put_part, sha256, upload
from tests.assets.conftest import files_in
from tests.assets.test_assets import replace
from tests.client import Answer
from tests.conftest import World, make_world
from tests.parallel import at_once, threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


def every_asset_has_its_bytes(folder: Path) -> bool:
    rows = Asset.objects.across_workspaces().filter(deleted_at=None).select_related("blob")
    return all(
        hashlib.sha256((folder / asset.blob.name).read_bytes()).hexdigest() == asset.checksum_sha256 for asset in rows
    )


def test_fifty_uploads_of_one_file_at_once_are_fifty_assets_and_one_whole_file(world: World, folder: Path) -> None:
    content = os.urandom(200_000)

    answers = at_once([lambda: upload(world.owner.api, content)] * 50, workers=threads(25))

    assert [answer.status for answer in answers] == [201] * 50
    assert len({answer.data["id"] for answer in answers}) == 50
    assert [(folder / name).read_bytes() for name in files_in(folder)] == [content]


def test_uploads_with_one_idempotency_key_at_once_are_one_asset(world: World) -> None:
    headers = {"Idempotency-Key": "k"}

    answers = at_once([lambda: upload(world.owner.api, headers=headers)] * 12, workers=threads(12))

    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    assert len({answer.data["id"] for answer in answers}) == 1
    assert Asset.objects.across_workspaces().count() == 1


def test_deletes_sweeps_and_uploads_of_one_content_leave_no_asset_without_its_bytes(world: World, folder: Path) -> None:
    api = world.owner.api

    def churn() -> int:
        made = upload(api, b"the same")
        return api.delete(f"{ASSETS}/{made.data['id']}").status if made.status == 201 else made.status

    def keep() -> int:
        return upload(api, b"the same").status

    def sweep() -> int:
        blobs.sweep(clock.now() + timedelta(hours=2))
        return 0

    # A blob is kept for no time at all here, so that each sweep is as dangerous as it can be.
    with patch.object(blobs, "KEEP", timedelta(hours=-1)):
        results = at_once([churn, sweep, keep, sweep] * 15, workers=threads(12))

    assert set(results) <= {0, 204, 201}
    assert Asset.objects.across_workspaces().filter(deleted_at=None).count() == 15
    assert every_asset_has_its_bytes(folder)
    for made in Asset.objects.across_workspaces().filter(deleted_at=None):
        api.delete(f"{ASSETS}/{made.pk}")
    blobs.sweep(clock.now() + timedelta(hours=2))
    assert (files_in(folder), Blob.objects.across_workspaces().count()) == ([], 0)


def test_a_sweep_between_the_file_and_its_row_makes_the_upload_begin_again(world: World, folder: Path) -> None:
    calls: list[int] = []
    original: Callable[..., Any] = blobs._write

    def write_and_be_swept(*given: Any) -> None:
        original(*given)
        calls.append(1)
        if len(calls) == 1:
            blobs.sweep(clock.now() + timedelta(hours=2))

    with patch.object(blobs, "_write", write_and_be_swept):
        answer = upload(world.owner.api)

    assert (answer.status, len(calls)) == (201, 2)
    assert every_asset_has_its_bytes(folder)
    assert len(files_in(folder)) == 1


def test_no_transaction_is_open_while_the_storage_works(world: World, folder: Path) -> None:
    seen: list[bool] = []
    backend: Any = type(blobs.storage())
    originals = {name: getattr(backend, name) for name in ("_save", "_open", "delete", "exists")}

    def watched(name: str) -> Callable[..., Any]:
        def call(self: Storage, *given: Any, **more: Any) -> Any:
            seen.append(connection.in_atomic_block)
            return originals[name](self, *given, **more)

        return call

    with patch.multiple(backend, **{name: watched(name) for name in originals}):
        api = world.owner.api
        asset = upload(api, visibility="public").data
        download(asset["url"])
        session = api.post(SESSIONS, {"mode": "chunked"}).data
        put_part(session["url"], 1, b"abc")
        api.post(f"{SESSIONS}/{session['upload_session_id']}/complete")
        api.delete(f"{ASSETS}/{asset['id']}")
        blobs.sweep(clock.now() + timedelta(hours=2))

    assert len(seen) == 6
    assert not any(seen)


def test_completing_at_once_makes_one_asset(world: World, folder: Path) -> None:
    api = world.owner.api
    session = api.post(SESSIONS, {"mode": "chunked"}).data
    parts = [os.urandom(50_000) for _ in range(6)]
    puts = [lambda n=n: put_part(session["url"], n + 1, parts[n]) for n in range(6)]
    assert {answer.status for answer in at_once(puts * 2, workers=threads(12))} == {200}

    def complete() -> Answer:
        return api.post(f"{SESSIONS}/{session['upload_session_id']}/complete")

    answers = at_once([complete] * 10, workers=threads(10))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert Asset.objects.across_workspaces().get().checksum_sha256 == sha256(b"".join(parts))
    assert every_asset_has_its_bytes(folder)


def test_a_link_for_seven_downloads_serves_exactly_seven(world: World) -> None:
    asset = upload(world.owner.api).data
    url = world.owner.api.post(f"{ASSETS}/{asset['id']}/signed-url", {"max_downloads": 7}).data["url"]

    statuses = at_once([lambda: download(url).status_code] * 40, workers=threads(20))

    assert sorted(statuses) == [200] * 7 + [410] * 33
    assert SignedLink.objects.across_workspaces().get().downloads == 7


def test_of_two_replacements_of_one_revision_one_wins(world: World) -> None:
    api = world.owner.api
    asset = upload(api).data

    calls = [lambda n=n: replace(api, asset["id"], str(n).encode(), revision='"1"').status for n in range(8)]

    statuses = at_once(calls, workers=threads(8))

    assert sorted(statuses) == [200] + [409] * 7
    assert Asset.objects.across_workspaces().get().revision == 2


def test_a_delete_and_a_replacement_at_once_leave_it_deleted_or_refuse_the_replacement(world: World) -> None:
    api = world.owner.api
    ids = [upload(api, str(n).encode()).data["id"] for n in range(8)]
    calls = [lambda i=i: ("delete", api.delete(f"{ASSETS}/{i}").status) for i in ids]
    calls += [lambda i=i: ("replace", replace(api, i, b"new").status) for i in ids]

    results = at_once(calls, workers=threads(16))

    assert [status for what, status in results if what == "delete"] == [204] * 8
    assert {status for what, status in results if what == "replace"} <= {200, 404, 409}
    assert Asset.objects.across_workspaces().filter(deleted_at=None).count() == 0


def test_two_sweeps_at_once_do_each_thing_once(world: World, folder: Path) -> None:
    for n in range(5):
        made = upload(world.owner.api, str(n).encode())
        world.owner.api.delete(f"{ASSETS}/{made.data['id']}")
    later = clock.now() + timedelta(days=31)

    with patch.object(clock, "now", lambda: later):
        at_once([sweeping.sweep] * 4, workers=threads(4))

    assert files_in(folder) == []
    assert (Blob.objects.across_workspaces().count(), Asset.objects.across_workspaces().count()) == (0, 0)


def test_completing_what_another_request_completes_meanwhile_tells_its_asset(world: World, folder: Path) -> None:
    api = world.owner.api
    session = api.post(SESSIONS, {"mode": "chunked"}).data
    put_part(session["url"], 1, b"part")
    original: Callable[..., Any] = sessions._received
    made: list[Answer] = []

    def be_overtaken(row: UploadSession) -> Any:
        if not made:
            made.append(Answer(0, None, {}))  # of the request within
            made[0] = api.post(f"{SESSIONS}/{session['upload_session_id']}/complete")
        return original(row)

    with patch.object(sessions, "_received", be_overtaken):
        late = api.post(f"{SESSIONS}/{session['upload_session_id']}/complete")

    assert (late.status, late.data["id"]) == (200, made[0].data["id"])
    assert Asset.objects.across_workspaces().count() == 1
