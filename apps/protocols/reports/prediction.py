"""A report as one flat JSON object: the form in which readers of bounces are compared with each other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apps.protocols.reports.types import Action, Complaint, Kind, OriginalMessage, Report

_KINDS = {
    Kind.BOUNCE: "bounce",
    Kind.DELAY: "delay",
    Kind.SUCCESS: "success-dsn",
    Kind.AUTO_REPLY: "auto-reply",
    Kind.COMPLAINT: "arf",
    Kind.OTHER: "not-a-bounce",
}


def prediction(report: Report) -> dict[str, Any]:
    """Kind, the recipients to act on, and by address: class, status, reply and disposition."""
    found = [one for one in report.recipients if one.action in (Action.FAILED, Action.DELAYED)]
    shown: dict[str, Any] = {
        "kind": _KINDS[report.kind],
        "recipients": [one.address for one in found],
        "class": {one.address: str(one.permanence) for one in found},
        "status": {one.address: one.status for one in found},
        "reply": {one.address: str(one.code) if one.code else None for one in found},
        "disposition": {one.address: str(one.disposition) for one in found},
    }
    if report.complaint is not None:
        shown["arf"] = _complaint(report.complaint, report.original)
    return shown


def _complaint(complaint: Complaint, original: OriginalMessage) -> dict[str, Any]:
    """The fields of the report and of the message it is about; null where there is none."""
    fields = {name: value if value != "" else None for name, value in asdict(complaint).items()}
    about = {
        "message-id": original.message_id,
        "from": original.from_,
        "to": original.to,
        "subject": original.subject,
    }
    return fields | {"original": {name: value or None for name, value in about.items()}}
