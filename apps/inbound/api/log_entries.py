"""What the reader of a mail server's log tells of one delivery, where no report comes (wire contract 2.16)."""

from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.core.api.serializers import StrictCharField, TimeField, WholeNumberField, WireSerializer
from apps.core.ids import parse_id
from apps.inbound.services.arrival import Arrival
from apps.inbound.services.reports import Facts, take_facts
from apps.messages.api.fields import AddressField
from apps.messages.models import Message
from apps.messages.states import BounceSource, BounceType
from apps.protocols.reply import Fault
from apps.protocols.reports.types import (
    Action,
    Disposition,
    Kind,
    OriginalMessage,
    Permanence,
    Report,
    ReportedRecipient,
)
from apps.protocols.reports.verdict import verdict


class LogEntry(WireSerializer):
    """One refusal. It names the message by our id or by its Message-ID."""

    message_id = StrictCharField(required=False, max_length=36)
    rfc_message_id = StrictCharField(required=False, max_length=400)
    email = AddressField()
    type = serializers.ChoiceField(choices=BounceType.values, required=False)
    smtp_code = WholeNumberField(required=False, allow_null=True, min_value=200, max_value=599)
    enhanced_code = StrictCharField(required=False, allow_null=True, allow_blank=True, max_length=12)
    diagnostic = StrictCharField(required=False, allow_null=True, allow_blank=True, max_length=2_000)
    occurred_at = TimeField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("message_id")) == bool(attrs.get("rfc_message_id")):
            raise serializers.ValidationError({"messageId": ["give either messageId or rfcMessageId"]})
        return attrs


def take_entry(arrival: Arrival, entry: dict[str, Any]) -> UUID:
    """The id of the row that keeps it. Raises TemporarilyUnavailable."""
    reading = Report(
        Kind.BOUNCE,
        recipients=(_recipient(entry),),
        original=OriginalMessage(message_id=entry.get("rfc_message_id") or _rfc_message_id(entry["message_id"])),
    )
    return take_facts(arrival, Facts(reading, BounceSource.SMTP_LOG, entry.get("occurred_at")))


def _rfc_message_id(text: str) -> str:
    identifier = parse_id(text)
    rows = Message.objects.across_workspaces().filter(pk=identifier) if identifier else None
    return (rows.values_list("rfc_message_id", flat=True).first() or "") if rows is not None else ""


def _recipient(entry: dict[str, Any]) -> ReportedRecipient:
    code, enhanced = entry.get("smtp_code"), entry.get("enhanced_code") or ""
    said = " ".join(str(part) for part in (code, enhanced, entry.get("diagnostic")) if part)
    found = verdict(Action.FAILED, enhanced, said)
    # Who reads the log may know better than codes and words tell; only what is plainly no fault of the address stays.
    stated = entry.get("type")
    permanence = Permanence(stated) if stated else found.permanence
    is_dead = found.suppress or (stated == BounceType.HARD and found.fault == Fault.RECIPIENT)
    return ReportedRecipient(
        address=entry["email"].email,
        alternatives=(),
        action=Action.FAILED,
        status=found.status,
        code=found.code or code,
        permanence=permanence,
        disposition=Disposition.PERMANENT,
        reason=found.reason,
        fault=found.fault,
        suppress=is_dead and permanence is Permanence.HARD,
        diagnostic=entry.get("diagnostic") or found.diagnostic,
    )
