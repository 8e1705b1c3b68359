"""Mail that was handed over, and what comes back about it."""

from typing import Any

from apps.core import clock
from apps.core.crypto import derived_keys
from apps.messages.models import Message, Recipient
from apps.messages.states import Status
from apps.protocols import verp
from apps.workspaces.models import Workspace
from tests.factories import make_message

BOUNCES, COMPLAINTS = "/internal/mail/bounces", "/internal/mail/complaints"
DEAD = "550 5.1.1 <{email}>: Recipient address rejected: User unknown"


def make_sent(workspace: Workspace, to: Any = "ada@example.com", **changes: Any) -> Message:
    """A message that every recipient's server has taken."""
    message = make_message(workspace, to, **changes)
    now = clock.now()
    mine = Recipient.objects.of(workspace.pk).filter(message=message)
    mine.update(status=Status.SENT, next_attempt_at=None, finished_at=now, attempt_count=1)
    Message.objects.of(workspace.pk).filter(pk=message.pk).update(status=Status.SENT, sent_at=now)
    message.refresh_from_db()
    return message


def recipient_of(message: Message, email: str = "ada@example.com") -> Recipient:
    row: Recipient = Recipient.objects.of(message.workspace_id).get(message=message, email=email)
    return row


def return_path(message: Message, email: str = "ada@example.com", *, secret: bytes | None = None) -> str:
    key = secret or derived_keys("verp")[0]
    return verp.make(recipient_of(message, email).pk, secret=key, host="bounces.shop.example")


def dsn(
    message: Message | None = None,
    email: str = "ada@example.com",
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = DEAD,
    message_id: str = "",
    to: str = "nobody@shop.example",
) -> bytes:
    """A report as Postfix writes it (RFC 3464)."""
    named = message_id or (message.rfc_message_id if message else "gone@elsewhere.example")
    told = diagnostic.format(email=email)
    lines = [
        "From: MAILER-DAEMON@relay.example (Mail Delivery System)",
        f"To: {to}",
        "Subject: Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_1"',
        "",
        "--=_1",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This is the mail system at host relay.example.",
        "",
        f"<{email}>: host mx.example.com said: {told} (in reply to RCPT TO command)",
        "",
        "--=_1",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; relay.example",
        "",
        f"Final-Recipient: rfc822; {email}",
        f"Original-Recipient: rfc822;{email}",
        f"Action: {action}",
        f"Status: {status}",
        "Remote-MTA: dns; mx.example.com",
        f"Diagnostic-Code: smtp; {told}",
        "",
        "--=_1",
        "Content-Type: text/rfc822-headers",
        "",
        "From: shop@shop.example",
        f"To: {email}",
        "Subject: Your order",
        f"Message-ID: <{named}>",
        "",
        "--=_1--",
        "",
    ]
    return "\r\n".join(lines).encode()


def arf(message: Message, email: str = "ada@example.com", *, kind: str = "abuse", path: str = "") -> bytes:
    """A complaint (RFC 5965)."""
    mail_from = [f"Original-Mail-From: <{path}>"] if path else []
    lines = [
        "From: feedback@isp.example",
        "To: fbl@shop.example",
        "Subject: FW: Your order",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="=_1"',
        "",
        "--=_1",
        "Content-Type: text/plain",
        "",
        "This is an abuse report.",
        "",
        "--=_1",
        "Content-Type: message/feedback-report",
        "",
        f"Feedback-Type: {kind}",
        "User-Agent: Isp/1.0",
        "Version: 1",
        *mail_from,
        f"Original-Rcpt-To: {email}",
        "",
        "--=_1",
        "Content-Type: message/rfc822",
        "",
        "From: shop@shop.example",
        f"To: {email}",
        "Subject: Your order",
        f"Message-ID: <{message.rfc_message_id}>",
        "",
        "Thank you.",
        "",
        "--=_1--",
        "",
    ]
    return "\r\n".join(lines).encode()
