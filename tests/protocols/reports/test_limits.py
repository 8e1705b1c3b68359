"""Hostile mail: every limit gives a report that says so, nothing raises, and time grows no faster than size."""

import random
import time

import pytest

from apps.protocols.reports.reader import read_report
from apps.protocols.reports.types import LIMITS, Kind, Limits
from tests.protocols.reports.samples import samples

HEAD = b"From: MAILER-DAEMON@x.example\nTo: b@sender.example\nSubject: Undelivered mail\nReturn-Path: <>\n"
TEXT = HEAD + b"Content-Type: text/plain\n\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=q\n\n"
REPORT = HEAD + b"Content-Type: multipart/report; boundary=q\n\n--q\nContent-Type: %s\n\n"
SMALL = Limits(octets=20_000, lines=200, fields=20, field_octets=500, parts=5, depth=3)
# Seconds of processor time: twenty times what these take, and far below what going back and forth would.
MANY = 5.0


def nested(depth: int) -> bytes:
    levels = b"".join(b"Content-Type: multipart/mixed; boundary=q%d\n\n--q%d\n" % (at, at) for at in range(depth))
    return HEAD + levels + b"\nUser unknown: <ann@receiver.example>\n"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (TEXT + b"x" * 20_000, "octets"),
        (TEXT + b"\n" * 200, "lines"),
        (b"A: b\n" * 21 + TEXT, "fields"),
        (b"A: " + b"b" * 500 + b"\n" + TEXT, "header field is longer"),
        (b"A: b\n" + b" folded\n" * 100 + TEXT, "header field is longer"),
        (MIXED + b"--q\n\nx\n" * 6, "parts"),
        (nested(4), "nested"),
        (REPORT % b"message/feedback-report" + b"A: b\n" * 1_001, "lines"),
    ],
)
def test_each_limit_gives_a_report_that_names_it(raw: bytes, said: str) -> None:
    report = read_report(raw, SMALL)

    assert report.kind is Kind.OTHER
    assert said in report.note
    assert report.recipients == ()


def test_a_complaint_with_too_many_fields_is_refused_like_any_header() -> None:
    report = read_report(REPORT % b"message/feedback-report" + b"A: b\n" * (LIMITS.fields + 1))

    assert (report.kind, report.complaint) == (Kind.OTHER, None)
    assert "fields" in report.note


def test_at_the_limit_it_is_still_read() -> None:
    report = read_report(nested(3), SMALL)

    assert [one.address for one in report.recipients] == ["ann@receiver.example"]


def test_a_returned_message_beyond_the_limits_does_not_cost_the_report() -> None:
    raw = next(sample.raw for sample in samples() if sample.name == "postfix-failed.eml")
    report = read_report(raw.replace(b"From: Shop", b"X-Many: b\n" * 2_000 + b"From: Shop"))

    assert report.kind is Kind.BOUNCE
    assert [one.address for one in report.recipients] == ["ann@receiver.example"]


@pytest.mark.parametrize(
    "raw", [b"", b"\0" * 100_000, b"\n", b"\r", b":", b"From: :", b"\xff" * 25_000, b"From: @\n\n"]
)
def test_what_is_no_mail_is_no_report(raw: bytes) -> None:
    report = read_report(raw)

    assert (report.kind, report.recipients) == (Kind.OTHER, ())


UNITS = [
    *("a", " ", "\t", "@", "a@", "a@b.c ", "@a,", "<a", ">", "--", "-- ", "(", '"', "'a", "::", "0", "é", "メール"),
    *("550 ", "5.1.1 ", "said: ", "rcpt to ", "=?utf-8?q?a", "\\x{", "&#", "<style ", "expanded from "),
    *("user ", "user unknown ", "mailbox ab ", "recipient local ", "could not ", "delivery to ", "message ", "no "),
    *("message id ", "warning- "),
]


