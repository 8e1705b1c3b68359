"""What is composed reads back as it was given; nothing in it can become another header or end the mail."""

import email
import email.header
import email.utils
import quopri
import re
from datetime import UTC, datetime, timedelta, timezone
from email import policy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.protocols.address import AddressError, Mailbox, mailbox
from apps.protocols.mime import (
    HeaderError,
    Mail,
    check_header,
    check_headers,
    compose,
    needs_smtputf8,
)
from apps.protocols.text import TextError, check_text

SEPARATORS = ["\r\n", "\n", "\r", "\x00", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
AT = datetime(2026, 3, 1, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
FIELDS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
]

sendable = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
lines = st.text(st.one_of(st.sampled_from(" \tab.=From\n"), st.characters(exclude_categories=["Cs"])))
names = st.text(st.one_of(st.sampled_from(' ",.<>@()\\ab'), sendable), max_size=200)


def mail(**changes):
    fields = {
        "sender": Mailbox("a@ex.com", "Acme"),
        "to": (Mailbox("b@example.org", "Bob"),),
        "cc": (),
        "reply_to": None,
        "subject": "Hello",
        "text": "Hi",
        "html": None,
        "headers": (),
        "message_id": "1.2@ex.com",
        "date": AT,
    }
    return Mail(**(fields | changes))


def parsed(message):
    return email.message_from_bytes(message, policy=policy.default)


def decoded(value):
    """A second referee for header text: the older decoder of the email package."""
    return str(email.header.make_header(email.header.decode_header(value)))


def raw_header(message, name):
    """The value of a header, unfolded as RFC 5322, 2.2.3 says."""
    found = re.search(rb"(?m)^%s:((?:.*\r\n)(?:[ \t].*\r\n)*)" % name.encode(), message)
    return found[1].replace(b"\r\n", b"").decode().removeprefix(" ")


def header_names(message):
    head = message.partition(b"\r\n\r\n")[0]
    return [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")]


def normalised(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def body_text(part):
    return normalised(part.get_payload(decode=True).decode())


def assert_fit_for_the_wire(message):
    assert message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n")
    assert message.endswith(b"\r\n")
    assert max(map(len, message.split(b"\r\n"))) <= 998
    assert b"\x00" not in message


def assert_body_reads_back(text, encoding=None):
    message = compose(mail(text=text))
    part = parsed(message)

    assert_fit_for_the_wire(message)
    assert message.isascii()
    assert header_names(message) == FIELDS
    assert body_text(part).removesuffix("\n") == normalised(text).removesuffix("\n")
    assert encoding in (None, part["Content-Transfer-Encoding"])
    body = message.partition(b"\r\n\r\n")[2]
    assert not re.search(rb"(?m)^From |^\.\r$", body)
    if part["Content-Transfer-Encoding"] != "7bit":
        assert max(map(len, body.split(b"\r\n"))) <= 76
    return message


def test_composes_these_exact_bytes():
    message = compose(
        mail(
            cc=(mailbox("c@bücher.de", "Smith, C."),),
            reply_to=Mailbox("r@ex.com"),
            subject="Für dich und Bob",
            text="Hi\n",
            html="<p>Die Größe des neuen Hutes</p>\n",
            headers=(("List-Unsubscribe", "<https://u.ex.com/1>"),),
        )
    )

    assert message.decode("ascii").split("\r\n") == [
        "From: Acme <a@ex.com>",
        "To: Bob <b@example.org>",
        'Cc: "Smith, C." <c@xn--bcher-kva.de>',
        "Reply-To: r@ex.com",
        "Subject: =?utf-8?q?F=C3=BCr_dich_und_Bob?=",
        "Date: Sun, 01 Mar 2026 05:08:09 +0000",
        "Message-ID: <1.2@ex.com>",
        "List-Unsubscribe: <https://u.ex.com/1>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative;",
        ' boundary="=_9f2203e06117368a5ed0d2d0aebda43c"',
        "",
        "--=_9f2203e06117368a5ed0d2d0aebda43c",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hi",
        "",
        "--=_9f2203e06117368a5ed0d2d0aebda43c",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "<p>Die Gr=C3=B6=C3=9Fe des neuen Hutes</p>",
        "",
        "--=_9f2203e06117368a5ed0d2d0aebda43c--",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *[("", "7bit"), ("Hi", "7bit"), ("Hi\n", "7bit"), ("a\r\nb\rc\nd\r\r\n\ne", "7bit")],
        ("-- \nme\n", "7bit"),
        *[("x" * 998, "7bit"), ("x" * 999, "quoted-printable"), ("x" * 100_000, "quoted-printable")],
        *[("ein schöner Tag\n" * 9, "quoted-printable"), ("é", "base64"), ("日本語\n", "base64")],
        ("🦊" * 30_000, "base64"),
        *[("é" + "x" * 100_000, "quoted-printable"), (" " * 5_000 + "é", "quoted-printable")],
        *[("From me\n", "quoted-printable"), ("a\nFrom From From \n", "quoted-printable")],
        ("From: x", "7bit"),
        ("From " + "x" * 69 + "\nFrom " + "y" * 70, "quoted-printable"),
        ("é" + "From " * 400, "quoted-printable"),
        *[(".\n..\n...\n.", "quoted-printable"), ("..\n.a\n", "7bit"), ("a\n.", "quoted-printable")],
        *[("a\r.\rb\n.\r\nc\r\n.\r", "quoted-printable"), ("one\x0cpage", "quoted-printable")],
        ("a\x00\x0b\x1cb", "base64"),
        *[("a\x85b\u2028c" + "d" * 99, "quoted-printable"), ("=3D=\n=", "7bit")],
        ("é = 3D=\n= \t\n" * 9, "quoted-printable"),
    ],
)
@pytest.mark.rfc("2045", "6")
def test_every_body_reads_back_and_fits_the_wire(text, encoding):
    assert_body_reads_back(text, encoding)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(lines)
def test_any_text_reads_back(text):
    assert_body_reads_back(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("From .xé=\n"), max_size=300))
def test_any_wrapping_of_awkward_text_reads_back(text):
    message = assert_body_reads_back("é" + "x" * 60 + text)

    if b"quoted-printable" in message:
        body = message.partition(b"\r\n\r\n")[2]
        assert quopri.decodestring(body).decode().startswith("é" + "x" * 60)


@settings(deadline=None)
@given(lines, lines)
@pytest.mark.rfc("2046", "5.1.4")
def test_alternatives_keep_their_order_and_their_exact_text(text, html):
    message = compose(mail(text=text, html=html))
    plain, rich = parsed(message).iter_parts()

    assert_fit_for_the_wire(message)
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert (body_text(plain), body_text(rich)) == (normalised(text), normalised(html))


def test_html_alone_is_one_part():
    part = parsed(compose(mail(text=None, html="<p>Hi</p>")))

    assert part.get_content_type() == "text/html"
    assert body_text(part) == "<p>Hi</p>\n"


@pytest.mark.rfc("2046", "5.1.1")
def test_boundary_depends_on_the_mail_only_and_never_occurs_in_a_part():
    first = parsed(compose(mail(html="<p>"))).get_boundary()
    message = compose(mail(html="<p>", text=f"--{first}--\nx"))

    assert parsed(compose(mail(html="<p>"))).get_boundary() == first
    assert parsed(compose(mail(html="<p>", message_id="2@ex.com"))).get_boundary() != first
    assert parsed(message).get_boundary() != first
    assert body_text(next(parsed(message).iter_parts())) == f"--{first}--\nx"


@pytest.mark.parametrize(
    "subject",
    [
        *["", "Hello", "Hello  there,   Bob", " x", "x ", " ", "=?utf-8?q?x?=", "a =?b", "🦊", "🦊" * 200],
        *["\u0301", "é"],
        *["x" * 66, "x" * 76, "x" * 998, "x" * 5_000, "word " * 199 + "end", "a" + " " * 300 + "b"],
        "Grüße " * 150,
        *["日本語の件名" * 20, "é" + "x" * 997, "a_b=c?d é", "مرحبا\u200f!", "👨‍👩‍👧" * 30],
        *[("x" * 70 + " ") * 9 + "y", "a" * 100_000, "a" + " " * 100_000],
    ],
)
@pytest.mark.rfc("2047", "2")
def test_every_subject_reads_back(subject):
    message = compose(mail(subject=subject))

    assert decoded(raw_header(message, "Subject")) == subject
    if subject == subject.strip() and len(subject) < 50_000:
        assert parsed(message)["Subject"] == subject
    assert_fit_for_the_wire(message)
    assert max(map(len, message.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78
    assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?[^ \r\n]*", message))


@settings(deadline=None)
@given(st.text(sendable, max_size=300))
def test_any_subject_adds_no_header_and_reads_back(subject):
    message = compose(mail(subject=subject))

    assert_fit_for_the_wire(message)
    assert message.isascii()
    assert header_names(message) == FIELDS
    assert decoded(raw_header(message, "Subject")) == subject
    for word in re.findall(r"=\?utf-8\?[qb]\?[^ ]*\?=", raw_header(message, "Subject")):
        assert "\ufffd" not in decoded(word)


@pytest.mark.parametrize(
    "name",
    [
        *["", "Bob", "Bob Smith", "Bob  Smith", "Smith, Bob", 'B "q" \\ b', "a@bank.com", "Bob (x)", "<b>"],
        *["J. Doe", "a:b;"],
        *["Jörg", "日本語" * 30, "🦊", "x" * 200, "x " * 99 + "y", "é" * 200, "a =? b", "O'Neil", "e\u0301"],
        "Jörg, <x@y.com>",
    ],
)
@pytest.mark.rfc("5322", "3.4")
def test_every_name_reads_back(name):
    message = compose(mail(sender=mailbox("a@ex.com", name), to=(mailbox("b@ex.com", name), mailbox("c@ex.com", name))))

    for header, addresses in (("From", ["a@ex.com"]), ("To", ["b@ex.com", "c@ex.com"])):
        found = parsed(message)[header].addresses
        read = email.utils.getaddresses([raw_header(message, header)])
        assert [address.addr_spec for address in found] == addresses
        assert [(decoded(shown), address) for shown, address in read] == [(name, address) for address in addresses]
        # Against RFC 2047, 6.2 Python's newer parser keeps the space between two encoded words of a name.
        if len(name) < 40:
            assert {address.display_name for address in found} == {name}
    assert_fit_for_the_wire(message)
    assert max(map(len, message.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78


@settings(deadline=None)
@given(names)
def test_any_accepted_name_leaves_one_sender(name):
    try:
        sender = mailbox("a@ex.com", name)
    except AddressError:
        return
    message = compose(mail(sender=sender))

    assert_fit_for_the_wire(message)
    assert header_names(message) == FIELDS
    assert [address.addr_spec for address in parsed(message)["From"].addresses] == ["a@ex.com"]
    assert [address for _, address in email.utils.getaddresses([raw_header(message, "From")])] == ["a@ex.com"]
    assert decoded(email.utils.parseaddr(raw_header(message, "From"))[0]) == sender.name


def test_folds_300_recipients_between_addresses():
    to = tuple(Mailbox(f"user{n}@example.org", f"User {n}") for n in range(300))
    message = compose(mail(to=to))
    to_lines = re.search(rb"(?m)^To:.*\r\n(?: .*\r\n)*", message)[0].rstrip().split(b"\r\n")

    assert [address.addr_spec for address in parsed(message)["To"].addresses] == [box.email for box in to]
    assert max(map(len, to_lines)) <= 76
    assert all(line.endswith(b">,") for line in to_lines[:-1])


def test_longest_address_and_name_stay_within_the_hard_limit():
    box = mailbox("a" * 64 + "@" + ("d" * 60 + ".") * 3 + "com", '"' * 200)
    message = compose(mail(to=(box,) * 3, message_id="i" * 400 + "@ex.com"))

    assert_fit_for_the_wire(message)
    assert [address.addr_spec for address in parsed(message)["To"].addresses] == [box.email] * 3
    assert [decoded(shown) for shown, _ in email.utils.getaddresses([raw_header(message, "To")])] == [box.name] * 3


@pytest.mark.rfc("5322", "3.4")
def test_shows_no_recipients_when_all_are_blind_copies():
    message = compose(mail(to=()))

    assert raw_header(message, "To") == "undisclosed-recipients:;"
    assert parsed(message)["To"].addresses == ()
    assert b"bcc" not in message.lower()


@pytest.mark.rfc("6532", "3.2")
def test_writes_utf8_in_the_header_for_such_local_parts_only():
    needing = mail(to=(mailbox("jörg@bücher.de", "Jörg"),))

    assert needs_smtputf8(needing)
    assert "To: =?utf-8?b?SsO2cmc=?= <jörg@xn--bcher-kva.de>\r\n".encode() in compose(needing)
    assert not needs_smtputf8(mail(to=(mailbox("j@bücher.de", "Jörg"),), subject="é", text="é"))
    for place in ({"sender": needing.to[0]}, {"cc": needing.to}, {"reply_to": needing.to[0]}):
        assert needs_smtputf8(mail(**place))


def test_same_mail_gives_the_same_bytes():
    assert compose(mail(html="<p>é</p>")) == compose(mail(html="<p>é</p>"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("X-A", ""), ("X-A", "b"), ("X-A", "é" * 400), ("X-A", "x" * 998), ("X-A", "=?utf-8?q?x?=")],
        *[("X-A", "a  b"), ("X-A", "=?utf-8?q?a b?= =?x?B?"), ("X-A", "a" + " " * 997)],
        *[("X" * 60, "v" * 998), ("X" * 60, "é" * 499), ("X-A", "word " * 199)],
        ("X-Very-Long-Name-Of-A-Header", "🦊" * 99),
    ],
)
def test_every_header_of_the_caller_reads_back(name, value):
    check_header(name, value)

    message = compose(mail(headers=((name, value),)))

    assert_fit_for_the_wire(message)
    assert decoded(raw_header(message, name)) == value.strip()


@pytest.mark.parametrize("url", ["<https://u.ex.com/" + "x" * 900 + ">", "<https://u.ex.com/?a=?b>, <mailto:u@ex.com>"])
def test_leaves_structured_values_as_they_are(url):
    message = compose(mail(headers=(("List-Unsubscribe", url), ("X-StackShift-Message", "1"))))

    assert raw_header(message, "List-Unsubscribe") == url
    assert b"X-StackShift-Message: 1\r\n" in message


@settings(deadline=None)
@given(st.text(sendable, max_size=300))
def test_any_accepted_header_adds_no_other(value):
    message = compose(mail(headers=(("X-Order", value),)))

    assert_fit_for_the_wire(message)
    assert header_names(message) == [*FIELDS[:5], "X-Order", *FIELDS[5:]]
    assert decoded(raw_header(message, "X-Order")) == value.strip(" ")


@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
@pytest.mark.parametrize("text", ["x{}Bcc: evil@z.com", "{}x", "x{}", "{}", "x{} y"])
def test_refuses_line_ends_and_controls_in_every_place(separator, text):
    given_text = text.format(separator)
    refused = [
        (TextError, lambda: check_text(given_text)),
        (AddressError, lambda: mailbox("a@ex.com", given_text)),
        (HeaderError, lambda: check_header(given_text, "v")),
        (HeaderError, lambda: check_header("X-A", given_text)),
        (HeaderError, lambda: check_headers({"X-A": "v", "X-B": given_text})),
        (ValueError, lambda: compose(mail(subject=given_text))),
        (ValueError, lambda: compose(mail(sender=Mailbox("a@ex.com", given_text)))),
        (ValueError, lambda: compose(mail(to=(Mailbox(given_text),)))),
        (ValueError, lambda: compose(mail(reply_to=Mailbox(f"a@ex.com{given_text}")))),
        (ValueError, lambda: compose(mail(headers=((given_text, "v"),)))),
        (ValueError, lambda: compose(mail(headers=(("X-A", given_text),)))),
        (ValueError, lambda: compose(mail(message_id=f"{given_text}@ex.com"))),
    ]

    for error, attempt in refused:
        with pytest.raises(error) as caught:
            attempt()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        *["From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "Return-Path"],
        "Received",
        *["Received-SPF", "DKIM-Signature", "ARC-Seal", "Authentication-Results", "Content-Type"],
        "Content-ID",
        *["MIME-Version", "Resent-From", "X-StackShift-Id"],
    ],
)
def test_refuses_headers_that_are_not_the_callers(name):
    for spelling in (name, name.lower(), name.upper()):
        with pytest.raises(HeaderError) as caught:
            check_header(spelling, "x")
        assert spelling in caught.value.reason


@pytest.mark.parametrize(
    "name", ["", "X A", "X:A", "X_A", "X-Ä", "X-A ", " X-A", "X-A:", "x" * 61, "X-\u212a", "X\ud800"]
)
def test_refuses_names_of_another_form(name):
    with pytest.raises(HeaderError, match="ASCII letters"):
        check_header(name, "v")


def test_composer_refuses_to_write_its_own_headers_twice():
    for name in ("From", "bcc", "Subject", "Content-Type", "DKIM-Signature"):
        with pytest.raises(HeaderError):
            compose(mail(headers=((name, "x"),)))


def test_allows_the_headers_of_list_mail():
    check_headers(
        {
            "List-Unsubscribe": "<https://x>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    )


def test_limits_headers_alone_and_together():
    check_headers({f"X-{n}": "v" for n in range(50)})
    check_header("X" * 60, "é" * 499)
    refused = [
        {f"X-{n}": "v" for n in range(51)},
        {"X-A": "x" * 999},
        {"X-A": "é" * 500},
        {f"X-{n:02d}": "v" * 998 for n in range(17)},
        {"X-A": "1", "x-a": "2"},
        {"X-A": "tab\there"},
        {"X-A": "\ud800"},
    ]

    for headers in refused:
        with pytest.raises(HeaderError) as caught:
            check_headers(headers)
        assert caught.value.reason.isprintable()


def test_text_of_a_body_may_hold_lines_tabs_and_form_feeds_but_no_nul():
    check_text("a\tb\r\nc\rd\ne\x0cf\u2028é🦊", multiline=True)
    check_text("مرحبا\u200f! 👨‍👩‍👧")
    for text in ("\x00", "\x1b[31m", "\x0b", "\ud800", "\x7f"):
        with pytest.raises(TextError, match=r"U\+"):
            check_text(text, multiline=True)


def test_refuses_to_compose_nonsense():
    second = "b@ex.com>, <c@ex.com"
    for changes in (
        {"text": None},
        {"date": datetime(2026, 3, 1)},  # noqa: DTZ001
        {"to": (Mailbox(second),)},
        {"to": (Mailbox(second, "Bob"),)},
        *({"message_id": value} for value in ("", "x", "a b@ex.com", "<a@ex.com>", "a@b@c", "a@ex.com> x")),
        {"text": "\ud800"},
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            compose(mail(**changes))


@pytest.mark.parametrize("at", [datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)])
@pytest.mark.rfc("5322", "3.3")
def test_date_reads_back(at):
    assert parsed(compose(mail(date=at)))["Date"].datetime == at
