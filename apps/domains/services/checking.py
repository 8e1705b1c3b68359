"""Looks domains up, on demand and by itself, and draws the consequences: upwards at once, downwards slowly."""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.core import clock
from apps.domains.errors import AskedTooOften
from apps.domains.lookups import WideLook, look
from apps.domains.models import Domain, DomainRecord
from apps.domains.schedule import CONFIRM_AFTER, GRACE, next_look
from apps.domains.services.happenings import tell
from apps.domains.services.keys import Sighting, advance
from apps.domains.services.records import expected_of, records_of
from apps.domains.states import KeyState, Status
from apps.events.types import EventType
from apps.protocols.dns import Outcome
from apps.protocols.doctor import CheckResult, Diagnosis, examine, shown
from apps.protocols.sender_records import CheckStatus

JUDGED = (
    *("status", "verified_at", "last_checked_at", "failed_at", "failing_since"),
    *("next_check_at", "watched_since", "looks", "updated_at"),
)
KEPT = ("status", "diagnosis", "explanation", "found", "held_until")
TAKEN = "Every record is right, but the domain is verified by another workspace; ask the operator of this server."
# Looks of one domain that may be asked for in a minute, so that nobody turns our resolver on somebody.
MAX_ASKED, ASKED_WINDOW = 20, timedelta(minutes=1)
# Domains that one job looks at side by side; each has about five records.
AT_ONCE, THREADS = 8, 16
BUDGET_SECONDS = 40.0
# A claim of the job that holds until the look is stored; whoever dies in between leaves it due again after this.
CLAIM = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found about one record, and what that says about the key that it publishes."""

    row: DomainRecord
    result: CheckResult
    sighting: Sighting = Sighting.UNKNOWN


def verify(domain: Domain) -> Domain:
    """Looks up every record now, without a transaction open, and stores what was found."""
    if domain.status != Status.DISABLED and not domain.is_trusted:
        with ThreadPoolExecutor(THREADS) as threads:
            if not _look_and_store([domain], threads):
                # The look that came between may have begun before the customer's last change.
                domain.refresh_from_db()
                _look_and_store([domain], threads)
        domain.refresh_from_db()
    return domain


def allow_asking(domain: Domain) -> None:
    """Counts a look that somebody asked for. Raises AskedTooOften."""
    now = clock.now()
    mine = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk)
    is_new = Q(asked_since=None) | Q(asked_since__lte=now - ASKED_WINDOW)
    # Each is one conditional UPDATE, so that a hundred requests at once count as a hundred.
    if mine.filter(is_new).update(asked_since=now, asked=1):
        return
    if not mine.filter(asked__lt=MAX_ASKED).update(asked=F("asked") + 1):
        raise AskedTooOften(retry_after_seconds=int(ASKED_WINDOW.total_seconds()))


def check_due() -> None:
    """Looks at the domains whose time has come, until there are none or the job has taken long enough."""
    until = time.monotonic() + BUDGET_SECONDS
    with ThreadPoolExecutor(THREADS) as threads:
        while time.monotonic() < until and (domains := _claim_due()):
            _look_and_store(domains, threads)


def _claim_due() -> list[Domain]:
    now = clock.now()
    with transaction.atomic():
        due = Domain.objects.across_workspaces().filter(next_check_at__lte=now).order_by("next_check_at")
        domains = list(due.select_for_update(skip_locked=True)[:AT_ONCE])
        Domain.objects.across_workspaces().filter(pk__in=[d.pk for d in domains]).update(next_check_at=now + CLAIM)
    return domains


def _look_and_store(domains: Sequence[Domain], threads: ThreadPoolExecutor) -> bool:
    """Whether all that was found is stored; where another look came between, its findings stand."""
    looks = {domain.pk: look() for domain in domains}
    rows = [(domain, row) for domain in domains for row in records_of(domain)]
    # Side by side, so that DNS servers that do not answer cost one time-out and not one for each record.
    found = list(threads.map(lambda pair: _examine(pair[0], pair[1], looks[pair[0].pk]), rows))
    stored = [_store(domain, [item for item in found if item.row.domain_id == domain.pk]) for domain in domains]
    return all(stored)


def _examine(domain: Domain, row: DomainRecord, way: WideLook) -> Found:
    result = examine(expected_of(row), domain.name, way)
    return Found(row, result, _sighting(row, result, way) if row.key is not None else Sighting.UNKNOWN)


def _sighting(row: DomainRecord, result: CheckResult, way: WideLook) -> Sighting:
    if result.status is CheckStatus.VERIFIED:
        # A key must be seen wherever a receiver may ask before anything is signed with it.
        answers = way.txt_of_each(row.name)
        agree = all(answer.status is Outcome.FOUND and shown(answer.values) == result.found for answer in answers)
        return Sighting.EVERYWHERE if agree else Sighting.SOMEWHERE
    if result.is_undecided:
        return Sighting.UNKNOWN
    return Sighting.GONE if result.status is CheckStatus.MISSING else Sighting.WRONG


def _store(domain: Domain, found: Sequence[Found]) -> bool:
    try:
        with transaction.atomic():
            return _store_once(domain, found, may_own=True)
    except IntegrityError:
        # The unique constraint decided a race, or an old one: another workspace is the owner.
        with transaction.atomic():
            return _store_once(domain, found, may_own=False)


def _store_once(domain: Domain, found: Sequence[Found], *, may_own: bool) -> bool:
    """Raises IntegrityError where the domain would get a second owner."""
    locked = Domain.objects.of(domain.workspace_id).select_for_update().filter(pk=domain.pk).first()
    if locked is None or locked.status == Status.DISABLED:
        return True
    if locked.last_checked_at != domain.last_checked_at:
        return False
    now = clock.now()
    for item in found:
        _keep(item, now)
    _judge(locked, found, now, may_own=may_own)
    _plan(locked, found, now)
    locked.save(update_fields=JUDGED)
    DomainRecord.objects.across_workspaces().bulk_update([item.row for item in found], KEPT)
    advance(locked, {item.row.key.selector: item.sighting for item in found if item.row.key is not None}, now)
    return True


def _keep(item: Found, now: datetime) -> None:
    """Writes what was found into the record's row; a DNS server's failure says nothing about the record."""
    row, result = item.row, item.result
    row.explanation, row.diagnosis = result.explanation, result.diagnosis
    if result.is_undecided:
        return
    row.status, row.found = result.status, list(result.found)
    if result.diagnosis not in {Diagnosis.RIGHT, Diagnosis.DMARC_INHERITED}:
        row.held_until = now + timedelta(seconds=result.held_seconds)


def _judge(domain: Domain, found: Sequence[Found], now: datetime, *, may_own: bool) -> None:
    """The domain's status follows from its required records: upwards at once, downwards after a second look."""
    domain.last_checked_at = now
    required = [item for item in found if item.row.required]
    if all(item.row.status == CheckStatus.VERIFIED for item in required):
        _rise(domain, found, now, may_own=may_own)
    elif domain.status == Status.VERIFIED:
        # Only what this look itself decided counts against the domain.
        if any(not item.result.is_undecided and item.row.status != CheckStatus.VERIFIED for item in required):
            _sink(domain, now)
    else:
        is_wrong = any(item.row.status == CheckStatus.FAILED for item in required)
        _become(domain, Status.FAILED if is_wrong else Status.PENDING)