def places(unit: bytes) -> list[bytes]:
    """The unit repeated to a quarter of a megabyte, wherever a pattern is tried."""
    run = unit * (250_000 // len(unit))
    lines = b"\n".join(run[at : at + 900] for at in range(0, len(run), 900))
    header = run[:60_000]
    return [
        TEXT + run,
        TEXT + lines,
        HEAD + b"Content-Type: text/html\n\n" + lines,
        b"Subject: " + header + b"\nFrom: " + header + b"\nTo: " + header + b"\nIn-Reply-To: " + header + b"\n" + TEXT,
        b"X-Failed-Recipients: " + header + b"\nReturn-Path: " + header + b"\n" + TEXT + b"Undelivered.",
        HEAD + b"Content-Type: multipart/mixed; boundary=" + header + b"\n\n--" + run,
        REPORT % b"message/delivery-status" + b"Final-Recipient: rfc822;" + run + b"\nAction: " + run
        + b"\nStatus: " + run + b"\nDiagnostic-Code: smtp;" + run + b"\n\n--q--\n",
        REPORT % b"text/plain" + b"--q\nContent-Type: message/rfc822\n\nFrom: " + header + b"\nTo: " + header + b"\n\n",
        REPORT % b"message/feedback-report" + b"Feedback-Type: " + header + b"\nOriginal-Rcpt-To: " + header,
    ]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_no_repetition_makes_reading_slow(unit: str) -> None:
    start = time.process_time()

    for raw in places(unit.encode()):
        read_report(raw)

    assert time.process_time() - start < MANY


@pytest.mark.parametrize(
    "raw",
    [
        REPORT % b"message/delivery-status" + b"".join(b"Final-Recipient: u%d@x\n\n" % at for at in range(20_000)),
        TEXT + b"could not be delivered\n" + b"".join(b"<u%d@x.example>:\n" % at for at in range(5_000)),
        TEXT + b"could not be delivered\n" + b"".join(b"<u%d@x.example>: 550\n" % (at % 500) for at in range(5_000)),
        MIXED + b"--q\n\nx\n" * 100_000,
        nested(3_000),
        nested(19) + b"--x\n" * 300_000,
        HEAD + b"Content-Type: message/rfc822\n\n" * 3_000,
        b"A: b\n" * 300_000,
        HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QUJD\n" * 300_000,
        HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=20=\n" * 300_000,
        b"\r" * 2_000_000,
    ],
    ids=["recipients", "listed", "again", "parts", "deep", "delimiters", "copies", "fields", "base64", "qp", "cr"],
)  # fmt: skip
def test_no_number_of_things_makes_reading_slow(raw: bytes) -> None:
    start = time.process_time()

    read_report(raw)

    assert time.process_time() - start < MANY


def test_recipients_are_bounded() -> None:
    fields = b"".join(b"Final-Recipient: rfc822;u%d@x.example\nAction: failed\n\n" % at for at in range(1_500))

    assert len(read_report(REPORT % b"message/delivery-status" + fields).recipients) == 1_000


def mutated(raw: bytes, dice: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(dice.randint(1, 12)):
        at, length = dice.randrange(len(data) + 1), dice.randint(0, 60)
        change = dice.randrange(5)
        if change == 0:
            del data[at : at + length]
        elif change == 1:
            data[at:at] = dice.randbytes(length)
        elif change == 2:
            data[at:at] = data[at : at + length * 5] * dice.randint(1, 20)
        elif change == 3:
            data[at:at] = dice.choice([b"\n\n", b"\r", b"--", b":", b";", b"=?", b"@", b"<", b"\0", b"\xf0\x9f", b'"'])
        else:
            other = dice.randrange(len(data) + 1)
            data[at:at] = data[other : other + 400]
    return bytes(data)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_damaged_reports_are_read_without_a_fault(sample) -> None:  # type: ignore[no-untyped-def]
    dice = random.Random(sample.name)
    start = time.process_time()

    for _ in range(15):
        report = read_report(mutated(sample.raw, dice))
        assert all(one.address.isprintable() for one in report.recipients)

    assert time.process_time() - start < MANY
