"""Delivery status notifications: RFC 3464, in the wrappings of RFC 6522 and the alphabets of RFC 6533.

Read leniently, since much that calls itself a DSN leaves out what must be there: the empty line between two
recipients, the address type, the action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from apps.protocols.reports.addresses import is_address, typed
from apps.protocols.reports.parts import Mail, decoded_words
from apps.protocols.reports.types import MAX_DIAGNOSTIC, MAX_RECIPIENTS, MAX_STATUS_OCTETS, MAX_VALUE, Action
from apps.protocols.smtp_wire import clean

_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_FIELD = re.compile(r"[ \t]{0,3}([A-Za-z][A-Za-z0-9-]{1,60})[ \t]{0,20}:[ \t]*(.*)")
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient")
# Where the fields stand in running text, one of these begins a line.
_MARKS = re.compile(r"^(?:Final-Recipient|Original-Recipient)[ \t]{0,20}:[ \t]{0,20}\S", re.IGNORECASE | re.MULTILINE)
# RFC 3464 section 2.3.3, and what is written in their place.
_ACTIONS = {
    "failed": Action.FAILED,
    "failure": Action.FAILED,
    "fail": Action.FAILED,
    "error": Action.FAILED,
    "undeliverable": Action.FAILED,
    "expired": Action.FAILED,
    "bounced": Action.FAILED,
    "delayed": Action.DELAYED,
    "delay": Action.DELAYED,
    "deferred": Action.DELAYED,
    "delivered": Action.DELIVERED,
    "deliverable": Action.DELIVERED,
    "relayed": Action.RELAYED,
    "expanded": Action.EXPANDED,
}


@dataclass(slots=True)
class Group:
    """The fields about one recipient."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        return self.values.get(name, [""])[0]

    @property
    def is_recipient(self) -> bool:
        return any(name in self.values for name in _RECIPIENT_FIELDS)

    @property
    def addresses(self) -> list[str]:
        """Final, original and actual recipient, those that are addresses first."""
        found = [typed(value) for name in _RECIPIENT_FIELDS for value in self.values.get(name, [])]
        unique = list(dict.fromkeys(address for address in found if address))
        # A host without a dot is a way inside, not what anybody wrote to.
        return sorted(unique, key=lambda address: (not is_address(address), "." not in address.rpartition("@")[2]))

    @property
    def action(self) -> Action | None:
        words = re.split(r"[\s;(,-]+", self.first("action").strip().lower(), maxsplit=1)
        return _ACTIONS.get(words[0])

    @property
    def status(self) -> str:
        """The Status field as it stands; it may be no code at all."""
        return clean(self.first("status"))[:MAX_VALUE]

    @property
    def diagnostic(self) -> str:
        """What the other side said, without the type in front of it."""
        value = self.first("diagnostic-code") or self.first("smtp-remote-recipient") or self.first("x-notes")
        kind, mark, rest = value.partition(";")
        text = rest if mark and len(kind.split()) == 1 and not kind.strip()[:1].isdigit() else value
        return clean(decoded_words(text))[: MAX_DIAGNOSTIC * 4]


@dataclass(slots=True)
class Statuses:
    """All of a DSN: the fields about the message, and a group for each recipient."""

    about: Group
    recipients: list[Group]


def read_statuses(mail: Mail) -> Statuses | None:
    """The machine-readable part of a report; None where there is none."""
    return _statuses(part.text(MAX_STATUS_OCTETS) for part in mail.parts if part.type in _TYPES)


def statuses_in_text(text: str) -> Statuses | None:
    """The same, where it stands among the words: MIME was broken on the way, or never was."""
    return _statuses([text]) if _MARKS.search(text) else None


def _statuses(texts: Iterable[str]) -> Statuses | None:
    about = Group()
    recipients: list[Group] = []
    for text in texts:
        for group in _groups(text):
            if group.is_recipient and len(recipients) < MAX_RECIPIENTS:
                recipients.append(group)
            elif not group.is_recipient:
                _add(about if not recipients or recipients[-1].values.get("status") else recipients[-1], group)
    if not recipients and ("action" in about.values or "status" in about.values):
        recipients.append(about)
    return Statuses(about, recipients) if recipients else None


def _add(group: Group, more: Group) -> None:
    for name, values in more.values.items():
        group.values.setdefault(name, []).extend(values)


def _groups(text: str) -> Iterator[Group]:
    """Groups of fields: divided by empty lines, and by a second Final-Recipient where that line is missing."""
    group, last = Group(), ""
    for line in text.splitlines():
        found = _FIELD.match(line)
        if not line.strip():
            if group.values:
                yield group
            group, last = Group(), ""
        elif line[0] in " \t" and last and (found is None or line[0] == "\t"):
            values = group.values[last]
            if len(values[-1]) < MAX_DIAGNOSTIC * 4:
                values[-1] += " " + line.strip()
        elif found is not None:
            last = found[1].lower()
            if last == "final-recipient" and last in group.values:
                yield group
                group = Group()
            group.values.setdefault(last, []).append(found[2].strip())
    if group.values:
        yield group
