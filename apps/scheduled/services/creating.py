"""Takes mail for later: everything about it is checked now, so that its caller is still there to hear what is wrong.

Suppressions and limits are left for its time; nobody knows them today.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Count, Sum

from apps.core import clock
from apps.core.errors import Invalid, Problem
from apps.core.ids import new_id
from apps.core.rows import insert_all
from apps.events.models import Event
from apps.events.services import rows_of
from apps.events.types import EventType
from apps.keys import idempotency
from apps.keys.errors import EarlierIsGone
from apps.keys.idempotency import Use
from apps.keys.services import Caller
from apps.messages.services.admission import Admission, ask, sender_domain
from apps.messages.services.draft import Draft, Order
from apps.scheduled.errors import TooMuchScheduled
from apps.scheduled.models import Scheduled
from apps.scheduled.services.happenings import event
from apps.scheduled.states import Kind, Status
from apps.scheduled.timing import FURTHEST, GRACE
from apps.workspaces.errors import SendingDisabled

# What a workspace may have waiting: mails, and bytes of texts and files together.
MAX_WAITING, MAX_WAITING_BYTES = 100_000, 5_000_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants sent, and when."""

    send_at: datetime
    kind: Kind
    payload: Mapping[str, Any]
    order: Order


@dataclass(frozen=True, slots=True)
class Made:
    row: Scheduled
    idempotency_status: str

    @property
    def is_replay(self) -> bool:
        return self.idempotency_status == "replayed"


def create(caller: Caller, wish: Wish) -> Made:
    """Stores mail for later, or finds what an earlier request with its key made.

    Raises Invalid, IdempotencyConflict, the Problem that stands for a draft, SendingDisabled, DomainNotVerified,
    TooMuchScheduled; then
    nothing is stored and the key may be used again.
    """
    admission = _admission(caller, wish.order)
    if (earlier := _earlier(caller, wish.order.use, admission)) is not None:
        return earlier
    draft = _checked(caller, wish, admission)
    row = _row(caller, wish, draft)
    try:
        _store(row, wish.order.use)
    except IntegrityError:
        # Another request with the key was faster, by less than our own look could see.
        if (earlier := _earlier(caller, wish.order.use, _admission(caller, wish.order))) is None:
            raise
        return earlier
    return Made(row, "created" if wish.order.use else "none")


def check_time(send_at: datetime, now: datetime) -> None:
    """`now` is the database's time, by which mail is dispatched. Raises Invalid."""
    if send_at < now - GRACE:
        raise Invalid({"sendAt": [f"is in the past; it is {clock.wire_time(now)} now"]})
    if send_at > now + FURTHEST + GRACE:
        raise Invalid({"sendAt": [f"may be at most {FURTHEST.days} days ahead"]})


def _admission(caller: Caller, order: Order) -> Admission:
    domains = {order.draft.sender.domain} if isinstance(order.draft, Draft) else set()
    return ask(caller.workspace_id, domains=domains, keys=(), uses=[order.use] if order.use else [])


def _earlier(caller: Caller, use: Use | None, admission: Admission) -> Made | None:
    if use is None or (found := admission.earlier.get(use.key)) is None:
        return None
    scheduled_id = idempotency.check_same(use, found, told_as="scheduledId")
    row: Scheduled | None = Scheduled.objects.of(caller.workspace_id).filter(pk=scheduled_id).first()
    if row is None:
        raise EarlierIsGone
    return Made(row, "replayed")


def _checked(caller: Caller, wish: Wish, admission: Admission) -> Draft:
    check_time(wish.send_at, admission.now)
    draft = wish.order.draft
    if isinstance(draft, Problem):
        raise draft
    if caller.is_suspended:
        raise SendingDisabled
    sender_domain(caller, draft.sender.domain, admission)
    _check_room(caller, draft)
    return draft


def _check_room(caller: Caller, draft: Draft) -> None:
    """Mail for later is not counted by the limits of today, but it is kept. Raises TooMuchScheduled."""
    waiting = Scheduled.objects.of(caller.workspace_id).filter(due_at__isnull=False)
    kept = waiting.aggregate(count=Count("pk"), size=Sum("size"))
    if kept["count"] >= MAX_WAITING or (kept["size"] or 0) + draft.size > MAX_WAITING_BYTES:
        raise TooMuchScheduled


def _row(caller: Caller, wish: Wish, draft: Draft) -> Scheduled:
    now, use = clock.now(), wish.order.use
    return Scheduled(
        id=new_id(),
        workspace_id=caller.workspace_id,
        status=Status.SCHEDULED.value,
        kind=wish.kind.value,
        send_at=wish.send_at,
        due_at=wish.send_at,
        payload=_kept(wish.payload, draft),
        sender=draft.sender.email,
        files={str(file.asset_id): {"size": file.size, "checksum": file.checksum} for file in draft.attachments},
        template_version_id=draft.origin.template_version_id,
        subject=draft.subject,
        recipients="".join(f"\n{addressee.mailbox.email}" for addressee in draft.recipients) + "\n",
        size=draft.size,
        idempotency_key=use.key if use else "",
        created_at=now,
        updated_at=now,
    )


def _kept(payload: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    """The payload with its sender, uploads named by their assets, and each file's type as it is now.

    By its time the workspace may have another default sender, an upload session is long forgotten, and an asset may
    have been replaced; what was checked is what is sent.
    """
    sender = {"from": {"email": draft.sender.email, "name": draft.sender.name}}
    named = dict(payload) if payload.get("from") else dict(payload) | sender
    if not draft.attachments:
        return named
    kept = [
        {name: value for name, value in item.items() if name != "uploadId"}
        | {"assetId": str(enclosure.asset_id), "contentType": enclosure.content_type}
        for item, enclosure in zip(payload["attachments"], draft.attachments, strict=True)
    ]
    return {**named, "attachments": kept}


def _store(row: Scheduled, use: Use | None) -> None:
    """Row, event and key, all or nothing. Raises IntegrityError."""
    values = {field.attname: getattr(row, field.attname) for field in Scheduled._meta.concrete_fields}
    created = event(EventType.SCHEDULED_CREATED, row)
    taken: list[tuple[Use, UUID]] = [(use, row.pk)] if use else []
    insert_all([(Scheduled, [values]), (Event, rows_of([created], at=row.created_at)), idempotency.part(taken)])
