"""The addresses that a captured message would lead its reader to, from its HTML and from its text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice
from urllib.parse import urlsplit

from apps.delivery.inbox.letter import MAX_SHOWN, Letter, unambiguous

MAX_LINKS = 200
MAX_TARGET = 2_000
MAX_LABEL = 120
LABEL_READ = 1_000
# Patterns with bounds, because the standard library's HTML parser takes quadratic time on hostile input.
# A quoted value may hold ">". The groups are atomic: what they have taken is not tried again in other pieces.
TAG = re.compile(r"""<(?:a|area)\b((?:(?>[^<>"']{1,500}|"[^"]{0,2000}"|'[^']{0,2000}'|["'])){0,80}+)>""", re.IGNORECASE)
END_OF_LINK = re.compile("</a", re.IGNORECASE)
ANY_TAG = re.compile(r"<[^<>]{0,1000}>?")
HREF = re.compile(
    r"""(?<![\w-])href\s{0,9}=\s{0,9}(?:"([^"]{0,4000})"|'([^']{0,4000})'|([^\s"'>]{1,4000}))""", re.IGNORECASE
)
URL = re.compile(r"""\bhttps?://[^\s<>"'`]{1,2000}""", re.IGNORECASE)
# Ends a sentence more often than an address.
AFTER_A_URL = ".,;:!?)]}"
HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]{1,63}\.){1,9}[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """One address, as text; `where` says which part of the message it stands in."""

    where: str
    label: str
    target: str

    @property
    def is_web(self) -> bool:
        """Whether a browser may be sent there; anything else is only shown."""
        return self.target.lower().startswith(("http://", "https://"))

    @property
    def is_misleading(self) -> bool:
        """Whether the words that one clicks name another host than the one they lead to."""
        named = HOST.fullmatch(self.label)
        return named is not None and self.is_web and _bare(named[1].lower()) != _bare(_host(self.target))


def links(letter: Letter) -> list[Link]:
    """The first addresses of both parts, each once."""
    found = [*_of_html((letter.html or "")[:MAX_SHOWN]), *_of_text(letter.text or "")]
    return list(dict.fromkeys(found))


def _of_html(html: str) -> Iterator[Link]:
    for tag in islice(TAG.finditer(html), MAX_LINKS):
        if href := HREF.search(tag[1]):
            label = _label(html[tag.end() : tag.end() + LABEL_READ])
            yield Link("HTML", label, _target(unescape(href[1] or href[2] or href[3] or "")))


def _of_text(text: str) -> Iterator[Link]:
    for found in islice(URL.finditer(text), MAX_LINKS):
        yield Link("text", "", _target(found[0].rstrip(AFTER_A_URL)))


def _label(after: str) -> str:
    """The words between the tags of a link."""
    words = unescape(ANY_TAG.sub(" ", END_OF_LINK.split(after, maxsplit=1)[0]))
    return unambiguous(" ".join(words.split()))[:MAX_LABEL]


def _target(address: str) -> str:
    return unambiguous(address.strip())[:MAX_TARGET]


def _bare(host: str) -> str:
    return host.removeprefix("www.")


def _host(target: str) -> str:
    try:
        return urlsplit(target).hostname or ""
    except ValueError:
        return ""
