"""Attached files arrive byte by byte, under the name and type they were given, or are refused at the door."""

import email
import os
import random
import re
import time
from datetime import UTC, datetime, timedelta
from email import policy

import dkim as referee
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.protocols.address import Mailbox
from apps.protocols.dkim import SigningKey, generate_rsa, load_key, public_record, sign
from apps.protocols.mime import Mail, compose
from apps.protocols.mime_attachments import Attachment, AttachmentError, check_content_type, check_filename

AT = datetime(2026, 3, 1, 5, 8, 9, tzinfo=UTC)
PEM = generate_rsa()
KEY = SigningKey("ex.com", "s1", load_key(PEM))
RECORDS = {b"s1._domainkey.ex.com.": public_record(PEM).encode()}
BOUNDARY = "=_9f2203e06117368a5ed0d2d0aebda43c"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HARMFUL = re.compile(rf"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{BIDI}]")
EVERY_BYTE = bytes(range(256))

any_char = st.one_of(st.sampled_from("\"'\\/;%*=? .ü🦊\u202e\r\n\ud800"), st.characters())
some_file = st.builds(
    Attachment,
    filename=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=f"/\\{BIDI}"))
    .map(lambda name: name[:255])
    .filter(lambda name: name not in ("", ".", "..")),
    content_type=st.sampled_from(["application/pdf", "text/plain; charset=utf-8", "image/svg+xml"]),
    content=st.binary(max_size=300),
)


def mail(*attachments, **changes):
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
    return Mail(**(fields | changes), attachments=attachments)


def parsed(message):
    return email.message_from_bytes(message, policy=policy.default)


def parts(message):
    """The parts of a multipart/mixed, none of which the reader had to mend."""
    whole = parsed(message)
    assert whole.get_content_type() == "multipart/mixed"
    found = list(whole.iter_parts())
    for part in (whole, *found[1:]):
        assert part.defects == []
        assert all(value.defects == () for value in part.values())
    return found


def older_name(value):
    """As RFC 2231 says; `get_filename` also takes quotes and white space off what has been decoded."""
    if isinstance(value, str):
        return value
    charset, _language, octets = value
    return octets.encode("latin-1").decode(charset)


def as_given(part):
    """What the standard library, and its older reader of parameters, make of the part."""
    name = part["Content-Disposition"].params["filename"]
    older = email.message_from_bytes(part.as_bytes(policy=policy.SMTP), policy=policy.compat32)
    assert older_name(older.get_param("filename", header="Content-Disposition")) == name
    assert older_name(older.get_param("name")) == part["Content-Type"].params["name"] == name
    assert part["Content-Disposition"].content_disposition == "attachment"
    assert part["Content-Transfer-Encoding"] == "base64"
    parameters = [f"{key}={value}" for key, value in part["Content-Type"].params.items() if key != "name"]
    content_type = "; ".join([part.get_content_type(), *parameters])
    return Attachment(name, content_type, part.get_payload(decode=True))


def assert_fit_for_the_wire(message):
    assert message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n")
    assert message.endswith(b"--\r\n")
    assert message.isascii()
    assert b"\x00" not in message


def assert_arrives(*attachments, **changes):
    message = compose(mail(*attachments, **changes))

    assert_fit_for_the_wire(message)
    first, *files = parts(message)
    assert [as_given(part) for part in files] == list(attachments)
    assert first.get_content_disposition() is None
    return message


def verifies(message):
    signed = sign(message, [KEY], signed_at=AT, expires_at=AT + timedelta(days=7)) + message
    with time_machine.travel(AT + timedelta(minutes=5), tick=False):
        return referee.DKIM(signed).verify(dnsfunc=lambda name, timeout=5: RECORDS.get(name))


def refused(check, text):
    with pytest.raises(AttachmentError) as caught:
        check(text)
    assert caught.value.reason.isprintable()
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


