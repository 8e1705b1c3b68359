"""Reads an uploaded form: one file, written to disk as it comes, and a few short texts (RFC 7578)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser

from apps.assets import naming
from apps.assets.errors import FileTooLarge
from apps.assets.services.receiving import CHUNK, Received, check_not_empty
from apps.core.api.parsers import UnsupportedMediaType
from apps.core.errors import Invalid

FIELD = "file"
# Beside the file: the texts, and what separates the parts.
OVERHEAD = 64 * 1024
MAX_TEXT = 20 * 1024


@dataclass(frozen=True, slots=True)
class UploadedForm:
    """What came. Whoever reads it closes `received`."""

    texts: Mapping[str, str]
    received: Received
    name: str
    mime_type: str


class UploadedFormParser(BaseParser):
    """Gives an UploadedForm. Raises Invalid with the field's name, FileTooLarge."""

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request = (parser_context or {})["request"]
        check_length(request.META, OVERHEAD)
        handler = _OneFile()
        tail: Any = _Tail(stream)  # Django reads forms in chunks and asks for nothing but that
        try:
            parser = _Parser(request.META, tail, [handler], "utf-8")
            texts, _files = parser.parse()
            parser.check_end(tail)
            return _form(texts, handler)
        except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent, RequestDataTooBig) as error:
            handler.close()
            raise Invalid({FIELD: [f"the form cannot be read: {_reason(error)}"]}) from None
        except BaseException:
            handler.close()
            raise


def check_length(meta: Mapping[str, Any], overhead: int, max_bytes: int | None = None) -> None:
    """Refuses by what the headers say, before a byte is read. Raises FileTooLarge, UnsupportedMediaType."""
    most = settings.ASSET_MAX_BYTES if max_bytes is None else max_bytes
    if meta.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without a content encoding.")
    length = str(meta.get("CONTENT_LENGTH") or "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > most + overhead:
        raise FileTooLarge(most)


class _Parser(MultiPartParser):
    """Django's, which would keep half a file as a whole one, and drop what joins the signs of some scripts."""

    _boundary: bytes

    def sanitize_file_name(self, file_name: str) -> str:
        return file_name  # naming.file_name does it

    def check_end(self, tail: "_Tail") -> None:
        """A form that stops before its last boundary was cut off, or has another one than its header says."""
        if not tail.last.rstrip(b"\r\n\t ").endswith(b"--" + self._boundary + b"--"):
            raise MultiPartParserError("the last boundary is missing")


class _Tail:
    """A stream that remembers its last bytes."""

    KEPT = 512  # a boundary has at most 70 characters (RFC 2046, section 5.1.1), and Django takes 201

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int | None = None, /) -> bytes:
        data: bytes = self._stream.read(size)
        self.last = (self.last + data[-self.KEPT :])[-self.KEPT :]
        return data


class _OneFile(FileUploadHandler):
    """Django's parser hands it the file in chunks."""

    chunk_size = CHUNK

    def __init__(self) -> None:
        super().__init__()
        self.received: Received | None = None
        self.name = self.type = ""

    def new_file(self, field_name: str, file_name: str, content_type: str, *rest: Any, **more: Any) -> None:
        if field_name != FIELD:
            raise Invalid({field_name[:100]: [f"unknown file field; send one file, as {FIELD}"]})
        if self.received is not None:
            raise Invalid({FIELD: ["was sent twice; send one file in a request"]})
        try:
            self.name = naming.file_name(file_name)
            self.type = naming.media_type(content_type)
        except ValueError as error:
            raise Invalid({FIELD: [str(error)]}) from None
        self.received = Received(settings.ASSET_MAX_BYTES)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self.received is not None  # noqa: S101 - new_file came first
        self.received.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        """There is no file for Django to keep."""

    def close(self) -> None:
        if self.received is not None:
            self.received.close()


def _form(texts: Any, handler: _OneFile) -> UploadedForm:
    if handler.received is None:
        raise Invalid({FIELD: ["is missing: send the file in a form field of this name, with a file name"]})
    check_not_empty(handler.received, FIELD)
    return UploadedForm(_single(texts), handler.received, handler.name, handler.type)


def _single(texts: Any) -> dict[str, str]:
    problems = {}
    for name, values in texts.lists():
        if len(values) > 1:
            problems[name[:100]] = ["may be given once"]
        elif "\0" in values[0] or "\0" in name:
            problems[name.replace("\0", "")[:100] or "body"] = ["must not contain NUL characters"]
        elif len(values[0]) > MAX_TEXT:
            problems[name[:100]] = [f"may have at most {MAX_TEXT} characters"]
    if problems:
        raise Invalid(dict(list(problems.items())[:20]))
    return {name: values[0] for name, values in texts.lists()}


def _reason(error: Exception) -> str:
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        return "it has too many parts"
    return "its parts do not fit together" if isinstance(error, MultiPartParserError) else "it has too much text"
