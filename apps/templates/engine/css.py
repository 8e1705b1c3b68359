"""Moves the rules of `<style>` into the tags they apply to, because many mail programs read only those.

It happens once, when a version is saved, and on the template and not on a rendered mail. The inliner parses HTML as a
browser does, and a browser moves text out of a table, so the template's own markup is hidden from it: as comments
between tags, as plain words inside of attributes. What comes back has to have the same markup, the same tags and the
same text in the same order, or the source is kept as it was, and the diagnostics say so.
"""

import re
import secrets
from collections import Counter
from dataclasses import dataclass

import css_inline

from apps.core.errors import Problem
from apps.templates.engine.compiled import Part, compile_part
from apps.templates.engine.limits import MAX_SOURCE_BYTES
from apps.templates.engine.markup import RAW_TEXT, VOID, Tag, Text, read, unescape
from apps.templates.engine.scanner import Kind, Piece, scan

# The inliner goes down into tags by recursion and ends the process at some 12,000 levels.
MAX_DEPTH = 300
# Brackets inside of CSS, which its parser follows by recursion too.
MAX_BRACKETS = 30
# Characters of CSS times tags: what inlining may write at the worst, and how long it may take.
MAX_WORK = 20_000_000
# The parser adds these, or they go: they do not tell whether anything was moved.
IMPLIED = frozenset({"html", "head", "body", "tbody", "style", "link", "meta"})
# Their end may be left out (HTML, 13.1.2.4).
_OPTIONAL_END = "p li dt dd td th tr thead tfoot colgroup caption option optgroup rt rp"
OPTIONAL_END = frozenset(_OPTIONAL_END.split())
ADDED = re.compile(r"</?tbody[^>]*>")
BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Inlined:
    """HTML to send, and why its CSS is not inlined where it is not."""

    html: str
    refusal: str = ""


def inline(source: str) -> Inlined:
    """The source with its CSS inlined; as it is where there is none, or where that would harm it."""
    if "<style" not in source.lower():
        return Inlined(source)
    pieces = list(scan(source))
    hidden = _Hidden(source, pieces)
    if refusal := hidden.refusal or _refusal(hidden.text):
        return Inlined(source, refusal)
    try:
        inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True, keep_link_tags=True)
        result = _without_added(source, inliner.inline(hidden.text))
    except (css_inline.InlineError, ValueError):
        return Inlined(source, "the style sheet cannot be read")
    done = hidden.shown(result)
    if len(done.encode()) > MAX_SOURCE_BYTES:
        return Inlined(source, f"the HTML would grow to more than {MAX_SOURCE_BYTES:,} bytes")
    is_same = hidden.order(hidden.text) == hidden.order(result)
    if not is_same or _outline(hidden.text) != _outline(result, like=hidden.text) or not _can_be_read(done):
        return Inlined(source, "the HTML is not well formed, and inlining would move parts of it")
    return Inlined(done)


