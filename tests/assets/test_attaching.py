"""What mail finds: files of its own workspace that are there, and their bytes as they were accepted."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.assets.errors import AssetGone, AttachmentNotFound, AttachmentNotReady
from apps.assets.services import blobs
from apps.assets.services.attaching import Found, Held, Reference, find, locate, read
from apps.core import clock
from apps.core.ids import new_id
from tests.assets.calls import ASSETS, SESSIONS, put, sha256, upload
from tests.assets.conftest import files_in
from tests.assets.test_assets import replace
from tests.conftest import Person, World
from tests.stored import everything


def test_assets_and_uploads_are_found_with_two_queries(world: World) -> None:
    api, workspace = world.owner.api, world.owner.workspace
    assets = [upload(api, str(n).encode(), f"{n}.txt").data["id"] for n in range(10)]
    session = api.post(SESSIONS, {"file_name": "s.pdf", "mime_type": "application/pdf"}).data
    by_upload = UUID(put(session["url"], b"session").data["id"])
    references = [Reference(asset_id=asset) for asset in assets] + [Reference(upload_id=session["upload_session_id"])]

    with CaptureQueriesContext(connection) as queries:
        found = find(workspace.pk, references)

    assert len(queries) == 2
    assert found[references[0]] == Found(UUID(assets[0]), 1, "text/plain", sha256(b"0"))
    assert found[references[-1]] == Found(by_upload, 7, "application/pdf", sha256(b"session"))
    assert len(found) == 11


def test_what_is_not_there_is_not_found(world: World, frozen: time_machine.Traveller) -> None:
    api = world.owner.api
    theirs, deleted = upload(world.stranger.api).data["id"], upload(api).data["id"]
    api.delete(f"{ASSETS}/{deleted}")
    canceled, of_deleted, expired = (api.post(SESSIONS, {"expires_in": 60}).data for _ in range(3))
    api.delete(f"{SESSIONS}/{canceled['upload_session_id']}")
    api.delete(f"{ASSETS}/{put(of_deleted['url'], b'x').data['id']}")
    frozen.shift(timedelta(minutes=2))
    names = [*("", "x", "../x", "\0", "a" * 10_000), str(new_id()), theirs, deleted, theirs.upper(), f" {theirs}"]
    sessions = [canceled, of_deleted, expired]
    references = [Reference(asset_id=name) for name in names] + [Reference(upload_id=name) for name in names]
    references += [Reference(upload_id=session["upload_session_id"]) for session in sessions]
    references += [Reference(), Reference(asset_id=theirs, upload_id=theirs)]

    found = find(world.owner.workspace.pk, references)

    assert {type(answer) for answer in found.values()} == {AttachmentNotFound}
    assert len(found) == len(set(references))


def test_an_upload_under_way_is_not_ready(world: World) -> None:
    reference = Reference(upload_id=world.owner.api.post(SESSIONS, {}).data["upload_session_id"])

    assert isinstance(find(world.owner.workspace.pk, [reference])[reference], AttachmentNotReady)


def test_nothing_asked_is_nothing_found(world: World) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert find(world.owner.workspace.pk, []) == {}
        assert locate([]) == {}

    assert len(queries) == 0


def test_files_of_every_workspace_are_located_with_two_queries_unless_deleted(world: World) -> None:
    ours, theirs = (_held(person, content) for person, content in ((world.owner, b"1"), (world.stranger, b"2")))
    gone = _held(world.owner, b"3")
    world.owner.api.delete(f"{ASSETS}/{gone[1]}")
    foreign = (ours[0], theirs[1], theirs[2])

    with CaptureQueriesContext(connection) as queries:
        found = locate([ours, theirs, gone, foreign, (ours[0], new_id(), sha256(b"4"))])

    assert set(found) == {ours, theirs}
    assert len(queries) == 2


def test_a_deleted_file_that_was_uploaded_again_is_located(world: World) -> None:
    held = _held(world.owner, b"again")
    world.owner.api.delete(f"{ASSETS}/{held[1]}")
    assert locate([held]) == {}

    upload(world.owner.api, b"again", "other.txt")

    assert set(locate([held])) == {held}


def test_the_bytes_read_are_the_bytes_uploaded(world: World) -> None:
    content = bytes(range(256)) * 5_000
    held = _held(world.owner, content)

    assert read(locate([held])[held]) == content


def test_mail_accepted_before_a_replacement_gets_the_earlier_bytes_for_34_days(world: World) -> None:
    old = _held(world.owner, b"old")
    new = (*old[:2], sha256(b"new"))
    replace(world.owner.api, str(old[1]), b"new")
    blobs.sweep(clock.now() + timedelta(days=33, hours=23))

    assert {held: read(blob) for held, blob in locate([old, new]).items()} == {old: b"old", new: b"new"}

    blobs.sweep(clock.now() + timedelta(days=34, hours=1))
    assert {held: read(blob) for held, blob in locate([old, new]).items()} == {new: b"new"}


def test_a_deleted_asset_is_gone_although_its_bytes_are_still_there(world: World, folder: Path) -> None:
    held = _held(world.owner, b"hello")
    world.owner.api.delete(f"{ASSETS}/{held[1]}")

    assert locate([held]) == {}
    assert len(files_in(folder)) == 1


@pytest.mark.parametrize("damage", ["missing", "changed", "unreadable"])
def test_bytes_that_are_not_those_accepted_are_gone(world: World, folder: Path, damage: str) -> None:
    held = _held(world.owner, b"hello")
    (name,) = files_in(folder)
    path = folder / name
    if damage == "changed":
        path.write_bytes(b"other")
    else:
        path.unlink()
    if damage == "unreadable":
        path.mkdir()

    with pytest.raises(AssetGone, match={"missing": "missing", "changed": "damaged"}.get(damage, "did not answer")):
        read(locate([held])[held])


def test_looking_changes_nothing(world: World) -> None:
    held = _held(world.owner, b"hello")
    before = everything()

    find(world.owner.workspace.pk, [Reference(asset_id=str(held[1]))])
    read(locate([held])[held])

    assert everything() == before


def _held(person: Person, content: bytes) -> Held:
    """The person's workspace, its new asset with this content, and the checksum that mail would keep."""
    return person.workspace.pk, UUID(upload(person.api, content).data["id"]), sha256(content)
