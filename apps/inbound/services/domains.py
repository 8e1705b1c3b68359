"""Which domains receive mail here. Two records say so: where their mail goes, and whose they are."""

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.core import clock
from apps.core.errors import Invalid, NotFound
from apps.domains.lookups import look
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.inbound.errors import AskedTooOften, DomainExists, DomainTaken
from apps.inbound.models import InboundDomain
from apps.inbound.states import Status
from apps.protocols.address import AddressError, canonical_domain
from apps.protocols.dns import Outcome
from apps.protocols.doctor import Look
from apps.protocols.doctor.dmarc import public_suffixes
from apps.protocols.sender_records import CheckStatus

OWNERSHIP_LABEL, OWNERSHIP_PREFIX = "_stackshift-inbound", "stackshift-inbound="
MAX_LENGTH = 253 - len(OWNERSHIP_LABEL) - 1
PREFERENCE = 10
TAKEN = "Every record is right, but another workspace receives mail for this domain; ask the operator of this server."
# Looks of one domain that may be asked for in a minute, so that nobody turns our resolver on somebody.
MAX_ASKED, ASKED_WINDOW = 20, timedelta(minutes=1)
MAX_FOUND = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish, with what the last look found."""

    purpose: str
    type: str
    name: str
    value: str
    priority: int | None = None
    status: str = CheckStatus.PENDING
    explanation: str = ""
    found: Sequence[str] = ()


def records_of(domain: InboundDomain) -> list[Record]:
    wanted = (
        ("mx", "MX", domain.name, settings.MAIL_INBOUND_HOST, PREFERENCE),
        ("ownership", "TXT", f"{OWNERSHIP_LABEL}.{domain.name}", f"{OWNERSHIP_PREFIX}{domain.ownership}", None),
    )
    return [Record(*one, **domain.checks.get(one[0], {})) for one in wanted]


def create(workspace_id: UUID, name: str) -> InboundDomain:
    """Adds a domain. Raises Invalid, DomainExists, DomainTaken."""
    canonical, now = _acceptable(name), clock.now()
    others = InboundDomain.objects.across_workspaces().exclude(workspace_id=workspace_id)
    if others.filter(name=canonical, verified_at__isnull=False).exists():
        raise DomainTaken(details={"domain": canonical})
    domain = InboundDomain(
        workspace_id=workspace_id, name=canonical, ownership=secrets.token_hex(16), created_at=now, updated_at=now
    )
    try:
        with transaction.atomic():
            domain.save(force_insert=True)
            _tell(EventType.INBOUND_DOMAIN_CREATED, domain)
    except IntegrityError as error:
        raise DomainExists(details={"domain": canonical}) from error
    return domain


def delete(domain: InboundDomain) -> None:
    """Receives no more mail for it; what has come stays, and the DNS is not touched."""
    with transaction.atomic():
        if InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk).delete()[0]:
            _tell(EventType.INBOUND_DOMAIN_DELETED, domain)


def allow_asking(domain: InboundDomain) -> None:
    """Counts a look that somebody asked for. Raises AskedTooOften."""
    now = clock.now()
    mine = InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk)
    is_new = Q(asked_since=None) | Q(asked_since__lte=now - ASKED_WINDOW)
    if mine.filter(is_new).update(asked_since=now, asked=1):
        return
    if not mine.filter(asked__lt=MAX_ASKED).update(asked=F("asked") + 1):
        raise AskedTooOften(retry_after_seconds=int(ASKED_WINDOW.total_seconds()))


def verify(domain: InboundDomain) -> InboundDomain:
    """Looks both records up now and stores what was found. Raises NotFound where the domain is gone meanwhile."""
    if domain.is_trusted or domain.status == Status.DISABLED:
        return domain
    way = look(domain.name)
    with ThreadPoolExecutor(2) as threads:
        found = dict(threads.map(lambda record: (record.purpose, _check(record, way)), records_of(domain)))
    try:
        with transaction.atomic():
            return _store(domain, found)
    except IntegrityError:
        with transaction.atomic():
            return _store(domain, {name: {**one, "explanation": TAKEN} for name, one in found.items()}, may_own=False)


def trust(domain: InboundDomain) -> None:
    """Receives mail without asking the DNS, by the operator's word. Raises DomainTaken."""
    now = clock.now()
    said = {"status": CheckStatus.VERIFIED.value, "explanation": "Taken as right by the operator's word.", "found": []}
    try:
        with transaction.atomic():
            InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk).update(
                is_trusted=True,
                status=Status.VERIFIED,
                checks={"mx": said, "ownership": said},
                verified_at=domain.verified_at or now,
                updated_at=now,
            )
    except IntegrityError:
        raise DomainTaken(details={"domain": domain.name}) from None


def disable(domain: InboundDomain) -> bool:
    """Takes no more mail for it; False where that was so."""
    rows = InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk).exclude(status=Status.DISABLED)
    return bool(rows.update(status=Status.DISABLED, updated_at=clock.now()))


