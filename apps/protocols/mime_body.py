"""Bodies in the transfer encoding that any relay passes on unchanged (RFC 2045, 6)."""

import binascii
import re
import struct

from apps.protocols.mime_header import HARD_LIMIT, SOFT_LIMIT

# ASCII that no relay has reason to touch, with the tab and the line end.
_PRINTABLE = bytes([0x09, 0x0A, *range(0x20, 0x7F)])
_LONG_ENDING = re.compile(rb"^(.{74,75})(=20|=09)$", re.MULTILINE)
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)

# `unpack` cuts into lines faster than slicing does.
_BLOCK_LINES = 1024
_BLOCK = struct.Struct(f"{SOFT_LIMIT}s" * _BLOCK_LINES)
_BLOCK_OCTETS = _BLOCK.size // 4 * 3


def encode_text(text: str) -> tuple[str, bytes]:
    """Choose the transfer encoding (RFC 2045, 6) that any relay passes on unchanged; readable ones first."""
    # RFC 5322, 2.3: CR and LF occur only together. A lone one can end the mail early at a lax server.
    data = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    if _passes_as_it_is(data):
        return "7bit", data.replace(b"\n", b"\r\n")
    # Quoted-printable triples each such octet, base64 adds a third to all of them.
    if 6 * len(data.translate(None, _PRINTABLE)) > len(data):
        return "base64", _base64(data)
    return "quoted-printable", _quoted_printable(data)


def _passes_as_it_is(data: bytes) -> bool:
    if data.translate(None, _PRINTABLE) or max(map(len, data.split(b"\n"))) > HARD_LIMIT:
        return False
    # RFC 2049, 3: some relays write `>From `, which breaks the signature, or end the mail at a lone dot.
    lines = b"\n%s\n" % data
    return b"\nFrom " not in lines and b"\n.\n" not in lines


def base64_blocks(data: bytes) -> list[bytes]:
    """RFC 2045, 6.8, in blocks of whole lines, so that a large file is never in memory in one more piece."""
    octets = memoryview(data)
    return [_base64_block(octets[at : at + _BLOCK_OCTETS]) for at in range(0, len(data) or 1, _BLOCK_OCTETS)]


def _base64_block(octets: memoryview) -> bytes:
    encoded = binascii.b2a_base64(octets, newline=False)
    if len(encoded) == _BLOCK.size:
        return b"\r\n".join(_BLOCK.unpack(encoded))
    return b"\r\n".join([encoded[at : at + SOFT_LIMIT] for at in range(0, len(encoded), SOFT_LIMIT)])


def _base64(data: bytes) -> bytes:
    # RFC 2045, 6.8: line ends of text are CRLF before they are encoded.
    return b"\r\n".join(base64_blocks(data.replace(b"\n", b"\r\n")))


def _quoted_printable(data: bytes) -> bytes:
    # binascii wraps the lines, and writes a lone dot and white space at line ends in hex (RFC 2045, 6.7).
    encoded = binascii.b2a_qp(data, istext=True)
    if max(map(len, encoded.split(b"\n"))) > SOFT_LIMIT:
        # But it wraps before it knows that a space ends the line, and is then one or two over.
        encoded = _LONG_ENDING.sub(rb"\1=\n\2", encoded)
    if b"From " in encoded:
        # Wrapped after the word, or its line could grow beyond 76.
        encoded = _FROM_LINE.sub(b"=46rom=\n ", encoded)
    return encoded.replace(b"\n", b"\r\n")
