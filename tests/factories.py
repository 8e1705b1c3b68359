"""Plain functions that make rows the way the platform makes them."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from apps.core import clock
from apps.domains.models import Domain, DomainRecord
from apps.domains.services.keys import new_key
from apps.domains.services.records import first_records
from apps.domains.states import Algorithm, KeyState, Status
from apps.keys import idempotency
from apps.keys.models import ApiKey
from apps.keys.services import Caller, authenticate, create_key
from apps.messages.models import Message
from apps.messages.services.accept import accept
from apps.messages.services.draft import Accepted, Addressee, Draft, Order
from apps.messages.states import Kind
from apps.otp.models import Challenge
from apps.otp.services.issue import Request, issue
from apps.protocols import dkim
from apps.protocols.address import Mailbox, parse_mailbox
from apps.protocols.sender_records import CheckStatus
from apps.suppressions.models import Reason, Source, Suppression
from apps.suppressions.services import NewSuppression, add
from apps.workspaces.models import Tier, Workspace
from apps.workspaces.services import create_workspace


def make_workspace(slug: str = "", *, tier: str = Tier.BUSINESS, daily: int | None = None) -> Workspace:
    workspace = create_workspace(slug or f"workspace-{secrets.token_hex(4)}", tier=tier)
    if daily is not None:
        Workspace.objects.filter(pk=workspace.pk).update(daily_limit=daily)
        workspace.refresh_from_db()
    return workspace


def make_key(
    workspace: Workspace,
    *,
    scopes: Sequence[str] = (),
    is_test: bool = False,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """The row and the key itself."""
    return create_key(workspace, name="test", scopes=scopes, is_test=is_test, expires_at=expires_at)


def make_caller(workspace: Workspace, *, is_test: bool = False) -> Caller:
    row, key = make_key(workspace, is_test=is_test)
    caller = authenticate(key)
    row.delete()  # a workspace has a bounded number of keys, and a test as many messages as it likes
    return caller


def make_domain(workspace: Workspace, name: str = "shop.example", *, verified: bool = True) -> Domain:
    """A domain with its records and its key; all domains share one key pair, because making one takes long."""
    now = clock.now()
    domain = Domain(workspace=workspace, name=name)
    if verified:
        domain.status, domain.verified_at, domain.last_checked_at = Status.VERIFIED, now, now
    domain.save(force_insert=True)
    key = new_key(domain, private_key(), Algorithm.RSA, KeyState.ACTIVE)
    key.save(force_insert=True)
    public = dkim.public_record(private_key())
    records = first_records(domain, key, public=public, return_path_label=f"rp{secrets.token_hex(4)}")
    for record in records:
        record.status = CheckStatus.VERIFIED if verified else CheckStatus.PENDING
    DomainRecord.objects.across_workspaces().bulk_create(records)
    return domain


@cache
def private_key() -> str:
    """One 2048-bit key for the whole run."""
    return dkim.generate_rsa()


def make_message(
    workspace: Workspace,
    to: str | Sequence[str] = "ada@example.com",
    *,
    key: str | None = None,
    caller: Caller | None = None,
    **changes: Any,
) -> Message:
    """A message that was accepted through the platform's own door; the sender's domain must be there."""
    accepted = make_accepted(workspace, to, key=key, caller=caller, **changes)
    return Message.objects.of(workspace.pk).get(pk=accepted.message_id)


def make_accepted(
    workspace: Workspace,
    to: str | Sequence[str] = "ada@example.com",
    *,
    key: str | None = None,
    caller: Caller | None = None,
    **changes: Any,
) -> Accepted:
    addresses = [to] if isinstance(to, str) else to
    draft = {
        "sender": Mailbox("shop@shop.example"),
        "recipients": [Addressee(Kind.TO, parse_mailbox(address)) for address in addresses],
        "subject": "Your order",
        "text": "Thank you.",
        **changes,
    }
    use = idempotency.Use(workspace.pk, "send", key, "0" * 64) if key else None
    return accept(caller or make_caller(workspace), Order(Draft(**draft), use))


def make_challenge(workspace: Workspace, to: str = "ada@example.com", *, purpose: str = "login") -> Challenge:
    """A challenge with its mail; the sender's domain must be there."""
    sender = Mailbox(f"shop@{Domain.objects.of(workspace.pk).earliest('pk').name}")
    request = Request(parse_mailbox(to), purpose, timedelta(minutes=10), 6, {}, sender)
    return issue(make_caller(workspace), request, None).challenge


def suppress(workspace_id: UUID, email: str) -> Suppression:
    add([NewSuppression(workspace_id, email, Reason.MANUAL, Source.USER)])
    row: Suppression = Suppression.objects.of(workspace_id).get(key=Mailbox(email).key)
    return row
