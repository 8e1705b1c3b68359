"""A file on its way in: written to disk as it comes, hashed and counted, and gone with whoever held it."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Protocol

from django.conf import settings

from apps.assets.errors import FileTooLarge
from apps.core.errors import Invalid

CHUNK = 64 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _nameless_file() -> IO[bytes]:
    return tempfile.TemporaryFile(dir=settings.ASSET_INCOMING)


@dataclass(slots=True)
class Received:
    """Bytes in a nameless file, which vanishes also when the process dies."""

    max_bytes: int
    file: IO[bytes] = field(default_factory=_nameless_file)
    size: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Raises FileTooLarge at the first byte too many, so that no more is ever written."""
        self.size += len(chunk)
        if self.size > self.max_bytes:
            self.close()
            raise FileTooLarge(self.max_bytes)
        self._digest.update(chunk)
        self.file.write(chunk)

    def close(self) -> None:
        self.file.close()


def receive(chunks: Iterable[bytes], max_bytes: int, *, name: str = "file") -> Received:
    """All of the chunks. Raises FileTooLarge, and Invalid where there is not one byte."""
    received = Received(max_bytes)
    try:
        for chunk in chunks:
            received.write(chunk)
        check_not_empty(received, name)
    except BaseException:
        received.close()
        raise
    return received


def check_not_empty(received: Received, name: str) -> None:
    if not received.size:
        raise Invalid({name: ["has no bytes; an empty file cannot be kept"]})


def chunks_of(stream: Readable) -> Iterator[bytes]:
    return iter(lambda: stream.read(CHUNK), b"")
