"""The one canonical form of a mail address (RFC 5321, 5322, 6531) and of a domain (IDNA 2008, RFC 5891).

Accepting, suppressing, counting and dispatching all use the string made here, so no spelling of an address
can be one mailbox for a check and another on the wire.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

from apps.protocols.text import TextError, check_text, check_visible_order, holds_encoded_word

MAX_NAME = 200
MAX_LOCAL = 64  # octets; RFC 5321, 4.5.3.1.1
MAX_LABEL = 63  # RFC 1035, 2.3.4
MAX_DOMAIN = 253
MAX_ADDRESS = 254  # octets; RFC 5321, 4.5.3.1.3: a path of 256 less its angle brackets
_MAX_MAILBOX = 1_000  # a name with every character escaped, an address, and room to spare

# Names that never lead to a mail host: RFC 6761, 6.3 and 6.4; RFC 6762, 3; RFC 7686, 2. `.test` and
# `.example` are ordinary here: they resolve where somebody has set them up.
_NO_MAIL_TOP_LEVELS = frozenset({"local", "localhost", "invalid", "onion"})

# White space, controls, soft hyphen, zero-width and bidi characters, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ud800-\udfff]"
)
# RFC 5322, 3.2.3 dot-atom with RFC 6531, 3.3 for what is beyond ASCII; without `%` and `!`, which old relays
# take for source routes.
_ATEXT = "[A-Za-z0-9#$&'*+/=?^_`{|}~\x80-\U0010ffff-]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_LDH_LABEL = re.compile(r"[a-z0-9-]+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NEEDS_QUOTES = re.compile(r'["<>(),;:@\[\]\\]')
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class AddressError(ValueError):
    """An address, domain or name cannot be used; `reason` repeats none of it and can be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address in canonical form, with the name shown beside it; made by `mailbox` or `parse_mailbox`."""

    email: str
    name: str = ""

    @property
    def local(self) -> str:
        return self.email.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]

    @property
    def key(self) -> str:
        """The form in which two spellings of one mailbox are equal; for suppression, caps and duplicates."""
        return comparison_key(self.email)

    @property
    def needs_smtputf8(self) -> bool:
        return not self.local.isascii()


def canonical_email(text: str) -> str:
    """Return the one form of a bare address that is stored, compared and sent. Raises AddressError."""
    trimmed = text.strip(" ")
    if not trimmed:
        raise AddressError("The address is empty.")
    if len(trimmed) > MAX_ADDRESS:
        raise AddressError(f"The address is longer than {MAX_ADDRESS} octets.")
    if _UNSEEN.search(trimmed):
        raise AddressError("The address holds white space, a control character or an invisible character.")
    local, at, domain = trimmed.partition("@")
    if not at or "@" in domain:
        raise AddressError("The address must hold exactly one @, as in name@example.com.")
    email = f"{_canonical_local(local)}@{_canonical_domain(domain)}"
    # Counted again on what goes out: A-labels and UTF-8 are longer than what was typed.
    if len(email.encode()) > MAX_ADDRESS:
        raise AddressError(f"The address is longer than {MAX_ADDRESS} octets.")
    return email


def canonical_domain(text: str) -> str:
    """Return a domain as lower-case A-labels without the root dot. Raises AddressError."""
    if _UNSEEN.search(text):
        raise AddressError("The domain holds white space, a control character or an invisible character.")
    return _canonical_domain(text[:-1] if text.endswith(".") else text)


def comparison_key(email: str) -> str:
    """Fold the case of ASCII letters only: `str.lower` would make a plain k of the Kelvin sign."""
    if email.isascii():
        return email.lower()
    # In this order: some letters have a composed form in lower case only (U+1E96).
    return unicodedata.normalize("NFC", email.translate(_ASCII_LOWER))


def mailbox(email: str, name: str | None = None) -> Mailbox:
    """Build a Mailbox from its two fields, each checked. Raises AddressError."""
    shown = (name or "").strip(" ")
    if len(shown) > MAX_NAME:
        raise AddressError(f"The name is longer than {MAX_NAME} characters.")
    try:
        check_text(shown)
        check_visible_order(shown)
    except TextError as error:
        raise AddressError(f"The name cannot be used. {error.reason}") from error
    if holds_encoded_word(shown):
        raise AddressError("The name holds an encoded word; write it as plain text.")
    return Mailbox(canonical_email(email), shown)


def parse_mailbox(text: str) -> Mailbox:
    """Read one mailbox: `a@b.c`, `Name <a@b.c>` or `"Any, name" <a@b.c>`. Raises AddressError."""
    trimmed = text.strip(" ")
    if len(trimmed) > _MAX_MAILBOX:
        raise AddressError(f"The mailbox is longer than {_MAX_MAILBOX} characters.")
    if not trimmed.endswith(">"):
        return mailbox(trimmed)
    phrase, opening, email = trimmed[:-1].rpartition("<")
    phrase = phrase.strip(" ")
    if not opening or not phrase:
        raise AddressError("Write the address alone, or a name and then the address in < and >.")
    return mailbox(email, _read_phrase(phrase))


def _read_phrase(phrase: str) -> str:
    """RFC 5322, 3.2.5, and 4.1 for the full stop that people write in unquoted names."""
    quoted = _QUOTED_STRING.fullmatch(phrase)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if _NEEDS_QUOTES.search(phrase):
        raise AddressError('Give one mailbox; a name with special characters must stand in double quotes ("").')
    return phrase


def _canonical_local(text: str) -> str:
    if not _DOT_ATOM.fullmatch(text):
        raise AddressError(
            "The part before the @ is empty, has a misplaced dot, or holds a character that is not allowed."
        )
    # Relays that decode it would see another address than the one that was checked.
    if "=?" in text:
        raise AddressError("The part before the @ holds an encoded word; write the address plainly.")
    local = text if text.isascii() else _normalised(text)
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError(f"The part before the @ is longer than {MAX_LOCAL} octets.")
    return local


def _normalised(local: str) -> str:
    """RFC 6532, 3.1: NFC, once it is sure that normalising cannot turn one mailbox into another."""
    for char in local:
        if not char.isascii() and not _is_stable(char):
            raise AddressError("The part before the @ holds a character that is not allowed or looks like another one.")
    return unicodedata.normalize("NFC", local)


def _is_stable(char: str) -> bool:
    """Whether every reader sees this character and no other: assigned, visible, not ASCII in disguise."""
    # Unassigned code points (Cn) may normalise differently in the next Unicode version; keys must not move.
    if unicodedata.category(char) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}:
        return False
    # NFC itself makes a K of the Kelvin sign and a semicolon of the Greek question mark.
    if unicodedata.normalize("NFC", char).isascii():
        return False
    # Readers that go on to NFKC would see punctuation: a fullwidth @, a one-dot leader, a double bang.
    return not any(part.isascii() and not part.isalnum() for part in unicodedata.normalize("NFKC", char))


def _canonical_domain(text: str) -> str:
    # Before anything is decoded: idna took quadratic time on long input (CVE-2024-3651).
    if len(text) > MAX_DOMAIN:
        raise AddressError(f"The domain is longer than {MAX_DOMAIN} characters.")
    domain = text.lower() if text.isascii() else text
    if not domain.isascii() or "xn--" in domain:
        domain = _to_a_labels(domain)
    labels = domain.split(".")
    for label in labels:
        _check_label(label)
    _check_top_level(labels)
    return domain


def _to_a_labels(domain: str) -> str:
    """UTS #46 mapping, then IDNA 2008: `straße` keeps its ß, an A-label must be the one its U-label makes."""
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:
        raise AddressError("The domain is not a valid internationalised name (IDNA 2008).") from error