@pytest.mark.rfc("2046", "5.1.3")
def test_composes_these_exact_bytes():
    message = compose(mail(Attachment("Größe.pdf", "application/pdf", b"%PDF-1.7\n" * 7), text="Hi\n"))

    assert message.decode("ascii").split("\r\n") == [
        "From: Acme <a@ex.com>",
        "To: Bob <b@example.org>",
        "Subject: Hello",
        "Date: Sun, 01 Mar 2026 05:08:09 +0000",
        "Message-ID: <1.2@ex.com>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed;",
        f' boundary="{BOUNDARY}"',
        "",
        f"--{BOUNDARY}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hi",
        "",
        f"--{BOUNDARY}",
        "Content-Type: application/pdf; name*=utf-8''Gr%C3%B6%C3%9Fe.pdf",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf",
        "",
        "JVBERi0xLjcKJVBERi0xLjcKJVBERi0xLjcKJVBERi0xLjcKJVBERi0xLjcKJVBERi0xLjcKJVBE",
        "Ri0xLjcK",
        f"--{BOUNDARY}--",
        "",
    ]


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ({"text": "Hi"}, "text/plain"),
        ({"text": None, "html": "<p>Größe</p>"}, "text/html"),
        ({"text": "Größe\r\n", "html": "<p>Größe</p>\n"}, "multipart/alternative"),
    ],
)
def test_the_first_part_is_what_the_mail_was_before(bodies, kind):
    plain = compose(mail(**bodies))
    first = parts(assert_arrives(Attachment("a.bin", "application/octet-stream", EVERY_BYTE), **bodies))[0]

    before = parsed(plain)
    assert first.get_content_type() == before.get_content_type() == kind
    for ours, theirs in zip(first.walk(), before.walk(), strict=True):
        assert ours.items()[-1] == theirs.items()[-1]
        if not ours.is_multipart():
            assert ours.get_content().rstrip() == theirs.get_content().rstrip()


def test_the_same_mail_gives_the_same_bytes():
    files = [Attachment(f"{n}.bin", "application/octet-stream", EVERY_BYTE * n) for n in range(3)]

    assert compose(mail(*files, html="<p>é</p>")) == compose(mail(*files, html="<p>é</p>"))


def test_boundaries_differ_and_occur_in_no_part():
    message = assert_arrives(
        Attachment("a.txt", "text/plain", f"--{BOUNDARY}\r\n".encode() * 20),
        text=f"--{BOUNDARY}--\n",
        html=f"<p>{BOUNDARY}</p>",
    )

    outer, inner = re.findall(rb'boundary="(=_[0-9a-f]{32})"', message)
    assert len({outer, inner, BOUNDARY.encode()}) == 3
    assert message.count(b"--%s" % outer) == 3
    assert message.count(b"--%s" % inner) == 3
    assert parts(message)[0].get_body(("plain",)).get_content().rstrip() == f"--{BOUNDARY}--"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 57 * 2048 + 30])
