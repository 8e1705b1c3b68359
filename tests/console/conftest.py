"""An operator who is signed in, and rows of every model that hold what attackers would put there."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from apps.batches.models import Batch, BatchItem, BatchType
from apps.core import clock
from apps.core.ids import new_id
from apps.delivery.models import CapturedMessage, Destination, Drain
from apps.domains.models import DomainRecord, ReturnPathLabel
from apps.events.services import NewEvent, record
from apps.events.types import EventType, ResourceType
from apps.inbound.models import InboundAttachment, InboundDomain, InboundMessage, Report
from apps.inbound.services import reports
from apps.inbound.services.arrival import Arrival
from apps.inbound.states import Door
from apps.keys.models import IdempotencyKey
from apps.messages.models import Attachment, Attempt, Bounce, Message, Recipient
from apps.messages.states import AttemptStatus, BounceSource, BounceType, Status
from apps.messages.waits import WaitCode
from apps.otp.models import Challenge
from apps.scheduled.models import Scheduled
from apps.workspaces.models import Member, User, Workspace
from apps.workspaces.services import create_operator
from tests.assets.rows import make_everything
from tests.factories import make_challenge, make_domain, make_key, make_message, make_workspace, suppress
from tests.inbound.mail import make_inbound_message
from tests.scheduled.making import later, make_scheduled
from tests.templates.making import make_template
from tests.webhooks.making import make_hostile

HOSTILE = '"><img src=x onerror=alert(1)>'
MAIL = (
    b"From: shop@shop.example\r\nTo: ada@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThank you.\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Thank <b>you</b>.</p>\r\n--b--\r\n"
)


@pytest.fixture
def staff(db: None) -> User:
    return create_operator("ops@example.com", password="correct-horse-1")


@pytest.fixture
def console(staff: User) -> Client:
    """The operator's browser; it is told of errors as an answer, as a browser would be."""
    client = Client(raise_request_exception=False)
    client.force_login(staff)
    return client


def capture(workspace: Workspace, source: bytes = MAIL, **changes: Any) -> CapturedMessage:
    row = CapturedMessage(
        workspace=workspace,
        message_id=workspace.pk,
        inbox="ada@example.com",
        sender="bounces@shop.example",
        subject="Grüße",
        source=source,
        received_at=clock.now(),
    )
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()
    return row


def hold(message: Message, code: WaitCode = WaitCode.QUARANTINE) -> Recipient:
    """Lets the message's recipient wait for a person."""
    rows = Recipient.objects.across_workspaces().filter(message=message)
    rows.update(status=Status.DEFERRED, next_attempt_at=None, wait_code=code, wait_detail=HOSTILE, crashes=3)
    return rows.get()


def make_inbound(workspace: Workspace) -> None:
    """A report, and a mail with a file, that say what attackers would."""
    head = f'Subject: {HOSTILE}\r\nFrom: "{HOSTILE}" <a@a.example>\r\n'
    raw = f'{head}Content-Type: application/pdf; name="{HOSTILE}"\r\n\r\n'.encode()
    make_inbound_message(workspace, raw + HOSTILE.encode())
    told = {"text": HOSTILE, "html": HOSTILE, "fault": HOSTILE, "headers": [[HOSTILE, HOSTILE]]}
    InboundMessage.objects.of(workspace.pk).update(**told, people={"to": [{"email": HOSTILE}]})
    InboundAttachment.objects.of(workspace.pk).update(filename=HOSTILE, content_id=HOSTILE)
    InboundDomain.objects.of(workspace.pk).update(
        checks={"mx": {"status": "failed", "explanation": HOSTILE, "found": [HOSTILE]}}
    )
    reports.take(Door.BOUNCES, Arrival(raw + HOSTILE.encode(), (HOSTILE,), HOSTILE))
    Report.objects.update(explanation=HOSTILE, reading={"recipients": [HOSTILE], "note": HOSTILE})