def _check_label(label: str) -> None:
    if not label:
        raise AddressError("The domain is empty, or two dots stand together, or a dot stands at its end.")
    if len(label) > MAX_LABEL:
        raise AddressError(f"A part of the domain is longer than {MAX_LABEL} characters.")
    # RFC 1123, 2.1: this also keeps out schemes, ports, paths, wildcards, underscores and address literals.
    if not _LDH_LABEL.fullmatch(label):
        raise AddressError("The domain may hold only letters, digits, hyphens and dots.")
    if label.startswith("-") or label.endswith("-"):
        raise AddressError("A part of the domain begins or ends with a hyphen.")
    # RFC 5890, 2.3.1: labels with other two-letter prefixes are reserved.
    if label[2:4] == "--" and not label.startswith("xn--"):
        raise AddressError("A part of the domain has two hyphens in its third and fourth place.")


def _check_top_level(labels: list[str]) -> None:
    if len(labels) < 2:
        raise AddressError("The domain must have at least two parts, as in example.com.")
    # Resolvers read 127.0.0.1, 127.1 and 0x7f.1 as addresses, not names.
    if _NUMBER.fullmatch(labels[-1]):
        raise AddressError("The domain ends in a number; an IP address cannot be used.")
    if labels[-1] in _NO_MAIL_TOP_LEVELS:
        raise AddressError("The domain ends in a name that is reserved and receives no mail.")
