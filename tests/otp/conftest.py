"""Codes as their recipients see them, and everything else as the API shows it."""

import re
from datetime import datetime, timedelta
from typing import Any

from apps.core import clock
from apps.core.crypto import unseal
from apps.events.models import Event
from apps.messages.models import MessageContent
from apps.messages.services.new_rows import sealed_name
from apps.otp.models import Challenge
from tests.client import Api

OTP_SEND, OTP_VERIFY, CHALLENGES = "/v1/mail/otp/send", "/v1/mail/otp/verify", "/v1/mail/otp/challenges"
IN_MAIL = re.compile(r"^ {4}([0-9]{4,10})\r?$", re.MULTILINE)


def request(**changes: Any) -> dict[str, Any]:
    """The body of a request for a code that nothing is wrong with, and the changes; None leaves a field out."""
    body = {"from": "Shop <shop@shop.example>", "to": "ada@example.com", "purpose": "login"}
    return {name: value for name, value in (body | changes).items() if value is not None}


def issued(api: Api, **changes: Any) -> dict[str, Any]:
    """A new challenge."""
    answer = api.post(OTP_SEND, request(**changes))
    assert answer.status == 202, answer
    return dict(answer.data)


def code_of(challenge: dict[str, Any]) -> str:
    """The code in the mail that has not been sent yet."""
    content = MessageContent.objects.get(pk=challenge["messageId"])
    assert content.text
    return code_in(unseal(content.text, bound_to=sealed_name(content.pk)))


def code_in(text: str) -> str:
    (code,) = IN_MAIL.findall(text)
    return str(code)


def wrong(code: str) -> str:
    """Another code of the same length."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def stored_challenge(challenge: dict[str, Any]) -> Challenge:
    row: Challenge = Challenge.objects.across_workspaces().get(pk=challenge["id"])
    return row


def made_ago(challenge: dict[str, Any], age: timedelta) -> None:
    """As if it had been made so long ago."""
    row = stored_challenge(challenge)
    past: dict[str, datetime] = {"created_at": row.created_at - age, "expires_at": row.expires_at - age}
    Challenge.objects.of(row.workspace_id).filter(pk=row.pk).update(**past)


def expire(challenge: dict[str, Any]) -> None:
    """Its time is over by the database's clock."""
    rows = Challenge.objects.across_workspaces().filter(pk=challenge["id"])
    rows.update(expires_at=clock.database_now() - timedelta(seconds=1))


def told(challenge: dict[str, Any]) -> list[str]:
    """What the events say of it, without the prefix that all share."""
    events = Event.objects.across_workspaces().filter(resource_type="otp", resource_id=challenge["id"]).order_by("pk")
    return [event.type.removeprefix("mail.otp.") for event in events]


def last_event(challenge: dict[str, Any]) -> Event:
    events = Event.objects.across_workspaces().filter(resource_type="otp", resource_id=challenge["id"])
    event: Event = events.order_by("pk").last()
    return event
