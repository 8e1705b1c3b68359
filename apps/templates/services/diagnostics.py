"""What may go wrong with a version in people's mail programs, said before it is sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from apps.templates.engine.content import Rendered
from apps.templates.engine.markup import Tag, read
from apps.templates.errors import TemplateRenderError
from apps.templates.models import TemplateVersion
from apps.templates.services.rendering import content_of

# Beyond it Gmail shows the beginning of a mail, and a link to the rest.
CLIP_BYTES = 102 * 1024
LONG_SUBJECT = 78
EXAMPLES = 5
INERT = frozenset({"script", "form", "iframe", "object", "embed", "video", "audio"})
NO_LINKS = ("mailto:", "tel:", "sms:", "cid:")
UNSUBSCRIBE = re.compile(r"unsubscri|opt.?out|abmeld|d[ée]sabonn|preferences", re.IGNORECASE)


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    severity: Severity
    message: str
    part: str | None = None
    # What it is about: addresses, names of variables.
    items: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    findings: Sequence[Finding]
    size_bytes: int
    missing_variables: Sequence[str] = ()
    unused_variables: Sequence[str] = field(default=())


def diagnose(version: TemplateVersion, data: Mapping[str, Any], *, is_broadcast: bool = False) -> Diagnosis:
    """Renders the version with this data and looks at the result. Raises Invalid for data that is none."""
    try:
        rendered, missing = content_of(version).preview(data)
    except TemplateRenderError as error:
        failed = Finding("render_failed", Severity.CRITICAL, f"It cannot be sent with this data: {error.message}")
        return Diagnosis([failed], size_bytes=0)
    unused = _unused(version, data)
    found = [
        *_variables(missing, unused),
        *_subject(rendered.subject),
        *_parts(version),
        *(_html(rendered.html, is_broadcast=is_broadcast) if rendered.html else ()),
    ]
    order = list(reversed(Severity))
    return Diagnosis(
        sorted(found, key=lambda finding: order.index(finding.severity)),
        size_bytes=_size(rendered),
        missing_variables=missing,
        unused_variables=unused,
    )


def _unused(version: TemplateVersion, data: Mapping[str, Any]) -> list[str]:
    used = {re.split(r"[.\[]", name, maxsplit=1)[0] for name in version.variables}
    return [name for name in data if name not in used]


def _variables(missing: Sequence[str], unused: Sequence[str]) -> Iterator[Finding]:
    if missing:
        said = "The data has no value for these; a send without them is refused."
        yield Finding("missing_variables", Severity.WARNING, said, items=missing)
    if unused:
        said = "The data has these, and no part of the template uses them."
        yield Finding("unused_variables", Severity.INFO, said, items=unused)


def _subject(subject: str) -> Iterator[Finding]:
    if not subject.strip():
        yield Finding("empty_subject", Severity.CRITICAL, "The subject is empty with this data.", part="subject")
    elif len(subject) > LONG_SUBJECT:
        said = f"The subject has {len(subject)} characters; most inboxes show the first {LONG_SUBJECT} at most."
        yield Finding("long_subject", Severity.INFO, said, part="subject")


def _parts(version: TemplateVersion) -> Iterator[Finding]:
    if not version.text:
        said = "There is no text part, so one is made from the HTML. One of your own reads better."
        yield Finding("no_text_part", Severity.INFO, said, part="text")
    if version.css_refusal:
        said = f"The style sheet is not inlined, because {version.css_refusal}. Many mail programs will not see it."
        yield Finding("css_not_inlined", Severity.WARNING, said, part="html")


def _size(rendered: Rendered) -> int:
    return len((rendered.html or rendered.text or "").encode())


def _html(html: str, *, is_broadcast: bool) -> Iterator[Finding]:
    size = len(html.encode())
    if size > CLIP_BYTES:
        said = f"The HTML has {size:,} bytes; Gmail cuts mail off after {CLIP_BYTES:,}."
        yield Finding("clipped", Severity.WARNING, said, part="html")
    tags = [token for token in read(html) if isinstance(token, Tag) and not token.is_closing]
    yield from _images([tag for tag in tags if tag.name == "img"])
    links = [tag.get("href") or "" for tag in tags if tag.name in ("a", "area") and tag.get("href") is not None]
    yield from _links(links)
    if names := sorted({tag.name for tag in tags if tag.name in INERT}):
        said = "Mail programs take these out, or do nothing with them."
        yield Finding("inert_tags", Severity.WARNING, said, part="html", items=names)
    if any(tag.name == "link" and "stylesheet" in (tag.get("rel") or "").lower() for tag in tags):
        said = "A style sheet at another address is read by hardly any mail program; put it into <style>."
        yield Finding("remote_style", Severity.WARNING, said, part="html")
    if is_broadcast and not UNSUBSCRIBE.search(html):
        said = "There is no link to unsubscribe, which mail to many people has to have."
        yield Finding("no_unsubscribe_link", Severity.CRITICAL, said, part="html")


def _images(images: Sequence[Tag]) -> Iterator[Finding]:
    without = [tag.get("src") or "" for tag in images if tag.get("alt") is None]
    if without:
        said = "These images have no alt text, which is all there is where images are not shown."
        yield _about("missing_alt", Severity.WARNING, said, without)
    sources = [tag.get("src") or "" for tag in images]
    if relative := [src for src in sources if not _scheme(src)]:
        said = "These images have no whole address, so no mail program finds them."
        yield _about("image_without_address", Severity.CRITICAL, said, relative)
    if insecure := [src for src in sources if _scheme(src) == "http"]:
        yield _about("image_not_https", Severity.WARNING, "Load these images over https.", insecure)
    if inline := [src[:40] for src in sources if _scheme(src) == "data"]:
        yield _about("image_in_html", Severity.WARNING, "Gmail does not show images within the HTML.", inline)


def _links(links: Sequence[str]) -> Iterator[Finding]:
    kinds: dict[str, list[str]] = {}
    for link in links:
        kinds.setdefault(_kind(link.strip()), []).append(link)
    for code, (severity, said) in _LINKS.items():
        if code in kinds:
            yield _about(code, severity, said, kinds[code])


_LINKS = {
    "link_empty": (Severity.WARNING, "These links lead nowhere."),
    "link_script": (Severity.CRITICAL, "These links run a script, which no mail program does."),
    "link_relative": (Severity.CRITICAL, "These links have no whole address, and a mail has no page to start from."),
    "link_broken": (Severity.CRITICAL, "These links cannot be read as addresses."),
    "link_not_https": (Severity.WARNING, "These links are not encrypted; use https."),
    "link_unusual": (Severity.INFO, "Not every device can open these links."),
}


def _kind(link: str) -> str:
    if link in ("", "#"):
        return "link_empty"
    scheme = _scheme(link)
    if link.lower().startswith(NO_LINKS) or link.startswith("#"):
        return ""
    if scheme in ("javascript", "vbscript", "data"):
        return "link_script"
    if not scheme:
        return "link_relative"
    if scheme not in ("http", "https"):
        return "link_unusual"
    if not _has_host(link):
        return "link_broken"
    return "link_not_https" if scheme == "http" else ""


def _scheme(address: str) -> str:
    """In small letters; empty where there is none."""
    before, colon, _ = address.strip().partition(":")
    return before.lower() if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", before) else ""


def _has_host(link: str) -> bool:
    try:
        parts = urlsplit(link)
        return bool(parts.hostname) and " " not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def _about(code: str, severity: Severity, message: str, items: Sequence[str]) -> Finding:
    """A finding about some of many: the first few, and how many there are."""
    distinct = list(dict.fromkeys(items))
    count = f" ({len(distinct)} of them)" if len(distinct) > EXAMPLES else ""
    shown = [item[:200] for item in distinct[:EXAMPLES]]
    return Finding(code, severity, f"{message}{count}", part="html", items=shown)
