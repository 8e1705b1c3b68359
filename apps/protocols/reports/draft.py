"""A message taken apart as far as every reading of it needs: notice, copy of the original, machine-readable part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from apps.protocols.reports.addresses import addresses_in
from apps.protocols.reports.dsn import Statuses, read_statuses
from apps.protocols.reports.notice import Notice
from apps.protocols.reports.notice_rules import DELAY, DELAY_SUBJECT, FINAL, NOT_DELIVERED, SUCCESS
from apps.protocols.reports.original import divided, is_copy, returned_fields, sent_to
from apps.protocols.reports.parts import Fields, Mail, decoded_words, every, first, read_mail
from apps.protocols.reports.types import MAX_NOTICE_LINES, MAX_NOTICE_OCTETS, Action, Limits

_OWN = ("from", "return-path", "sender", "reply-to")
_OWN_IN_COPY = (*_OWN, "x-envelope-from", "errors-to")
_ADDRESSED = (
    "x-envelope-to",
    "envelope-to",
    "x-original-to",
    "to",
    "cc",
    "bcc",
    "apparently-to",
    "delivered-to",
    "resent-to",
)
_ALSO_TEXT = frozenset({"message/delivery-notification"})
_FAILED = ("x-failed-recipients", "x-failed-recipient")
_MAX_SUBJECT = 500


@dataclass
class Draft:
    """A message on its way to being a report."""

    mail: Mail
    lines: list[str]  # of all text before the copy, if that is a part of its own
    words: list[str]  # of these, what the reporter wrote
    returned: Fields  # the header of the message that came back
    statuses: Statuses | None

    @cached_property
    def text(self) -> str:
        return "\n".join(self.words)

    @cached_property
    def subject(self) -> str:
        return decoded_words(first(self.mail.fields, "subject"))[:_MAX_SUBJECT]

    @cached_property
    def notice(self) -> Notice:
        return Notice(self.words, self._own(), self.addressed)

    @cached_property
    def addressed(self) -> list[str]:
        """The recipients that the returned message names."""
        values = (value for name in _ADDRESSED for value in every(self.returned, name))
        return list(dict.fromkeys(found for value in values for found in addresses_in(value)))

    @cached_property
    def failed(self) -> list[str]:
        """Those named in the header that Exim and Gmail have for it."""
        values = (value for name in _FAILED for value in every(self.mail.fields, name))
        return list(dict.fromkeys(found for value in values for found in addresses_in(value)))

    @cached_property
    def action(self) -> Action:
        """What the words say has become of the message."""
        words = " ".join(self.text.split())[:10_000]
        if FINAL.search(words):
            return Action.FAILED
        if DELAY.search(words) or DELAY_SUBJECT.search(self.subject):
            return Action.DELAYED
        if SUCCESS.search(words) and not NOT_DELIVERED.search(words):
            return Action.DELIVERED
        return Action.FAILED

    def _own(self) -> list[str]:
        """Addresses that are the sender's or the reporter's, hence not a recipient's."""
        found = list(sent_to(self.mail))
        for fields, names in ((self.mail.fields, _OWN), (self.returned, _OWN_IN_COPY)):
            for name in names:
                found += addresses_in(first(fields, name))
        return found


def draft_of(raw: bytes, limits: Limits) -> Draft:
    """Raises TooMuchError when a limit is exceeded."""
    mail = read_mail(raw, limits)
    lines = _text_lines(mail)
    words, copied = divided(lines)
    return Draft(mail, lines, words, returned_fields(mail, copied), read_statuses(mail))


def _text_lines(mail: Mail) -> list[str]:
    """The text parts before the copy; HTML only where there is nothing else."""
    plain: list[str] = []
    rich: list[str] = []
    for part in mail.parts:
        if is_copy(part):
            break
        if part.type.startswith("text/") or part.type in _ALSO_TEXT:
            text = part.text(MAX_NOTICE_OCTETS)
            # What has no type counts as text, and may be a picture.
            if text.count("\0") * 100 <= len(text):
                (rich if part.type == "text/html" else plain).append(text)
    text = "\n\n".join(plain)
    if not text.strip():
        text = "\n\n".join(rich) or b"\n".join(mail.outside)[:MAX_NOTICE_OCTETS].decode("utf-8", "replace")
    return [line.rstrip() for line in text[:MAX_NOTICE_OCTETS].splitlines()[:MAX_NOTICE_LINES]]
