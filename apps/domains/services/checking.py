"""Looks domains up, on demand and by itself, and draws the consequences: upwards at once, downwards slowly."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.core import clock
from apps.domains.errors import AskedTooOften
from apps.domains.lookups import WideLook, look
from apps.domains.models import DkimKey, Domain, DomainRecord
from apps.domains.schedule import CONFIRM_AFTER, FIRST, next_look
from apps.domains.services.happenings import tell
from apps.domains.services.keys import Sighting, advance
from apps.domains.services.records import expected_of, records_of, reread
from apps.domains.states import KeyState, Status
from apps.events.types import EventType
from apps.protocols.dns import Outcome
from apps.protocols.doctor import CheckResult, Diagnosis, examine, shown
from apps.protocols.sender_records import CheckStatus

logger = logging.getLogger(__name__)

# A required record, and what this look said about it, if it did.
Judged = tuple[DomainRecord, CheckResult | None]
JUDGED = (
    *("status", "verified_at", "last_checked_at", "failed_at", "failing_since"),
    *("next_check_at", "watched_since", "looks", "updated_at"),
)
KEPT = ("status", "diagnosis", "explanation", "found", "held_until")
SPREADING = "This record is seen, but not yet at every name server of the zone. It is looked up again by itself."
TAKEN = "Every record is right, but the domain is verified by another workspace; ask the operator of this server."
# Looks of one domain that may be asked for in a minute, so that nobody turns our resolver on somebody.
MAX_ASKED, ASKED_WINDOW = 20, timedelta(minutes=1)
# Domains that one job looks at side by side; each has about five records, and a thread for each of them.
AT_ONCE = 8
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
    """Looks up every record now, without a transaction open, and stores what was found. Raises NotFound."""
    return verify_each([domain])[0]


def verify_each(domains: Sequence[Domain]) -> list[Domain]:
    """The same for several at once, as they are afterwards. Raises NotFound where one is gone meanwhile."""
    looked_at = _look_at([domain for domain in domains if _may_look(domain)])
    overtaken = [reread(domain) for domain, found in looked_at if not _store(domain, found)]
    for domain, found in _look_at(overtaken):
        # Once more: the look that came between may have begun before the customer's last change.
        _store(domain, found)
    return [reread(domain) for domain in domains]


def allow_asking(domain: Domain) -> None:
    """Counts a look that somebody asked for. Raises AskedTooOften, NotFound."""
    now = clock.now()
    mine = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk)
    is_new = Q(asked_since=None) | Q(asked_since__lte=now - ASKED_WINDOW)
    # Each is one conditional UPDATE, so that a hundred requests at once count as a hundred.
    if mine.filter(is_new).update(asked_since=now, asked=1):
        return
    if not mine.filter(asked__lt=MAX_ASKED).update(asked=F("asked") + 1):
        reread(domain)
        raise AskedTooOften(retry_after_seconds=int(ASKED_WINDOW.total_seconds()))


def check_due() -> None:
    """Looks at the domains whose time has come, until there are none or the job has taken long enough."""
    until = time.monotonic() + BUDGET_SECONDS
    while time.monotonic() < until and (domains := _claim_due()):
        for domain, found in _look_at(domains):
            try:
                _store(domain, found)
            except Exception:
                # The others are not to wait for this one, which is due again when its claim runs out.
                logger.exception("what was found about domain %s could not be stored", domain.pk)


def _claim_due() -> list[Domain]:
    now = clock.now()
    with transaction.atomic():
        due = Domain.objects.across_workspaces().filter(next_check_at__lte=now, is_trusted=False)
        domains = list(due.order_by("next_check_at").select_for_update(skip_locked=True)[:AT_ONCE])
        Domain.objects.across_workspaces().filter(pk__in=[d.pk for d in domains]).update(next_check_at=now + CLAIM)
    return domains


def _may_look(domain: Domain) -> bool:
    return domain.status != Status.DISABLED and not domain.is_trusted


def _look_at(domains: Sequence[Domain]) -> list[tuple[Domain, list[Found]]]:
    """Each with what was found; all records side by side, so that silent servers cost one time-out and not many."""
    ways = {domain.pk: look(domain.name) for domain in domains}
    rows = [(domain, row) for domain in domains for row in records_of(domain)]
    with ThreadPoolExecutor(max(1, len(rows))) as threads:
        found = list(threads.map(lambda pair: _examine(pair[0], pair[1], ways[pair[0].pk]), rows))
    return [(domain, [item for item in found if item.row.domain_id == domain.pk]) for domain in domains]


def _examine(domain: Domain, row: DomainRecord, way: WideLook) -> Found:
    result = examine(expected_of(row), domain.name, way)
    if row.key is None:
        return Found(row, result)
    sighting = _sighting(row, result, way)
    is_waited_for = row.key.state == KeyState.NEXT or domain.status != Status.VERIFIED
    if sighting is Sighting.SOMEWHERE and is_waited_for and result.status is CheckStatus.VERIFIED:
        result = CheckResult(CheckStatus.PENDING, Diagnosis.SPREADING, result.found, SPREADING)
    return Found(row, result, sighting)


def _sighting(row: DomainRecord, result: CheckResult, way: WideLook) -> Sighting:
    """What the servers say together; one that fails says nothing, one that contradicts keeps it from being certain."""
    if result.is_undecided:
        return Sighting.UNKNOWN
    if result.status is CheckStatus.FAILED:
        return Sighting.WRONG
    answers = [answer for answer in way.txt_of_each(row.name) if answer.status is not Outcome.FAILED]
    if result.status is CheckStatus.VERIFIED:
        agree = all(shown(answer.values) == result.found for answer in answers)
        return Sighting.EVERYWHERE if agree else Sighting.SOMEWHERE
    return Sighting.GONE if all(not answer.values for answer in answers) else Sighting.SOMEWHERE


def _store(domain: Domain, found: Sequence[Found]) -> bool:
    """Whether it is stored; where another look came between, its findings stand."""
    try:
        with transaction.atomic():
            return _store_once(domain, found, may_own=True)
    except IntegrityError:
        if domain.verified_at is not None:
            raise  # it has its owner already, so this was something else
        # The unique constraint decided a race, or an old one: another workspace is the owner.
        with transaction.atomic():
            return _store_once(domain, found, may_own=False)


def _store_once(domain: Domain, found: Sequence[Found], *, may_own: bool) -> bool:
    """Raises IntegrityError where the domain would get a second owner."""
    locked = Domain.objects.of(domain.workspace_id).select_for_update().filter(pk=domain.pk).first()
    if locked is None or not _may_look(locked):
        return True
    if locked.last_checked_at != domain.last_checked_at:
        return False
    now = clock.now()
    for item in found:
        _keep(item, now)
    DomainRecord.objects.across_workspaces().bulk_update([item.row for item in found], KEPT)
    advance(locked, {item.row.key.selector: item.sighting for item in found if item.row.key is not None}, now)
    # Read anew: another key may be the one that is required now.
    required = [row for row in records_of(locked) if row.required]
    results = {item.row.pk: item.result for item in found}
    _judge(locked, [(row, results.get(row.pk)) for row in required], now, may_own=may_own)
    _plan(locked, now)
    locked.save(update_fields=JUDGED)
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


def _judge(domain: Domain, required: Sequence[Judged], now: datetime, *, may_own: bool) -> None:
    """The domain's status follows from its required records: upwards at once, downwards after a second look."""
    domain.last_checked_at = now
    is_sending = domain.status == Status.VERIFIED
    # What an earlier look found keeps a domain up, and lifts none.
    is_well = all(row.status == CheckStatus.VERIFIED for row, _ in required)
    if is_well and (is_sending or all(result and not result.is_undecided for _, result in required)):
        _rise(domain, now, may_own=may_own)
    elif is_sending:
        # Only what this look itself decided counts against the domain.
        is_bad = any(
            result and not result.is_undecided and result.status != CheckStatus.VERIFIED for _, result in required
        )
        _sink(domain, now, is_bad=is_bad)
    else:
        is_wrong = any(row.status == CheckStatus.FAILED for row, _ in required)
        has_fallen = domain.status == Status.FAILED and domain.verified_at is not None
        _become(domain, Status.FAILED if is_wrong or has_fallen else Status.PENDING)


