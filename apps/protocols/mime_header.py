"""Header fields as lines: folded, and encoded where they hold more than ASCII (RFC 5322, RFC 2047, RFC 2231)."""

import base64
import itertools
import re
from collections.abc import Sequence
from typing import AnyStr
from urllib.parse import quote

from apps.protocols.address import Mailbox
from apps.protocols.text import check_text, holds_encoded_word

SOFT_LIMIT = 76  # RFC 2047, 2 for lines with encoded words; within the 78 of RFC 5322, 2.1.1
HARD_LIMIT = 998  # RFC 5322, 2.1.1
_ENCODED_WORD_LIMIT = 75  # RFC 2047, 2
_ENCODED_WORD_FRAME = len("=?utf-8?q??=")
# An address with a shorter name stays in one piece, so that lists fold between addresses.
_ADDRESS_LIMIT = 64
_PARAMETER_LIMIT = SOFT_LIMIT - len(" ;")
_CHARSET = "utf-8''"  # RFC 2231, 4: no language

# The shape of a canonical address, as a last guard against a second one in the same place.
_CANONICAL = re.compile(r"[^\s<>()\[\],;:\\\"@]+@[a-z0-9.-]+")
# RFC 5322, 3.2.3: names of these words alone need no quotes.
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# Nothing that readers are known to take for more than itself, quoted or not: `"` and `;` are cut at, `%` and `=?`
# are decoded.
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9!#$&'()+,.=@[\]^_`{}~-]+(?: [A-Za-z0-9!#$&'()+,.=@[\]^_`{}~-]+)*")
# One word with the spaces that stand before it, less the one that a fold takes. Only for text that ends in a
# word: spaces at the end would cost quadratic time.
_SPACED_WORD = re.compile(r"(?:\A| )( *[^ ]+)")


def header(name: str, chunks: Sequence[str]) -> str:
    """Join the chunks by single spaces, folding before one that would not fit (RFC 5322, 2.2.3)."""
    # The last gate before the wire: chunks come from several places, and none may hold a line end.
    check_text("".join(chunks))
    if not chunks:
        return f"{name}:"
    lines: list[str] = []
    line = f"{name}:"
    # Some readers stumble over a field name alone on its line; only the limits of the RFCs force that.
    limit = SOFT_LIMIT if chunks[0].startswith("=?") else HARD_LIMIT
    for chunk in chunks:
        if len(line) + 1 + len(chunk) > limit:
            lines.append(line)
            line = ""
        line = f"{line} {chunk}"
        limit = SOFT_LIMIT
    return "\r\n".join((*lines, line))


def address_header(name: str, boxes: Sequence[Mailbox]) -> str:
    """One field of mailboxes, of which there is at least one."""
    chunks: list[str] = []
    for box in boxes:
        chunks += _mailbox_chunks(box)
        chunks[-1] += ","
    chunks[-1] = chunks[-1][:-1]
    return header(name, chunks)


def _mailbox_chunks(box: Mailbox) -> list[str]:
    if not _CANONICAL.fullmatch(box.email):
        raise ValueError("the address of a mailbox is not in canonical form")
    if not box.name:
        return [box.email]
    address = f"<{box.email}>"
    phrase = _ascii_phrase(box.name)
    words = [phrase] if phrase else _encoded_words(box.name, _ADDRESS_LIMIT)
    whole = " ".join((*words, address))
    return [whole] if len(whole) <= _ADDRESS_LIMIT else [*words, address]


def _ascii_phrase(name: str) -> str:
    """The name as atoms or one quoted string (RFC 5322, 3.2.4); empty where it needs encoded words."""
    if not name.isascii() or "=?" in name:
        return ""
    if _ATOMS.fullmatch(name):
        phrase = name
    else:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = f'"{escaped}"'
    return phrase if len(phrase) <= _ADDRESS_LIMIT else ""


