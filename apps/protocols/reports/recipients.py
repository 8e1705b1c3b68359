"""The recipients of a report, from its machine-readable part or from its words."""

from __future__ import annotations

from apps.protocols.reports.addresses import addresses_in, is_address, same
from apps.protocols.reports.codes import codes_in
from apps.protocols.reports.draft import Draft
from apps.protocols.reports.dsn import Group, Statuses
from apps.protocols.reports.types import MAX_RECIPIENTS, Action, Disposition, ReportedRecipient
from apps.protocols.reports.verdict import verdict

_DISPOSITIONS = {Action.FAILED: Disposition.PERMANENT, Action.DELAYED: Disposition.TEMPORARY}


def from_statuses(draft: Draft, statuses: Statuses) -> tuple[ReportedRecipient, ...]:
    """Everybody that a DSN has a group of fields for; the first group where there are two."""
    found: dict[str, ReportedRecipient] = {}
    everybody = frozenset(address.lower() for group in statuses.recipients for address in group.addresses[:1])
    for group in statuses.recipients:
        recipient = _from_group(draft, group, everybody)
        if recipient is not None:
            found.setdefault(recipient.address.lower(), recipient)
    return tuple(found.values())


def from_words(draft: Draft) -> tuple[ReportedRecipient, ...]:
    """Everybody that the notice names."""
    named = named_in_words(draft) or draft.notice.strangers(addresses_in(draft.subject))
    if not named and len(draft.addressed) == 1:
        # Nobody is named, but the message that came back had one recipient.
        named = draft.addressed
    everybody = frozenset(address.lower() for address in named)
    found: dict[str, ReportedRecipient] = {}
    for address in named[:MAX_RECIPIENTS]:
        said = draft.notice.said_of(address, everybody) or draft.text
        recipient = _recipient(address, draft.notice.aliases_of(address), draft.action, "", said)
        found.setdefault(address.lower(), recipient)
    return tuple(found.values())


def named_in_words(draft: Draft) -> list[str]:
    """The addresses alone."""
    return draft.failed or draft.notice.named()


def _from_group(draft: Draft, group: Group, everybody: frozenset[str]) -> ReportedRecipient | None:
    addresses = group.addresses
    if len(everybody) <= 1 and not any(map(is_address, addresses)):
        # A local name, or nothing: the notice or the returned message may say more.
        addresses = [one.address for one in from_words(draft)[:1]] + addresses
    if not addresses:
        return None
    action = group.action or _action_by_status(draft, group)
    text = group.diagnostic
    if action in _DISPOSITIONS and codes_in(text).code is None:
        text = f"{text}\n{draft.notice.said_of(addresses[0], everybody)}"
    return _recipient(addresses[0], tuple(addresses[1:]), action, group.status, text)


def _action_by_status(draft: Draft, group: Group) -> Action:
    if group.status.startswith("2"):
        return Action.DELIVERED
    is_delay = group.status.startswith("4") and draft.action is Action.DELAYED
    return Action.DELAYED if is_delay else Action.FAILED


def _recipient(
    address: str, alternatives: tuple[str, ...], action: Action, status: str, text: str
) -> ReportedRecipient:
    found = verdict(action, status, text)
    return ReportedRecipient(
        address=address,
        alternatives=tuple(dict.fromkeys(other for other in alternatives if not same(other, address))),
        action=action,
        status=found.status,
        code=found.code,
        permanence=found.permanence,
        disposition=_DISPOSITIONS.get(action),
        reason=found.reason,
        fault=found.fault,
        suppress=found.suppress,
        diagnostic=found.diagnostic,
    )
