"""Uploads without a key: in one piece, in parts, resumed, completed once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import override_settings

from apps.assets import tokens
from apps.assets.models import Asset, UploadPart, UploadSession
from apps.core.ids import new_id
from tests import stored
from tests.assets.calls import ASSETS, SESSIONS, put, put_part, sha256
from tests.client import Answer, Api


def open_session(api: Api, **body: Any) -> Any:
    answer = api.post(SESSIONS, body)
    assert answer.status == 201
    return answer.data


def complete(api: Api, session: Any) -> Answer:
    return api.call("POST", f"{SESSIONS}/{session['upload_session_id']}/complete", content_type="")


def test_a_session_tells_where_the_bytes_go(api: Api, frozen: time_machine.Traveller) -> None:
    session = open_session(api, fileName="a.pdf", mimeType="application/pdf", fileSize=5, maxBytes=10, expiresIn="10m")

    expected = {
        "session_id": session["upload_session_id"],
        "session": {"id": session["upload_session_id"]},
        "mode": "single",
        "status": "open",
        "method": "PUT",
        "file_name": "a.pdf",
        "mime_type": "application/pdf",
        "file_size": 5,
        "max_bytes": 10,
        "received_bytes": 0,
        "parts": [],
        "asset_id": None,
        "expires_at": "2026-05-12T12:10:00.000Z",
    }
    assert {name: session[name] for name in expected} == expected
    assert session["url"].startswith(f"{settings.PUBLIC_URL}/uploads/")
    assert api.get(f"{SESSIONS}/{session['upload_session_id']}").data == session


def test_the_token_is_stored_nowhere(api: Api) -> None:
    token = open_session(api)["url"].rpartition("/")[2]

    assert token not in str(stored.everything())


def test_the_other_address_of_sessions_is_the_same(api: Api) -> None:
    answer = api.post(f"{ASSETS}/upload-url", {"file_name": "a.txt", "expires_in": 600})

    assert (answer.status, answer.data["file_name"]) == (201, "a.txt")


def test_bytes_put_in_one_piece_are_the_asset_and_the_same_again_are_the_same_asset(api: Api) -> None:
    session = open_session(api, file_name="a.txt", mime_type="text/plain", metadata={"a": 1}, folder="in")

    first, again = put(session["url"], b"hello"), put(session["url"], b"hello")
    other = put(session["url"], b"other")

    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert first.data == again.data == api.get(f"{ASSETS}/{first.data['id']}").data
    wanted = {"original_name": "a.txt", "mime_type": "text/plain", "size": 5, "folder": "in", "metadata": {"a": 1}}
    assert {name: first.data[name] for name in wanted} == wanted
    told = api.get(f"{SESSIONS}/{session['upload_session_id']}").data
    assert (told["status"], told["asset_id"], told["url"]) == ("completed", first.data["id"], None)
    assert complete(api, session).data == first.data
    assert Asset.objects.across_workspaces().count() == 1


def test_without_a_type_in_the_session_the_bytes_have_their_own(api: Api) -> None:
    assert put(open_session(api)["url"], b"x", content_type="image/png").data["mime_type"] == "image/png"
    assert put(open_session(api)["url"], b"x").data["mime_type"] == "application/octet-stream"


def test_parts_in_any_order_become_the_file(api: Api) -> None:
    session = open_session(api, mode="chunked", file_name="a.bin", file_size=9)
    url, address = session["url"], f"{SESSIONS}/{session['upload_session_id']}"

    assert put_part(url, 3, b"ghi").data == {"part_number": 3, "size": 3, "checksum_sha256": sha256(b"ghi")}
    put_part(url, 1, b"XXX")
    assert put_part(url, 1, b"abc").status == 200
    gap = complete(api, session)
    assert (gap.status, gap.fields) == (400, {"parts": ["these are missing: 2; upload them, then complete"]})
    told = api.get(address).data
    assert ([part["part_number"] for part in told["parts"]], told["received_bytes"]) == ([1, 3], 6)
    put_part(url, 2, b"def")
    done, again = complete(api, session), complete(api, session)

    assert (done.status, again.status) == (200, 200)
    assert done.data == again.data
    assert (done.data["size"], done.data["checksum_sha256"]) == (9, sha256(b"abcdefghi"))
    assert UploadPart.objects.across_workspaces().count() == 0
    assert put_part(url, 4, b"x").status == 409


def test_a_part_with_another_checksum_is_not_kept(api: Api) -> None:
    url = open_session(api, mode="chunked")["url"]

    for header in (sha256(b"other"), "x", "0" * 63, ""):
        answer = put_part(url, 1, b"abc", X_Content_SHA256=header)
        assert (answer.status, list(answer.fields)) == (400, ["X-Content-SHA256"])
    assert UploadPart.objects.across_workspaces().count() == 0


@pytest.mark.parametrize("number", ["0", "-1", "1001", "01", "x", "1.5", "9" * 50, "１"])
def test_a_part_has_a_number_from_1_to_1000(api: Api, number: str) -> None:
    answer = put_part(open_session(api, mode="chunked")["url"], number, b"abc")

    assert (answer.status, list(answer.fields)) == (400, ["part_number"])


def test_what_was_promised_is_held_to(api: Api) -> None:
    size = put(open_session(api, file_size=4)["url"], b"hello")
    checksum = put(open_session(api, checksumSha256=sha256(b"other"))["url"], b"hello")
    most = put(open_session(api, max_bytes=4)["url"], b"hello")
    empty = put(open_session(api)["url"], b"")
    chunked = open_session(api, mode="chunked", max_bytes=5)
    put_part(chunked["url"], 1, b"abc")
    too_much = put_part(chunked["url"], 2, b"abc")

    assert (size.status, list(size.fields)) == (400, ["file_size"])
    assert (checksum.status, list(checksum.fields)) == (400, ["checksum_sha256"])
    assert (most.status, most.code) == (413, "payload_too_large")
    assert (empty.status, list(empty.fields)) == (400, ["body"])
    assert (too_much.status, too_much.code) == (413, "payload_too_large")
    assert Asset.objects.across_workspaces().count() == 0


def test_a_session_serves_its_own_mode(api: Api) -> None:
    single, chunked = open_session(api), open_session(api, mode="chunked")

    assert (put(chunked["url"], b"x").status, put(chunked["url"], b"x").code) == (409, "invalid_state")
    assert (complete(api, single).status, complete(api, single).code) == (409, "invalid_state")
    assert complete(api, chunked).fields == {"parts": ["none was uploaded yet"]}


def test_a_canceled_session_is_over(api: Api) -> None:
    session = open_session(api, mode="chunked")
    put_part(session["url"], 1, b"abc")
    address = f"{SESSIONS}/{session['upload_session_id']}"

    assert (api.delete(address).status, api.delete(address).status) == (204, 204)

    assert api.get(address).data["status"] == "canceled"
    assert put_part(session["url"], 2, b"abc").status == 404
    assert complete(api, session).status == 409
    assert UploadPart.objects.across_workspaces().count() == 0


def test_a_completed_session_cannot_be_canceled(api: Api) -> None:
    session = open_session(api)
    put(session["url"], b"x")

    answer = api.delete(f"{SESSIONS}/{session['upload_session_id']}")

    assert (answer.status, answer.code) == (409, "invalid_state")


def test_an_expired_session_takes_nothing(api: Api, frozen: time_machine.Traveller) -> None:
    session = open_session(api, mode="chunked", expires_in=60)
    put_part(session["url"], 1, b"abc")
    frozen.shift(timedelta(seconds=60))

    assert put_part(session["url"], 2, b"abc").status == 410
    assert (complete(api, session).status, complete(api, session).code) == (410, "link_expired")
    told = api.get(f"{SESSIONS}/{session['upload_session_id']}").data
    assert (told["status"], told["url"]) == ("expired", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "multi"}, "mode"),
        ({"expiresIn": "59s"}, "expiresIn"),
        ({"expires_in": "7d1s"}, "expires_in"),
        ({"expires_in": 59}, "expires_in"),
        ({"expires_in": 10**30}, "expires_in"),
        ({"expires_in": "10 m"}, "expires_in"),
        ({"expires_in": ""}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": 60.5}, "expires_in"),
        ({"expires_in": None}, "expires_in"),
        ({"fileSize": 0}, "fileSize"),
        ({"fileSize": "5"}, "fileSize"),
        ({"file_size": 26_214_401}, "file_size"),
        ({"file_size": 11, "max_bytes": 10}, "file_size"),
        ({"maxBytes": -1}, "maxBytes"),
        ({"fileName": ""}, "fileName"),
        ({"fileName": "x" * 256}, "fileName"),
        ({"mimeType": "text/html\r\nX: y"}, "mimeType"),
        ({"mimeType": "x"}, "mimeType"),
        ({"mimeType": "*/*"}, "mimeType"),
        ({"checksum_sha256": "abc"}, "checksum_sha256"),
        ({"metadata": []}, "metadata"),
        ({"fileName": "a", "file_name": "a"}, "file_name"),
        ({"filename": "a"}, "filename"),
        ({"upload_session_id": "a"}, "upload_session_id"),
    ],
)
def test_a_wrong_session_is_refused_with_the_field_named(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post(SESSIONS, body)

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [field])
    assert UploadSession.objects.across_workspaces().count() == 0


def test_an_idempotency_key_opens_one_session_and_tells_its_address_again(api: Api) -> None:
    first, again = (api.post(SESSIONS, {"file_name": "a"}, Idempotency_Key="k") for _ in range(2))
    other = api.post(SESSIONS, {"file_name": "b"}, Idempotency_Key="k")

    assert first.data == again.data
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert UploadSession.objects.across_workspaces().count() == 1


@pytest.mark.parametrize("change", ["x", "swap", "short", "upper", "random", "download", "last bit"])
def test_a_token_that_is_not_ours_is_not_found(api: Api, change: str) -> None:
    url = open_session(api)["url"]
    head, _, token = url.rpartition("/")
    last = token[:-1] + chr(ord(token[-1]) + 1 if token[-1] not in "Zz9_-" else ord(token[-1]) - 1)
    session_id = UploadSession.objects.across_workspaces().get().pk
    other = {
        "x": "x",
        "swap": tokens.write("asset upload", new_id())[:22] + token[22:],
        "short": token[:-1],
        "upper": token.swapcase(),
        "random": tokens.write("asset upload", new_id()),
        "download": tokens.write("asset download", session_id),
        "last bit": last,
    }[change]

    answers = [put(f"{head}/{other}", b"x"), put(f"{head}/{other}/parts/1", b"x")]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 2


@pytest.mark.parametrize("path", ["", "/x/parts", "/x/y/z", "/%2e%2e", "/..%2f..", "/%00"])
def test_addresses_that_are_none_are_404_in_json(db: None, path: str) -> None:
    assert put(f"/uploads{path}", b"x").status == 404


@override_settings(ASSET_MAX_BYTES=10)
def test_the_operators_limit_is_the_most(api: Api) -> None:
    session = open_session(api, max_bytes=1_000)

    assert session["max_bytes"] == 10
    assert put(session["url"], b"x" * 11).status == 413


def test_a_session_is_sent_three_times_its_size_at_most(api: Api) -> None:
    session = open_session(api, mode="chunked", max_bytes=10)
    for number in range(3):
        assert put_part(session["url"], 1, b"%010d" % number).status == 200
    before = stored.everything()

    answer = put_part(session["url"], 1, b"x")

    assert (answer.status, answer.code) == (409, "invalid_state")
    assert stored.everything() == before
    assert complete(api, session).data["checksum_sha256"] == sha256(b"%010d" % 2)


@pytest.mark.parametrize("mode", ["single", "chunked"])
def test_an_upload_whose_asset_was_deleted_does_not_say_that_it_is_stored(api: Api, mode: str) -> None:
    session = open_session(api, mode=mode)
    if mode == "single":
        put(session["url"], b"hello")
    else:
        put_part(session["url"], 1, b"hello")
        complete(api, session)
    asset_id = str(Asset.objects.across_workspaces().get().pk)
    api.delete(f"{ASSETS}/{asset_id}")

    again = put(session["url"], b"hello") if mode == "single" else complete(api, session)

    assert (again.status, again.code) == (409, "invalid_state")


def test_metadata_that_no_answer_could_hold_is_refused(api: Api) -> None:
    before = stored.everything()

    answer = api.post(SESSIONS, {"metadata": {"n": 2**70}})

    assert (answer.status, list(answer.fields)) == (400, ["metadata"])
    assert stored.everything() == before
