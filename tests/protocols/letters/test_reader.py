"""Mail is read whatever it holds, in bounded time, and nothing in it becomes what it is not."""

import time
from collections.abc import Iterator

import pytest

from apps.protocols.letters.correspondents import correspondents
from apps.protocols.letters.reader import read_letter
from apps.protocols.letters.types import Correspondent

HEAD = b"From: Ann <ann@a.example>\r\nTo: Bob <bob@b.example>\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
MIXED = HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


def part(header: str, body: str = "x") -> bytes:
    return f"--b\r\n{header}\r\n\r\n{body}\r\n".encode()


def test_texts_and_files_of_an_ordinary_mail() -> None:
    raw = (
        MIXED
        + part("Content-Type: multipart/alternative; boundary=c", "--c\r\n\r\nHello Bob\r\n--c\r\n")
        .replace(b"--c\r\n\r\n\r\n", b"")
        .removesuffix(b"--c\r\n\r\n")
        + b"--c\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + b"<p>Gr=C3=BC=C3=9Fe</p>\r\n--c--\r\n"
        + part('Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64', "JVBERg==")
        + part("Content-Type: image/png\r\nContent-ID: <logo@a>\r\nContent-Disposition: inline", "png")
        + b"--b--\r\n"
    )

    letter = read_letter(raw)

    assert (letter.subject, letter.from_, letter.to) == (
        "Hello",
        (Correspondent("ann@a.example", "Ann"),),
        (Correspondent("bob@b.example", "Bob"),),
    )
    assert letter.text == "Hello Bob"
    assert letter.html == "<p>Grüße</p>"
    pdf, png = letter.files
    assert (pdf.name, pdf.content_type, pdf.content, pdf.is_inline) == ("a.pdf", "application/pdf", b"%PDF", False)
    assert (png.name, png.content_id, png.content, png.is_inline) == ("", "logo@a", b"png", True)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ("attachment; filename*=utf-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("attachment; filename*0*=utf-8''%e2%82%ac; filename*1=.txt", "€.txt"),
        ("attachment; filename*1=b; filename*0=a; filename*3=d", "ab"),
        ('attachment; filename="=?utf-8?b?4pyT?=.pdf"', "✓.pdf"),
        ('attachment; filename="a\\"b.txt"', 'a"b.txt'),
        ("attachment; filename=plain.txt", "plain.txt"),
        ('attachment; filename=""; filename="x.exe"', "x.exe"),
        ("attachment; filename", ""),
        ("attachment", ""),
    ],
)
def test_names_of_files(disposition: str, name: str) -> None:
    (file,) = read_letter(MIXED + part(f"Content-Disposition: {disposition}") + b"--b--\r\n").files

    assert file.name == name


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ann@a.example", [("ann@a.example", "")]),
        (
            '"Doe, Ann" <ann@a.example>, b@b.example (Bob (B.))',
            [("ann@a.example", "Doe, Ann"), ("b@b.example", "Bob (B.)")],
        ),
        ("Friends: a@a.example, b@b.example;", [("a@a.example", ""), ("b@b.example", "")]),
        ("=?utf-8?q?a=40bank.example?= <x@evil.example>", [("x@evil.example", "a@bank.example")]),
        ('"x@evil.example x"@a.example', [('"x@evil.example x"@a.example', "")]),
        ("<@relay.example:a@a.example>", [("a@a.example", "")]),
        ("=?utf-8?b?R3LDvMOf?= =?utf-8?b?ZSE=?= <g@a.example>", [("g@a.example", "Grüße!")]),
        (":", []),
        ("<>", []),
    ],
)
def test_addresses_and_names(value: str, found: list[tuple[str, str]]) -> None:
    assert [(one.email, one.name) for one in correspondents(value)] == found


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("nope", "Grüße".encode(), "Grüße"),
        ("hex", b"41", "41"),
        ("utf-7", b"+ADw-script", "+ADw-script"),
        ("unicode_escape", rb"\u003c", r"\u003c"),
        ("idna", b"xn--a", "xn--a"),
        ("gb2312", "你好".encode("gb2312") + b"\xff", "你好\ufffd"),
        ("utf-8", b"a\0b", "a\ufffdb"),
    ],
)
def test_charsets(charset: str, octets: bytes, text: str) -> None:
    raw = HEAD + f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + octets

    assert read_letter(raw).text == text


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """What it is, the mail, and what is said about it."""
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000))
    parameters = b"".join(b"; p%d=x" % n for n in range(20_000))
    pieces = b"".join(b";\r\n name*%d=x" % n for n in range(5_000))
    yield "parentheses", b"To: " + b"(" * 60_000 + b"\r\nFrom: :\r\nMessage-ID: <a@[\r\n\r\nx", ""
    yield "quotes", b"To: " + b'"' * 20_001 + b"," * 20_001 + b"\r\n\r\nx", ""
    yield "addresses", b"To: " + b"a@b.example, " * 20_000 + b"\r\n\r\nx", ""
    yield "nested parts", HEAD + nested, "nested more than 20 deep"
    yield "nested messages", HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 3_000, ""
    yield "parts", MIXED + b"--b\r\n\r\nx\r\n" * 100_000, "more than 1000 parts"
    yield "files", MIXED + b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n" * 999, "more than 500 files"
    yield "headers", HEAD + b"X: y\r\n" * 100_000 + b"\r\nx", "more than 20,000 fields"
    yield "a long header", HEAD + b"X: " + b"x" * 1_100_000 + b"\r\n\r\nx", "longer than 1,048,576 octets"
    yield "encoded words", b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\nx", ""
    yield "pieces", HEAD + b"Content-Type: a/b" + pieces + b"\r\n\r\nx", ""
    yield "parameters", HEAD + b"Content-Type: a/b" + parameters + b"\r\n\r\nx", ""
    yield "boundary of 3 KB", HEAD + b'Content-Type: multipart/mixed; boundary="' + b"b" * 3_000 + b'"\r\n\r\nx', ""
    yield "no boundary", HEAD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx", ""
    yield "one line", HEAD + b"\r\n" + b"x" * 20_000_000, ""
    yield "nothing but NUL", b"\0" * 100_000, ""
    yield "nothing", b"", ""


@pytest.mark.parametrize(("raw", "fault"), [pytest.param(*rest, id=name) for name, *rest in hostile()])
def test_hostile_mail_takes_bounded_time(raw: bytes, fault: str) -> None:
    started = time.process_time()

    letter = read_letter(raw)

    assert time.process_time() - started < 2
    assert fault in letter.fault
    assert bool(fault) == bool(letter.fault)
    assert len(letter.to) <= 1_000
    assert len(letter.subject) <= 2_000


def test_what_is_too_much_keeps_its_header() -> None:
    letter = read_letter(MIXED + b"--b\r\n\r\nx\r\n" * 2_000)

    assert (letter.subject, letter.from_[0].email) == ("Hello", "ann@a.example")
    assert (letter.text, letter.files) == (None, ())


@pytest.mark.parametrize(
    ("field", "is_automatic"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: no", False),
        ("Precedence: bulk", True),
        ("X: y", False),
    ],
)
def test_what_nobody_should_answer_is_told(field: str, is_automatic: bool) -> None:
    assert read_letter(HEAD + f"{field}\r\n\r\nx".encode()).is_automatic is is_automatic


def test_hops_are_counted() -> None:
    assert read_letter(b"Received: from a\r\n" * 51 + HEAD + b"\r\nx").hops == 51