class _Hidden:
    """The source with the template's markup out of the HTML parser's sight."""

    def __init__(self, source: str, pieces: list[Piece]) -> None:
        self.refusal = ""
        # No word of the source, in letters that nothing changes the case of.
        self._key = f"lq{secrets.token_hex(6)}x"
        self._markup = [source[piece.start : piece.end] for piece in pieces if piece.kind is not Kind.TEXT]
        words = self._written(source, pieces)
        self.text = self._with_comments(words)

    def shown(self, text: str) -> str:
        """The inliner's result with the markup back in its places."""
        number = rf"{self._key}(\d+)z"
        return re.sub(rf"<!--{number}-->|{number}", lambda found: self._markup[int(found[1] or found[2])], text)

    def order(self, text: str) -> list[str]:
        """The hidden markup as it stands in a text; the inliner sorts the attributes of a tag, which may differ."""
        word = re.compile(rf"{self._key}\d+z")
        found: list[str] = []
        for token in read(text):
            if isinstance(token, Tag):
                found += sorted(" ".join(word.findall(attribute.value)) for attribute in token.attributes)
            else:
                found += word.findall(text, token.start, token.end)
        return [words for words in found if words]

    def _written(self, source: str, pieces: list[Piece]) -> str:
        count, parts = 0, []
        for piece in pieces:
            if piece.kind is Kind.TEXT:
                parts.append(piece.inner)
            else:
                parts.append(f"{self._key}{count}z")
                count += 1
        return "".join(parts)

    def _with_comments(self, words: str) -> str:
        """Words between tags become comments, which may stand anywhere; those in attributes stay words."""
        word = re.compile(rf"{self._key}\d+z")
        parts, position = [], 0
        for token in read(words):
            text = words[token.start : token.end]
            if isinstance(token, Text) and not token.within:
                text = word.sub(lambda found: f"<!--{found[0]}-->", text)
            elif isinstance(token, Text) and token.within == "style" and self._key in text:
                self.refusal = "the style sheet depends on variables"
            elif isinstance(token, Tag) and self._key in text:
                self._check_tag(token, text)
            parts.append(text)
            position = token.end
        return "".join(parts) + words[position:]

    def _check_tag(self, tag: Tag, text: str) -> None:
        quoted = sum(attribute.value.count(self._key) for attribute in tag.attributes if attribute.quote)
        if quoted != text.count(self._key):
            self.refusal = "a tag's attributes depend on conditions"
        style = next((attribute.value for attribute in tag.attributes if attribute.name == "style"), "")
        if any(self._markup[int(n)].startswith("{%") for n in re.findall(rf"{self._key}(\d+)z", style)):
            self.refusal = "a style attribute depends on conditions"


def _refusal(text: str) -> str:
    """Why this should not be given to the inliner."""
    tokens = list(read(text))
    tags = [token for token in tokens if isinstance(token, Tag)]
    sheets = [text[t.start : t.end] for t in tokens if isinstance(t, Text) and t.within == "style"]
    if any(_brackets(sheet) > MAX_BRACKETS for sheet in sheets):
        return "the style sheet is nested too deeply"
    if any(_brackets(tag.get("style") or "") > MAX_BRACKETS for tag in tags):
        return "a style attribute is nested too deeply"
    if _depth(tags) > MAX_DEPTH:
        return f"the HTML is nested more than {MAX_DEPTH} levels deep"
    return "the style sheet is too large for so many tags" if sum(map(len, sheets)) * len(tags) > MAX_WORK else ""


def _depth(tags: list[Tag]) -> int:
    """At least how deep a parser goes. A tag that closes another one than the last opened closes nothing here."""
    open_tags: list[str] = []
    deepest = 0
    for tag in tags:
        if not tag.is_closing:
            if tag.name not in VOID:
                open_tags.append(tag.name)
                deepest = max(deepest, len(open_tags))
        elif open_tags and open_tags[-1] == tag.name:
            open_tags.pop()
    return deepest


def _brackets(css: str) -> int:
    """How many brackets are open at once at most; a closing one without an opening one closes nothing."""
    depth = deepest = 0
    for char in css:
        if char in "({[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")}]":
            depth = max(0, depth - 1)
    return deepest


def _without_added(source: str, done: str) -> str:
    """Takes out the `<tbody>` that the parser puts around rows: a loop's markup would come to stand across it."""
    return done if "<tbody" in source.lower() else ADDED.sub("", done)


def _can_be_read(source: str) -> bool:
    try:
        compile_part(Part.HTML, source)
    except Problem:
        return False
    return True


def _outline(source: str, *, like: str = "") -> list[str]:
    """Tags and texts in their order, without blanks, and without ends where it or `like` leaves such ends out."""
    left_out = _ends_left_out(like or source)
    found = [""]
    for token in read(source):
        if isinstance(token, Tag):
            if token.name not in IMPLIED and not (token.is_closing and token.name in left_out):
                found += [f"<{'/' * token.is_closing}{token.name}>", ""]
        elif isinstance(token, Text) and token.within != "style":
            text = source[token.start : token.end]
            is_raw = token.within in RAW_TEXT - {"title", "textarea"}
            found[-1] += BLANKS.sub("", text if is_raw else unescape(text))
    return found


def _ends_left_out(source: str) -> frozenset[str]:
    balance: Counter[str] = Counter()
    for token in read(source):
        if isinstance(token, Tag):
            balance[token.name] += -1 if token.is_closing else 1
    return VOID | {name for name in OPTIONAL_END if balance[name] != 0}
