"""Messages and their recipients. A recipient that is not final and has a due time is the delivery queue."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.messages.states import AttemptStatus, BounceSource, BounceType, Kind, Lane, Status
from apps.messages.waits import WaitCode
from apps.workspaces.tenancy import TenantModel, workspace_field


class Message(TenantModel):
    """What a caller asked us to send, as lists show it; the texts are in MessageContent."""

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    # Not a foreign key: a domain may be deleted while its messages remain.
    domain_id = models.UUIDField(null=True)
    from_email = models.CharField(max_length=320)
    from_name = models.CharField(max_length=200, blank=True)
    subject = models.TextField()
    rfc_message_id = models.CharField(max_length=320)
    idempotency_key = models.CharField(max_length=255, blank=True)
    stream = models.CharField(max_length=80, blank=True)
    tags = models.JSONField(default=dict)
    # Where it came from. Plain ids: batches and schedules are of apps above this one, and templates may go.
    template_id = models.UUIDField(null=True)
    template_version_id = models.UUIDField(null=True)
    batch_id = models.UUIDField(null=True)
    scheduled_id = models.UUIDField(null=True)
    size = models.PositiveIntegerField(default=0, help_text="Bytes of text, HTML and attachments as they are sent.")
    # From then on it is of no use to anybody and is not sent; null: its lane's lifetime decides alone.
    expires_at = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField(db_default=0)
    last_error = models.TextField(blank=True, db_default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="message_by_workspace"),
            models.Index(fields=["workspace", "status", "id"], name="message_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.id}"


class MessageContent(models.Model):
    """The body of a message and what else its composition needs."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="content")
    reply_to_email = models.CharField(max_length=320, blank=True)
    reply_to_name = models.CharField(max_length=200, blank=True)
    headers = models.JSONField(default=dict)
    text = models.TextField(null=True)  # noqa: DJ001 - an absent part differs from an empty one
    html = models.TextField(null=True)  # noqa: DJ001 - as above
    # The texts are kept sealed, shown to nobody, and wiped when the message has ended.
    is_sealed = models.BooleanField(db_default=False)
    # What a test key asked to see happen; empty for real mail.
    scenario = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"content of {self.message_id}"


class Attachment(TenantModel):
    """A file of a message: which asset, as it was when the message was accepted."""

    workspace = workspace_field(db_constraint=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments", db_index=False)
    position = models.PositiveSmallIntegerField()
    # Not a foreign key: an asset may be deleted while messages that carried it remain.
    asset_id = models.UUIDField()
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    size = models.PositiveIntegerField()
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the bytes, in hexadecimal.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["message", "position"], name="attachment_by_message")]

    def __str__(self) -> str:
        return self.filename


class Recipient(TenantModel):
    """One address of one message: its state, when it is due, and who works on it."""

    workspace = workspace_field(db_constraint=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="recipients", db_index=False)
    kind = models.CharField(max_length=3, choices=Kind.choices)
    position = models.PositiveSmallIntegerField()
    email = models.CharField(max_length=320)
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    lane = models.PositiveSmallIntegerField(choices=Lane.choices, default=Lane.TRANSACTIONAL)
    # Due work has a due time and no lease. Final and held recipients have no due time.
    next_attempt_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    # Raised by every claim, and compared by whoever writes as the holder of that claim.
    fence = models.PositiveIntegerField(db_default=0)
    attempt_count = models.PositiveIntegerField(db_default=0)
    # Committed before the final dot of DATA may go out.
    in_doubt = models.BooleanField(db_default=False)
    # Tries that count against the message; a destination that cannot be reached does not.
    tries = models.PositiveSmallIntegerField(db_default=0)
    # Raised by every claim and cleared by every recorded end, so it counts claims that ended in a crash.
    crashes = models.PositiveSmallIntegerField(db_default=0)
    wait_code = models.CharField(max_length=20, choices=WaitCode.choices, blank=True, db_default="")
    wait_detail = models.TextField(blank=True, db_default="")
    waiting_since = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, db_default="")
    queued_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["message", "position"], name="recipient_by_message"),
            models.Index(fields=["workspace", "email", "id"], name="recipient_by_email"),
            # Exactly the work that can be claimed, so that a claim costs the same whatever lies behind us.
            models.Index(
                fields=["lane", "workspace", "next_attempt_at"],
                name="recipient_due",
                condition=Q(next_attempt_at__isnull=False, lease_until__isnull=True),
            ),
            models.Index(fields=["lease_until"], name="recipient_leased", condition=Q(lease_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.email}"


class Attempt(TenantModel):
    """One try to hand a message over for one recipient, and what the server said."""

    workspace = workspace_field(db_constraint=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="+", db_index=False)
    email = models.CharField(max_length=320)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=AttemptStatus.choices)
    transport = models.CharField(max_length=10, blank=True)
    remote_host = models.CharField(max_length=253, blank=True)
    remote_address = models.CharField(max_length=45, blank=True)
    # The decision in words: how it was protected, or that it went in clear and why.
    tls = models.CharField(max_length=200, blank=True)
    smtp_code = models.PositiveSmallIntegerField(null=True)
    enhanced_code = models.CharField(max_length=12, blank=True)
    response = models.TextField(blank=True)
    # Which rule read the reply, and as whose fault (apps.protocols.reply).
    fault = models.CharField(max_length=20, blank=True)
    rule = models.CharField(max_length=60, blank=True)
    # [[command, reply, milliseconds], ...]
    conversation = models.JSONField(default=list)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["recipient", "number"], name="attempt_recorded_once")]
        indexes: ClassVar = [models.Index(fields=["message", "id"], name="attempt_by_message")]

    def __str__(self) -> str:
        return f"attempt {self.number} for {self.email}"


class Bounce(TenantModel):
    """A refusal that is about the recipient, at once by SMTP or later by a report."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="+")
    email = models.CharField(max_length=320)
    # The address as it is compared (apps.protocols.address.comparison_key).
    key = models.CharField(max_length=320)
    type = models.CharField(max_length=7, choices=BounceType.choices)
    source = models.CharField(max_length=10, choices=BounceSource.choices)
    smtp_code = models.PositiveSmallIntegerField(null=True)
    enhanced_code = models.CharField(max_length=12, blank=True)
    diagnostic = models.TextField(blank=True)
    # Which rule read it (apps.protocols.reply); repeats are counted by it (apps.messages.soft_bounces).
    rule = models.CharField(max_length=60, blank=True, db_default="")
    # Plain ids: a suppression may be lifted while the bounces that led to it remain.
    suppression_id = models.UUIDField(null=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["message", "id"], name="bounce_by_message"),
            models.Index(fields=["workspace", "id"], name="bounce_by_workspace"),
            models.Index(fields=["workspace", "key", "id"], name="bounce_by_address"),
            models.Index(fields=["workspace", "type", "id"], name="bounce_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} bounce of {self.email}"