@pytest.fixture
def everything(staff: User) -> Workspace:
    """One row at least of every model, with hostile text wherever the database takes text from outside."""
    now = clock.now()
    workspace = make_workspace("shop")
    Workspace.objects.filter(pk=workspace.pk).update(name=HOSTILE)
    domain = make_domain(workspace)
    DomainRecord.objects.of(workspace.pk).update(explanation=HOSTILE, value=HOSTILE, found=[HOSTILE])
    ReturnPathLabel.objects.create(label="rp1", workspace_id=workspace.pk, domain=HOSTILE)
    key, _ = make_key(workspace)
    type(key).objects.of(workspace.pk).update(name=HOSTILE)
    message = make_message(
        workspace,
        key=HOSTILE,
        subject=HOSTILE,
        text=HOSTILE,
        html=HOSTILE,
        headers={"X-A": HOSTILE},
        tags={"a": HOSTILE},
    )
    Message.objects.of(workspace.pk).update(from_name=HOSTILE, last_error=HOSTILE)
    recipient = hold(message)
    Recipient.objects.of(workspace.pk).update(name=HOSTILE, last_error=HOSTILE)
    about = {"workspace_id": workspace.pk, "message_id": message.pk, "recipient_id": recipient.pk}
    attempt = {
        "email": recipient.email,
        "number": 1,
        "status": AttemptStatus.FAILED.value,
        "remote_host": HOSTILE,
        "tls": HOSTILE,
        "smtp_code": 550,
        "response": f"550 {HOSTILE}",
        "rule": HOSTILE,
        "conversation": [[HOSTILE, HOSTILE, 3], HOSTILE],
        "started_at": now,
        "finished_at": now,
    }
    bounce = {
        "email": recipient.email,
        "type": BounceType.HARD.value,
        "source": BounceSource.DSN.value,
        "diagnostic": HOSTILE,
        "occurred_at": now,
        "created_at": now,
    }
    file = {"filename": HOSTILE, "content_type": HOSTILE, "size": 1, "checksum": "0" * 64, "asset_id": new_id()}
    Attachment(workspace=workspace, message=message, position=0, **file).save(force_insert=True)
    Attempt(**about, **attempt).save(force_insert=True)
    Bounce(**about, **bounce).save(force_insert=True)
    make_challenge(workspace, purpose=HOSTILE)
    Challenge.objects.of(workspace.pk).update(metadata={"a": HOSTILE})
    suppress(workspace.pk, "grace@example.com")
    batch = Batch(workspace=workspace, type=BatchType.MESSAGE, from_email=HOSTILE, from_name=HOSTILE, created_at=now)
    batch.save(force_insert=True)
    refused = {"error_code": HOSTILE, "error_message": HOSTILE, "error_details": {HOSTILE: HOSTILE}}
    BatchItem(workspace=workspace, batch=batch, index=0, to=[HOSTILE], idempotency_key=HOSTILE, **refused).save()
    record([NewEvent(workspace.pk, EventType.DOMAIN_FAILED, ResourceType.DOMAIN, domain.pk, data={"a": HOSTILE})])
    make_scheduled(workspace, later(subject=HOSTILE, text=HOSTILE, html=HOSTILE, headers={"X-A": HOSTILE}))
    Scheduled.objects.of(workspace.pk).update(error=HOSTILE, wait_detail=HOSTILE, idempotency_key=HOSTILE)
    capture(workspace, subject=HOSTILE, source=b"Subject: " + HOSTILE.encode() + b"\r\n\r\n" + HOSTILE.encode())
    make_template(workspace, name=HOSTILE, subject=HOSTILE, html=f"<p>{HOSTILE}</p>", text=HOSTILE, description=HOSTILE)
    make_inbound(workspace)
    Destination.objects.create(
        key=HOSTILE, failures=2, paused_until=now + timedelta(hours=1), last_error=HOSTILE, updated_at=now
    )
    Drain.objects.create(host=HOSTILE, pid=1, started_at=now, beat_at=now)
    Member.objects.create(workspace=workspace, user=User.objects.create_user("dev@example.com", name=HOSTILE))
    Group.objects.create(name=HOSTILE)
    make_everything(workspace, HOSTILE)
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(Message),
        object_id=str(message.pk),
        object_repr=HOSTILE,
        action_flag=CHANGE,
        change_message=HOSTILE,
    )
    make_hostile(workspace, HOSTILE)
    assert IdempotencyKey.objects.of(workspace.pk).exists()
    return workspace