def _rise(domain: Domain, found: Sequence[Found], now: datetime, *, may_own: bool) -> None:
    if not may_own and domain.verified_at is None:
        _become(domain, Status.PENDING)
        for item in found:
            item.row.explanation = TAKEN
        return
    was_failing = domain.failing_since is not None and domain.status == Status.VERIFIED
    domain.failed_at = domain.failing_since = None
    domain.verified_at = domain.verified_at or now
    _become(domain, Status.VERIFIED)
    if was_failing:
        tell(EventType.DOMAIN_RECOVERED, domain)


def _sink(domain: Domain, now: datetime) -> None:
    """The first failing look is only noted, the second one told, and sending ends when the grace is over."""
    if domain.failed_at is None:
        domain.failed_at = domain.watched_since = now
        domain.looks = 0
    elif domain.failing_since is None:
        if now - domain.failed_at >= CONFIRM_AFTER:
            domain.failing_since = now
            tell(EventType.DOMAIN_FAILING, domain)
    elif now - domain.failing_since >= GRACE:
        domain.failed_at = domain.failing_since = None
        _become(domain, Status.FAILED)


def _become(domain: Domain, status: Status) -> None:
    is_news = status != domain.status
    domain.status = status
    if is_news and status in _EVENT_OF:
        tell(_EVENT_OF[status], domain)


_EVENT_OF = {Status.VERIFIED: EventType.DOMAIN_VERIFIED, Status.FAILED: EventType.DOMAIN_FAILED}


def _plan(domain: Domain, found: Sequence[Found], now: datetime) -> None:
    """Sets the next look: often while something is expected to change, else only now and then."""
    is_changing = domain.status != Status.VERIFIED or domain.failed_at is not None or _is_key_waited_for(found)
    watched_for = now - domain.watched_since if is_changing and domain.watched_since else None
    domain.next_check_at = now + next_look(domain.looks, watched_for)
    if domain.sending_stops_at is not None:
        domain.next_check_at = min(domain.next_check_at, max(domain.sending_stops_at, now + CONFIRM_AFTER))
    domain.looks += 1


def _is_key_waited_for(found: Collection[Found]) -> bool:
    return any(item.row.key is not None and item.row.key.state != KeyState.ACTIVE for item in found)
