"""Uploads without an API key: a session, the bytes in one piece or in parts, and the asset that comes of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum

from apps.assets import tokens
from apps.assets.errors import FileTooLarge, LinkExpired, WrongState
from apps.assets.models import Asset, Blob, Mode, SessionStatus, UploadPart, UploadSession
from apps.assets.services import blobs
from apps.assets.services.library import Description, add
from apps.assets.services.receiving import Received, chunks_of, receive
from apps.core import clock
from apps.core.errors import Invalid, NotFound
from apps.core.ids import new_id
from apps.keys.idempotency import Use, once, take

USUAL = timedelta(hours=1)
MAX_PARTS = 1_000
# How many times its size a session may be sent, parts that are sent again included.
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Promise:
    """How the bytes are to come, and what they must be."""

    mode: str = Mode.SINGLE
    expires_in: timedelta = USUAL
    max_bytes: int | None = None
    file_size: int | None = None
    checksum_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session, and whether an earlier request with the same idempotency key had opened it."""

    session: UploadSession
    is_replay: bool = False


class Lost(Exception):
    """Another request completed or canceled the session first."""


def create(workspace_id: UUID, description: Description, promise: Promise, *, use: Use | None = None) -> Opened:
    """Opens a session, or finds the one that an earlier request with this key opened. Raises IdempotencyConflict."""
    row = UploadSession(
        id=new_id(),
        workspace_id=workspace_id,
        mode=promise.mode,
        file_size=promise.file_size,
        checksum_sha256=promise.checksum_sha256,
        max_bytes=min(promise.max_bytes or settings.ASSET_MAX_BYTES, settings.ASSET_MAX_BYTES),
        expires_at=clock.now() + promise.expires_in,
        **asdict(description),
    )

    def open_it() -> Opened:
        with transaction.atomic():
            row.save(force_insert=True)
            take(use, row.pk)
        return Opened(row)

    return once(use, open_it, lambda earlier: Opened(_of(workspace_id, earlier), is_replay=True), told_as="sessionId")


def url_of(session: UploadSession) -> str | None:
    """Where its bytes go; None where no more can come."""
    is_open = session.status == SessionStatus.OPEN and session.expires_at > clock.now()
    return f"{settings.PUBLIC_URL}/uploads/{tokens.write('asset upload', session.pk)}" if is_open else None


def by_token(token: str) -> UploadSession:
    """The session whose address holds this token. Raises NotFound."""
    session_id = tokens.read("asset upload", token)
    session: UploadSession | None = (
        UploadSession.objects.across_workspaces().filter(pk=session_id).select_related("asset").first()
    )
    if session is None or session.status == SessionStatus.CANCELED:
        raise NotFound("There is no upload at this address.")
    return session


def check_open(session: UploadSession) -> None:
    """Raises LinkExpired, WrongState."""
    if session.status != SessionStatus.OPEN:
        raise WrongState(f"This upload session is {session.status}; open a new one.")
    if session.expires_at <= clock.now():
        raise LinkExpired("This upload session has expired; open a new one.")


def accept(session: UploadSession, received: Received, mime_type: str) -> Asset:
    """The whole file of a session in one piece. The same bytes again give the same asset.

    Raises Invalid, LinkExpired, WrongState, StorageUnavailable.
    """
    if session.asset is not None and session.asset.checksum_sha256 == received.checksum:
        return _still_there(session.asset)
    check_open(session)
    if session.mode != Mode.SINGLE:
        raise WrongState("This is a chunked upload session; PUT its parts to /parts/1, /parts/2 and so on.")
    return _finish(session, received, mime_type)


def accept_part(session: UploadSession, number: int, received: Received) -> UploadPart:
    """One part; under a number that came before it takes the earlier one's place.

    Raises Invalid, FileTooLarge, LinkExpired, WrongState, StorageUnavailable.
    """
    check_open(session)
    if session.taken_bytes + received.size > REPEATS * session.max_bytes:  # before anything is written
        raise WrongState("Too much was sent again in this upload session; open a new one.")
    others = parts_of(session).exclude(number=number).aggregate(size=Sum("size"))["size"] or 0
    if others + received.size > session.max_bytes:
        raise FileTooLarge(session.max_bytes)

    def refer(blob: Blob) -> UploadPart:
        # The row is taken, so that nobody completes it meanwhile, and what it has cost is counted.
        room = _open(session).filter(taken_bytes__lte=REPEATS * F("max_bytes") - blob.size)
        if not room.update(updated_at=clock.now(), taken_bytes=F("taken_bytes") + blob.size):
            raise WrongState("This upload session is no longer open, or too much was sent again; open a new one.")
        part, _is_new = UploadPart.objects.of(session.workspace_id).update_or_create(
            workspace_id=session.workspace_id,
            session=session,
            number=number,
            defaults={"blob": blob, "size": blob.size, "checksum_sha256": blob.checksum_sha256},
        )
        made: UploadPart = part
        return made

    return blobs.store(session.workspace_id, received, refer)


