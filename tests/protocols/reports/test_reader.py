"""Mail that comes back is read: its sort, whom it is about, what is said of each, and which message it names."""

import json
import subprocess
import sys

import pytest

from apps.protocols.reports.prediction import prediction
from apps.protocols.reports.reader import read_report
from apps.protocols.reports.types import Complaint, Kind, Permanence, Report
from tests.protocols.reports.samples import ROOT, SAMPLES, Sample, read, samples


def about(report: Report) -> list[dict[str, object]]:
    """Those who did not get the message, as the table of expectations has them."""
    return [
        {
            "address": one.address,
            "alternatives": list(one.alternatives),
            "class": str(one.permanence),
            "status": one.status,
            "reply": str(one.code) if one.code else None,
            "disposition": str(one.disposition),
        }
        for one in report.recipients
        if one.disposition is not None
    ]


def mail(body: str, *, subject: str = "Undelivered Mail", sender: str = "MAILER-DAEMON@mx.receiver.example") -> bytes:
    return f"From: {sender}\nTo: b-token@bounces.sender.example\nSubject: {subject}\n\n{body}".encode()


def dsn(fields: str) -> bytes:
    head = "From: MAILER-DAEMON@mx.receiver.example\nTo: b@sender.example\nSubject: Returned mail\n"
    kind = "Content-Type: multipart/report; report-type=delivery-status; boundary=k\n\n"
    part = "--k\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.receiver.example\n\n"
    return f"{head}{kind}{part}{fields}\n--k--\n".encode()


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_each_family_of_reports_is_read(sample: Sample) -> None:
    report = read_report(sample.raw)

    assert prediction(report)["kind"] == sample.kind
    assert about(report) == sample.recipients


def test_every_sample_has_its_expectation() -> None:
    assert {path.name for path in SAMPLES.glob("*.eml")} == {sample.name for sample in samples()}


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_line_ends_do_not_matter(sample: Sample) -> None:
    crlf = sample.raw.replace(b"\n", b"\r\n")

    assert about(read_report(crlf)) == sample.recipients


def test_the_returned_message_is_identified() -> None:
    original = read("postfix-failed").original

    assert original.message_id == "<order-1@sender.example>"
    assert original.return_path == "b-token@bounces.sender.example"
    assert original.envelope_id == "env-1"
    assert original.from_ == "Shop <orders@sender.example>"
    assert original.to == "ann@receiver.example"
    assert original.subject == "Your order"
    assert dict(original.headers)["date"] == "Mon, 3 Mar 2025 10:00:00 +0000"


@pytest.mark.parametrize("name", ["exim-failed", "qmail-failed", "sendmail-expanded", "rfc6533", "groupwise"])
def test_a_copy_in_the_text_or_only_headers_identify_it_too(name: str) -> None:
    assert read(name).original.message_id == "<order-1@sender.example>"


def test_what_answers_a_message_names_it_where_no_copy_came_back() -> None:
    raw = b"In-Reply-To: <order-1@sender.example>\n" + mail("<ann@receiver.example>: user unknown")

    assert read_report(raw).original.message_id == "<order-1@sender.example>"


def test_the_address_that_the_report_came_to_is_told() -> None:
    assert read("exim-failed").sent_to == ("b-token@bounces.sender.example",)


def test_a_complaint_is_read_field_by_field() -> None:
    report = read("abuse-report")

    assert report.kind is Kind.COMPLAINT
    assert report.recipients == ()
    assert report.original.message_id == "<order-1@sender.example>"
    assert report.complaint == Complaint(
        feedback_type="abuse",
        user_agent="Example-Feedback/1.0",
        version="1",
        source_ip="192.0.2.10",
        original_mail_from="b-token@bounces.sender.example",
        original_rcpt_to=("ann@receiver.example",),
        reported_domain=("sender.example",),
        arrival_date="Mon, 3 Mar 2025 10:00:00 +0000",
        reporting_mta="dns; mx.provider.example",
        fields=(
            "arrival-date",
            "feedback-type",
            "original-mail-from",
            "original-rcpt-to",
            "reported-domain",
            "reporting-mta",
            "source-ip",
            "user-agent",
            "version",
        ),
    )


def test_hotmails_complaint_without_a_report_part_names_the_complainant() -> None:
    report = read("abuse-report-bare")

    assert report.complaint is not None
    assert report.complaint.feedback_type == "abuse"
    assert report.complaint.original_rcpt_to == ("ann@receiver.example",)
    assert report.original.message_id == "<order-1@sender.example>"


def test_not_spam_keeps_its_type() -> None:
    raw = (SAMPLES / "abuse-report.eml").read_bytes().replace(b"Feedback-Type: abuse", b"Feedback-Type: not-spam")
    complaint = read_report(raw).complaint

    assert complaint is not None
    assert complaint.feedback_type == "not-spam"


@pytest.mark.parametrize(
    ("name", "suppress"),
    [
        ("postfix-failed", [True]),  # 5.1.1
        ("exim-failed", [True]),  # 550, and words that leave no doubt
        ("qmail-failed", [True, False]),  # one unknown, one unreachable
        ("policy-block", [False]),  # a block list, though it says "user unknown" as well
        ("block-behind-5.1.1", [False]),  # the reporter's 5.1.1 over the receiver's 5.7.1
        ("mailbox-full-caption", [False]),
        ("codes-in-conflict", [False]),
        ("postfix-delayed", [False]),
    ],
)
def test_only_a_dead_address_is_to_be_suppressed(name: str, suppress: list[bool]) -> None:
    assert [one.suppress for one in read(name).recipients] == suppress


