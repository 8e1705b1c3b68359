"""The capture transport: mail that goes through every rule and lands in an inbox here instead of leaving.

What a server would have said is played by the scripts of apps.delivery.scripts.
"""

from collections.abc import Sequence
from email.parser import BytesHeaderParser
from uuid import UUID

from apps.core import clock
from apps.core.database import DatabaseAway, database
from apps.core.ids import new_id
from apps.core.rows import insert
from apps.delivery.models import CapturedMessage
from apps.delivery.scripts import ACCEPTED, DROPPED, scripted
from apps.delivery.services.gate import Gate
from apps.delivery.work import Carriage, Carried, NotCarried, Parcel
from apps.messages.models import Message
from apps.messages.services.outcomes import Holding
from apps.protocols.smtp import Exchange

END_OF_HEADER = b"\r\n\r\n"


async def carry(parcel: Parcel, gate: Gate) -> Carriage:
    """Keeps the parcel for every recipient whose script lets it in."""
    if fault := await parcel.fault():
        return fault
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


def _keep(message_id: UUID, holdings: Sequence[Holding], sender: str, content: bytes) -> None:
    """Once per recipient, as a mailbox would; a repeat after an ambiguous attempt shows as a second copy."""
    if not holdings:
        return
    rows = Message.objects.across_workspaces().filter(pk=message_id)
    subject, name, email = rows.values_list("subject", "from_name", "from_email").first() or ("", "", "")
    shared = {
        "message_id": message_id,
        "sender": sender,
        "author": f"{name} <{email}>" if name else email,
        "subject": subject,
        "source": content,
        "size": len(content),
        "has_attachments": _has_attachments(content),
        "received_at": clock.now(),
    }
    insert(
        CapturedMessage,
        [{"id": new_id(), "workspace_id": h.workspace_id, "inbox": h.email, **shared} for h in holdings],
    )


def _has_attachments(content: bytes) -> bool:
    """From the header alone: a mail with attachments is mixed at its top (RFC 2046, 5.1.3), as we compose it."""
    header = content[: content.find(END_OF_HEADER) + len(END_OF_HEADER)]
    return BytesHeaderParser().parsebytes(header).get_content_type() == "multipart/mixed"
