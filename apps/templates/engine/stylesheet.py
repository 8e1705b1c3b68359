"""Reads style sheets as far as inlining needs it: which rules apply to tags as they stand, and which cannot.

A rule for `:hover`, `::before` or `@media` has no place in a tag's style; one that counts tags, or asks for the tag
before, may not mean the same once loops and conditions are done. All of them stay in `<style>` in any case.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

_STRINGS = r"""\"(?:[^\"\\\n]|\\.?)*(?:\"|\n|\Z)|'(?:[^'\\\n]|\\.?)*(?:'|\n|\Z)"""
PIECE = re.compile(rf"/\*.*?(?:\*/|\Z)|{_STRINGS}|<!--|-->|\\.?|[{{}}()\[\],;]", re.DOTALL)
# Each character can be read in one way only, and no name gives back what it has taken: there is nothing to try twice.
_IDENT = r"(?:[\w-]|[^\x00-\x7f]|\\[^\n0-9A-Fa-f])++"
_IN_BRACKETS = r"""[^\[\]"'\\]*"""
_SIMPLE = rf"""[.\#]?{_IDENT}|\*|\[{_IN_BRACKETS}(?:(?:"[^"\\\n]*"|'[^'\\\n]*'){_IN_BRACKETS})?\]"""
_COUNTING = r":(?:(?:first|last|only)-(?:child|of-type)|empty|nth-(?:last-)?(?:child|of-type)\([-+\sa-z0-9]{1,20}\))"
SELECTOR_PART = re.compile(
    rf"(?P<counting>{_COUNTING})(?![\w-])|:link(?![\w-])|:not\((?:{_SIMPLE})\)|{_SIMPLE}"
    r"|(?P<sibling>\s*+[+~]\s*)|(?P<below>\s*+>\s*|\s+)",
    re.ASCII | re.IGNORECASE,
)
NAMED = re.compile(rf"[.#](?P<name>{_IDENT})", re.ASCII)
ATTRIBUTE_NAMED = re.compile(r"\[\s*([\w-]+)")
PROPERTY = re.compile(r"([^;:]*):")
# A sheet for these media alone is one for every reader of mail.
SCREENS = frozenset({"", "all", "screen"})


class Kind(Enum):
    PLAIN = auto()
    COUNTING = auto()
    SIBLING = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Selector:
    text: str
    kind: Kind
    is_complex: bool  # it asks for more than the tag itself

    @property
    def names_above(self) -> frozenset[str]:
        """The classes and ids of the tags around, as far as it names any."""
        *above, _ = re.split(r"[\s>+~]+", self.text.strip())
        return frozenset(found["name"] for part in above for found in NAMED.finditer(part))


@dataclass(frozen=True, slots=True)
class Rule:
    selectors: Sequence[Selector]
    body: str

    @property
    def properties(self) -> list[str]:
        """The names of its declarations; rather one too many than one too few."""
        return [found[1].strip().lower() for found in PROPERTY.finditer(self.body)]


def read_rules(css: str) -> Iterator[Rule]:
    """The rules of a sheet in their order, without those in blocks like `@media`, in one pass."""
    reader = _Reader()
    position = 0
    for piece in PIECE.finditer(css):
        reader.add(css[position : piece.start()])
        position = piece.end()
        yield from reader.take(piece[0])


def is_for_screens(media: str, kind: str) -> bool:
    """Whether a `<style>` with these attributes applies to whoever reads a mail."""
    named = {medium.strip().lower() for medium in media.split(",")}
    return bool(named & SCREENS) and kind.strip().lower() in ("", "text/css")


class _Reader:
    """Puts the pieces of a sheet together to rules."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._selectors: list[str] = []
        self._braces = self._brackets = 0
        self._is_nested = False

    def add(self, text: str) -> None:
        self._text.append(text)

    def take(self, piece: str) -> Iterator[Rule]:
        if piece.startswith("/*") or (piece in ("<!--", "-->") and not self._braces):
            self.add(" ")
        elif piece == "{":
            self._open()
        elif piece == "}":
            yield from self._close()
        elif not self._braces and piece == ";" and self._is_at_rule():
            self._text, self._selectors, self._brackets = [], [], 0
        elif not self._braces and piece == "," and self._brackets == 0:
            self._end_selector()
        else:
            self._brackets += (piece in "([") - (piece in ")]") if not self._braces else 0
            self.add(piece)

    def _is_at_rule(self) -> bool:
        texts = self._selectors or self._text
        return next((text for text in texts if text.strip()), "").lstrip().startswith("@")

    def _open(self) -> None:
        self._braces += 1
        if self._braces == 1:
            self._end_selector()
        else:
            self._is_nested = True

    def _close(self) -> Iterator[Rule]:
        self._braces = max(0, self._braces - 1)
        if self._braces == 0:
            if self._selectors and not self._selectors[0].startswith("@") and not self._is_nested:
                yield Rule([_selector(text) for text in self._selectors], "".join(self._text).strip())
            self._text, self._selectors, self._brackets, self._is_nested = [], [], 0, False

    def _end_selector(self) -> None:
        self._selectors.append("".join(self._text).strip())
        self._text = []


def _selector(text: str) -> Selector:
    position, is_sibling, is_counting, is_complex = 0, False, False, False
    while position < len(text):
        part = SELECTOR_PART.match(text, position)
        if part is None:
            return Selector(text, Kind.OTHER, is_complex=True)
        is_sibling = is_sibling or part["sibling"] is not None
        is_counting = is_counting or part["counting"] is not None
        is_complex = is_complex or part.lastgroup is not None
        position = part.end()
    kind = Kind.COUNTING if is_counting else Kind.SIBLING if is_sibling else Kind.PLAIN if text else Kind.OTHER
    return Selector(text, kind, is_complex=is_complex)
