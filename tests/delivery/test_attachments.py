"""Files that go with mail: their bytes arrive as they were uploaded, and mail is not sent without them."""

import email
import email.policy
import hashlib
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import dkim as referee
import pytest

from apps.assets.models import Asset
from apps.assets.services import blobs, library, receiving
from apps.assets.services.library import Description
from apps.messages.models import Attachment
from apps.messages.services.draft import MAX_ATTACHMENTS_BYTES
from apps.protocols.dkim import public_record
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import SEND, mail
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.factories import private_key
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX

ADA = f"ada@{INBOX}"
NAMES = ["Rechnung März 2026.pdf", "請求書.pdf", 'a "quoted"; name.bin', "x" * 200 + ".txt", "🧾🧾.png"]


def upload(workspace: Workspace, content: bytes, *, name: str = "a.bin", mime_type: str = "application/pdf") -> str:
    """The id of an asset with these bytes."""
    received = receiving.receive([content], MAX_ATTACHMENTS_BYTES)
    description = Description(original_name=name, mime_type=mime_type)
    made = library.upload(workspace.pk, description, received)
    return str(made.asset.pk)


def read(source: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(source, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def verifies(source: bytes) -> bool:
    record = public_record(private_key()).encode()
    return bool(referee.verify(source, dnsfunc=lambda name, timeout=5: record))


def test_bytes_arrive_as_they_were_uploaded_under_any_name(post: Post, world: World) -> None:
    files = {name: os.urandom(1000 * (place + 1) + place) for place, name in enumerate(NAMES)}
    attachments = [
        {"assetId": upload(world.owner.workspace, content), "filename": name} for name, content in files.items()
    ]
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA, text="See the files.", html="<p>See the files.</p>", attachments=attachments)
        post.deliver()

        (received,) = server.messages
    parsed = read(received.content)
    found = {part.get_filename(): part.get_content() for part in parsed.iter_attachments()}
    assert found == files
    assert [part.get_content_type() for part in parsed.iter_attachments()] == ["application/pdf"] * len(files)
    assert parsed.get_body(("html",)).get_content() == "<p>See the files.</p>"
    assert verifies(received.content)
    shown = world.owner.api.get(f"/v1/mail/messages/{message_id}").data["attachments"]
    assert [(row["filename"], row["size"], row["contentType"], row["checksum"]) for row in shown] == [
        (name, len(content), "application/pdf", hashlib.sha256(content).hexdigest()) for name, content in files.items()
    ]


def test_a_file_of_25_megabytes_goes_through(post: Post, world: World) -> None:
    content = os.urandom(MAX_ATTACHMENTS_BYTES)
    attachment = {"assetId": upload(world.owner.workspace, content), "filename": "all.bin"}
    with SmtpSink(size=40_000_000) as server:
        post.goes_to(server)
        post.send(ADA, attachments=[attachment])
        post.deliver()

        (received,) = server.messages
    (part,) = read(received.content).iter_attachments()
    assert hashlib.sha256(part.get_content()).digest() == hashlib.sha256(content).digest()
    assert verifies(received.content)


def test_mail_whose_file_was_deleted_waits_and_says_so(post: Post, world: World) -> None:
    workspace = world.owner.workspace
    asset_id = upload(workspace, b"the contract")
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA, attachments=[{"assetId": asset_id, "filename": "contract.pdf"}])
        library.delete(workspace.pk, UUID(asset_id))
        post.deliver()

        waiting = post.story(message_id)
        assert (waiting.status, waiting.attempts, server.messages) == ("deferred", [], [])
        assert (waiting.wait["code"], waiting.wait["detail"]) == ("attachment_missing", "contract.pdf")

        upload(workspace, b"the contract", name="again.pdf")
        post.deliver_later()

        assert post.story(message_id).status == "sent"
        (received,) = server.messages
    (part,) = read(received.content).iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("contract.pdf", b"the contract")


def test_the_same_file_in_another_workspace_does_not_stand_in(post: Post, world: World) -> None:
    workspace = world.owner.workspace
    asset_id = upload(workspace, b"the contract")
    upload(world.stranger.workspace, b"the contract")
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA, attachments=[{"assetId": asset_id, "filename": "contract.pdf"}])
        library.delete(workspace.pk, UUID(asset_id))
        post.deliver()

        assert post.story(message_id).wait["code"] == "attachment_missing"
        assert server.messages == []


