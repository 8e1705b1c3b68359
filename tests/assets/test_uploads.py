"""Uploading in a form: what is kept, how it is told, and what is refused before anything is kept."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from apps.assets.models import Asset, Blob
from apps.core.ids import parse_id
from tests import stored
from tests.assets.calls import ASSETS, UPLOAD, file_part, form, send_form, sha256, upload
from tests.assets.conftest import files_in
from tests.client import Api
from tests.conftest import World

FIELDS = {
    *("id", "bucket", "key", "original_name", "mime_type", "size", "checksum_sha256", "visibility", "status"),
    *("replication_status", "folder", "metadata", "cache_control", "generation", "revision", "url"),
    *("created_at", "updated_at"),
}


def test_an_upload_is_kept_byte_for_byte_and_told_as_the_contract_has_it(api: Api, folder: Path) -> None:
    content = bytes(range(256)) * 1_000

    answer = upload(api, content, "Rechnung Größe 日本.pdf", "application/pdf", metadata={"order": 5, "tags": ["A b"]})

    assert answer.status == 201
    asset = answer.data
    assert set(asset) == FIELDS
    assert parse_id(asset["id"]) is not None
    expected = {
        "bucket": "default",
        "key": f"{asset['id']}/Rechnung Größe 日本.pdf",
        "original_name": "Rechnung Größe 日本.pdf",
        "mime_type": "application/pdf",
        "size": 256_000,
        "checksum_sha256": sha256(content),
        "visibility": "private",
        "status": "ready",
        "replication_status": "none",
        "folder": "",
        "metadata": {"order": 5, "tags": ["A b"]},
        "cache_control": "",
        "generation": 1,
        "revision": 1,
        "url": None,
    }
    assert {name: asset[name] for name in expected} == expected
    assert api.get(f"{ASSETS}/{asset['id']}").data == asset
    blob = Blob.objects.across_workspaces().get()
    assert files_in(folder) == [blob.name]
    assert blob.name.startswith(f"{blob.workspace_id}/{blob.checksum_sha256[:2]}/{blob.checksum_sha256}")
    assert (folder / blob.name).read_bytes() == content


def test_only_the_owner_can_read_what_lies_in_the_folder(api: Api, folder: Path) -> None:
    upload(api)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}

    assert modes == {0o600, 0o700}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_every_field_is_taken_in_the_spellings_of_the_published_clients(api: Api) -> None:
    texts = {"bucket": "docs", "key": "2026/a.txt", "folder": "a/b", "visibility": "public"}

    snake = upload(api, cache_control="public, max-age=60", **texts)
    camel = upload(api, cacheControl="public, max-age=60", **texts)

    for answer in (snake, camel):
        assert answer.status == 201
        assert {name: answer.data[name] for name in texts} == texts
        assert answer.data["cache_control"] == "public, max-age=60"
        assert answer.data["url"] == f"{settings.PUBLIC_URL}/downloads/{answer.data['id']}"


def test_the_same_content_twice_is_two_assets_and_one_file(world: World, folder: Path) -> None:
    first, second = upload(world.owner.api), upload(world.owner.api, name="b.txt")
    assert first.data["id"] != second.data["id"]
    assert len(files_in(folder)) == 1

    upload(world.stranger.api)

    assert len(files_in(folder)) == 2, "another workspace has a file of its own"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(), "file"),
        (form(("file", None, None, b"no file name")), "file"),
        (form(("upload", "a.txt", "text/plain", b"x")), "upload"),
        (form(file_part(), file_part()), "file"),
        (form(file_part(b"")), "file"),
        (form(file_part(), ("visibility", None, None, b"secret")), "visibility"),
        (form(file_part(), ("bucket", None, None, b"a/b")), "bucket"),
        (form(file_part(), ("key", None, None, b"../../etc/passwd")), "key"),
        (form(file_part(), ("key", None, None, b"/a")), "key"),
        (form(file_part(), ("key", None, None, b"a\\b")), "key"),
        (form(file_part(), ("folder", None, None, b"a//b")), "folder"),
        (form(file_part(), ("folder", None, None, b"a\0b")), "folder"),
        (form(file_part(), ("metadata", None, None, b"[1]")), "metadata"),
        (form(file_part(), ("metadata", None, None, b'{"a":1,"a":2}')), "metadata"),
        (form(file_part(), ("metadata", None, None, b'{"a":NaN}')), "metadata"),
        (form(file_part(), ("metadata", None, None, b'{"a":"\\u0000"}')), "metadata"),
        (form(file_part(), ("metadata", None, None, b'{"a":' + b"[" * 9_000 + b"]" * 9_000 + b"}")), "metadata"),
        (form(file_part(), ("metadata", None, None, json.dumps({"a": "x" * 17_000}).encode())), "metadata"),
        (form(file_part(), ("cache_control", None, None, b"a\r\nSet-Cookie: b")), "cache_control"),
        (form(file_part(), ("cacheControl", None, None, b"a"), ("cache_control", None, None, b"a")), "cache_control"),
        (form(file_part(), ("folder", None, None, b"a"), ("folder", None, None, b"b")), "folder"),
        (form(file_part(), ("tooo", None, None, b"x")), "tooo"),
        (form(file_part(kind="x")), "file"),
        (form(file_part(kind="*/*")), "file"),
        (form(file_part(name="x" * 256)), "file"),
        (form(file_part(), *[(f"f{n}", None, None, b"x") for n in range(1_001)]), "file"),
        (form(file_part(), *[(f"f{n}", "a.txt", "text/plain", b"x") for n in range(1_001)]), "f0"),
        (b"junk without any boundary", "file"),
        (form(file_part())[:-30].replace(b"Content-Disposition", b"Content-Nothing"), "file"),
        (form(file_part(b"x" * 500))[:-40], "file"),
        (b"", "file"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_a_wrong_form_is_refused_with_the_field_named(api: Api, folder: Path, body: bytes, field: str) -> None:
    before = stored.everything()

    answer = send_form(api, body)

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [field])
    assert stored.everything() == before
    assert not folder.exists()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 3_000, 400),
        ("multipart/form-data; boundary=other", 400),
        ("application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/mixed; boundary=x", 415),
        ("", 415),
    ],
)
def test_a_body_that_is_no_form_is_refused(api: Api, content_type: str, status: int) -> None:
    answer = api.call("POST", UPLOAD, form(file_part()), content_type=content_type)

    assert answer.status == status
    assert Blob.objects.across_workspaces().count() == 0


@override_settings(ASSET_MAX_BYTES=100_000)
def test_the_limit_is_met_to_the_byte(api: Api, folder: Path) -> None:
    assert upload(api, b"x" * 100_000).status == 201

    answer = upload(api, b"y" * 100_001)

    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert answer.body["error"]["details"] == {"maxBytes": 100_000}
    assert len(files_in(folder)) == Blob.objects.across_workspaces().count() == 1


@override_settings(ASSET_MAX_BYTES=1_000)
def test_what_is_too_long_by_its_header_is_refused_before_it_is_read(api: Api) -> None:
    answer = send_form(api, form(("other", "a", "text/plain", b"x" * 70_000)))

    assert (answer.status, answer.code) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\x\\\\y.doc", "y.doc"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u0000b.pdf", "ab.pdf"),
        ("CON", "CON"),
        ("👩\u200d💻.png", "👩\u200d💻.png"),
        ("x" * 255, "x" * 255),
        ("  a   b .txt ", "a b .txt"),
    ],
)
def test_a_file_name_is_made_harmless(api: Api, given: str, kept: str) -> None:
    answer = upload(api, name=given)

    assert (answer.status, answer.data["original_name"]) == (201, kept)


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        (None, "application/octet-stream"),
        ("TEXT/HTML; charset=utf-8", "text/html"),
        ("image/svg+xml", "image/svg+xml"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
    ],
)
def test_a_type_is_kept_without_parameters_and_never_one_that_would_nest(
    api: Api, declared: str | None, kept: str
) -> None:
    assert upload(api, kind=declared).data["mime_type"] == kept


def test_an_idempotency_key_makes_one_asset(api: Api) -> None:
    headers = {"Idempotency-Key": "invoice-1"}

    first, second = upload(api, headers=headers), upload(api, headers=headers)
    other = upload(api, b"other", headers=headers)

    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert Asset.objects.across_workspaces().count() == 1


def test_a_storage_that_does_not_answer_leaves_no_asset_and_a_later_try_works(api: Api, folder: Path) -> None:
    folder.write_text("a file where the folder should be")

    refused = upload(api, headers={"Idempotency-Key": "k"})

    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "storage_unavailable", "5")
    assert Asset.objects.across_workspaces().count() == 0
    folder.unlink()
    assert upload(api, headers={"Idempotency-Key": "k"}).status == 201


def test_a_file_that_was_lost_is_there_again_after_another_upload(api: Api, folder: Path) -> None:
    upload(api)
    (lost,) = files_in(folder)
    (folder / lost).unlink()

    upload(api)

    assert (folder / lost).read_bytes() == b"hello"


@pytest.mark.parametrize("key", ["mail:manage", "mail:send", "mail:read", "assets:read"])
def test_a_key_of_another_scope_cannot_upload(world: World, key: str, make_key_of: Any) -> None:
    answer = upload(make_key_of(key))

    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert answer.body["error"]["details"] == {"requiredScope": "assets:manage"}


def test_scopes_of_assets_and_of_mail_are_apart(make_key_of: Any) -> None:
    manager, reader, mailer = make_key_of("assets:manage"), make_key_of("assets:read"), make_key_of("mail:manage")

    assert upload(manager).status == 201
    assert [api.get(ASSETS).status for api in (manager, reader, mailer)] == [200, 200, 403]
    assert [api.get("/v1/mail/messages").status for api in (manager, reader, mailer)] == [403, 403, 200]


def test_metadata_that_no_answer_could_hold_is_refused(api: Api) -> None:
    before = stored.everything()

    answer = upload(api, metadata='{"n": 123456789012345678901234567890}')

    assert (answer.status, list(answer.fields)) == (400, ["metadata"])
    assert stored.everything() == before
    assert api.get(ASSETS).rows == []