@pytest.mark.parametrize(
    ("fields", "status", "permanence"),
    [
        ("Action: failed\nStatus: 5.1.1 (bad mailbox)", "5.1.1", Permanence.HARD),
        ("Action: failed\nStatus: 4.4.7", "4.4.7", Permanence.SOFT),  # given up after temporary failures
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.2.1 disabled", "5.2.1", Permanence.HARD),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 450 4.2.2 full", "5.0.0", Permanence.UNKNOWN),
        ("Action: failed\nStatus: 5.1\nDiagnostic-Code: X-Notes; no", None, Permanence.HARD),
        ("Action: failed\nStatus: 9.9.9\nDiagnostic-Code: X-Notes; strange", None, Permanence.UNKNOWN),
        ("Action: failed\nStatus: 5.1.1.1\nDiagnostic-Code: X-Notes; strange", None, Permanence.HARD),
        ("Action: failed\nStatus: 553 too large", None, Permanence.HARD),
        ("Action: failed\nStatus:\nDiagnostic-Code: smtp; 550 no", None, Permanence.HARD),
        ("Action: failed\nDiagnostic-Code: smtp; host [5.1.1.7] said nothing", None, Permanence.UNKNOWN),
        ("Action: delayed\nStatus: 5.1.1", "5.1.1", Permanence.SOFT),
    ],
)
def test_permanence_follows_the_codes(fields: str, status: str | None, permanence: Permanence) -> None:
    (one,) = read_report(dsn(f"Final-Recipient: rfc822; ann@receiver.example\n{fields}\n")).recipients

    assert (one.status, one.permanence) == (status, permanence)


@pytest.mark.parametrize(
    ("words", "permanence"),
    [
        ("User unknown", Permanence.HARD),
        ("There is no such user here", Permanence.HARD),
        ("Host not found", Permanence.HARD),
        ("The mailbox is full", Permanence.SOFT),
        ("Quota exceeded", Permanence.SOFT),
        ("Connection timed out", Permanence.SOFT),
        ("Unable to deliver message after multiple retries, giving up", Permanence.SOFT),
        ("We would rather not", Permanence.UNKNOWN),
    ],
)
def test_without_a_code_the_words_tell(words: str, permanence: Permanence) -> None:
    (one,) = read_report(mail(f"Could not be delivered:\n\n<ann@receiver.example>:\n{words}\n")).recipients

    assert (one.status, one.code, one.permanence) == (None, None, permanence)


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ("host mx said: 550 5.1.1 no such user", "5.1.1", 550),
        ("host mx said: 550-5.7.26 first\n    550 5.7.26 second", "5.7.26", 550),
        ("550 #5.1.0 Address rejected", "5.1.0", 550),
        ("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1", None),
        ("552: 5.2.2 over quota", "5.2.2", 552),
        ("<<< 421 too busy", None, 421),
        ("Exim 4.80.1 on port 587 gave up on 550 messages", None, None),
        ("at 192.0.2.4 on 5.1.2025", None, None),
    ],
)
def test_replies_are_found_in_prose(line: str, status: str | None, code: int | None) -> None:
    (one,) = read_report(mail(f"Could not be delivered:\n\n<ann@receiver.example>:\n    {line}\n")).recipients

    assert (one.status, one.code) == (status, code)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822; ann@receiver.example", "ann@receiver.example"),
        ("RFC822;<ann@receiver.example>", "ann@receiver.example"),
        ("ann@receiver.example", "ann@receiver.example"),
        ("rfc822; ann@receiver.example (Ann)", "ann@receiver.example"),
        ("rfc822; @relay.example:ann@receiver.example", "ann@receiver.example"),
        ('rfc822; "ann smith"@receiver.example', '"ann smith"@receiver.example'),
        ("utf-8; \\x{E4}nn@receiver.example", "änn@receiver.example"),
        ("utf-8; \\x{D800}nn@receiver.example", "\\x{D800}nn@receiver.example"),
    ],
)
def test_addresses_of_all_types_are_read(value: str, address: str) -> None:
    (one,) = read_report(dsn(f"Final-Recipient: {value}\nAction: failed\nStatus: 5.1.1\n")).recipients

    assert one.address == address


def test_what_is_said_stays_one_safe_line() -> None:
    (one,) = read_report(
        dsn(
            "Final-Recipient: rfc822; a@b.example\nAction: failed\nDiagnostic-Code: smtp; 550 \x1b[31m"
            "\u202e" + "x" * 5_000
        )
    ).recipients

    assert one.diagnostic.isprintable()
    assert len(one.diagnostic) == 1_000


def test_a_report_is_told_in_the_form_that_is_scored() -> None:
    shown = prediction(read("qmail-failed"))

    assert json.loads(json.dumps(shown)) == {
        "kind": "bounce",
        "recipients": ["ann@receiver.example", "bob@away.example"],
        "class": {"ann@receiver.example": "hard", "bob@away.example": "soft"},
        "status": {"ann@receiver.example": "5.1.1", "bob@away.example": "4.4.1"},
        "reply": {"ann@receiver.example": None, "bob@away.example": None},
        "disposition": {"ann@receiver.example": "permanent", "bob@away.example": "permanent"},
    }


def test_a_complaint_is_told_with_nulls_for_what_is_absent() -> None:
    shown = prediction(read("abuse-report-bare"))

    assert (shown["kind"], shown["recipients"]) == ("arf", [])
    assert shown["arf"]["source_ip"] is None
    assert shown["arf"]["original"]["message-id"] == "<order-1@sender.example>"


def test_a_delivered_recipient_is_nothing_to_act_on() -> None:
    report = read("success")

    assert [one.address for one in report.recipients] == ["ann@receiver.example"]
    assert prediction(report)["recipients"] == []


def test_a_child_process_can_read_without_the_framework() -> None:
    code = "import sys, apps.protocols.reports.reader; print('django' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
