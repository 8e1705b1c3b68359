"""Reports find their message and their recipient, and only what a stranger cannot know may touch one."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings

from apps.core import clock
from apps.inbound.models import Report
from apps.inbound.services.reports import raw_of, sweep
from apps.messages.models import Bounce, Message, Recipient
from apps.messages.soft_bounces import REPEATED
from apps.messages.states import Status
from apps.suppressions.models import Suppression
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import EVENTS, MESSAGES, SEND, Api, mail
from tests.conftest import World
from tests.inbound.conftest import Doors
from tests.inbound.making import BOUNCES, COMPLAINTS, arf, dsn, make_sent, recipient_of, return_path

OPENED = (BOUNCES, COMPLAINTS)


def report_of(answer: Any) -> Report:
    assert answer.status == 202, answer
    return Report.objects.get(pk=answer.data["id"])


def types(api: Api, message: Message) -> list[str]:
    """Of all events of the message, oldest first; how it was accepted is left out."""
    rows = api.get(EVENTS, {"messageId": str(message.pk)}).rows
    return [row["type"] for row in reversed(rows) if row["type"] != "mail.message.queued"]


def suppressions(workspace: Workspace) -> list[tuple[str, str, str]]:
    rows = Suppression.objects.of(workspace.pk).order_by("key")
    return list(rows.values_list("email", "reason", "source"))


def unharmed(message: Message) -> bool:
    """Whether nothing followed for anybody."""
    workspace = message.workspace_id
    states = set(Recipient.objects.of(workspace).filter(message=message).values_list("status", flat=True))
    return (
        states == {"sent"}
        and not Bounce.objects.of(workspace).exists()
        and not Suppression.objects.of(workspace).exists()
    )


def test_a_late_bounce_ends_its_recipient_and_suppresses_the_dead_address(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace)

    answer = doors.post(BOUNCES, dsn(message), return_path(message), sender="")

    report = report_of(answer)
    assert (report.status, report.matched_by, report.message_id) == ("matched", "return_path", message.pk)
    shown = api.get(f"{MESSAGES}/{message.pk}").data
    assert shown["status"] == "bounced"
    (bounce,) = api.get(f"{MESSAGES}/{message.pk}/bounces").rows
    assert (bounce["email"], bounce["type"], bounce["source"]) == ("ada@example.com", "hard", "dsn")
    assert (bounce["smtpCode"], bounce["enhancedCode"]) == (550, "5.1.1")
    assert "User unknown" in bounce["diagnostic"]
    assert bounce["suppressionId"] == str(Suppression.objects.of(message.workspace_id).get().pk)
    assert suppressions(world.owner.workspace) == [("ada@example.com", "hard_bounce", "bounce_processor")]
    assert types(api, message) == ["mail.message.bounced", "mail.suppression.created"]
    assert api.post(SEND, mail()).data["status"] == "suppressed"
    timeline = api.get(f"{MESSAGES}/{message.pk}/timeline").rows
    assert timeline[1]["metadata"]["reportId"] == answer.data["id"]


@pytest.mark.parametrize("door", OPENED)
def test_the_same_report_counts_once(doors: Doors, world: World, door: str) -> None:
    message = make_sent(world.owner.workspace)
    path = return_path(message)
    first = doors.post(door, dsn(message), path)
    before = stored.everything()

    again = doors.post(door, dsn(message), path)

    assert (again.status, again.data) == (202, first.data)
    assert stored.everything() == before


def test_the_same_report_to_somebody_else_is_another(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    first, second = (doors.post(BOUNCES, dsn(message), address) for address in ("a@shop.example", "b@shop.example"))

    assert first.data["id"] != second.data["id"]
    assert Bounce.objects.of(message.workspace_id).count() == 1


def test_a_second_report_about_the_same_recipient_adds_no_bounce(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace)
    doors.post(BOUNCES, dsn(message, diagnostic="452 4.2.2 mailbox full", status="4.2.2"), return_path(message))

    answer = doors.post(BOUNCES, dsn(message), return_path(message))

    assert report_of(answer).status == "matched"
    assert Bounce.objects.of(message.workspace_id).count() == 1
    # That the address is dead is known now, whatever was reported before.
    assert suppressions(world.owner.workspace) == [("ada@example.com", "hard_bounce", "bounce_processor")]
    assert types(api, message) == ["mail.message.bounced", "mail.suppression.created"]


def test_without_a_return_path_the_message_id_tells(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    report = report_of(doors.post(BOUNCES, dsn(message)))

    assert (report.status, report.matched_by) == ("matched", "message_id")
    assert recipient_of(message).status == Status.BOUNCED


def test_headers_that_came_back_tell_last(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    original = f"Message-ID: <new@relay.example>\r\nX-Original-Message-ID: <{message.rfc_message_id}>".encode()
    raw = dsn(message).replace(f"Message-ID: <{message.rfc_message_id}>".encode(), original)

    report = report_of(doors.post(BOUNCES, raw))

    assert (report.status, report.matched_by) == ("matched", "headers")
    assert recipient_of(message).status == Status.BOUNCED


def test_a_return_path_in_the_headers_that_came_back_is_as_good(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    path = f"Return-Path: <{return_path(message)}>\r\nSubject: Your order".encode()
    raw = dsn(message, message_id="other@relay.example").replace(b"Subject: Your order", path)

    report = report_of(doors.post(BOUNCES, raw))

    assert (report.status, report.matched_by) == ("matched", "return_path")


def test_of_several_recipients_the_one_named_is_meant(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace, ["ada@example.com", "bob@example.com"])

    # The return path names the first of those who shared a transaction.
    doors.post(BOUNCES, dsn(message, "bob@example.com"), return_path(message, "ada@example.com"))

    assert recipient_of(message, "ada@example.com").status == Status.SENT
    assert recipient_of(message, "bob@example.com").status == Status.BOUNCED
    assert api.get(f"{MESSAGES}/{message.pk}").data["status"] == "bounced"
    assert suppressions(world.owner.workspace) == [("bob@example.com", "hard_bounce", "bounce_processor")]


def test_the_spelling_of_the_address_does_not_matter(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    report = report_of(doors.post(BOUNCES, dsn(message, "ADA@Example.COM"), return_path(message).upper()))

    assert (report.status, report.matched_by) == ("matched", "return_path")


def test_who_names_nobody_means_the_only_recipient_and_suppresses_nobody(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    raw = b"From: MAILER-DAEMON@relay.example\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\n"
    raw += b"Your message could not be delivered.\r\n"

    report = report_of(doors.post(BOUNCES, raw, return_path(message)))

    assert (report.kind, report.status) == ("bounce", "matched")
    assert Bounce.objects.of(message.workspace_id).get().type == "unknown"
    assert suppressions(world.owner.workspace) == []


def test_who_names_nobody_of_several_touches_nobody(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace, ["ada@example.com", "bob@example.com"])
    raw = b"From: MAILER-DAEMON@relay.example\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\n"
    raw += b"Your message could not be delivered.\r\n"

    report = report_of(doors.post(BOUNCES, raw, return_path(message)))

    assert report.status == "unmatched"
    assert "whom of several" in report.explanation
    assert unharmed(message)


def test_a_forged_return_path_touches_nobody_even_beside_a_right_message_id(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    forged = return_path(message, secret=b"of somebody else")

    report = report_of(doors.post(BOUNCES, dsn(message), forged))

    assert report.status == "forged"
    assert "did not sign" in report.explanation
    assert unharmed(message)


def test_somebody_to_whom_the_message_never_went_is_not_touched(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    report = report_of(doors.post(BOUNCES, dsn(message, "eve@example.com"), return_path(message)))

    assert (report.status, report.message_id, report.workspace_id) == ("forged", message.pk, None)
    assert unharmed(message)


def test_a_message_id_that_we_never_gave_is_kept_and_touches_nobody(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    other_domain = message.rfc_message_id.partition("@")[0] + "@evil.example"

    report = report_of(doors.post(BOUNCES, dsn(message, message_id=other_domain)))

    assert report.status == "unmatched"
    assert raw_of(report) == dsn(message, message_id=other_domain)
    assert "evil.example" not in report.raw_sealed
    assert unharmed(message)


def test_what_was_not_handed_over_yet_cannot_have_bounced(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    Recipient.objects.of(message.workspace_id).update(status=Status.DEFERRED)

    report = report_of(doors.post(BOUNCES, dsn(message), return_path(message)))

    assert report.status == "unmatched"
    assert recipient_of(message).status == Status.DEFERRED


def test_a_report_faster_than_our_own_record_comes_again(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    Recipient.objects.of(message.workspace_id).update(status=Status.SENDING)
    before = stored.everything()

    answer = doors.post(BOUNCES, dsn(message), return_path(message))

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert stored.everything() == before


@pytest.mark.parametrize(
    ("status", "diagnostic", "bounce"),
    [
        ("5.7.1", "550 5.7.1 Message blocked: your IP is listed by a block list", "hard"),
        ("5.7.26", "550 5.7.26 Unauthenticated email is not accepted due to DMARC policy", "hard"),
        ("5.3.4", "552 5.3.4 Message too large", "hard"),
        ("4.4.7", "delivery temporarily suspended: connection timed out", "soft"),
        ("5.2.2", "552 5.2.2 Mailbox full", "soft"),
    ],
)
def test_what_is_no_fault_of_the_address_suppresses_nobody(
    doors: Doors, world: World, status: str, diagnostic: str, bounce: str
) -> None:
    message = make_sent(world.owner.workspace)

    doors.post(BOUNCES, dsn(message, status=status, diagnostic=diagnostic), return_path(message))

    assert Bounce.objects.of(message.workspace_id).get().type == bounce
    assert recipient_of(message).status == Status.BOUNCED
    assert suppressions(world.owner.workspace) == []


def test_a_delay_is_told_and_changes_nothing(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace)

    report = report_of(
        doors.post(BOUNCES, dsn(message, action="delayed", status="4.4.1", diagnostic="no route"), return_path(message))
    )

    assert (report.kind, report.status) == ("delay", "matched")
    assert types(api, message) == ["mail.delivery.delayed"]
    assert unharmed(message)


def test_a_success_is_told_and_changes_nothing(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace)

    doors.post(
        BOUNCES, dsn(message, action="delivered", status="2.1.5", diagnostic="250 2.1.5 OK"), return_path(message)
    )

    assert types(api, message) == ["mail.delivery.delivered"]
    assert unharmed(message)


def test_an_automatic_answer_is_told_apart(doors: Doors, api: Api, world: World) -> None:
    message = make_sent(world.owner.workspace)
    raw = (
        f"From: ada@example.com\r\nTo: shop@shop.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n"
        f"In-Reply-To: <{message.rfc_message_id}>\r\n\r\nI am away until Monday.\r\n"
    )

    report = report_of(doors.post(BOUNCES, raw.encode(), return_path(message)))

    assert (report.kind, report.status) == ("auto_reply", "ignored")
    assert types(api, message) == []
    assert unharmed(message)


@pytest.mark.parametrize("signed", [True, False], ids=["signed return path", "only a Message-ID"])
def test_a_complaint_suppresses_at_once(doors: Doors, api: Api, world: World, signed: bool) -> None:
    message = make_sent(world.owner.workspace)

    answer = doors.post(COMPLAINTS, arf(message, path=return_path(message) if signed else ""), "fbl@shop.example")

    assert report_of(answer).status == "matched"
    assert suppressions(world.owner.workspace) == [("ada@example.com", "complaint", "future_complaint_processor")]
    assert types(api, message) == ["mail.message.complained", "mail.suppression.created"]
    assert recipient_of(message).status == Status.SENT
    assert not Bounce.objects.of(message.workspace_id).exists()


def test_a_complaint_whose_address_is_made_unreadable_means_the_only_recipient(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    doors.post(COMPLAINTS, arf(message, "redacted@example.com", path=return_path(message)))

    assert suppressions(world.owner.workspace) == [("ada@example.com", "complaint", "future_complaint_processor")]


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_what_is_no_complaint_suppresses_nobody(doors: Doors, api: Api, world: World, kind: str) -> None:
    message = make_sent(world.owner.workspace)

    report = report_of(doors.post(COMPLAINTS, arf(message, kind=kind, path=return_path(message))))

    assert report.status == "matched"
    assert types(api, message) == []
    assert unharmed(message)


def test_a_complaint_about_somebody_else_or_with_a_forged_path_touches_nobody(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)

    about_eve = doors.post(COMPLAINTS, arf(message, "eve@example.com", path=return_path(message)))
    forged = doors.post(COMPLAINTS, arf(message, path=return_path(message, secret=b"of somebody else")))

    assert [report_of(answer).status for answer in (about_eve, forged)] == ["forged", "forged"]
    assert unharmed(message)


def entry(**changes: Any) -> bytes:
    body = {"email": "ada@example.com", "smtpCode": 550, "enhancedCode": "5.1.1", "diagnostic": "User unknown"}
    return json.dumps({name: value for name, value in (body | changes).items() if value is not None}).encode()


@pytest.mark.parametrize("by", ["messageId", "rfcMessageId"])
def test_an_entry_of_a_log_is_a_bounce_too(doors: Doors, api: Api, world: World, by: str) -> None:
    message = make_sent(world.owner.workspace)
    named = {"messageId": str(message.pk), "rfcMessageId": f"<{message.rfc_message_id}>"}[by]
    raw = entry(**{by: named}, occurredAt="2026-05-12T09:00:00Z")

    first = doors.post(BOUNCES, raw, content_type="application/json")
    again = doors.post(BOUNCES, raw, content_type="application/json")

    assert (first.status, again.data) == (202, first.data)
    (bounce,) = api.get(f"{MESSAGES}/{message.pk}/bounces").rows
    assert (bounce["type"], bounce["source"], bounce["smtpCode"]) == ("hard", "smtp_log", 550)
    assert bounce["occurredAt"] == "2026-05-12T09:00:00.000Z"
    assert suppressions(world.owner.workspace) == [("ada@example.com", "hard_bounce", "bounce_processor")]


@pytest.mark.parametrize(
    ("changes", "kind", "suppressed"),
    [
        ({"type": "hard", "smtpCode": None, "enhancedCode": None, "diagnostic": None}, "hard", True),
        ({"type": "soft"}, "soft", False),
        ({"type": "hard", "enhancedCode": "5.7.1", "diagnostic": "blocked by policy"}, "hard", False),
        ({"smtpCode": 452, "enhancedCode": "4.2.2", "diagnostic": "full"}, "soft", False),
        ({"smtpCode": None, "enhancedCode": None, "diagnostic": None}, "unknown", False),
    ],
)
def test_an_entry_says_of_which_type_it_is(
    doors: Doors, world: World, changes: dict[str, Any], kind: str, suppressed: bool
) -> None:
    message = make_sent(world.owner.workspace)

    doors.post(BOUNCES, entry(messageId=str(message.pk), **changes), content_type="application/json")

    assert Bounce.objects.of(message.workspace_id).get().type == kind
    assert bool(suppressions(world.owner.workspace)) is suppressed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "messageId"),
        ({"messageId": "x", "rfcMessageId": "y"}, "messageId"),
        ({"messageId": "x", "email": "nobody"}, "email"),
        ({"messageId": "x", "type": "dead"}, "type"),
        ({"messageId": "x", "smtpCode": "550"}, "smtpCode"),
        ({"messageId": "x", "reason": "y"}, "reason"),
    ],
)
def test_an_entry_that_is_none_is_refused(doors: Doors, world: World, changes: dict[str, Any], field: str) -> None:
    before = stored.everything()

    answer = doors.post(BOUNCES, entry(**changes), content_type="application/json")

    assert (answer.status, answer.code, list(answer.fields)) == (400, "validation_error", [field])
    assert stored.everything() == before


def test_an_entry_about_what_is_unknown_is_kept(doors: Doors, world: World) -> None:
    report = report_of(doors.post(BOUNCES, entry(messageId="nothing"), content_type="application/json"))

    assert report.status == "unmatched"


@pytest.mark.parametrize("raw", [b"\0" * 100_000, b"\xff\xfe" * 12_000, b"no header at all", b"\r\n", b"Subject:\r\n"])
@pytest.mark.parametrize("door", OPENED)
def test_what_cannot_be_read_is_kept(doors: Doors, door: str, raw: bytes) -> None:
    report = report_of(doors.post(door, raw, "who\ud800\0@x".replace("\0", "").encode("utf-8", "replace").decode()))

    assert (report.status, report.size) == ("ignored", len(raw))
    assert raw_of(report) == raw


def test_old_mail_is_forgotten_and_what_matched_stays(doors: Doors, world: World) -> None:
    message = make_sent(world.owner.workspace)
    doors.post(BOUNCES, dsn(message), return_path(message))
    doors.post(BOUNCES, dsn(message_id="x@y.example"))
    now = clock.now()

    assert sweep(now + timedelta(days=29)) == 0
    assert sweep(now + timedelta(days=31)) == 2
    assert [raw_of(report) for report in Report.objects.all()] == [b"", b""]
    assert sweep(now + timedelta(days=91)) == 1
    assert Report.objects.get().status == "matched"


class TestDoors:
    @pytest.mark.parametrize("path", OPENED)
    @pytest.mark.parametrize("token", [None, "", "wrong", "the-servers-own-toke", "the-servers-own-token2", "tökén"])
    def test_a_wrong_token_is_refused(self, doors: Doors, path: str, token: str | None) -> None:
        before = stored.everything()

        answer = Doors(token).post(path, b"Subject: x\r\n\r\n")

        assert (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
        assert stored.everything() == before

    @pytest.mark.parametrize("path", OPENED)
    def test_an_api_key_is_refused(self, doors: Doors, world: World, path: str) -> None:
        answer = Doors(world.owner.key).post(path, b"Subject: x\r\n\r\n")

        assert (answer.status, answer.code) == (401, "unauthorized")

    def test_the_token_is_no_api_key(self, doors: Doors) -> None:
        assert doors.api.get(MESSAGES).status == 401

    def test_the_token_in_the_address_is_refused(self, doors: Doors) -> None:
        from_address = Doors(None).post(BOUNCES, b"Subject: x\r\n\r\n", token="the-servers-own-token")
        from_both = doors.post(BOUNCES, b"Subject: x\r\n\r\n", token="the-servers-own-token")

        assert (from_address.status, from_both.status) == (401, 400)

    @pytest.mark.parametrize("path", OPENED)
    def test_without_a_token_of_the_servers_there_is_no_door(
        self, doors: Doors, settings: LazySettings, path: str
    ) -> None:
        settings.MAIL_INTERNAL_TOKEN = ""

        for token in ("", "the-servers-own-token"):
            assert Doors(token).post(path, b"Subject: x\r\n\r\n").status == 404

    def test_too_much_is_refused(self, doors: Doors, settings: LazySettings) -> None:
        settings.MAIL_INBOUND_MAX_BYTES = 1000

        answers = [doors.post(BOUNCES, b"x" * size) for size in (1000, 1001)]

        assert [answer.status for answer in answers] == [202, 413]
        assert answers[1].code == "payload_too_large"

    def test_nothing_and_other_things_are_refused(self, doors: Doors) -> None:
        nothing = doors.post(BOUNCES, b"")
        form = doors.post(BOUNCES, b"a=b", content_type="application/x-www-form-urlencoded")
        json_complaint = doors.post(COMPLAINTS, b"{}", content_type="application/json")
        many = doors.post(BOUNCES, b"x", [f"a{n}@x.example" for n in range(101)])

        assert [answer.status for answer in (nothing, form, json_complaint, many)] == [400, 415, 415, 400]
        assert doors.api.get(BOUNCES).status == 405


def test_a_mailbox_that_reports_say_is_full_again_and_again_is_suppressed(doors: Doors, world: World) -> None:
    for number in range(REPEATED.bounces):
        assert suppressions(world.owner.workspace) == []
        message = make_sent(world.owner.workspace)
        full = dsn(message, status="5.2.2", diagnostic=f"552 5.2.2 Mailbox full ({number})")
        doors.post(BOUNCES, full, return_path(message))

    assert suppressions(world.owner.workspace) == [("ada@example.com", "repeated_soft_bounce", "bounce_processor")]
