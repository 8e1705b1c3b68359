"""The capture transport: mail that goes through every rule and lands in an inbox here instead of leaving.

Local parts script what a server would have said: `bounce@`, `bounce+550-5.1.1@`, `defer@`, `defer+2@`, `drop@`.
"""

import re
from collections.abc import Sequence
from uuid import UUID

from apps.core import clock
from apps.core.ids import new_id
from apps.core.rows import insert
from apps.delivery.database import DatabaseAway, database
from apps.delivery.models import CapturedMessage
from apps.delivery.services.gate import Gate
from apps.delivery.work import Carriage, Carried, NotCarried, Parcel, Unwritable
from apps.messages.models import Message
from apps.messages.services.outcomes import Holding
from apps.protocols.smtp import Answer, Exchange, Failure, FailureKind, Phase, Reply

BOUNCE = re.compile(r"bounce(?:\+([45]\d\d)(?:-([245]\.\d{1,3}\.\d{1,3}))?)?")
DEFER = re.compile(r"defer(?:\+(\d{1,3}))?")
DROP = re.compile(r"drop(?:\+(\d{1,3}))?")
ACCEPTED = Reply(250, "2.0.0", "captured", Phase.DOT, 0)
UNKNOWN_USER = Reply(550, "5.1.1", "no such user (scripted)", Phase.RCPT, 0)
LATER = Reply(451, "4.7.1", "greylisted, come back later (scripted)", Phase.RCPT, 0)
DROPPED = Failure(FailureKind.CLOSED, Phase.DOT, "the connection was dropped after the message (scripted)", 0)


async def carry(parcel: Parcel, gate: Gate) -> Carriage:
    """Keeps the parcel for every recipient whose script lets it in."""
    if fault := parcel.fault():
        return Unwritable(fault)
    started_at = clock.now()
    answers = {holding.email: scripted(holding, parcel.letter.scenario) for holding in parcel.holdings}
    accepted = [holding for holding in parcel.holdings if answers[holding.email] is ACCEPTED]
    handed_over = [*accepted, *(h for h in parcel.holdings if answers[h.email] is DROPPED)]
    content = parcel.letter.content
    try:
        if handed_over:
            if not await gate.passes(handed_over):
                return NotCarried()
            await database(_keep, parcel.letter.message_id, accepted, parcel.sender, content)
    except DatabaseAway:
        return NotCarried()
    return Carried(
        answers=answers,
        started_at=started_at,
        finished_at=clock.now(),
        transport="capture",
        host="capture",
        transcript=[Exchange(f"RCPT TO:<{email}>", answer) for email, answer in answers.items()],
        is_ambiguous=any(answer is DROPPED for answer in answers.values()),
    )


def scripted(holding: Holding, scenario: str) -> Answer:
    """What the server plays for this address, or for the scenario that a test key asked for."""
    local = holding.email.rpartition("@")[0].lower()
    if scenario == "bounced":
        return UNKNOWN_USER
    if scenario:  # a test key's, which says more than the address
        return LATER if scenario == "delayed" and holding.attempt_count == 0 else ACCEPTED
    if found := BOUNCE.fullmatch(local):
        return _refusal(*found.groups())
    if found := DEFER.fullmatch(local):
        times = int(found[1]) if found[1] else None
        return LATER if times is None or holding.attempt_count < times else ACCEPTED
    if found := DROP.fullmatch(local):
        return DROPPED if holding.attempt_count < int(found[1] or 1) else ACCEPTED
    return ACCEPTED


def _refusal(code: str | None, enhanced: str | None) -> Answer:
    if code is None:
        return UNKNOWN_USER
    return Reply(int(code), enhanced, "refused (scripted)", Phase.RCPT, 0)


def _keep(message_id: UUID, holdings: Sequence[Holding], sender: str, content: bytes) -> None:
    """Once per recipient, as a mailbox would; a repeat after an ambiguous attempt shows as a second copy."""
    now = clock.now()
    subject = Message.objects.across_workspaces().filter(pk=message_id).values_list("subject", flat=True).first()
    rows = [
        {
            "id": new_id(),
            "workspace_id": holding.workspace_id,
            "message_id": message_id,
            "inbox": holding.email,
            "sender": sender,
            "subject": subject or "",
            "source": content,
            "received_at": now,
        }
        for holding in holdings
    ]
    if rows:
        insert(CapturedMessage, rows)
