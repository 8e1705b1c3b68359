"""Bytes in and out of the storage, so that no row is ever without its file.

Writing: the blob's row and a time until which it is kept; the file, with no transaction open; then whatever refers to
it, in a transaction that begins by taking the blob's row. Sweeping dooms a row whose time is over and that nothing
refers to, with the same row taken; so of the two only one can win.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, TypeVar
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Greatest

from apps.assets.errors import StorageUnavailable
from apps.assets.models import Asset, Blob, UploadPart
from apps.assets.services.receiving import Received
from apps.core import clock

logger = logging.getLogger(__name__)
# An upload is at an end long before, and an operator who deleted by mistake has no bytes to get back after it.
KEEP = timedelta(hours=1)
# Longer than any mail is under way, which may be scheduled for 30 days ahead: what a mail was accepted with is still
# there when the asset was replaced.
KEEP_REPLACED = timedelta(days=34)
SWEPT_AT_ONCE = 500
FAILURES_IN_A_SWEEP = 20
Result = TypeVar("Result")


class Doomed(Exception):
    """The blob was swept while its file was written; begin again."""

    def __init__(self, blob: Blob) -> None:
        super().__init__(blob.pk)
        self.blob = blob


def storage() -> Storage:
    return storages["assets"]


def store(workspace_id: UUID, received: Received, refer: Callable[[Blob], Result]) -> Result:
    """Puts the bytes into the storage and calls `refer` in the transaction that makes the blob permanent.

    Raises StorageUnavailable; then nothing refers to the blob, and the sweep takes it.
    """
    return store_each(workspace_id, [received], lambda stored: refer(stored[0]))


def store_each(workspace_id: UUID, received: Sequence[Received], refer: Callable[[Sequence[Blob]], Result]) -> Result:
    """The same for several files that become permanent together, or none of them."""
    while True:
        stored = []
        for one in received:
            blob = _claim(workspace_id, one)
            _write(blob, one)
            stored.append(blob)
        try:
            with transaction.atomic():
                # In one order, lest two wait for each other in a circle; the same content may be there twice.
                for blob in sorted({blob.pk: blob for blob in stored}.values(), key=lambda blob: blob.pk):
                    _confirm(blob)
                return refer(stored)
        except Doomed as doomed:
            _remove(doomed.blob)  # no row knows of this file any more, and no other blob will have its name


def read(blob: Blob) -> bytes:
    """Raises FileNotFoundError, StorageUnavailable."""
    with opened(blob) as file:
        content: bytes = file.read()
    return content


@contextmanager
def opened(blob: Blob) -> Iterator[IO[bytes]]:
    """The file, for reading in parts. Raises FileNotFoundError, StorageUnavailable."""
    file = open_file(blob)
    try:
        with _answering():
            yield file
    finally:
        file.close()


def open_file(blob: Blob) -> IO[bytes]:
    """The file, for a caller that closes it. Raises FileNotFoundError, StorageUnavailable."""
    with _answering():
        file: IO[bytes] = storage().open(blob.name, "rb")
        file.seek(0)
        return file


def let_go(blob_id: UUID | None, *, keep: timedelta = KEEP) -> None:
    """Something is about to stop referring to the blob: its bytes stay a little longer.

    Not in a transaction that has taken another blob or an asset, lest two wait for each other in a circle.
    """
    until = Greatest("keep_until", clock.now() + keep)
    Blob.objects.across_workspaces().filter(pk=blob_id).update(keep_until=until)


def sweep(now: datetime) -> int:
    """Removes blobs that nothing refers to and whose time is over; how many. Running twice at once does no harm."""
    doomed = failures = 0
    for blob in _unreferred().filter(keep_until__lt=now, doomed_at=None)[:SWEPT_AT_ONCE]:
        _doom(blob.pk, now)
    for blob in Blob.objects.across_workspaces().filter(doomed_at__isnull=False).order_by("?")[:SWEPT_AT_ONCE]:
        try:
            _remove(blob)
        except StorageUnavailable:
            logger.warning("the storage did not remove blob %s; it is tried again", blob.pk)
            failures += 1
            if failures == FAILURES_IN_A_SWEEP:  # it is the storage, and not one file
                break
            continue
        doomed += Blob.objects.of(blob.workspace_id).filter(pk=blob.pk).delete()[0]
    return doomed


def _doom(blob_id: UUID, now: datetime) -> None:
    """Marks a blob that nothing refers to.

    The row is taken first and the question asked then: one statement for both would see the assets as they were before
    it waited for an upload that has the row.
    """
    with transaction.atomic():
        rows = Blob.objects.across_workspaces().filter(pk=blob_id, keep_until__lt=now, doomed_at=None)
        taken = rows.select_for_update(skip_locked=True).first()
        if taken is not None and _unreferred().filter(pk=blob_id).exists():
            rows.update(doomed_at=now)


def _claim(workspace_id: UUID, received: Received) -> Blob:
    """The living blob of this content, made if need be, and kept for now."""
    until = clock.now() + KEEP
    made = Blob(workspace_id=workspace_id, checksum_sha256=received.checksum, size=received.size, keep_until=until)
    living = Blob.objects.of(workspace_id).filter(checksum_sha256=received.checksum, doomed_at=None)
    while True:
        if living.update(keep_until=Greatest("keep_until", until)):
            found: Blob | None = living.first()
            if found is not None:
                return found
            continue
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError:
            continue  # another upload of the same content was faster
        return made


def _write(blob: Blob, received: Received) -> None:
    with _answering():
        if blob.stored_at is None or not storage().exists(blob.name):
            received.file.seek(0)
            storage().save(blob.name, File(received.file, name=blob.name))


def _confirm(blob: Blob) -> None:
    """Takes the blob's row, which the sweep wants too. Raises Doomed where the sweep was faster."""
    now = clock.now()
    living = Blob.objects.of(blob.workspace_id).filter(pk=blob.pk, doomed_at=None)
    if not living.update(stored_at=now, keep_until=Greatest("keep_until", now + KEEP)):
        raise Doomed(blob)


def _remove(blob: Blob) -> None:
    with _answering():
        storage().delete(blob.name)


def _unreferred() -> QuerySet[Blob]:
    asset = Asset.objects.across_workspaces().filter(blob_id=OuterRef("pk"))
    part = UploadPart.objects.across_workspaces().filter(blob_id=OuterRef("pk"))
    return Blob.objects.across_workspaces().filter(~Q(Exists(asset)), ~Q(Exists(part)))


@contextmanager
def _answering() -> Iterator[None]:
    """What a storage raises, as a refusal that a caller may try again; a missing file is said as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except getattr(storage(), "failures", (OSError,)) as error:
        logger.error("the storage of assets failed: %s", type(error).__name__)
        raise StorageUnavailable from error
