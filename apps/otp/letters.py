"""What the recipient of a code reads. All of it is ours but a subject and a name, so neither can carry a message.

The code stands behind the first sentences: most previews and lock screens show only the beginning. There is no
`@domain #code` line for autofill: it has to name the site where the code is typed, which nobody has told us.
"""

import re
import unicodedata
from dataclasses import dataclass

from django.utils.html import format_html

from apps.protocols.text import TextError, check_visible_order, holds_encoded_word

MAX_BRAND, MAX_SUBJECT = 64, 200
UNITS = ((3600, "hour"), (60, "minute"), (1, "second"))

# What a mail program would make a link of: a scheme, an address, a host name.
_LINK = re.compile(r"//|@|\bwww\.|\bmailto:|\b\d{1,3}(?:\.\d{1,3}){3}\b", re.IGNORECASE)
_PHONE = re.compile(r"\d(?:[ ()./-]{0,2}\d){6}")
# IDNA takes the ideographic full stop for a dot (RFC 3490, 3.1), and so may a mail program.
_DOTS = str.maketrans({"\u3002": "."})
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_]")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{%|\$\{")

TEXT = """\
{opening}

Type the code only where you asked for it. It works once and is valid for {validity}.

    {code}

{closing}
"""
HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#ffffff;color:#1a1a1a;font:16px/1.5 'Segoe UI',Arial,sans-serif">
<p>{opening}</p>
<p>Type the code only where you asked for it. It works once and is valid for {validity}.</p>
<p style="margin:24px 0;font:700 32px/1.2 Consolas,Menlo,monospace;letter-spacing:6px">{code}</p>
<p style="color:#5a5a5a">{closing}</p>
</body>
</html>
"""
OPENING = "You, or somebody who gave your address, asked for a code of {brand}."
CLOSING = (
    "If you did not ask for it, ignore this mail: without the code nothing happens. "
    "Nobody from {brand} will ever ask you for it."
)


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


class LineError(ValueError):
    """A line of the caller's cannot stand in the mail; `reason` can be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_line(text: str, *, own_domain: str) -> None:
    """Refuses links, addresses and placeholders: whoever fills a sign-up form must not write the mail.

    The sender's own domain may be named, since that is whom the mail is from. Raises LineError.
    """
    try:
        check_visible_order(text)
    except TextError as error:
        raise LineError(error.reason) from error
    plain = _as_read(text)
    if _PLACEHOLDER.search(plain):
        raise LineError("has a placeholder; the code stands in the mail's body and nowhere else")
    if _LINK.search(plain) or holds_encoded_word(plain):
        raise LineError("must not hold an address or a link")
    if _PHONE.search(plain):
        raise LineError("must not hold a telephone number or another long number")
    for found in _HOST.finditer(plain):
        if not _is_within(found[0].lower(), own_domain):
            raise LineError("must not name a domain other than the sender's; mail programs make links of them")


def write(code: str, *, brand: str, subject: str | None, seconds: int) -> Letter:
    """The mail with this code, in text and in HTML."""
    subject = subject or f"Your code for {brand}"
    parts = {
        "code": code,
        "opening": OPENING.format(brand=brand),
        "closing": CLOSING.format(brand=brand),
        "validity": spoken(seconds),
    }
    return Letter(subject, TEXT.format(**parts), format_html(HTML, subject=subject, **parts))


def spoken(seconds: int) -> str:
    """`10 minutes`, `1 hour`, `90 seconds`."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _as_read(text: str) -> str:
    """The text as readers and mail programs take it: a wide dot is a dot, and what is not seen is not there."""
    plain = unicodedata.normalize("NFKC", text).translate(_DOTS)
    return "".join(char for char in plain if unicodedata.category(char) != "Cf")


def _is_within(host: str, own_domain: str) -> bool:
    """Whether it is the sender's domain, one below it or the one above that the sender's is a part of."""
    return host == own_domain or own_domain.endswith(f".{host}") or host.endswith(f".{own_domain}")
