"""What can be done with sender domains: add, verify, remove, and ask whether one may send."""

import secrets
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from publicsuffixlist import PublicSuffixList

from apps.core import clock
from apps.core.crypto import SealBroken, seal, unseal
from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.domains.errors import DomainExists, DomainNotVerified
from apps.domains.models import DkimKey, Domain, DomainRecord, Status
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.protocols import dkim
from apps.protocols.address import AddressError, canonical_domain
from apps.protocols.dns import Resolver, parse_servers
from apps.protocols.sender_records import (
    CheckResult,
    CheckStatus,
    ExpectedRecord,
    Platform,
    Purpose,
    RecordType,
    check,
    expected,
)

TAKEN = "Every record is right, but the domain is verified by another workspace; ask the operator of this server."

# What is left of a DNS name (RFC 1035, 3.1) beside the longest label that we add: `ss<ten digits>._domainkey.`
MAX_LENGTH = 253 - len("ss0123456789._domainkey.")


def create(workspace_id: UUID, name: str) -> Domain:
    """Adds a domain with a signing key of its own. Raises Invalid, DomainExists."""
    domain = Domain(workspace_id=workspace_id, name=_acceptable(name))
    private_key = dkim.generate_rsa()  # takes a tenth of a second, so outside the transaction
    key = _new_key(domain, private_key)
    try:
        with transaction.atomic():
            domain.save(force_insert=True)
            key.save(force_insert=True)
            DomainRecord.objects.across_workspaces().bulk_create(_records(domain, key, private_key))
            record([_event(EventType.DOMAIN_CREATED, domain)])
    except IntegrityError as error:
        raise DomainExists(details={"domain": domain.name}) from error
    return domain


def verify(domain: Domain) -> Domain:
    """Looks up every record now, without a transaction open, and stores what was found."""
    if domain.status == Status.DISABLED:
        return domain
    resolver = _resolver(settings.MAIL_DNS_SERVERS)
    rows = list(records_of(domain))
    # Side by side, so that DNS servers that do not answer cost one time-out and not one for each record.
    with ThreadPoolExecutor(max_workers=len(rows)) as threads:
        found = list(threads.map(lambda row: check(_expected(row), resolver), rows))
    results = {row.purpose: result for row, result in zip(rows, found, strict=True)}
    try:
        with transaction.atomic():
            _store(domain, rows, results, may_own=True)
    except IntegrityError:
        # The unique constraint decided a race, or an old one: another workspace is the owner.
        with transaction.atomic():
            _store(domain, rows, results, may_own=False)
    domain.refresh_from_db()
    return domain


def disable(domain: Domain) -> bool:
    """Lets nothing more be sent from a domain; False where that was so. Its queued mail waits and says why."""
    return _move(
        domain, to=Status.DISABLED, among=Domain.objects.of(domain.workspace_id).exclude(status=Status.DISABLED)
    )


def enable(domain: Domain) -> bool:
    """Makes a disabled domain pending, to be verified again; False where it was not disabled."""
    return _move(domain, to=Status.PENDING, among=Domain.objects.of(domain.workspace_id).filter(status=Status.DISABLED))


def trust(domain: Domain) -> None:
    """Takes a domain as verified without asking the DNS: for the demonstration, whose domain nobody owns."""
    with transaction.atomic():
        now = clock.now()
        DomainRecord.objects.of(domain.workspace_id).filter(domain=domain).update(
            status=CheckStatus.VERIFIED, explanation="Taken as right: this is the demonstration's own domain."
        )
        mine = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk)
        mine.update(status=Status.VERIFIED, verified_at=now, updated_at=now)


def delete(domain: Domain) -> None:
    """Removes the domain here; the DNS is not touched. Its queued mail then waits and says why."""
    with transaction.atomic():
        deleted, _ = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk).delete()
        if deleted:
            record([_event(EventType.DOMAIN_DELETED, domain)])


def require_verified(name: str, found: tuple[UUID, str] | None) -> UUID:
    """The id of the workspace's domain of this name, given its id and status. Raises DomainNotVerified."""
    if found is None:
        raise DomainNotVerified(
            f"{name} is not a domain of this workspace; add it with POST /mail/domains and publish its records.",
            details={"domain": name},
        )
    identifier, status = found
    if status != Status.VERIFIED:
        raise DomainNotVerified(
            f"{name} is {status}, not verified; see its records with GET /mail/domains/{identifier}.",
            details={"domain": name, "domainId": str(identifier), "status": status},
        )
    return identifier


def signing_keys(domain_ids: Collection[UUID | None]) -> tuple[dict[UUID, tuple[dkim.SigningKey, ...]], set[UUID]]:
    """The keys that sign for each domain that may send now, and the domains whose keys do not open.

    A domain that may not send is in neither.
    """
    rows = (
        DkimKey.objects.across_workspaces()
        .filter(domain_id__in=domain_ids, domain__status=Status.VERIFIED)
        .values_list("domain_id", "pk", "domain__name", "selector", "private_sealed")
    )
    keys: dict[UUID, tuple[dkim.SigningKey, ...]] = {}
    sealed: set[UUID] = set()
    for domain_id, *key in rows:
        try:
            keys[domain_id] = (_signing_key(*key),)
        except SealBroken:
            sealed.add(domain_id)
    return keys, sealed