@pytest.mark.rfc("2045", "6.8")
def test_every_size_arrives_in_lines_of_76(size):
    content = random.Random(size).randbytes(size)
    message = assert_arrives(Attachment("a.bin", "application/octet-stream", content))

    lines = message.split(b"\r\n\r\n")[-1].split(b"\r\n")[:-2] if size else []
    assert {len(line) for line in lines[:-1]} <= {76}
    assert sum(map(len, lines)) == (size + 2) // 3 * 4
    assert max(map(len, message.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "name",
    [
        *["invoice.pdf", "Invoice 12 (final) [v2].pdf", "O'Neil & Sons, 50$.txt", ".htaccess", "...", "CON", "a"],
        *['"; filename=evil.exe', '"', '""', 'a".exe"', "a;b", "a; filename*=utf-8''evil.exe", "'", "''", "utf-8''a"],
        *["100%.txt", "%2e%2e%2fpasswd", "%", "%00", "a*b", "*", "filename*0*=x", "=?utf-8?q?evil.exe?=", "=?utf-8?b?"],
        *["a=?utf-8?q?=22?=b", " ", " a", "a ", "a  b", "<a@b>", "a,b", "C:x", "a?b", "a|b"],
        *["Größe.pdf", "日本語.pdf", "🦊.png", "👨‍👩‍👧.jpg", "e\u0301.txt", "é.txt", "مرحبا.pdf", "\u200b", "\ufeff"],
        *["\U0010ffff", "\ufffe", "a\xa0b", "x" * 255, "x " * 127 + "x", "ü" * 255, "🦊" * 255, "%" * 255, '"' * 255],
        *["x" * 62, "x" * 63, "x" * 64, "ü" * 8, "ü" * 9, "ü" * 10, "ü" * 11],
    ],
    ids=lambda name: ascii(name[:9]),
)
@pytest.mark.rfc("2231", "3")
@pytest.mark.rfc("2183", "2.3")
def test_every_name_reads_back(name):
    check_filename(name)

    message = assert_arrives(Attachment(name, "application/pdf", b"x"), Attachment(name, "text/csv", b""))

    heads = [part.partition(b"\r\n\r\n")[0] for part in message.split(b"--=_")]
    assert max(len(line) for head in heads for line in head.split(b"\r\n")) <= 76
    assert verifies(message)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b.pdf", ' filename="a b.pdf"'),
        ('a"b', " filename*=utf-8''a%22b"),
        ("a;b", " filename*=utf-8''a%3Bb"),
        ("100%", " filename*=utf-8''100%25"),
        ("=?utf-8?q?x?=", " filename*=utf-8''%3D%3Futf-8%3Fq%3Fx%3F%3D"),
        ("x" * 63, f'\r\n filename="{"x" * 63}"'),
        ("x" * 64, f"\r\n filename*0*=utf-8''{'x' * 54};\r\n filename*1*={'x' * 10}"),
        ("ü" * 20, f"\r\n filename*0*=utf-8''{'%C3%BC' * 9};\r\n filename*1*={'%C3%BC' * 10};\r\n filename*2*=%C3%BC"),
    ],
    ids=ascii,
)
def test_a_name_has_one_form(name, written):
    """A plain name beside the encoded one would be a second, and readers differ on which they take."""
    message = compose(mail(Attachment(name, "application/pdf", b"x")))

    assert f"Content-Disposition: attachment;{written}\r\n" in message.decode("ascii")
    assert message.count(b"filename") == written.count("filename")


@settings(deadline=None, max_examples=150)
@given(st.lists(some_file, min_size=1, max_size=3))
def test_any_name_and_any_bytes_arrive(files):
    assert_arrives(*files)


@settings(deadline=None, max_examples=300)
@given(st.text(any_char, max_size=260))
def test_a_name_reads_back_or_is_refused(name):
    is_safe = 1 <= len(name) <= 255 and name not in (".", "..") and not HARMFUL.search(name)
    if is_safe:
        check_filename(name)
        assert_arrives(Attachment(name, "text/plain", b""))
    else:
        refused(check_filename, name)
        refused(lambda text: compose(mail(Attachment(text, "text/plain", b""))), name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        *[("", "1 to 255"), ("x" * 256, "1 to 255"), ("🦊" * 256, "1 to 255")],
        *[(".", "folders"), ("..", "folders")],
        *[(name, "no path") for name in ("../../etc/passwd", "/", "C:\\x", 'a\\"b', "a\\", "a/b.pdf", "./a")],
        *[(f"invoice{char}fdp.exe", f"U+{ord(char):04X} at position 8 changes the order") for char in BIDI],
        *[
            (f"a{char}b", f"U+{ord(char):04X} at position 2 is not allowed")
            for char in "\r\n\x00\t\x0b\x0c\x1b\x1c\x1d\x1e\x7f\x80\x85\x9f\u2028\u2029\ud800\udfff"
        ],
        ("a\r\nBcc: evil@z.com", "U+000D"),
        ("a.pdf\n", "U+000A"),
    ],
    ids=ascii,
)
def test_refuses_names_that_harm(name, says):
    assert says in refused(check_filename, name)
    with pytest.raises(AttachmentError):
        compose(mail(Attachment(name, "application/pdf", b"x")))


