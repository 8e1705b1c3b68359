"""What comes in: reports about mail that we sent, domains that receive, and mail for them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.ids import new_id
from apps.inbound.states import Door, Matched, MatchedBy, Status
from apps.workspaces.tenancy import TenantModel


class Report(models.Model):
    """A bounce, a complaint, or what somebody took for one. It belongs to a workspace only once it is matched.

    So it holds plain ids, and nothing of it is shown to any workspace but by the events and bounces that it led to.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    door = models.CharField(max_length=10, choices=Door.choices)
    # A word of apps.protocols.reports.types.Kind; without choices, so that a new word needs no migration.
    kind = models.CharField(max_length=12)
    status = models.CharField(max_length=9, choices=Matched.choices)
    matched_by = models.CharField(max_length=11, choices=MatchedBy.choices, blank=True)
    # In words: why it matched nothing, or what followed.
    explanation = models.TextField(blank=True)
    workspace_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    envelope_sender = models.CharField(max_length=320, blank=True)
    envelope_recipients = models.JSONField(default=list)
    reading = models.JSONField(default=dict, help_text="What was read in it.")
    size = models.PositiveIntegerField()
    # The beginning of the mail, sealed: what comes back may hold what we sent, one-time codes among it.
    raw_sealed = models.TextField(blank=True, editable=False)
    # SHA-256 of door, envelope and content: the same report counts once.
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    received_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["status", "id"], name="report_by_status"),
            models.Index(fields=["message_id"], name="report_by_message"),
            models.Index(fields=["received_at"], name="report_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.received_at:%Y-%m-%d %H:%M}"


class InboundDomain(TenantModel):
    """A domain whose mail comes to us, once its records say so; `name` is its canonical A-label form."""

    name = models.CharField(max_length=253)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # What the owner publishes, so that nobody receives another's mail by naming the domain first.
    ownership = models.CharField(max_length=64, editable=False)
    # {purpose: {status, explanation, found}} of the last look.
    checks = models.JSONField(default=dict, editable=False)
    # Received for by the operator's word alone, and never looked up.
    is_trusted = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # Set at the first verification and kept: from then on the domain is this workspace's until it is deleted.
    verified_at = models.DateTimeField(null=True, editable=False)
    last_checked_at = models.DateTimeField(null=True, editable=False)
    # How often it was asked to be looked up in the present minute.
    asked_since = models.DateTimeField(null=True, editable=False)
    asked = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "name"], name="inbound_domain_once_per_workspace"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(verified_at__isnull=False), name="one_owner_of_inbound_mail"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "id"], name="inbound_domain_list")]

    def __str__(self) -> str:
        return self.name


class InboundMessage(TenantModel):
    """A mail that came in, once for each recipient. Nothing that stands in it is proof of anything but its checks."""

    # Not a foreign key: a domain may be deleted while its mail remains.
    domain_id = models.UUIDField()
    recipient = models.CharField(max_length=320)
    envelope_sender = models.CharField(max_length=320, blank=True)
    from_email = models.CharField("from", max_length=320, blank=True)
    from_name = models.CharField(max_length=500, blank=True)
    # {from, to, cc, replyTo: [{email, name}]} as the header names them.
    people = models.JSONField(default=dict)
    subject = models.TextField(blank=True)
    rfc_message_id = models.TextField(blank=True)
    text = models.TextField(null=True)  # noqa: DJ001 - an absent part differs from an empty one
    html = models.TextField(null=True)  # noqa: DJ001 - as above
    headers = models.JSONField(default=list)  # [[lower-case name, value], ...] in their order
    spf = models.CharField("SPF", max_length=10)
    dkim = models.CharField("DKIM", max_length=10)
    dmarc = models.CharField("DMARC", max_length=10)
    authentication = models.JSONField(default=dict)
    is_automatic = models.BooleanField(default=False)
    # Why it could not be read, or not all of it; then the whole mail is its attachment.
    fault = models.TextField(blank=True)
    size = models.PositiveIntegerField()
    # SHA-256 of recipient and content: the same mail is stored once, also where its Message-ID is another's.
    fingerprint = models.CharField(max_length=64, editable=False)
    received_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "fingerprint"], name="inbound_message_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["workspace", "id"], name="inbound_message_list"),
            models.Index(fields=["workspace", "recipient", "id"], name="inbound_by_recipient"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient}: {self.subject[:60]}"


class InboundAttachment(TenantModel):
    """A file of a mail that came in. Its bytes are an asset; an empty file has none."""

    message = models.ForeignKey(InboundMessage, on_delete=models.CASCADE, related_name="attachments", db_index=False)
    position = models.PositiveSmallIntegerField()
    # Not a foreign key: an asset may be deleted while the mail that brought it remains.
    asset_id = models.UUIDField(null=True)
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=127)
    content_id = models.TextField(blank=True)
    is_inline = models.BooleanField(default=False)
    size = models.PositiveIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["message", "position"], name="inbound_attachments")]

    def __str__(self) -> str:
        return self.filename
