"""Makes a challenge and sends its code: everything in one transaction, and the code in no row but the sealed mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core import clock
from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.core.rows import Part
from apps.events.models import Event
from apps.events.services import rows_of
from apps.events.types import EventType
from apps.keys import idempotency
from apps.keys.errors import EarlierIsGone
from apps.keys.services import Caller
from apps.messages.services.accept import accept
from apps.messages.services.draft import Accepted, Addressee, Draft, Order
from apps.messages.states import Kind, Lane
from apps.otp import letters
from apps.otp.codes import hash_of, new_code
from apps.otp.models import Challenge
from apps.otp.services import allowance
from apps.otp.services.endings import supersede
from apps.otp.services.happenings import happened
from apps.otp.states import OPEN, Status
from apps.protocols.address import Mailbox
from apps.workspaces.services import default_sender

MAX_ATTEMPTS = 5
FAMILY = "otp-send"
# RFC 3834, 5: nobody's holiday notice answers a code.
HEADERS = {"Auto-Submitted": "auto-generated"}


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request for a code. Without a sender the workspace's default one sends it."""

    to: Mailbox
    purpose: str
    lifetime: timedelta
    code_length: int
    metadata: Mapping[str, Any]
    sender: Mailbox | None = None
    subject: str | None = None
    brand: str | None = None
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """The challenge that a request made, or that an earlier one with its idempotency key made."""

    challenge: Challenge
    idempotency_status: str

    @property
    def is_replay(self) -> bool:
        return self.idempotency_status == "replayed"


def issue(caller: Caller, request: Request, use: idempotency.Use | None) -> Issued:
    """Voids the open challenge for the same address and purpose, if there is one, and mails a new code.

    Raises IdempotencyConflict, Invalid, AskedTooOften and what `accept` raises; then nothing has changed.
    """
    mailbox = allowance.counted_as(request.to.email)
    with transaction.atomic():
        # First of all: whoever repeats a request waits here until the first is stored, and then finds it.
        allowance.take_turns(caller.workspace_id, mailbox)
        if use is not None and (earlier := _earlier(use)) is not None:
            return Issued(earlier, "replayed")
        now = clock.database_now()
        allowance.check(caller.workspace_id, mailbox, request.purpose, now)
        for older in _open(caller.workspace_id, request):
            supersede(older, now)
        return _new(caller, request, use, now)


def _earlier(use: idempotency.Use) -> Challenge | None:
    message_id = idempotency.earlier(use, told_as="messageId")
    if message_id is None:
        return None
    challenge: Challenge | None = Challenge.objects.of(use.workspace_id).filter(message_id=message_id).first()
    if challenge is None:
        raise EarlierIsGone
    return challenge


def _open(workspace_id: UUID, request: Request) -> list[Challenge]:
    rows = Challenge.objects.of(workspace_id)
    return list(rows.filter(key=request.to.key, purpose=request.purpose, status__in=OPEN))


def _new(caller: Caller, request: Request, use: idempotency.Use | None, now: datetime) -> Issued:
    code, challenge_id = new_code(request.code_length), new_id()
    draft = _draft(request, request.sender or default_sender(caller.workspace_id), code, now + request.lifetime)
    row = {
        "id": challenge_id,
        "workspace_id": caller.workspace_id,
        "email": request.to.email,
        "key": request.to.key,
        "counted_as": allowance.counted_as(request.to.email),
        "purpose": request.purpose,
        "status": Status.PENDING.value,
        "code_hash": hash_of(code, challenge_id),
        "code_length": request.code_length,
        "attempts": 0,
        "max_attempts": MAX_ATTEMPTS,
        "metadata": dict(request.metadata),
        "created_at": now,
        "expires_at": now + request.lifetime,
    }

    def beside(accepted: Accepted) -> list[Part]:
        row["message_id"] = accepted.message_id
        created = happened(EventType.OTP_CREATED, Challenge(**row))
        return [(Challenge, [row]), (Event, rows_of([created], at=now))]

    accepted = accept(caller, Order(draft, use), beside=beside)
    return Issued(Challenge(**row), accepted.idempotency_status)


def _draft(request: Request, sender: Mailbox, code: str, expires_at: datetime) -> Draft:
    letter = letters.write(
        code,
        brand=_brand(request.brand, sender),
        subject=_line("subject", request.subject, sender),
        seconds=int(request.lifetime.total_seconds()),
    )
    return Draft(
        sender=sender,
        recipients=[Addressee(Kind.TO, request.to)],
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        headers=HEADERS,
        scenario=request.scenario,
        lane=Lane.OTP,
        is_sealed=True,
        expires_at=expires_at,
    )


def _line(name: str, text: str | None, sender: Mailbox) -> str | None:
    """A line that the caller gives. Raises Invalid."""
    if text is not None:
        try:
            letters.check_line(text, own_domain=sender.domain)
        except letters.LineError as error:
            raise Invalid({name: [error.reason]}) from error
    return text


def _brand(given: str | None, sender: Mailbox) -> str:
    """Who asks for the code: as the caller says, else the sender's name, else the sender's domain."""
    if given is not None:
        return _line("brandName", given, sender) or sender.domain
    try:
        letters.check_line(sender.name, own_domain=sender.domain)
    except letters.LineError:
        return sender.domain
    return sender.name[: letters.MAX_BRAND] or sender.domain
