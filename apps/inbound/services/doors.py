"""Which door an address leads to, and mail through the right ones."""

from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from apps.core.crypto import derived_keys
from apps.inbound.errors import NoSuchRecipient
from apps.inbound.services import letters, reports
from apps.inbound.services.arrival import Arrival
from apps.inbound.states import Door
from apps.protocols import verp
from apps.protocols.address import comparison_key
from apps.protocols.authentication.types import Origin


def door_of(address: str) -> Door | None:
    """None: nobody's; among these a return path in our form that we did not sign."""
    if verp.is_in_form(address):
        return Door.BOUNCES if verp.read(address, secrets=derived_keys("verp")) else None
    if comparison_key(address) == comparison_key(settings.MAIL_FEEDBACK_ADDRESS):
        return Door.COMPLAINTS
    return Door.INBOUND if letters.addressed([address]) else None


def take(arrival: Arrival, origin: Origin) -> None:
    """Takes a mail for all its recipients, each of whom has a door. Again the same is nothing new.

    So when one of them cannot be served now, the whole may come again. Raises NoSuchRecipient, StorageUnavailable,
    TemporarilyUnavailable.
    """
    by_door: dict[Door | None, list[str]] = {}
    for address in arrival.recipients:
        by_door.setdefault(door_of(address), []).append(address)
    if None in by_door:
        # One has lost its door since RCPT: there is one answer for all, and nobody must be forgotten under a 250.
        raise NoSuchRecipient
    for door in (Door.BOUNCES, Door.COMPLAINTS):
        for address in by_door.get(door, []):
            reports.take(door, _only(arrival, [address]))
    if inbound := by_door.get(Door.INBOUND):
        letters.take(_only(arrival, inbound), origin)


def _only(arrival: Arrival, recipients: Sequence[str]) -> Arrival:
    return replace(arrival, recipients=tuple(recipients))