def _rise(domain: Domain, now: datetime, *, may_own: bool) -> None:
    if not may_own:
        _become(domain, Status.PENDING)
        DomainRecord.objects.of(domain.workspace_id).filter(domain=domain).update(explanation=TAKEN)
        return
    was_failing = domain.failing_since is not None
    domain.failed_at = domain.failing_since = None
    domain.verified_at = domain.verified_at or now
    _become(domain, Status.VERIFIED)
    if was_failing:
        tell(EventType.DOMAIN_RECOVERED, domain)


def _sink(domain: Domain, now: datetime, *, is_bad: bool) -> None:
    """The first bad look is only noted, the second one told; when the grace is over, only a good one would help."""
    if domain.sending_stops_at is not None and now >= domain.sending_stops_at:
        domain.failed_at = domain.failing_since = None
        _become(domain, Status.FAILED)
    elif is_bad and domain.failed_at is None:
        domain.failed_at = domain.watched_since = now
        domain.looks = 0
    elif is_bad and domain.failing_since is None and domain.failed_at and now - domain.failed_at >= CONFIRM_AFTER:
        domain.failing_since = now
        tell(EventType.DOMAIN_FAILING, domain)


def _become(domain: Domain, status: Status) -> None:
    is_news = status != domain.status
    domain.status = status
    if is_news and status in _EVENT_OF:
        tell(_EVENT_OF[status], domain)


_EVENT_OF = {Status.VERIFIED: EventType.DOMAIN_VERIFIED, Status.FAILED: EventType.DOMAIN_FAILED}


def _plan(domain: Domain, now: datetime) -> None:
    """Sets the next look: often while something is expected to change, else only now and then."""
    keys = DkimKey.objects.of(domain.workspace_id).filter(domain=domain)
    is_key_waited_for = keys.filter(state__in=(KeyState.NEXT, KeyState.RETIRING)).exists()
    is_changing = domain.status != Status.VERIFIED or domain.failed_at is not None or is_key_waited_for
    watched_for = now - domain.watched_since if is_changing and domain.watched_since else None
    domain.next_check_at = now + next_look(domain.looks, watched_for)
    if domain.sending_stops_at is not None:
        domain.next_check_at = min(domain.next_check_at, domain.sending_stops_at)
    domain.looks = min(domain.looks + 1, len(FIRST))
