"""What a group of claims needs before it can go out, and the checks that are repeated now: much may have happened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.core import clock
from apps.delivery.compose import Keys, Stored, load
from apps.delivery.models import Destination
from apps.delivery.schedule import schedule_of
from apps.domains.services.sending import signing_keys, verified_ids
from apps.messages.models import Message
from apps.messages.services.outcomes import Holding, Outcome
from apps.messages.states import Lane, Status
from apps.messages.waits import EXPLANATIONS, Wait, WaitCode
from apps.protocols.address import comparison_key
from apps.suppressions.services import suppressed_pairs
from apps.workspaces.models import Workspace

RECHECK = timedelta(minutes=1)
TOO_OLD = "Too old to be sent: it was accepted on {:%Y-%m-%d at %H:%M} UTC, and {} mail is given up long before this."
EXPIRED = "It was not sent in time: what it says is of no use any more."
UNOPENED = "None of FIELD_KEYS opens the signing key of the sender's domain."


@dataclass(frozen=True, slots=True)
class Trouble:
    """A destination whose last connections failed, and how long it still rests."""

    rests_for: timedelta
    error: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims that may go out with what they need, and outcomes for those that may not."""

    sendable: Sequence[Holding]
    declined: Sequence[Outcome]
    postponed: Sequence[Holding]
    sizes: dict[UUID, int]
    stored: dict[UUID, Stored]
    keys: Keys
    test_workspaces: Collection[UUID]
    troubles: dict[str, Trouble]


def prepare(claimed: Sequence[Holding], *, budget: int, may_exceed: bool) -> Batch:
    """Loads and checks claimed recipients, as many as fit into `budget` bytes: a few queries for all of them.

    `may_exceed`: nothing else is held, so the first is taken whatever its size.
    """
    sizes, holdings, postponed = _within(budget, claimed, may_exceed=may_exceed)
    stored = load({holding.message_id for holding in holdings})
    workspaces = Workspace.objects.filter(pk__in={holding.workspace_id for holding in holdings})
    suspended = {w.pk for w in workspaces if w.status != Workspace.Status.ACTIVE}
    keys, sealed = keys_of(stored)
    suppressed = suppressed_pairs({address_of(holding) for holding in holdings})
    test_workspaces = {workspace.pk for workspace in workspaces if workspace.is_test}
    checks = _Checks(stored, keys, sealed, suspended, suppressed, test_workspaces, clock.database_now())
    outcomes = {holding.recipient_id: checks.decline(holding) for holding in holdings}
    sendable = [holding for holding in holdings if outcomes[holding.recipient_id] is None]
    declined = [outcome for outcome in outcomes.values() if outcome is not None]
    return Batch(sendable, declined, postponed, sizes, stored, keys, test_workspaces, _troubles())


@dataclass(frozen=True, slots=True)
class _Checks:
    """What is asked of each claim before it may go out."""

    stored: Mapping[UUID, Stored]
    keys: Keys
    sealed_domains: Collection[UUID]
    suspended: Collection[UUID]
    suppressed: Collection[tuple[UUID, str]]
    test_workspaces: Collection[UUID]
    now: datetime

    def decline(self, holding: Holding) -> Outcome | None:
        """Why it does not go out now; None: it may."""
        item = self.stored[holding.message_id]
        return self._ended(holding, item.message) or self._waits(holding, item)

    def _ended(self, holding: Holding, message: Message) -> Outcome | None:
        if address_of(holding) in self.suppressed:
            return Outcome(holding, Status.SUPPRESSED, error="The recipient was suppressed after acceptance.")
        if message.expires_at is not None and message.expires_at <= self.now:
            return Outcome(holding, Status.FAILED, error=EXPIRED)
        return None

    def _waits(self, holding: Holding, item: Stored) -> Outcome | None:
        message = item.message
        if holding.workspace_id in self.suspended:
            return wait(holding, WaitCode.WORKSPACE_SUSPENDED)
        if message.domain_id in self.sealed_domains:
            return wait(holding, WaitCode.CONFIGURATION, UNOPENED)
        if not self._may_sign(message):
            return wait(holding, WaitCode.DOMAIN_NOT_VERIFIED, message.from_email.rpartition("@")[2])
        if item.missing:
            return wait(holding, WaitCode.ATTACHMENT_MISSING, ", ".join(item.missing))
        if schedule_of(holding.lane).has_outlived(self.now - holding.queued_at):
            # Held, or no worker ran. A code is of no use by now, and a signature expires (compose.py).
            return Outcome(holding, Status.FAILED, error=too_old(holding))
        return None

    def _may_sign(self, message: Message) -> bool:
        is_test = message.domain_id is None and message.workspace_id in self.test_workspaces
        return is_test or message.domain_id in self.keys


def keys_of(stored: Mapping[UUID, Stored]) -> tuple[Keys, Collection[UUID]]:
    """The keys of the senders' domains, and the domains whose keys do not open.

    A domain that was deleted and added again signs what was queued before: its messages get its new id here.
    """
    messages = [item.message for item in stored.values() if item.message.domain_id]
    keys, sealed = signing_keys({message.domain_id for message in messages if message.domain_id})
    orphans = {(m.workspace_id, m.from_email.rpartition("@")[2]): m for m in messages if m.domain_id not in keys}
    if not orphans:
        return keys, sealed
    again = verified_ids(orphans)
    for message in messages:
        message.domain_id = again.get((message.workspace_id, message.from_email.rpartition("@")[2]), message.domain_id)
    keys_again, sealed_again = signing_keys(set(again.values()))
    return keys | keys_again, {*sealed, *sealed_again}


def address_of(holding: Holding) -> tuple[UUID, str]:
    """The recipient as suppressions know it."""
    return holding.workspace_id, comparison_key(holding.email)


def too_old(holding: Holding) -> str:
    return TOO_OLD.format(holding.queued_at, Lane(holding.lane).name.lower())


def _within(
    budget: int, claimed: Sequence[Holding], *, may_exceed: bool
) -> tuple[dict[UUID, int], list[Holding], list[Holding]]:
    """The sizes of what fits, what fits, and what does not."""
    messages = Message.objects.across_workspaces().filter(pk__in={holding.message_id for holding in claimed})
    size_of = dict(messages.values_list("pk", "size"))
    sizes: dict[UUID, int] = {}
    postponed = []
    for holding in claimed:
        size = size_of[holding.message_id]
        if size > budget and (sizes or not may_exceed):
            postponed.append(holding)
            continue
        sizes[holding.recipient_id] = size
        budget -= size
    return sizes, [holding for holding in claimed if holding.recipient_id in sizes], postponed


def wait(holding: Holding, code: WaitCode, detail: str = "", *, retry_in: timedelta = RECHECK) -> Outcome:
    """Not tried, and why; looked at again then. A message that has outlived its lane's schedule is given up."""
    schedule = schedule_of(holding.lane)
    reason = Wait(code, detail)
    if clock.now() - holding.queued_at > schedule.lifetime:
        return Outcome(holding, Status.FAILED, error=f"{EXPLANATIONS[code].sentence} {detail}".strip())
    return Outcome(holding, Status.DEFERRED, wait=reason, retry_in=schedule.spread(retry_in), error=detail)


def _troubles() -> dict[str, Trouble]:
    now = clock.database_now()
    return {
        row.key: Trouble(
            max(row.paused_until - now, timedelta(0)) if row.paused_until else timedelta(0), row.last_error
        )
        for row in Destination.objects.all()
    }
