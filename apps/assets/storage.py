"""A folder as the storage of assets: private to its owner, and never half a file under a final name."""

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

FOLDER_MODE = 0o700
# Of the disk, which may hold the database too: uploads must not be what stops mail. In bytes.
RESERVE = 128 * 1024 * 1024


class PrivateFolderStorage(FileSystemStorage):
    """Writes to a temporary name, syncs, and renames; a second writer of the same name replaces the file whole."""

    # What its methods raise where it cannot do its work.
    failures: ClassVar = (OSError,)

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_overwrite": True, **options})

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        _make_folder(target.parent)
        if shutil.disk_usage(target.parent).free < content.size + RESERVE:
            raise OSError(errno.ENOSPC, "the disk of the assets is nearly full")
        # The file has the mode 0600. A name with a dot in front is never one of a blob.
        descriptor, temporary = tempfile.mkstemp(prefix=".incoming-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
        return name


def _make_folder(folder: Path) -> None:
    # `parents=True` would make the folders above with the mode of the umask.
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
