"""Parameters of Content-Type and Content-Disposition, also in pieces and in other charsets (RFC 2231, RFC 2047)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from apps.protocols.reports.parts import decoded, decoded_words

_MAX_VALUE, _MAX_PARAMETERS, _MAX_PIECES = 20_000, 200, 100
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)', re.DOTALL)
_PIECE = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def parameter(value: str, name: str) -> str:
    """The parameter of this name, decoded, or nothing. RFC 2231's forms go before the plain one."""
    plain, pieces = "", dict[int, tuple[str, bool]]()
    for count, found in enumerate(_PARAMETER.finditer(value[:_MAX_VALUE])):
        if count >= _MAX_PARAMETERS:
            break
        split = _PIECE.fullmatch(found[1])
        if split is None or split[1].lower() != name:
            continue
        text = _unquoted(found[2].strip())
        if split[2] is None and split[3] is None:
            plain = plain or text
        else:
            pieces.setdefault(int(split[2] or 0), (text, split[3] is not None))
    return _joined(pieces) if pieces else decoded_words(plain)


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _QUOTED_PAIR.sub(r"\1", text[1:].removesuffix('"') if len(text) > 1 else "")


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 sections 3 and 4: the charset stands before the first piece; whatever is missing ends it."""
    charset, octets = "", b""
    for number in range(_MAX_PIECES):
        if number not in pieces:
            break
        text, is_encoded = pieces[number]
        if is_encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if is_encoded else text.encode("utf-8", "replace")
    return decoded(octets, charset)
