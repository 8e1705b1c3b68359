"""No code stands anywhere but in the mail: not in a row, a log, an answer or a page (S32)."""

import email
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from apps.messages.models import MessageContent
from apps.otp.tasks import follow
from apps.workspaces.services import create_operator
from tests.client import Answer
from tests.delivery.conftest import Post, dns, post
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX
from tests.otp.conftest import CHALLENGES, OTP_SEND, OTP_VERIFY, code_in, request

__all__ = ["dns", "post"]  # fixtures
CODES = 40
# Digits that are in nothing by chance, as six of them are in a time.
LENGTH = 10


def rows() -> str:
    """Every row of every table, whoever's, but what the capture transport keeps, which is an inbox."""
    models = apps.get_models(include_auto_created=True)
    return str([list(model._base_manager.values()) for model in models])


def pages() -> Iterator[str]:
    """Every list and the page of every row about the codes."""
    console = Client()
    console.force_login(create_operator("ops@example.com", password="correct-horse-1"))
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield console.get(reverse(f"{label}_changelist")).content.decode()
        if model._meta.app_label in {"otp", "mail_messages", "events", "keys", "delivery"}:
            for pk in model._meta.base_manager.values_list("pk", flat=True)[:2]:
                page = console.get(reverse(f"{label}_change", args=(quote(pk),)))
                assert page.status_code == 200
                yield page.content.decode()
    for pk in MessageContent.objects.values_list("pk", flat=True)[:1]:
        for tab in ("html", "text", "headers", "source"):
            yield console.get(f"/admin/mail_messages/message/{pk}/change/?tab={tab}").content.decode()


def answers_about(post: Post, challenge: dict[str, Any]) -> Iterator[Answer]:
    yield post.api.get(f"{CHALLENGES}/{challenge['id']}")
    for part in ("", "/attempts", "/logs", "/timeline"):
        yield post.api.get(f"/v1/mail/messages/{challenge['messageId']}{part}")
    yield post.api.get("/v1/mail/events", {"resourceId": challenge["id"]})


def found(codes: list[str], text: str) -> list[str]:
    return [code for code in codes if code in text]


def test_codes_are_in_the_mail_and_nowhere_else(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.ERROR, "mail.log")  # the receiving server's own
    with SmtpSink() as server:
        post.goes_to(server)
        bodies = [request(to=f"r{n}@{INBOX}", codeLength=LENGTH, idempotencyKey=f"k{n}") for n in range(CODES)]
        sent = [post.api.post(OTP_SEND, body) for body in bodies]
        before = rows()
        sealed = list(MessageContent.objects.values_list("text", "html"))
        post.deliver()
        mails = server.wait_for(CODES)
    follow()
    challenges = [answer.data for answer in sent]
    code_for = {mail.rcpt_tos[0]: code_in(_text_of(mail.content)) for mail in mails}
    codes = [code_for[challenge["to"]] for challenge in challenges]
    assert len(set(codes)) == CODES

    # Before the mail is taken: sealed, and read by nobody.
    assert all(text and html for text, html in sealed)
    assert found(codes, before) == []
    # Afterwards there is nothing left to read.
    assert set(MessageContent.objects.values_list("text", "html")) == {(None, None)}
    told: list[Any] = [*sent, *(answer for challenge in challenges[:10] for answer in answers_about(post, challenge))]
    for challenge, code in zip(challenges[:10], codes[:10], strict=True):
        wrong = code[1:] + code[0] if code[1:] + code[0] != code else "0" * LENGTH
        told.append(post.api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": wrong}))
        told.append(post.api.post(OTP_VERIFY, {"challengeId": challenge["id"], "code": code}))
        assert told[-1].status == 200
    told += [post.api.get(CHALLENGES, {"limit": 100}), *(post.api.post(OTP_SEND, body) for body in bodies)]
    assert found(codes, str([(answer.body, answer.headers) for answer in told])) == []
    assert found(codes, rows()) == []
    assert found(codes, caplog.text) == []
    assert found(codes, "".join(pages())) == []


def _text_of(source: bytes) -> str:
    """The plain part of the mail."""
    message = email.message_from_bytes(source)
    (part,) = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()