def parts_of(session: UploadSession) -> QuerySet[UploadPart]:
    return UploadPart.objects.of(session.workspace_id).filter(session=session).order_by("number")


def complete(session: UploadSession) -> Asset:
    """Joins the parts to an asset; a completed session only tells its asset.

    Raises Invalid, LinkExpired, WrongState, StorageUnavailable.
    """
    if session.asset is not None:
        return _still_there(session.asset)
    check_open(session)
    if session.mode != Mode.CHUNKED:
        raise WrongState("Nothing was uploaded yet; PUT the file to the session's url.")
    try:
        received = _received(session)
    except Invalid:
        # Another request may have completed it meanwhile, and its parts are gone with that.
        winner = _of(session.workspace_id, session.pk)
        if winner.asset is None:
            raise
        return _still_there(winner.asset)
    try:
        return _finish(session, received, session.mime_type)
    finally:
        received.close()


def cancel(session: UploadSession) -> None:
    """Ends a session; what came of its bytes is removed. Raises WrongState where it has become an asset."""
    unfinished = UploadSession.objects.of(session.workspace_id).filter(pk=session.pk).exclude(asset__isnull=False)
    if not unfinished.update(status=SessionStatus.CANCELED, updated_at=clock.now()):
        raise WrongState("This upload is complete; delete the asset instead.")
    parts_of(session).delete()


def _finish(session: UploadSession, received: Received, mime_type: str) -> Asset:
    """The asset and the session's end in one transaction, so that two requests at once make one asset."""
    _check_promise(session, received)
    names = Description.__dataclass_fields__
    said = {name: getattr(session, name) for name in names} | {"mime_type": mime_type}

    def refer(blob: Blob) -> Asset:
        asset = add(Description(**said), blob)
        done = {"status": SessionStatus.COMPLETED, "asset": asset, "updated_at": clock.now()}
        if not _open(session).update(**done):
            raise Lost
        parts_of(session).delete()
        return asset

    try:
        return blobs.store(session.workspace_id, received, refer)
    except Lost:
        winner = _of(session.workspace_id, session.pk)
        if winner.asset is None or winner.asset.checksum_sha256 != received.checksum:
            raise WrongState(f"This upload session is {winner.status}; open a new one.") from None
        return winner.asset


def _still_there(asset: Asset) -> Asset:
    if asset.deleted_at is not None:
        raise WrongState("The asset that came of this upload was deleted; open a new session to upload it again.")
    return asset


def _check_promise(session: UploadSession, received: Received) -> None:
    if session.file_size is not None and received.size != session.file_size:
        raise Invalid({"file_size": [f"was to be {session.file_size} bytes, but {received.size} came"]})
    if session.checksum_sha256 and received.checksum != session.checksum_sha256:
        raise Invalid({"checksum_sha256": [f"was to be {session.checksum_sha256}, but it is {received.checksum}"]})


def _received(session: UploadSession) -> Received:
    """All parts as one file. Raises Invalid where some are not there."""
    parts = list(parts_of(session).select_related("blob"))
    _check_numbers([part.number for part in parts])
    return receive(_joined(parts), session.max_bytes)


def _check_numbers(numbers: list[int]) -> None:
    if not numbers:
        raise Invalid({"parts": ["none was uploaded yet"]})
    if missing := sorted(set(range(1, numbers[-1] + 1)) - set(numbers)):
        named = ", ".join(str(number) for number in missing[:20])
        raise Invalid({"parts": [f"these are missing: {named}; upload them, then complete"]})


def _joined(parts: list[UploadPart]) -> Iterator[bytes]:
    for part in parts:
        try:
            with blobs.opened(part.blob) as file:
                yield from chunks_of(file)
        except FileNotFoundError:
            raise Invalid({"parts": [f"part {part.number} is lost; upload it again"]}) from None


def _open(session: UploadSession) -> QuerySet[UploadSession]:
    mine = UploadSession.objects.of(session.workspace_id).filter(pk=session.pk)
    return mine.filter(status=SessionStatus.OPEN, expires_at__gt=clock.now())


def _of(workspace_id: UUID, session_id: UUID) -> UploadSession:
    found = UploadSession.objects.of(workspace_id).filter(pk=session_id).select_related("asset").first()
    if found is None:
        raise NotFound
    session: UploadSession = found
    return session