@pytest.mark.parametrize(
    "content_type",
    [
        *["application/pdf", "text/csv", "IMAGE/PNG", "image/svg+xml", "application/x-7z-compressed", "a/b", "1/2"],
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        *["text/csv; charset=utf-8", "text/calendar; charset=utf-8; method=REQUEST", "text/plain; format=flowed"],
        *["x" * 127 + "/" + "y" * 127, "audio/mpeg", "model/gltf-binary", "font/woff2", "video/mp4", "messages/x"],
    ],
)
@pytest.mark.rfc("6838", "4.2")
def test_every_content_type_arrives(content_type):
    check_content_type(content_type)

    file = Attachment("ä.bin", content_type, EVERY_BYTE)
    message = compose(mail(file))
    part = parts(message)[1]
    assert as_given(part).content == EVERY_BYTE
    assert as_given(part).content_type == content_type.split(";")[0].lower() + content_type[
        content_type.find(";") :
    ] * (";" in content_type)


def test_parameters_are_written_alike_however_they_were_spaced():
    for given_type in ("text/csv;charset=utf-8", "text/csv ;  charset=utf-8"):
        message = compose(mail(Attachment("a.csv", given_type, b"x")))
        assert b'Content-Type: text/csv; charset=utf-8; name="a.csv"\r\n' in message


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        *[
            (text, "written like")
            for text in (
                *["", "x", "*/*", "text/*", "/", "text/", "/plain", "text/plain/x", "text plain", " text/plain"],
                *["text/plain ", "text/plain;", "text/plain; charset", "text/plain; charset=", 'a/b; c="d"'],
                *["text/html\r\nX: y", "text/html\n", "text/html; a=b\r\n c", "text/html; a=b\r", "text/ht\x00ml"],
                *["tëxt/plain", "text/plain; a=ü", "-a/b", "a/-b", "text/plain; a*=utf-8''b", "text/plain; a*0=b"],
                *["text/plain, a/b", "text/plain; a=b c=d", "<a>/b", "x" * 128 + "/y", "a/b; " + "c" * 127 + "=d" * 70],
                "text/\ud800",
            )
        ],
        *[
            (text, "application/octet-stream")
            for text in (
                *["multipart/mixed", "MULTIPART/signed", "multipart/mixed; boundary=x", "message/rfc822"],
                *["Message/Partial", "message/external-body", "message/delivery-status", "message/global"],
            )
        ],
        *[
            (f"text/plain; {name}=x", f"{name.lower()} is set by the platform")
            for name in ("name", "NAME", "filename", "boundary")
        ],
        *[("text/plain; a=b; a=c", "twice"), ("text/plain; a=b; A=b", "twice")],
    ],
    ids=ascii,
)
@pytest.mark.rfc("2046", "5.2.1")
def test_refuses_content_types_that_would_not_be_read_as_given(content_type, says):
    assert says in refused(check_content_type, content_type)
    with pytest.raises(AttachmentError):
        compose(mail(Attachment("a.pdf", content_type, b"x")))


@pytest.mark.parametrize("check", [check_content_type, check_filename])
def test_long_nonsense_is_refused_fast(check):
    begin = time.process_time()
    for text in ("a/b" + "; a=b" * 200_000, "a" * 1_000_000, "a/b" + " " * 1_000_000, "a/b;" + " " * 250 + "!"):
        if check is check_content_type or len(text) > 255:
            refused(check, text)

    assert time.process_time() - begin < 0.5


def test_signed_mail_with_files_verifies():
    files = [Attachment(f"🦊 {n}.bin", "application/octet-stream", os.urandom(57 * 1024 * n + n)) for n in range(4)]

    assert verifies(compose(mail(*files, html="<p>Größe</p>", text="Größe")))


def test_25_megabytes_take_less_than_a_second_of_the_processor():
    content = random.Random(1).randbytes(25 * 1024 * 1024 // 10)
    many = mail(*(Attachment(f"{n}.bin", "application/octet-stream", content) for n in range(10)))

    begin = time.process_time()
    message = compose(many)

    assert time.process_time() - begin < 1
    assert len(message) > 25 * 1024 * 1024 * 4 / 3
