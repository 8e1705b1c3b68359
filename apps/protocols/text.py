"""What may stand in the text that callers hand us, before it gets near a header or a body (RFC 5322, 2.2)."""

import re

# bpo-46462: code downstream takes VT, FF, FS, GS, RS, NEL, LS and PS for line ends, so CR and LF are not the
# whole danger. Lone surrogates have no UTF-8 form at all.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Bodies are transfer-encoded, so C1 controls and U+2028 are harmless there; NUL and its like never are text.
_NOT_IN_A_BODY = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")

# Bidi controls reorder what the eye sees (U+202E shows "moc.knab" as "bank.com").
_BIDI_CONTROL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# The opening of an encoded word (RFC 2047, 2). Readers disagree on where one ends, so the opening counts.
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[BbQq]\?")


class TextError(ValueError):
    """The text holds a character that cannot be sent; `reason` can be shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_text(text: str, *, multiline: bool = False) -> None:
    """Refuse controls and lone surrogates; `multiline` lets tabs and line ends pass. Raises TextError."""
    _refuse(_NOT_IN_A_BODY if multiline else _NOT_IN_A_LINE, text, "is not allowed here")


def check_visible_order(text: str) -> None:
    """Refuse the controls that make text read in another order than it is written. Raises TextError."""
    _refuse(_BIDI_CONTROL, text, "changes the order of reading")


def holds_encoded_word(text: str) -> bool:
    """Whether a reader may decode part of the text into something that no check has seen."""
    return _ENCODED_WORD.search(text) is not None


def storable(text: str) -> str:
    """The text without what no database text can hold: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _refuse(pattern: re.Pattern[str], text: str, why: str) -> None:
    found = pattern.search(text)
    if found:
        # Named by its number: a control character must not travel on into an answer or a log.
        raise TextError(f"The character U+{ord(found[0]):04X} at position {found.start() + 1} {why}; remove it.")
