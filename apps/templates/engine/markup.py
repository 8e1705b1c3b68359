"""Reads HTML in one pass as far as the engine needs it: tags, their attributes, and the text between.

It goes forward only, whatever it is given; parsers that build trees are for markup whose depth is known (see `css`).
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# What can begin a tag or a comment; any other `<` is a character.
OPENING = re.compile(r"<(?=/?[A-Za-z]|[!?])")
NAME = re.compile(r"[A-Za-z][^\s/>]{0,60}")
ATTRIBUTE = re.compile(r"[\s/]*([^\s>/][^\s=>/]*)(?:\s*(=)\s*)?")
UNQUOTED = re.compile(r"[^\s>]*")
# In them there are no tags but their own ending (HTML, 13.1.2).
RAW_TEXT = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})
_VOID = "area base br col embed hr img input link meta param source track wbr basefont bgsound frame keygen"
VOID = frozenset(_VOID.split())
# A whole tag without its attributes being read, one character after another.
TAG_END = re.compile(r"""<(?:[^>"'=]|=\s*+(?:"[^"]*+"?|'[^']*+'?)?|["'])*+>?""")
HIDDEN = re.compile(r"<(script|style)(?=[\s/>])", re.IGNORECASE)
HIDDEN_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
# Browsers end a comment at either.
COMMENT_END = re.compile(r"--!?>")
# Python reads at most 4,300 digits of a number, and the highest character has seven.
LONG_REFERENCE = re.compile(r"&#([0-9]{8,})")
NO_CHARACTER = "1114112"


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    value: str  # as it is written, entities and all
    start: int
    quote: str  # empty where the value is not between quotes


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    start: int
    end: int
    is_closing: bool = False
    attributes: tuple[Attribute, ...] = field(default=())

    def get(self, name: str) -> str | None:
        """The value of an attribute, with its entities read."""
        found = next((attribute.value for attribute in self.attributes if attribute.name == name), None)
        return None if found is None else unescape(found)


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between tags; `within` is the element of raw text that it is the content of."""

    start: int
    end: int
    within: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    start: int
    end: int


Token = Tag | Text | Comment


def read(source: str) -> Iterator[Token]:
    """Tags, texts and comments in their order, without gaps."""
    position = 0
    while position < len(source):
        opening = OPENING.search(source, position)
        if opening is None:
            yield Text(position, len(source))
            return
        start = opening.start()
        if start > position:
            yield Text(position, start)
        token = _at(source, start)
        yield token
        position = token.end
        if isinstance(token, Tag) and token.name in RAW_TEXT and not token.is_closing:
            end = _end_of_raw(source, token)
            if end > position:
                yield Text(position, end, within=token.name)
            position = end


def unescape(text: str) -> str:
    """The text with its entities read, whatever they are; a number without a character becomes U+FFFD."""
    return html.unescape(LONG_REFERENCE.sub(_short_reference, text)) if "&" in text else text


def _short_reference(found: re.Match[str]) -> str:
    digits = found[1].lstrip("0") or "0"
    return f"&#{digits if len(digits) <= len(NO_CHARACTER) else NO_CHARACTER}"


def text_of(source: str) -> str:
    """The text without any tag or comment, and without what is never shown."""
    parts, position = [], 0
    while opening := OPENING.search(source, position):
        start = opening.start()
        parts.append(source[position:start])
        if source[start + 1] in "!?":
            position = _at(source, start).end
            continue
        hidden = HIDDEN.match(source, start)
        tag_end = TAG_END.match(source, start)
        position = tag_end.end() if tag_end else len(source)
        if hidden:
            ending = HIDDEN_ENDS[hidden[1].lower()].search(source, position)
            position = ending.start() if ending else len(source)
    return "".join(parts) + source[position:]


def _at(source: str, start: int) -> Tag | Comment:
    """The tag or comment that begins here."""
    after = source[start + 1 : start + 2]
    if source.startswith("<!--", start):
        closing = COMMENT_END.search(source, start + 2)
        return Comment(start, closing.end() if closing else len(source))
    if after in ("!", "?"):
        end = source.find(">", start)
        return Comment(start, len(source) if end == -1 else end + 1)
    is_closing = after == "/"
    name = NAME.match(source, start + 1 + is_closing)
    name_end = name.end() if name else start + 1
    attributes, end = _attributes(source, name_end)
    return Tag(source[start + 1 + is_closing : name_end].lower(), start, end, is_closing, tuple(attributes))


def _attributes(source: str, position: int) -> tuple[list[Attribute], int]:
    """The attributes from here to the end of the tag, and where that is. An open quote reaches to the very end."""
    found: list[Attribute] = []
    while True:
        name = ATTRIBUTE.match(source, position)
        if name is None:
            end = source.find(">", position)
            return found, len(source) if end == -1 else end + 1
        position = name.end()
        value, quote, start = "", "", position
        if name[2]:
            quote = source[position : position + 1] if source[position : position + 1] in ('"', "'") else ""
            if quote:
                start = position + 1
                closing = source.find(quote, start)
                end = len(source) if closing == -1 else closing
                value, position = source[start:end], min(end + 1, len(source))
            else:
                unquoted = UNQUOTED.match(source, position)
                value = unquoted[0] if unquoted else ""
                position += len(value)
        found.append(Attribute(name[1].lower(), value, start, quote))


def _end_of_raw(source: str, tag: Tag) -> int:
    ending = re.compile(rf"</{tag.name}(?=[\s/>])", re.IGNORECASE)
    found = ending.search(source, tag.end)
    return found.start() if found else len(source)
