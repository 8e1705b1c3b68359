"""The records that a domain has to publish: made with it, shown with what was found, explained with times."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.conf import settings

from apps.core.errors import NotFound
from apps.domains.models import DkimKey, Domain, DomainRecord
from apps.domains.states import KeyState
from apps.protocols.sender_records import (
    CheckStatus,
    ExpectedRecord,
    Platform,
    PublicKey,
    Purpose,
    RecordType,
    expected,
    expected_key,
)

# Records of further keys stand behind the four that every domain has.
FIRST_POSITION, FURTHER_POSITION = 1, 10


def reread(domain: Domain) -> Domain:
    """The row as it is now. Raises NotFound where somebody has deleted it."""
    row: Domain | None = Domain.objects.of(domain.workspace_id).filter(pk=domain.pk).first()
    if row is None:
        raise NotFound
    return row


def records_of(domain: Domain) -> list[DomainRecord]:
    return records_of_each([domain])[domain.pk]


def records_of_each(domains: Collection[Domain]) -> dict[UUID, list[DomainRecord]]:
    """The records of several domains by the domains' ids, in the order in which they are shown, with their keys."""
    found: dict[UUID, list[DomainRecord]] = {domain.pk: [] for domain in domains}
    rows = DomainRecord.objects.across_workspaces().filter(domain__in=domains).select_related("key")
    for row in rows.order_by("domain", "position", "pk"):
        found[row.domain_id].append(row)
    return found


def first_records(domain: Domain, key: DkimKey, *, public: str, return_path_label: str) -> list[DomainRecord]:
    """The rows of a new domain; `public` is the TXT value that publishes its key."""
    platform = Platform(
        spf_include=settings.MAIL_SPF_INCLUDE,
        return_path_host=f"{return_path_label}.{settings.MAIL_RETURN_PATH_HOST}",
        dmarc_required=settings.MAIL_DMARC_REQUIRED,
    )
    wanted = expected(domain.name, platform, [PublicKey(key.selector, public)])
    rows = [_row(domain, item, position) for position, item in enumerate(wanted)]
    for row in rows:
        if row.purpose == Purpose.DKIM:
            row.key = key
    return rows


def further_record(domain: Domain, key: DkimKey, *, public: str) -> DomainRecord:
    """The row of a key that does not sign yet."""
    item = expected_key(domain.name, PublicKey(key.selector, public), required=False)
    row = _row(domain, item, FURTHER_POSITION)
    row.key = key
    return row


def expected_of(row: DomainRecord) -> ExpectedRecord:
    return ExpectedRecord(Purpose(row.purpose), RecordType(row.type), row.name, row.value, row.required)


def explain(row: DomainRecord, now: datetime) -> str:
    """What was found and what to do, and until when others may go on seeing what was there before; a line each."""
    if row.key is not None and row.key.state == KeyState.RETIRED:
        return "The old key is no longer needed: this record may be removed."
    parts = [_part_in_rotation(row.key) if row.key else "", row.explanation]
    if row.held_until is not None and row.held_until > now:
        until = shown_time(row.held_until)
        is_right = row.status == CheckStatus.VERIFIED
        parts.append(
            f"Resolvers that asked earlier may hold the old answer until {until}."
            if is_right
            else f"After a change, resolvers that have asked may hold this answer until {until}."
        )
    return "\n".join(part for part in parts if part)


def shown_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _part_in_rotation(key: DkimKey) -> str:
    if key.state == KeyState.NEXT:
        return "The next key: mail is signed with it as soon as this record is seen."
    if key.state == KeyState.RETIRING and key.retires_at is not None:
        return f"The old key: keep this record until {shown_time(key.retires_at)}, for mail that is still on its way."
    return ""


def _row(domain: Domain, item: ExpectedRecord, position: int) -> DomainRecord:
    return DomainRecord(
        workspace_id=domain.workspace_id,
        domain=domain,
        position=position,
        purpose=item.purpose,
        type=item.type,
        name=item.name,
        value=item.value,
        required=item.required,
    )