def enable(domain: InboundDomain) -> bool:
    """Takes mail again where it did before; False where it was not disabled."""
    status = Status.VERIFIED if domain.verified_at else Status.PENDING
    rows = InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk, status=Status.DISABLED)
    return bool(rows.update(status=status, updated_at=clock.now()))


def receiving(names: Sequence[str]) -> dict[str, InboundDomain]:
    """Those of these domains for which mail is taken. A verified one whose records changed still is: mail came here."""
    rows = InboundDomain.objects.across_workspaces().filter(name__in=names, verified_at__isnull=False)
    return {domain.name: domain for domain in rows.exclude(status=Status.DISABLED)}


def _acceptable(text: str) -> str:
    try:
        name = canonical_domain(text)
    except AddressError as error:
        raise Invalid({"domain": [error.reason]}) from error
    if len(name) > MAX_LENGTH:
        raise Invalid({"domain": [f"is longer than {MAX_LENGTH} characters, so its records could have no name"]})
    if public_suffixes().is_public(name):
        raise Invalid({"domain": ["is a public suffix, under which anybody can register a domain"]})
    hosts = [host.lower() for host in (settings.MAIL_HELO_HOST, settings.MAIL_INBOUND_HOST)]
    returns = settings.MAIL_RETURN_PATH_HOST.lower()
    if name in hosts or name == returns or name.endswith(f".{returns}"):
        raise Invalid({"domain": ["is a host name of this server; receive mail at a domain of yours"]})
    return name


def _check(record: Record, way: Look) -> dict[str, Any]:
    status, explanation, found = _check_mx(record, way) if record.type == "MX" else _check_ownership(record, way)
    return {"status": status.value, "explanation": explanation, "found": found[:MAX_FOUND]}


def _check_mx(record: Record, way: Look) -> tuple[CheckStatus, str, list[str]]:
    answer = way.mx(record.name)
    if answer.status is Outcome.FAILED:
        return CheckStatus.PENDING, f"The DNS gave no answer: {answer.reason}.", []
    servers = sorted(answer.values, key=lambda server: server.preference)
    found = [f"{server.preference} {server.host}" for server in servers]
    ours = [server for server in servers if server.host.lower().rstrip(".") == record.value.lower().rstrip(".")]
    if not servers:
        return CheckStatus.MISSING, f"There is no MX record yet. Publish: {PREFERENCE} {record.value}", found
    if not ours:
        text = f"Mail for {record.name} goes elsewhere. Publish the MX record {PREFERENCE} {record.value} instead."
        return CheckStatus.FAILED, text, found
    if servers[0].preference < ours[0].preference:
        text = f"Mail goes to {servers[0].host} first and comes here only where that server does not answer."
        return CheckStatus.VERIFIED, text, found
    return CheckStatus.VERIFIED, "", found


def _check_ownership(record: Record, way: Look) -> tuple[CheckStatus, str, list[str]]:
    answer = way.txt(record.name)
    if answer.status is Outcome.FAILED:
        return CheckStatus.PENDING, f"The DNS gave no answer: {answer.reason}.", []
    found = list(answer.values)
    if record.value in found:
        return CheckStatus.VERIFIED, "", found
    if not found:
        return CheckStatus.MISSING, "There is no such TXT record yet.", found
    return CheckStatus.FAILED, "There is a TXT record of another value. Replace it by the one that is shown.", found


def _store(domain: InboundDomain, found: Mapping[str, Mapping[str, Any]], *, may_own: bool = True) -> InboundDomain:
    """Raises IntegrityError where another workspace owns the domain, NotFound."""
    rows = InboundDomain.objects.of(domain.workspace_id).filter(pk=domain.pk)
    row: InboundDomain | None = rows.select_for_update().first()
    if row is None:
        raise NotFound
    now, before = clock.now(), row.status
    if before == Status.DISABLED:
        return row
    statuses = {one["status"] for one in found.values()}
    row.checks = dict(found)
    row.last_checked_at = row.updated_at = now
    if statuses == {CheckStatus.VERIFIED} and may_own:
        row.status, row.verified_at = Status.VERIFIED, row.verified_at or now
    elif CheckStatus.PENDING not in statuses or row.verified_at is None:
        row.status = Status.FAILED if CheckStatus.FAILED in statuses or row.verified_at else Status.PENDING
    row.save(update_fields=["checks", "status", "verified_at", "last_checked_at", "updated_at"])
    if row.status == Status.VERIFIED and before != Status.VERIFIED:
        _tell(EventType.INBOUND_DOMAIN_VERIFIED, row)
    return row


def _tell(kind: EventType, domain: InboundDomain) -> None:
    record([NewEvent(domain.workspace_id, kind, ResourceType.INBOUND_DOMAIN, domain.pk, data={"domain": domain.name})])