def test_mail_goes_out_with_the_bytes_that_it_was_accepted_with(post: Post, world: World) -> None:
    workspace = world.owner.workspace
    asset_id = upload(workspace, b"first")
    with SmtpSink() as server:
        post.goes_to(server)
        post.send(ADA, attachments=[{"assetId": asset_id, "filename": "a.pdf"}])
        asset = Asset.objects.of(workspace.pk).get(pk=asset_id)
        library.replace(asset, receiving.receive([b"second"], 1000), revision=None, changes={})
        post.deliver()

        (received,) = server.messages
    (part,) = read(received.content).iter_attachments()
    assert part.get_content() == b"first"


def test_mail_with_damaged_bytes_waits(post: Post, world: World) -> None:
    workspace = world.owner.workspace
    asset_id = upload(workspace, b"the contract")
    with SmtpSink() as server:
        post.goes_to(server)
        message_id = post.send(ADA, attachments=[{"assetId": asset_id, "filename": "contract.pdf"}])
        blob = Asset.objects.of(workspace.pk).get(pk=asset_id).blob
        path = Path(blobs.storage().path(blob.name))
        path.chmod(0o600)
        path.write_bytes(b"something else")
        post.deliver()

        waiting = post.story(message_id)
        assert (waiting.status, server.messages) == ("deferred", [])
        assert waiting.wait["code"] == "attachment_missing"
        assert "damaged" in waiting.wait["detail"]


@pytest.mark.parametrize("count", [1, 2])
def test_an_asset_of_another_workspace_is_not_found(world: World, count: int) -> None:
    ours = upload(world.owner.workspace, b"ours")
    theirs = upload(world.stranger.workspace, b"theirs")
    named = [{"assetId": asset_id, "filename": "a.pdf"} for asset_id in [ours, theirs][-count:]]
    before = stored.everything()

    answer = world.owner.api.post(SEND, mail(attachments=named))

    assert (answer.status, answer.code) == (400, "attachment_not_found")
    assert list(answer.fields) == [f"attachments.{count - 1}.assetId"]
    assert stored.everything() == before


def test_more_than_10_files_or_25_megabytes_are_refused(world: World) -> None:
    asset_id = upload(world.owner.workspace, bytes(MAX_ATTACHMENTS_BYTES // 2 + 1))
    before = stored.everything()

    many = world.owner.api.post(SEND, mail(attachments=[{"assetId": asset_id, "filename": "a.pdf"}] * 11))
    large = world.owner.api.post(SEND, mail(attachments=[{"assetId": asset_id, "filename": "a.pdf"}] * 2))

    assert (many.status, many.code, list(many.fields)) == (400, "validation_error", ["attachments"])
    assert (large.status, large.code, list(large.fields)) == (413, "attachments_too_large", ["attachments"])
    assert stored.everything() == before


def test_the_same_file_twice_is_two_attachments(world: World) -> None:
    asset_id = upload(world.owner.workspace, b"12345")
    named = [{"assetId": asset_id, "filename": name} for name in ("a.pdf", "b.pdf")]

    answer = world.owner.api.post(SEND, mail(attachments=named))

    rows = Attachment.objects.of(world.owner.workspace.pk).filter(message_id=answer.data["id"]).order_by("position")
    assert list(rows.values_list("filename", "size")) == [("a.pdf", 5), ("b.pdf", 5)]


@pytest.mark.parametrize(
    ("declared", "named", "sent"),
    [
        ("image/png", None, "image/png"),
        ("image/png", "image/webp", "image/webp"),
        ("message/rfc822", None, "application/octet-stream"),
    ],
)
def test_the_type_is_the_callers_or_the_assets(world: World, declared: str, named: str | None, sent: str) -> None:
    asset_id = upload(world.owner.workspace, b"12345", mime_type=declared)
    attachment: dict[str, Any] = {"assetId": asset_id, "filename": "a.png"} | ({"contentType": named} if named else {})

    answer = world.owner.api.post(SEND, mail(attachments=[attachment]))

    shown = world.owner.api.get(f"/v1/mail/messages/{answer.data['id']}").data["attachments"]
    assert [row["contentType"] for row in shown] == [sent]
