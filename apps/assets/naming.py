"""What callers call things: file names, media types, keys. All of it is hostile until it has been through here."""

import re
import unicodedata

from apps.assets.models import MAX_KEY, MAX_NAME, OCTETS

UNNAMED = "file"
# RFC 6838, section 4.2: what a type and a subtype may be made of, and how long they may be.
_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}"
_TYPE = re.compile(rf"{_NAME}/{_NAME}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# Controls, formats (among them what turns the direction of writing), halves of pairs, line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# ZERO WIDTH JOINER and NON-JOINER belong to emoji and to several scripts; they turn nothing around.
_JOINERS = "\u200c\u200d"
# Types that may be told to a browser; whatever it could run or interpret is not among them.
_HARMLESS = frozenset(
    {"application/pdf", "application/zip", "image/gif", "image/jpeg", "image/png", "image/webp"}
    | {"text/csv", "text/plain"}
)


def file_name(text: str) -> str:
    """The last part of a path, without what cannot be seen. Raises ValueError where it is too long."""
    last = text.replace("\\", "/").rpartition("/")[2]
    seen = "".join(char for char in last if char in _JOINERS or unicodedata.category(char) not in _UNSEEN)
    name = " ".join(seen.split())
    if len(name) > MAX_NAME:
        raise ValueError(f"has a name of more than {MAX_NAME} characters")
    return name if name.strip(". " + _JOINERS) else UNNAMED


def media_type(text: str) -> str:
    """`type/subtype` in lower case, without parameters. Raises ValueError for what is none.

    Whole messages and multiparts would become a part of the mail's own structure, so they travel as octets.
    """
    if not text:
        return OCTETS
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be a media type such as application/pdf, in ASCII and without line ends")
    essence = text.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(essence):
        raise ValueError("must be a media type such as application/pdf")
    return OCTETS if essence.startswith(("multipart/", "message/")) else essence


def served_type(mime_type: str) -> str:
    """What a download says it is: what a caller declared is believed only where nothing could come of it."""
    return mime_type if mime_type in _HARMLESS else OCTETS


def bucket(text: str) -> str:
    """Raises ValueError."""
    if not _BUCKET.fullmatch(text):
        raise ValueError("must be 1 to 63 letters, digits, dots, hyphens and underscores")
    return text


def key(text: str) -> str:
    """A label with slashes; it is no path of ours, and is refused where somebody might take it for another's.

    Raises ValueError.
    """
    if not 1 <= len(text) <= MAX_KEY:
        raise ValueError(f"must have 1 to {MAX_KEY} characters")
    if any(unicodedata.category(char) in _UNSEEN for char in text):
        raise ValueError("must not contain control or format characters")
    if "\\" in text or any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError("must be names separated by single slashes, none of them . or ..")
    return text


def cache_control(text: str) -> str:
    """The value of a header. Raises ValueError."""
    if len(text) > 200 or not text.isascii() or not text.isprintable():
        raise ValueError("must be at most 200 printable ASCII characters, such as public, max-age=3600")
    return text
