"""Copies the rules of `<style>` into the tags they apply to, because some mail programs read only those.

It happens once, when a version is saved, and on the template and not on a rendered mail. The inliner parses HTML as a
browser does, and a browser moves text out of a table, so the template's own markup is hidden from it: as comments
between tags, as plain words inside of attributes. What comes back has to have the same tags, texts, comments and
markup in the same order, or the source is kept as it was, and the diagnostics say why. The sheets stay in the mail
beside the styles that were made of them: not every rule can be inlined (see `stylesheet`).
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import css_inline

from apps.core.errors import Problem
from apps.templates.engine.compiled import Part, compile_part
from apps.templates.engine.limits import MAX_SOURCE_BYTES
from apps.templates.engine.markup import RAW_TEXT, VOID, Comment, Tag, Text, Token, read, unescape
from apps.templates.engine.places import CLOSES, OPENS
from apps.templates.engine.scanner import WRITING, Kind, Piece, scan
from apps.templates.engine.stylesheet import ATTRIBUTE_NAMED, Rule, is_for_screens, read_rules
from apps.templates.engine.stylesheet import Kind as SelectorKind

# The inliner goes down into tags by recursion and ends the process at some 12,000 levels.
MAX_DEPTH = 300
# Brackets inside of CSS, which its parser follows by recursion too.
MAX_BRACKETS = 30
# Of the HTML, ends included; of its sheets.
MAX_TAGS, MAX_RULES = 16_000, 5_000
# Characters of CSS times tags: what inlining may write at the worst.
MAX_WORK = 20_000_000
# Selectors times tags, each counted for all the tags that it may look at: about 0.3 s.
MAX_MATCHES = 8_000_000
# Declarations times those that a tag has already, for each tag: about 0.3 s.
MAX_MERGES = 200_000_000
MERGES_PER_STYLE = 10
# The parser adds these where they are left out.
IMPLIED = ("html", "head", "body", "tbody")
# Their end may be left out (HTML, 13.1.2.4).
_OPTIONAL_END = "p li dt dd td th tr thead tfoot colgroup caption option optgroup rt rp html body"
OPTIONAL_END = frozenset(_OPTIONAL_END.split())
LOOSE_ENDS = frozenset({"html", "body"})
# What the inliner leaves a tag alone for.
INLINERS_OWN = "data-css-inline"
LEFT_ALONE = f' {INLINERS_OWN}="ignore"'
# Names that mail programs put around a mail; no template has them.
MAIL_PROGRAMS = frozenset({"outlook", "ExternalClass", "ReadMsgBody", "MessageViewBody", "MessageWebViewDiv"})
DOCTYPE = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)
BLANKS = re.compile(r"\s+")
TOO_LARGE = "the style sheet is too large for so many tags"
NOT_WELL_FORMED = "the HTML is not well formed, and inlining would move parts of it"


@dataclass(frozen=True, slots=True)
class Inlined:
    """HTML to send, and why its CSS is not inlined where it is not."""

    html: str
    refusal: str = ""


def inline(source: str) -> Inlined:
    """The source with its CSS inlined; as it is where there is none, or where that would harm it."""
    if "<style" not in source.lower():
        return Inlined(source)
    if source.count("<") > MAX_TAGS:
        return Inlined(source, TOO_LARGE)
    hidden = _Hidden(source, list(scan(source)))
    rules = list(islice(_rules(hidden), MAX_RULES + 1))
    if refusal := hidden.refusal or _refusal(hidden, rules):
        return Inlined(source, refusal)
    sheet = _sheet(rules, is_fixed=not hidden.has_blocks)
    if not sheet:
        return Inlined(source)
    try:
        result = _inlined(hidden.marked(rules), sheet)
    except (css_inline.InlineError, ValueError):
        return Inlined(source, "the style sheet cannot be read")
    result = _restored(hidden.text, result)
    done = hidden.shown(result)
    if len(done.encode()) > MAX_SOURCE_BYTES:
        return Inlined(source, f"the HTML would grow to more than {MAX_SOURCE_BYTES:,} bytes")
    is_same = hidden.outline(hidden.text, hidden.tokens) == hidden.outline(result, read(result))
    if not is_same or not _can_be_read(done):
        return Inlined(source, NOT_WELL_FORMED)
    return Inlined(done)


class _Hidden:
    """The source with the template's markup out of the HTML parser's sight."""

    def __init__(self, source: str, pieces: list[Piece]) -> None:
        self.refusal = ""
        # No word of the source, in letters that nothing changes the case of.
        self._key = f"lq{secrets.token_hex(6)}x"
        self._word = re.compile(rf"{self._key}(\d+)z")
        self._pieces = [piece for piece in pieces if piece.kind is not Kind.TEXT]
        self._markup = [source[piece.start : piece.end] for piece in self._pieces]
        self._open_blocks = 0
        self.has_blocks = any(piece.name in OPENS for piece in self._pieces)
        self.text = self._with_comments(self._written(source, pieces))
        self.tokens = list(read(self.text))
        self._left_out = self._ends_left_out()

    def shown(self, text: str) -> str:
        """The inliner's result with the markup back in its places."""
        number = rf"{self._key}(\d+)z"
        return re.sub(rf"<!--{number}-->|{number}", lambda found: self._markup[int(found[1] or found[2])], text)

    def outline(self, text: str, tokens: Iterable[Token]) -> list[str]:
        """Tags, texts, comments and hidden markup in their order, without blanks and ends that are left out.

        The inliner sorts the attributes of a tag, so the order of the markup in them may differ.
        """
        found = [""]
        for token in tokens:
            written = text[token.start : token.end]
            if isinstance(token, Tag):
                if not (token.is_closing and token.name in self._left_out):
                    words = sorted(" ".join(self._word.findall(each.value)) for each in token.attributes)
                    found += [f"<{'/' * token.is_closing}{token.name} {' '.join(words).strip()}>", ""]
            elif isinstance(token, Comment):
                found += ["<!doctype>" if DOCTYPE.match(written) else written, ""]
            else:
                is_raw = token.within in RAW_TEXT - {"title", "textarea"}
                found[-1] += BLANKS.sub("", written if is_raw else unescape(written))
        return found

    def marked(self, rules: Sequence[Rule]) -> str:
        """The text, in which the tags are marked whose style depends on a value: they are to be left alone."""
        asked = {name for rule in rules for each in rule.selectors for name in _attributes_asked(each.text)}
        parts, position = [], 0
        for token in self.tokens:
            if isinstance(token, Tag) and self._is_uncertain(token, asked):
                name_end = token.start + 1 + len(token.name)
                parts += [self.text[position:name_end], LEFT_ALONE]
                position = name_end
        return "".join(parts) + self.text[position:]

    @property
    def has_uncertain_names(self) -> bool:
        """Whether any tag has a class or id that comes from a value."""
        return any(isinstance(token, Tag) and self._is_uncertain(token, {"class", "id"}) for token in self.tokens)

    def _is_uncertain(self, tag: Tag, asked: Iterable[str]) -> bool:
        return not tag.is_closing and any(each.name in asked and self._key in each.value for each in tag.attributes)

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
        parts = []
        for token in read(words):
            text = words[token.start : token.end]
            if isinstance(token, Text) and not token.within:
                text = self._word.sub(lambda found: f"<!--{found[0]}-->", text)
            elif isinstance(token, Text) and token.within == "style" and self._key in text:
                self.refusal = "the style sheet depends on variables"
            elif isinstance(token, Tag):
                self._check_tag(token, text)
            elif isinstance(token, Comment) and not text.startswith("<!--") and not DOCTYPE.match(text):
                # `<![endif]>` would come back as a comment, which means something else to Outlook.
                text = self._hide(text)
            self._count_blocks(text)
            parts.append(text)
        return "".join(parts)

    def _hide(self, text: str) -> str:
        self._markup.append(self.shown(text))
        return f"<!--{self._key}{len(self._markup) - 1}z-->"

    def _count_blocks(self, text: str) -> None:
        for found in self._word.finditer(text):
            if int(found[1]) < len(self._pieces):
                name = self._pieces[int(found[1])].name
                self._open_blocks += (name in OPENS) - (name in CLOSES)

    def _check_tag(self, tag: Tag, text: str) -> None:
        if tag.name == "style" and self._open_blocks:
            self.refusal = "the style sheet depends on conditions"
        if self._key not in text:
            return
        quoted = sum(attribute.value.count(self._key) for attribute in tag.attributes if attribute.quote)
        if quoted != text.count(self._key):
            self.refusal = "a tag's attributes depend on conditions"
        inside = [self._pieces[int(number)] for number in self._word.findall(text)]
        # The inliner puts double quotes around every attribute.
        if any(piece.kind is Kind.RAW and '"' in piece.inner for piece in inside):
            self.refusal = "an attribute has double quotes within single ones"
        style = next((attribute.value for attribute in tag.attributes if attribute.name == "style"), "")
        in_style = [self._pieces[int(number)] for number in self._word.findall(style)]
        if any(piece.kind is not Kind.OUTPUT and piece.name not in WRITING for piece in in_style):
            self.refusal = "a style attribute depends on conditions"

    def _ends_left_out(self) -> frozenset[str]:
        """The names whose ends may come and go. Where blocks are, a new end might not be in the same one."""
        balance: Counter[str] = Counter()
        for token in self.tokens:
            if isinstance(token, Tag):
                balance[token.name] += -1 if token.is_closing else 1
        optional = LOOSE_ENDS if self.has_blocks else OPTIONAL_END
        return VOID | {name for name in optional if balance[name] != 0}


