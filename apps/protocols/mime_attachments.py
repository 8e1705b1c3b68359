"""Files that go with a mail: what may be attached, and the part that carries it (RFC 2046, RFC 2183, RFC 2231)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.protocols.mime_body import base64_blocks
from apps.protocols.mime_header import header, parameter_chunks
from apps.protocols.text import TextError, check_text, check_visible_order

MAX_FILENAME = 255  # characters; most file systems take no more
MAX_CONTENT_TYPE = 255

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # RFC 6838, 4.2
_PARAMETER = rf" *; *({_NAME})={_NAME}"
_CONTENT_TYPE = re.compile(rf"({_NAME})/{_NAME}((?:{_PARAMETER})*)")
_PARAMETER_NAMES = re.compile(_PARAMETER)
# RFC 2046, 5.2.1, and RFC 2045, 6.4: these may not be sent in base64, and readers would open their parts.
_NOT_IN_BASE64 = frozenset({"multipart", "message"})
# Written by the composer, or telling readers where parts end.
_RESERVED_PARAMETERS = frozenset({"name", "filename", "boundary"})


class AttachmentError(ValueError):
    """A file cannot be attached like this; `reason` can be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as its recipient shall get it, byte by byte; name and type have been checked."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


def check_filename(name: str) -> None:
    """Refuse names that harm who saves the file or hide what it is. Raises AttachmentError."""
    if not 1 <= len(name) <= MAX_FILENAME:
        raise AttachmentError(f"A file name has 1 to {MAX_FILENAME} characters.")
    try:
        check_text(name)
        check_visible_order(name)
    except TextError as error:
        raise AttachmentError(f"The file name cannot be sent. {error.reason}") from error
    if "/" in name or "\\" in name:
        raise AttachmentError("A file name holds no path: the characters / and \\ are not allowed in it.")
    if name in (".", ".."):
        raise AttachmentError("The names . and .. mean folders and cannot be the name of a file.")


def check_content_type(text: str) -> None:
    """Refuse what is not `type/subtype`, with plain parameters where there are any. Raises AttachmentError."""
    found = _CONTENT_TYPE.fullmatch(text) if len(text) <= MAX_CONTENT_TYPE else None
    if not found:
        raise AttachmentError(
            "A content type is written like application/pdf or text/csv; charset=utf-8, without quotes,"
            f" in at most {MAX_CONTENT_TYPE} characters."
        )
    kind = found[1].lower()
    if kind in _NOT_IN_BASE64:
        raise AttachmentError(f"A file of type {kind}/* cannot be attached as such; use application/octet-stream.")
    names = [name.lower() for name in _PARAMETER_NAMES.findall(found[2])]
    if len(set(names)) < len(names):
        raise AttachmentError("A parameter of the content type is given twice.")
    if reserved := sorted(_RESERVED_PARAMETERS.intersection(names)):
        raise AttachmentError(f"The parameter {reserved[0]} is set by the platform and cannot be given.")


def attachment_part(attachment: Attachment) -> tuple[list[str], Sequence[bytes]]:
    """The fields of the part, and its body in pieces, with the line end that closes the part."""
    check_filename(attachment.filename)
    check_content_type(attachment.content_type)
    content_type = re.split(" *; *", attachment.content_type)
    fields = [
        # RFC 2183 names the file in the disposition; some readers know only the older name in the type.
        _with_name(content_type, "Content-Type", "name", attachment.filename),
        "Content-Transfer-Encoding: base64",
        _with_name(["attachment"], "Content-Disposition", "filename", attachment.filename),
    ]
    blocks = base64_blocks(attachment.content)
    return fields, [piece for block in blocks for piece in (block, b"\r\n")]


def _with_name(value: Sequence[str], header_name: str, parameter: str, filename: str) -> str:
    chunks = [*value, *parameter_chunks(parameter, filename)]
    return header(header_name, [*(f"{chunk};" for chunk in chunks[:-1]), chunks[-1]])
