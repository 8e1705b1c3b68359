"""Rows of every model of assets, as the platform makes them."""

from datetime import timedelta

from apps.assets.models import Asset, Mode, UploadSession
from apps.assets.services import library, links, sessions
from apps.assets.services.receiving import receive
from apps.workspaces.models import Workspace


def make_asset(workspace: Workspace, content: bytes = b"hello", name: str = "a.txt") -> Asset:
    received = receive([content], 1_000)
    try:
        description = library.Description(original_name=name, mime_type="text/plain", metadata={"a": name})
        return library.upload(workspace.pk, description, received).asset
    finally:
        received.close()


def make_everything(workspace: Workspace, name: str) -> None:
    """An asset with a link, and a session with a part."""
    links.sign(make_asset(workspace, name=name), expires_in=timedelta(hours=1), max_downloads=3)
    make_session(workspace, name)


def make_session(workspace: Workspace, name: str = "a.txt") -> UploadSession:
    """A chunked one, whose one part has come."""
    description = library.Description(original_name=name)
    session = sessions.create(workspace.pk, description, sessions.Promise(mode=Mode.CHUNKED)).session
    received = receive([b"part"], 1_000)
    sessions.accept_part(session, 1, received)
    received.close()
    return session