def _rules(hidden: _Hidden) -> Iterator[Rule]:
    """The rules of the sheets that apply to every reader."""
    is_meant = False
    for token in hidden.tokens:
        if isinstance(token, Tag) and token.name == "style" and not token.is_closing:
            is_meant = is_for_screens(token.get("media") or "", token.get("type") or "")
        elif isinstance(token, Text) and token.within == "style" and is_meant:
            yield from read_rules(hidden.text[token.start : token.end])


def _sheet(rules: Sequence[Rule], *, is_fixed: bool) -> str:
    """What of the rules is to be inlined. Which tag is the first, or the next, is known where the tags are fixed."""
    kinds = {SelectorKind.PLAIN, SelectorKind.COUNTING, SelectorKind.SIBLING} if is_fixed else {SelectorKind.PLAIN}
    parts = []
    for rule in rules:
        if chosen := [each.text for each in rule.selectors if each.kind in kinds]:
            parts.append(f"{','.join(chosen)}{{{rule.body}}}")
    return "\n".join(parts)


def _inlined(text: str, sheet: str) -> str:
    """By the inliner; a text that is no whole document must not become one, and comes back without the parts of one."""
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css=sheet if _is_document(text) else None,
    )
    result = inliner.inline(text) if _is_document(text) else inliner.inline_fragment(text, sheet)
    return result.replace(LEFT_ALONE, "")


