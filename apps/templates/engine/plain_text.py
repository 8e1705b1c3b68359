"""Makes the text part from rendered HTML, for templates that have none.

From the rendered HTML and not from the template: there are no loops and conditions any more to lay out, and escaped
values become what they were.
"""

import re

from inscriptis import get_text
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement

from apps.templates.engine.layout import is_tame
from apps.templates.engine.limits import MAX_OUTPUT_BYTES
from apps.templates.engine.markup import Tag, Text, read, unescape

HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
EMPTY_LINES = re.compile(r"\n{3,}")
BLANKS = re.compile(r"[ \t\r\f\v]+")
_BREAKS = (
    "address article blockquote br center dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p "
    "pre section table tr ul"
)
BREAKS = frozenset(_BREAKS.split())
CELLS = frozenset({"td", "th"})
NOT_SHOWN = frozenset({"script", "style", "title"})


def from_html(source: str) -> str:
    """Readable text, links in brackets behind their words. Whatever the HTML is, this gives something."""
    text = ""
    if is_tame(source):
        try:
            text = get_text(source, _config())
        except Exception:  # noqa: BLE001 - it was written for pages of the web; the other way is always open
            text = ""
    if len(text) > MAX_OUTPUT_BYTES:
        text = ""
    return _tidy(text or stripped(source))[:MAX_OUTPUT_BYTES]


def stripped(source: str) -> str:
    """The text without tags, line by line; for HTML that no tree should be made of."""
    parts = []
    for token in read(source):
        if isinstance(token, Text):
            if token.within not in NOT_SHOWN:
                parts.append(BLANKS.sub(" ", unescape(source[token.start : token.end]).replace("\n", " ")))
        elif isinstance(token, Tag):
            if token.name in BREAKS:
                parts.append("\n")
            elif token.name in CELLS and token.is_closing:
                parts.append(" ")
    return "".join(parts)


def _config() -> ParserConfig:
    config = ParserConfig(display_links=True)
    # It takes styles at their word, and `margin-top: 1000000em` is a million empty lines.
    config.attribute_handler.attribute_mapping = {"style": _hide}
    return config


def _hide(style: str, element: HtmlElement) -> None:
    if HIDDEN.search(style):
        element.display = Display.none


def _tidy(text: str) -> str:
    lines = (line.rstrip() for line in text.replace("\xa0", " ").splitlines())
    return EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
