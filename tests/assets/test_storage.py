"""Where assets lie: the configuration, the folder, and a bucket at a real S3 server on loopback."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings

from apps.assets import checks
from apps.assets.models import Asset
from apps.assets.services import blobs
from apps.assets.storage import RESERVE, PrivateFolderStorage
from apps.core import clock
from stackshift_mail.env import asset_storage
from tests.assets.calls import ASSETS, SESSIONS, download, put_part, sha256, upload
from tests.assets.conftest import files_in
from tests.client import Api

SECRET = "p4ss/w+rd"


@pytest.mark.parametrize(
    "url",
    [
        "s3",
        "s3://bucket",
        "s3://key@bucket",
        "s3://key:@bucket",
        "s3://:secret@bucket",
        "s3://key:secret@",
        "s3://key:secret@Bu_cket",
        "s3://key:secret@bucket/folder",
        "s3://key:secret@bucket:9000",
        "s3://key:secret@bucket:x",
        "s3://key:secret@bucket?regoin=eu",
        "s3://key:secret@bucket?endpoint=minio:9000",
        "s3://key:secret@bucket?endpoint=ftp://minio",
        "s3://key:secret@bucket?endpoint=",
        "s3://key:secret@bucket?x",
        "s3://key:secret@bucket#x",
        "https://key:secret@bucket",
        "file:///tmp",
        "s3://[::1",
    ],
)
def test_nonsense_is_refused_at_the_start_without_the_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="ASSETS_URL") as refusal:
        asset_storage(url, tmp_path)

    assert "key:secret" not in str(refusal.value)


def test_a_bucket_is_read_from_one_url(tmp_path: Path) -> None:
    url = "s3://AK%2FIA:p4ss%2Fw%2Brd@my.bucket-1?endpoint=http://127.0.0.1:9000&region=eu-west-1"

    assert asset_storage(url, tmp_path) == {
        "BACKEND": "apps.assets.s3.BucketStorage",
        "OPTIONS": {
            "access_key": "AK/IA",
            "secret_key": SECRET,
            "bucket_name": "my.bucket-1",
            "endpoint_url": "http://127.0.0.1:9000",
            "region_name": "eu-west-1",
        },
    }


def test_a_bucket_without_its_packages_is_said_at_the_start(tmp_path: Path) -> None:
    bucket = asset_storage("s3://key:secret@bucket", tmp_path)
    with override_settings(STORAGES={**storages.backends, "assets": bucket}):
        assert checks.check_storage(None) == []
        with patch.object(checks, "find_spec", lambda name: None):
            (error,) = checks.check_storage(None)

    assert "requirements-s3.txt" in str(error.hint)
    assert "secret" not in str(error)


def test_a_folder_needs_no_packages() -> None:
    with patch.object(checks, "find_spec", lambda name: None):
        assert checks.check_storage(None) == []


def test_a_write_that_fails_leaves_neither_half_a_file_nor_a_temporary_one(tmp_path: Path) -> None:
    storage = PrivateFolderStorage(location=tmp_path)
    storage.save("a/b", ContentFile(b"old"))

    with patch("os.fsync", side_effect=OSError("no space")), pytest.raises(OSError, match="no space"):
        storage.save("a/b", ContentFile(b"new"))

    assert files_in(tmp_path) == ["a/b"]
    assert (tmp_path / "a/b").read_bytes() == b"old"


def test_the_last_of_a_disk_is_left_to_the_mail(api: Api, folder: Path) -> None:
    with patch("shutil.disk_usage", return_value=SimpleNamespace(free=RESERVE + 4)):
        answer = upload(api, b"hello")

    assert (answer.status, answer.code) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert files_in(folder) == []
    assert Asset.objects.across_workspaces().count() == 0


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """A bucket at a moto server, as the storage of assets; its URL."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    account = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **account).create_bucket(Bucket="files")
    url = f"s3://key:secret@files?endpoint={endpoint}&region=us-east-1"
    with override_settings(STORAGES={**storages.backends, "assets": asset_storage(url, tmp_path)}):
        yield url
    server.stop()


def test_all_of_it_works_with_a_bucket(api: Api, bucket: str, folder: Path) -> None:
    content = os.urandom(3_000_000)
    asset = upload(api, content, "a.bin", visibility="public").data
    session = api.post(SESSIONS, {"mode": "chunked"}).data
    for number, part in enumerate((b"abc", b"def"), start=1):
        assert put_part(session["url"], number, part).status == 200
    joined = api.post(f"{SESSIONS}/{session['upload_session_id']}/complete").data

    assert download(asset["url"]).body == content
    assert joined["checksum_sha256"] == sha256(b"abcdef")
    assert not folder.exists()
    for asset_id in (asset["id"], joined["id"]):
        assert api.delete(f"{ASSETS}/{asset_id}").status == 204
    assert blobs.sweep(clock.now() + timedelta(hours=2)) == 4
    assert list(blobs.storage().bucket.objects.all()) == []  # type: ignore[attr-defined]  # S3's


def test_a_bucket_that_is_gone_is_503_and_a_lost_object_is_404(api: Api, bucket: str) -> None:
    asset = upload(api, visibility="public").data
    storage = blobs.storage()
    for stored in storage.bucket.objects.all():  # type: ignore[attr-defined]  # S3's
        stored.delete()
    assert download(asset["url"]).status_code == 404

    storage.bucket.delete()  # type: ignore[attr-defined]  # S3's
    refused = upload(api, b"other")

    assert (refused.status, refused.code) == (503, "storage_unavailable")