def _is_document(text: str) -> bool:
    lowered = text.lower()
    return any(f"<{name}" in lowered for name in ("!doctype", "html", "head", "body"))


def _refusal(hidden: _Hidden, rules: Sequence[Rule]) -> str:
    """Why this should not be given to the inliner."""
    text = hidden.text
    tags = [token for token in hidden.tokens if isinstance(token, Tag)]
    sheets = [text[t.start : t.end] for t in hidden.tokens if isinstance(t, Text) and t.within == "style"]
    if INLINERS_OWN in text.lower():
        return "the HTML has attributes for an inliner of its own"
    if any(_brackets(sheet) > MAX_BRACKETS for sheet in sheets):
        return "the style sheet is nested too deeply"
    if any(_brackets(tag.get("style") or "") > MAX_BRACKETS for tag in tags):
        return "a style attribute is nested too deeply"
    if (depth := _depth(tags)) > MAX_DEPTH:
        return f"the HTML is nested more than {MAX_DEPTH} levels deep"
    opened = [tag for tag in tags if not tag.is_closing]
    if len(rules) > MAX_RULES or sum(map(len, sheets)) * len(opened) > MAX_WORK or _is_dear(opened, rules, depth):
        return TOO_LARGE
    selectors = [each for rule in rules for each in rule.selectors]
    if hidden.has_blocks and any(each.kind is SelectorKind.COUNTING for each in selectors):
        return "the style sheet counts tags (as :first-child does), of which loops and conditions make others"
    known = _names(tags) | MAIL_PROGRAMS
    if hidden.has_uncertain_names and any(each.names_above - known for each in selectors):
        return "the style sheet has rules for what stands within a class that comes from a variable"
    return ""


def _is_dear(tags: Sequence[Tag], rules: Sequence[Rule], depth: int) -> bool:
    """Whether inlining would take long, by what was measured of it."""
    selectors = [each for rule in rules for each in rule.selectors]
    looking_up = sum(each.is_complex for each in selectors)
    looking_around = sum(each.kind in (SelectorKind.SIBLING, SelectorKind.COUNTING) for each in selectors)
    declared = sum(len(rule.selectors) * len(rule.properties) for rule in rules)
    different = len({name for rule in rules for name in rule.properties})
    styled = sum((tag.get("style") or "").count(":") for tag in tags)
    matches = len(tags) * (len(selectors) + looking_up * depth + looking_around * len(tags))
    merges = declared * (len(tags) * different + MERGES_PER_STYLE * styled)
    return matches > MAX_MATCHES or merges > MAX_MERGES


def _names(tags: Sequence[Tag]) -> frozenset[str]:
    """The classes and ids that are spelled out."""
    return frozenset(word for tag in tags for name in ("class", "id") for word in (tag.get(name) or "").split())


def _attributes_asked(selector: str) -> set[str]:
    """The attributes that decide whether a selector applies."""
    named = {name.lower() for name in ATTRIBUTE_NAMED.findall(selector)}
    return named | ({"class"} if "." in selector else set()) | ({"id"} if "#" in selector else set())


def _depth(tags: Sequence[Tag]) -> int:
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


def _restored(source: str, result: str) -> str:
    """Without the tags that the parser adds, across which a loop might come to stand; with the author's doctype."""
    lowered = source.lower()
    added = "|".join(name for name in IMPLIED if f"<{name}" not in lowered)
    result = re.sub(rf"</?(?:{added})(?:\s[^>]*)?>", "", result) if added else result
    doctype = DOCTYPE.search(source)
    return DOCTYPE.sub(lambda _: doctype[0] if doctype else "", result, count=1)


def _can_be_read(source: str) -> bool:
    try:
        compile_part(Part.HTML, source)
    except Problem:
        return False
    return True
