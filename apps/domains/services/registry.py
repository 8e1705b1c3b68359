"""Which domains a workspace has: add, remove, and the operator's switches."""

import secrets
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.errors import Invalid
from apps.domains.errors import DomainExists
from apps.domains.models import Domain, DomainRecord, ReturnPathLabel
from apps.domains.schedule import FIRST
from apps.domains.services.happenings import tell
from apps.domains.services.keys import new_key
from apps.domains.services.records import first_records
from apps.domains.states import Algorithm, KeyState, Status
from apps.events.types import EventType
from apps.protocols import dkim
from apps.protocols.address import AddressError, canonical_domain
from apps.protocols.doctor.dmarc import public_suffixes
from apps.protocols.sender_records import CheckStatus

# What is left of a DNS name (RFC 1035, 3.1) beside the longest label that we add: `ss<ten digits>._domainkey.`
MAX_LENGTH = 253 - len("ss0123456789._domainkey.")


def create(workspace_id: UUID, name: str) -> Domain:
    """Adds a domain with a signing key of its own. Raises Invalid, DomainExists."""
    now = clock.now()
    domain = Domain(workspace_id=workspace_id, name=_acceptable(name), watched_since=now, next_check_at=now + FIRST[0])
    private_key = dkim.generate_rsa()  # takes a tenth of a second, so outside the transaction
    key = new_key(domain, private_key, Algorithm.RSA, KeyState.ACTIVE)
    try:
        with transaction.atomic():
            domain.save(force_insert=True)
            key.save(force_insert=True)
            label = _return_path_label(domain)
            records = first_records(domain, key, public=dkim.public_record(private_key), return_path_label=label)
            DomainRecord.objects.across_workspaces().bulk_create(records)
            tell(EventType.DOMAIN_CREATED, domain)
    except IntegrityError as error:
        raise DomainExists(details={"domain": domain.name}) from error
    return domain


def delete(domain: Domain) -> None:
    """Removes the domain here; the DNS is not touched. Its queued mail then waits and says why."""
    with transaction.atomic():
        # The domain first, as everybody does who writes to what belongs to it.
        mine = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk)
        if mine.select_for_update().exists() and mine.delete()[0]:
            _labels(domain).update(released_at=clock.now())
            tell(EventType.DOMAIN_DELETED, domain)


def disable(domain: Domain) -> bool:
    """Lets nothing more be sent from a domain; False where that was so. Its queued mail waits and says why."""
    enabled = Domain.objects.of(domain.workspace_id).exclude(status=Status.DISABLED)
    return _move(domain, enabled, status=Status.DISABLED, next_check_at=None, failed_at=None, failing_since=None)


def enable(domain: Domain) -> bool:
    """Makes a disabled domain pending, to be verified again; False where it was not disabled.

    One that the operator vouches for is verified again by that word.
    """
    now = clock.now()
    disabled = Domain.objects.of(domain.workspace_id).filter(status=Status.DISABLED)
    if domain.is_trusted:
        return _move(domain, disabled, status=Status.VERIFIED)
    return _move(domain, disabled, status=Status.PENDING, next_check_at=now, watched_since=now, looks=0)


def trust(domain: Domain) -> None:
    """Takes a domain as verified without ever asking the DNS, by the word of the operator.

    For the demonstration, whose domain nobody owns. Raises IntegrityError where another workspace is the owner.
    """
    with transaction.atomic():
        now = clock.now()
        DomainRecord.objects.of(domain.workspace_id).filter(domain=domain).update(
            status=CheckStatus.VERIFIED, explanation="Taken as right by the operator's word; it is not looked up."
        )
        mine = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk)
        mine.update(status=Status.VERIFIED, is_trusted=True, verified_at=now, updated_at=now, next_check_at=None)


def _acceptable(text: str) -> str:
    try:
        name = canonical_domain(text)
    except AddressError as error:
        raise Invalid({"domain": [error.reason]}) from error
    if len(name) > MAX_LENGTH:
        raise Invalid({"domain": [f"is longer than {MAX_LENGTH} characters, so its key's record could have no name"]})
    if public_suffixes().is_public(name):
        raise Invalid({"domain": ["is a public suffix, under which anybody can register a domain"]})
    ours = {settings.MAIL_HELO_HOST, settings.MAIL_RETURN_PATH_HOST, settings.MAIL_INBOUND_HOST}
    if name in {host.lower() for host in ours}:
        raise Invalid({"domain": ["is a host name of this server; send from a domain above or beside it"]})
    return name


def _return_path_label(domain: Domain) -> str:
    """The workspace's own label for this name: the old one where it had the domain before, else a new one."""
    made = {"label": f"rp{secrets.token_hex(10)}"}
    row, is_new = ReturnPathLabel.objects.get_or_create(
        workspace_id=domain.workspace_id, domain=domain.name, defaults=made
    )
    if not is_new:
        _labels(domain).update(released_at=None)
    return row.label


def _labels(domain: Domain) -> QuerySet[ReturnPathLabel]:
    return ReturnPathLabel.objects.filter(workspace_id=domain.workspace_id, domain=domain.name)


def _move(domain: Domain, among: QuerySet[Domain], **changes: object) -> bool:
    """Changes the row unless somebody was faster."""
    moved = among.filter(pk=domain.pk).update(updated_at=clock.now(), **changes) == 1
    if moved:
        domain.refresh_from_db()
    return moved
