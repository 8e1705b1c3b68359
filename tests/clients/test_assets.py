"""The published clients' methods for files, and the web server's memory while a big one comes in."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.clients.conftest import VERSIONS, ApiError, Client
from tests.journeys.rig import Platform

MB = 1024 * 1024
every_version = pytest.mark.parametrize("version", VERSIONS)


def upload(server: Platform, key: str, content: bytes, **texts: Any) -> Any:
    """By HTTP alone: `assets.upload()` of every published version raises TypeError before it sends anything."""
    answer = requests.post(
        f"{server.url}/api/v1/assets/upload",
        headers={"Authorization": f"Bearer {key}"},
        files={"file": ("Größe.pdf", content, "application/pdf")},
        data=texts,
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


@every_version
def test_assets_are_listed_read_replaced_signed_and_deleted(
    connect: Callable[..., Client], server: Platform, key: str, tmp_path: Path, version: str
) -> None:
    client = connect(version, "/v1", domain="")
    asset = upload(server, key, b"first", metadata=json.dumps({"a": 1}), cache_control="no-cache")
    other = tmp_path / "second.txt"
    other.write_bytes(b"second")

    assert asset["original_name"] == "Größe.pdf"
    assert client("assets.get", asset["id"]) == asset
    assert client("assets.list", family="document", limit=5)["data"] == [asset]
    replaced = client("assets.replace", asset["id"], 1, str(other), metadata={"b": 2})
    assert (replaced["revision"], replaced["original_name"], replaced["metadata"]) == (2, "second.txt", {"b": 2})
    signed = client("assets.signed_url", asset["id"], expires_in="10m", max_downloads=1)
    fetched = [requests.get(signed["url"], timeout=10) for _ in range(2)]
    assert [(answer.status_code, answer.headers["X-Content-Type-Options"]) for answer in fetched][0] == (200, "nosniff")
    assert (fetched[0].content, fetched[1].status_code) == (b"second", 410)
    with pytest.raises(ApiError) as stale:
        client("assets.delete", asset["id"], 1)
    assert (stale.value.status_code, stale.value.code) == (409, "conflict")
    assert client("assets.delete", asset["id"], 2, idempotency_key="d") is None
    assert client("assets.list")["data"] == []


@every_version
def test_an_upload_in_chunks_is_begun_resumed_and_completed(
    connect: Callable[..., Client], tmp_path: Path, version: str
) -> None:
    client = connect(version, "/v1", domain="")
    parts = [tmp_path / "1", tmp_path / "2"]
    for path in parts:
        path.write_bytes(os.urandom(300_000))
    session = client(
        "assets.create_chunked_upload_session",
        fileName="big.bin",
        mimeType="image/png",
        fileSize=600_000,
        expiresIn="1h",
        idempotency_key="chunks",
    )
    token = session["url"].rpartition("/")[2]

    # By the address and by the token alone; the clients take both.
    second = client("assets.upload_chunk", session["url"], 2, {"bytes_of": str(parts[1])})
    assert (second["part_number"], second["size"]) == (2, 300_000)
    client("assets.upload_chunk", token, 1, {"bytes_of": str(parts[0])})
    resumed = client("assets.resume_upload_session", session["upload_session_id"])
    assert [part["part_number"] for part in resumed["parts"]] == [1, 2]
    asset = client("assets.complete_upload_session", session["upload_session_id"])

    whole = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()
    assert (asset["checksum_sha256"], asset["mime_type"]) == (whole, "image/png")
    assert client("assets.complete_upload_session", session["upload_session_id"]) == asset


@every_version
def test_a_signed_upload_needs_no_key_and_can_be_called_off(connect: Callable[..., Client], version: str) -> None:
    client = connect(version, "/v1", domain="")
    session = client("assets.signed_upload_url", fileName="a.txt", mode="single", idempotency_key="one")
    other = client("assets.create_upload_session", fileName="b.txt", idempotency_key="two")

    put = requests.put(session["url"], data=b"from a browser", headers={"Content-Type": "text/plain"}, timeout=10)
    assert client("assets.cancel_upload_session", other["upload_session_id"]) is None

    assert put.status_code == 201
    assert client("assets.get", put.json()["data"]["id"])["mime_type"] == "text/plain"
    assert requests.put(other["url"], data=b"x", timeout=10).status_code == 404


def test_a_big_file_is_never_whole_in_memory(server: Platform, key: str, tmp_path: Path) -> None:
    workers = server._trees[0].below()
    small = upload(server, key, b"x", visibility="public")
    for _ in range(8):  # so that each worker has loaded what it needs
        requests.get(small["url"], timeout=10)
        upload(server, key, b"x")
    before = {pid: peak(pid) for pid in workers}
    content = os.urandom(25 * MB)

    assets = [upload(server, key, content, visibility="public") for _ in range(3)]
    fetched = requests.get(assets[0]["url"], timeout=60).content

    assert fetched == content
    assert max(peak(pid) - before[pid] for pid in workers) < 12 * MB
    too_big = requests.post(
        f"{server.url}/api/v1/assets/upload",
        headers={"Authorization": f"Bearer {key}"},
        files={"file": ("a", content + b"x" * 100_000)},
        timeout=60,
    )
    assert (too_big.status_code, too_big.json()["error"]["code"]) == (413, "payload_too_large")


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