def subject_chunks(subject: str) -> list[str]:
    """What `header` joins to a subject that reads back exactly as it was given."""
    room = _room_beside("Subject")
    # Readers drop white space at the ends and decode what looks encoded: neither would be what was given.
    if subject.isascii() and "=?" not in subject and subject == subject.strip(" "):
        words = _SPACED_WORD.findall(subject)
        if max(map(len, words), default=0) <= room:
            return words
    return _encoded_words(subject, room)


def value_chunks(name: str, value: str) -> list[str]:
    """What `header` joins to the value of a caller's header."""
    words = _SPACED_WORD.findall(value)
    # A long word is left alone here: many a header has a structure, and encoded words would break its URLs.
    is_literal = value.isascii() and not holds_encoded_word(value)
    if is_literal and max(map(len, words), default=0) < HARD_LIMIT:
        return words
    return _encoded_words(value, _room_beside(name))


def parameter_chunks(name: str, value: str) -> list[str]:
    """A parameter of a structured field, in one form that all readers take for the same; chunks lack their `;`.

    RFC 2231 says nothing of a plain parameter beside an encoded one. Readers differ on which of the two counts, so
    a file would have one name for a scanner and another for its recipient. All that are in use know RFC 2231.
    """
    plain = f'{name}="{value}"'
    if len(plain) <= _PARAMETER_LIMIT and _PLAIN_VALUE.fullmatch(value):
        return [plain]
    # Characters stay whole: some readers decode each section by itself.
    encoded = [quote(char, safe="") for char in value]
    whole = f"{name}*={_CHARSET}{''.join(encoded)}"
    if len(whole) <= _PARAMETER_LIMIT:
        return [whole]
    room = _PARAMETER_LIMIT - len(f"{name}*99*=")  # more than the longest file name needs
    sections = _pack(encoded, room - len(_CHARSET), room)
    return [f"{name}*{number}*={'' if number else _CHARSET}{section}" for number, section in enumerate(sections)]


def _room_beside(name: str) -> int:
    """How long an encoded word may be on the line of the field name; a short rest of a line is left empty."""
    room = SOFT_LIMIT - len(name) - len(": ")
    return room if room > 2 * _ENCODED_WORD_FRAME else _ENCODED_WORD_LIMIT


def _encoded_words(text: str, room: int) -> list[str]:
    """RFC 2047, 4, in the shorter of its two encodings; no character is cut (RFC 2047, 5)."""
    # Encoding would only hide these from the gate in `header`; readers decode them again.
    check_text(text)
    chars = [char.encode() for char in text]
    quoted = ["".join(map(_Q_BYTES.__getitem__, char)) for char in chars]
    first, others = room - _ENCODED_WORD_FRAME, _ENCODED_WORD_LIMIT - _ENCODED_WORD_FRAME
    if 3 * sum(map(len, quoted)) <= 4 * sum(map(len, chars)):
        return [f"=?utf-8?q?{word}?=" for word in _pack(quoted, first, others)]
    groups = _pack(chars, first // 4 * 3, others // 4 * 3)
    return [f"=?utf-8?b?{base64.b64encode(group).decode('ascii')}?=" for group in groups]


def _q_byte(octet: int) -> str:
    """RFC 2047, 4.2 (2), and 5 (3): the few that may be literal in a phrase may be so in any place."""
    char = chr(octet)
    if char == " ":
        return "_"
    return char if char.isascii() and (char.isalnum() or char in "!*+-/") else f"={octet:02X}"


_Q_BYTES = [_q_byte(octet) for octet in range(256)]


def _pack(pieces: Sequence[AnyStr], first: int, others: int) -> list[AnyStr]:
    """Join neighbours into groups of at most `others` length, the first group of at most `first`."""
    starts: list[int] = [0]
    size, limit = 0, first
    for index, piece in enumerate(pieces):
        size += len(piece)
        if size > limit:
            starts.append(index)
            size, limit = len(piece), others
    empty = pieces[0][:0]
    return [empty.join(pieces[start:end]) for start, end in itertools.pairwise([*starts, len(pieces)])]