def verified_ids(names: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """The domains of these names, each in its workspace, that may send now."""
    rows = Domain.objects.across_workspaces().filter(name__in={name for _, name in names}, status=Status.VERIFIED)
    found = {(workspace_id, name): pk for workspace_id, name, pk in rows.values_list("workspace_id", "name", "pk")}
    return {pair: found[pair] for pair in names if pair in found}


def records_of(domain: Domain) -> list[DomainRecord]:
    return records_of_each([domain])[domain.pk]


def records_of_each(domains: Collection[Domain]) -> dict[UUID, list[DomainRecord]]:
    """The records of several domains by the domains' ids, in the order in which they are shown."""
    found: dict[UUID, list[DomainRecord]] = {domain.pk: [] for domain in domains}
    rows = DomainRecord.objects.across_workspaces().filter(domain__in=domains).order_by("domain", "position")
    for row in rows:
        found[row.domain_id].append(row)
    return found


@cache
def _signing_key(key_id: UUID, domain: str, selector: str, private_sealed: str) -> dkim.SigningKey:
    # Kept for the life of the process: parsing a key costs more than signing a message.
    pem = unseal(private_sealed, bound_to=f"dkim:{key_id}")
    return dkim.SigningKey(domain=domain, selector=selector, private_key=dkim.load_key(pem))


@cache
def _resolver(servers: str) -> Resolver:
    return Resolver(parse_servers(servers))


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _acceptable(text: str) -> str:
    try:
        name = canonical_domain(text)
    except AddressError as error:
        raise Invalid({"domain": [error.reason]}) from error
    if len(name) > MAX_LENGTH:
        raise Invalid({"domain": [f"is longer than {MAX_LENGTH} characters, so its key's record could have no name"]})
    if _public_suffixes().is_public(name):
        raise Invalid({"domain": ["is a public suffix, under which anybody can register a domain"]})
    ours = {settings.MAIL_HELO_HOST, settings.MAIL_RETURN_PATH_HOST, settings.MAIL_INBOUND_HOST}
    if name in {host.lower() for host in ours}:
        raise Invalid({"domain": ["is a host name of this server; send from a domain above or beside it"]})
    return name


def _new_key(domain: Domain, private_key: str) -> DkimKey:
    # The selector is random, so that no two workspaces ever publish under the same name.
    key = DkimKey(id=new_id(), workspace_id=domain.workspace_id, domain=domain, selector=f"ss{secrets.token_hex(5)}")
    key.private_sealed = seal(private_key, bound_to=f"dkim:{key.pk}")
    return key


def _records(domain: Domain, key: DkimKey, private_key: str) -> list[DomainRecord]:
    platform = Platform(
        spf_include=settings.MAIL_SPF_INCLUDE,
        return_path_host=settings.MAIL_RETURN_PATH_HOST,
        dmarc_required=settings.MAIL_DMARC_REQUIRED,
    )
    wanted = expected(domain.name, platform, selector=key.selector, dkim_public=dkim.public_record(private_key))
    return [
        DomainRecord(
            workspace_id=domain.workspace_id,
            domain=domain,
            position=position,
            purpose=item.purpose,
            type=item.type,
            name=item.name,
            value=item.value,
            required=item.required,
        )
        for position, item in enumerate(wanted)
    ]


def _expected(row: DomainRecord) -> ExpectedRecord:
    return ExpectedRecord(Purpose(row.purpose), RecordType(row.type), row.name, row.value, row.required)


def _store(domain: Domain, rows: list[DomainRecord], results: dict[str, CheckResult], *, may_own: bool) -> None:
    """Raises IntegrityError where the domain would get a second owner."""
    locked = Domain.objects.of(domain.workspace_id).select_for_update().filter(pk=domain.pk).first()
    if locked is None or locked.status == Status.DISABLED:
        return
    for row in rows:
        result = results[row.purpose]
        row.explanation, row.found = result.reason, list(result.found)
        if not result.undecided:  # a DNS server's failure says nothing about the record
            row.status = result.status
    status = _status(rows)
    if status == Status.VERIFIED and not may_own:
        status = Status.PENDING
        for row in rows:
            row.explanation = TAKEN
    for row in rows:
        row.save(update_fields=["status", "explanation", "found"])
    before, locked.status, locked.last_checked_at = locked.status, status, clock.now()
    if status == Status.VERIFIED and locked.verified_at is None:
        locked.verified_at = locked.last_checked_at
    locked.save(update_fields=["status", "verified_at", "last_checked_at", "updated_at"])
    if status != before and status in _EVENT_OF:
        record([_event(_EVENT_OF[status], locked)])


def _status(rows: list[DomainRecord]) -> Status:
    """The domain's status follows from its required records."""
    found = {row.status for row in rows if row.required}
    if found == {CheckStatus.VERIFIED}:
        return Status.VERIFIED
    return Status.FAILED if CheckStatus.FAILED in found else Status.PENDING


def _move(domain: Domain, *, to: Status, among: QuerySet[Domain]) -> bool:
    """Changes the status unless somebody was faster."""
    moved = among.filter(pk=domain.pk).update(status=to, updated_at=clock.now()) == 1
    if moved:
        domain.status = to
    return moved


_EVENT_OF = {Status.VERIFIED: EventType.DOMAIN_VERIFIED, Status.FAILED: EventType.DOMAIN_FAILED}


def _event(event_type: EventType, domain: Domain) -> NewEvent:
    data = {"domain": domain.name, "status": domain.status}
    return NewEvent(domain.workspace_id, event_type, ResourceType.DOMAIN, domain.pk, data=data)
