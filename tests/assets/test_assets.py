"""Listing, reading, replacing, deleting; and the addresses under which files are fetched."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from apps.assets.models import Asset, SignedLink
from tests import stored
from tests.assets.calls import ASSETS, download, file_part, form, send_form, sha256, upload
from tests.assets.conftest import files_in
from tests.client import Answer, Api
from tests.conftest import World

MISSING = "00000000-0000-7000-8000-000000000000"


def replace(api: Api, asset_id: str, content: bytes = b"new", revision: str | None = None, **texts: str) -> Answer:
    parts = [(name, None, None, text.encode()) for name, text in texts.items()]
    headers = {} if revision is None else {"If-Match": revision}
    body = form(file_part(content, "new.bin", "image/png"), *parts)
    return send_form(api, body, method="PUT", path=f"{ASSETS}/{asset_id}/replace", headers=headers)


def sign(api: Api, asset_id: str, **body: Any) -> Answer:
    return api.post(f"{ASSETS}/{asset_id}/signed-url", body)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["c.pdf", "b.png", "a.txt"]),
        ({"limit": "2"}, ["c.pdf", "b.png"]),
        ({"query": "B.P"}, ["b.png"]),
        ({"query": "%"}, []),
        ({"mime": "image/png"}, ["b.png"]),
        ({"mime": "image/*"}, ["b.png"]),
        ({"family": "image"}, ["b.png"]),
        ({"family": "document"}, ["c.pdf"]),
        ({"family": "text"}, ["a.txt"]),
        ({"family": "other"}, []),
        ({"folder": "pictures"}, ["b.png"]),
        ({"bucket": "default"}, ["c.pdf", "b.png", "a.txt"]),
        ({"visibility": "public"}, ["c.pdf"]),
        ({"checksum": sha256(b"a").upper()}, ["a.txt"]),
        ({"tag": "Blue sky"}, ["b.png"]),
        ({"tag": "sky"}, []),
        ({"tag": "%"}, []),
    ],
)
def test_the_list_is_filtered(api: Api, query: dict[str, str], names: list[str]) -> None:
    upload(api, b"a", "a.txt")
    upload(api, b"b", "b.png", "image/png", folder="pictures", metadata={"tags": ["blue sky", "sea", 5]})
    upload(api, b"c", "c.pdf", "application/pdf", visibility="public")

    answer = api.get(ASSETS, query)

    assert [row["original_name"] for row in answer.rows] == names
    assert set(answer.data) == {"data", "nextCursor", "hasMore"}


@pytest.mark.parametrize("name", ["ordering", "workspace", "workspace_id", "id__in", "status", "mime_type", "tags"])
def test_an_unknown_filter_is_refused(api: Api, name: str) -> None:
    answer = api.get(ASSETS, {name: "x"})

    assert (answer.status, list(answer.fields)) == (400, [name])


def test_pages_follow_each_other(api: Api) -> None:
    ids = [upload(api, str(n).encode()).data["id"] for n in range(5)]

    first = api.get(ASSETS, {"limit": "3"}).data
    second = api.get(ASSETS, {"limit": "3", "cursor": first["nextCursor"]}).data

    assert [row["id"] for row in (*first["data"], *second["data"])] == ids[::-1]
    assert second["nextCursor"] is None


def test_a_deleted_asset_is_gone_at_once_and_deleted_once(api: Api) -> None:
    asset = upload(api, visibility="public").data
    link = sign(api, asset["id"]).data["url"]

    assert api.delete(f"{ASSETS}/{asset['id']}").status == 204

    for answer in (api.get(f"{ASSETS}/{asset['id']}"), api.delete(f"{ASSETS}/{asset['id']}"), sign(api, asset["id"])):
        assert (answer.status, answer.code) == (404, "not_found")
    assert replace(api, asset["id"]).status == 404
    assert api.get(ASSETS).rows == []
    assert (download(link).status_code, download(asset["url"]).status_code) == (404, 404)


def test_an_idempotency_key_lets_a_delete_be_repeated(api: Api) -> None:
    asset, other = upload(api).data, upload(api, b"other").data

    answers = [api.delete(f"{ASSETS}/{asset['id']}", Idempotency_Key="d") for _ in range(2)]
    conflict = api.delete(f"{ASSETS}/{other['id']}", Idempotency_Key="d")

    assert [answer.status for answer in answers] == [204, 204]
    assert (conflict.status, conflict.code) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ('"2"', 409, "conflict"),
        ('"0"', 409, "conflict"),
        ("1", 400, "validation_error"),
        ('W/"1"', 400, "validation_error"),
        ('"1", "2"', 400, "validation_error"),
        ('"x"', 400, "validation_error"),
        ('""', 400, "validation_error"),
        ('"' + "1" * 5_000 + '"', 400, "validation_error"),
        ('"１"', 400, "validation_error"),
    ],
)
def test_a_revision_that_is_old_or_none_changes_nothing(api: Api, given: str, status: int, code: str) -> None:
    asset = upload(api).data
    before = stored.everything()

    answers = [api.delete(f"{ASSETS}/{asset['id']}", If_Match=given), replace(api, asset["id"], revision=given)]

    assert [(answer.status, answer.code) for answer in answers] == [(status, code)] * 2
    if status == 409:
        assert answers[0].body["error"]["details"] == {"revision": 1}
    assert stored.everything() == before


def test_a_replacement_changes_the_bytes_and_raises_revision_and_generation(api: Api) -> None:
    asset = upload(api, cache_control="no-cache", metadata={"a": 1}).data

    changed = replace(api, asset["id"], revision='"1"', metadata='{"tags":["new"]}')

    assert changed.status == 200
    wanted = {
        "id": asset["id"],
        "key": asset["key"],
        "original_name": "new.bin",
        "mime_type": "image/png",
        "checksum_sha256": sha256(b"new"),
        "size": 3,
        "revision": 2,
        "generation": 2,
        "cache_control": "no-cache",
        "metadata": {"tags": ["new"]},
    }
    assert {name: changed.data[name] for name in wanted} == wanted
    assert [row["id"] for row in api.get(ASSETS, {"tag": "new"}).rows] == [asset["id"]]
    assert download(sign(api, asset["id"]).data["url"]).body == b"new"
    assert replace(api, asset["id"], revision='"1"').status == 409
    assert api.delete(f"{ASSETS}/{asset['id']}", If_Match='"2"').status == 204


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ("Größe 日.svg", "attachment; filename=\"Gr__e _.svg\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E6%97%A5.svg"),
        ("a';x=\"b.html", "attachment; filename=\"a__x__b.html\"; filename*=UTF-8''a%27%3Bx%3D%22b.html"),
    ],
)
def test_a_download_is_inert_whatever_it_is(api: Api, name: str, header: str) -> None:
    page = b"<svg onload=alert(1)><script>alert(1)</script>"
    asset = upload(api, page, name.replace('"', '\\"'), "image/svg+xml").data

    answer = download(sign(api, asset["id"]).data["url"])

    assert (answer.status_code, answer.body) == (200, page)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == header
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Content-Length"] == str(len(page))
    assert answer["Cache-Control"] == "private, no-store"
    assert "Set-Cookie" not in answer


def test_a_harmless_type_is_told_and_a_public_asset_may_be_cached(api: Api) -> None:
    asset = upload(api, b"png", "a.png", "image/png", visibility="public", cache_control="public, max-age=60").data

    answer = download(asset["url"])

    assert (answer.body, answer["Content-Type"], answer["Cache-Control"]) == (b"png", "image/png", "public, max-age=60")


def test_a_private_asset_is_not_found_by_its_id(api: Api) -> None:
    assert download(f"/downloads/{upload(api).data['id']}").status_code == 404


@pytest.mark.parametrize("given", ["bytes=0-0", "bytes=" + "0-0," * 1_000 + "0-0", "bytes=9-1", "x"])
def test_ranges_are_answered_with_the_whole_file(api: Api, given: str) -> None:
    asset = upload(api, visibility="public").data

    answer = download(asset["url"], Range=given, If_Range='"x"')

    assert (answer.status_code, answer.body) == (200, b"hello")


@pytest.mark.parametrize("path", ["x", "..%2f..%2fetc%2fpasswd", MISSING, "%00", "x" * 65, "x" * 8_000])
def test_an_address_that_is_none_is_404_in_json(db: None, path: str) -> None:
    answer = download(f"/downloads/{path}")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_a_link_ends_with_its_time(api: Api, frozen: time_machine.Traveller) -> None:
    asset = upload(api).data
    signed = sign(api, asset["id"], expires_in="10m").data
    assert signed["expires_at"] == "2026-05-12T12:10:00.000Z"
    frozen.shift(timedelta(seconds=599))
    assert download(signed["url"]).status_code == 200
    frozen.shift(timedelta(seconds=1))

    assert download(signed["url"]).status_code == 410


def test_a_link_ends_with_its_last_download_and_head_is_none(api: Api) -> None:
    from_python = sign(api, upload(api).data["id"], expires_in="10m", max_downloads=None)
    asset = upload(api).data
    url = sign(api, asset["id"], expiresIn=600, maxDownloads=2).data["url"]

    heads = [api.call("HEAD", url.removeprefix("http://localhost:8000")).status for _ in range(3)]
    statuses = [download(url).status_code for _ in range(3)]

    assert from_python.status == 200
    assert heads == [200] * 3
    assert statuses == [200, 200, 410]
    assert SignedLink.objects.across_workspaces().filter(max_downloads=2).get().downloads == 2


def test_a_missing_file_uses_up_no_download(api: Api, folder: Path) -> None:
    url = sign(api, upload(api).data["id"], max_downloads=1).data["url"]
    (name,) = files_in(folder)
    (folder / name).rename(folder / "elsewhere")

    assert download(url).status_code == 404

    (folder / "elsewhere").rename(folder / name)
    assert download(url).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires_in": "59s"}, "expires_in"),
        ({"expiresIn": "169h"}, "expiresIn"),
        ({"expires_in": "ten"}, "expires_in"),
        ({"max_downloads": 0}, "max_downloads"),
        ({"maxDownloads": "1"}, "maxDownloads"),
        ({"max_downloads": True}, "max_downloads"),
        ({"max_downloads": 10**9}, "max_downloads"),
        ({"once": True}, "once"),
    ],
)
def test_a_wrong_link_is_refused_with_the_field_named(api: Api, body: dict[str, Any], field: str) -> None:
    asset = upload(api).data

    answer = sign(api, asset["id"], **body)

    assert (answer.status, list(answer.fields)) == (400, [field])
    assert SignedLink.objects.across_workspaces().count() == 0


def test_a_strangers_asset_is_not_found_in_any_way(world: World) -> None:
    asset = upload(world.owner.api).data
    before = stored.everything()
    stranger = world.stranger.api

    answers = [
        stranger.get(f"{ASSETS}/{asset['id']}"),
        stranger.delete(f"{ASSETS}/{asset['id']}"),
        sign(stranger, asset["id"]),
        replace(stranger, asset["id"]),
    ]

    assert {(answer.status, answer.code) for answer in answers} == {(404, "not_found")}
    assert stranger.get(ASSETS, {"checksum": asset["checksum_sha256"]}).rows == []
    assert stored.everything() == before
    assert Asset.objects.of(world.owner.workspace.pk).get().revision == 1
