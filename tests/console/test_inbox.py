"""Captured mail is shown whatever it holds, and none of it gets a hold on the console."""

import pytest
from django.test import Client

from apps.delivery import inbox
from apps.workspaces.models import Workspace
from tests.console.conftest import HOSTILE, MAIL, capture
from tests.factories import make_workspace

LIST = "/admin/delivery/capturedmessage/"
DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1500))
MALFORMED = {
    "nothing": b"",
    "zeros": b"\0" * 500,
    "no headers": b"\r\n\r\njust a body",
    "header without end": b"Subject: " + b"x" * 100_000,
    "eight bit header": b"Subject: \xff\xfe gr\xfc\xdfe\r\n\r\nbody",
    "unknown charset": b"Content-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe",
    "surprising charset": b"Content-Type: text/html; charset=base64\r\n\r\nPGI+",
    "broken base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!=\r\n",
    "broken encoded word": b"Subject: =?utf-8?b?!!!?= =?klingon?q?=ff?= =?utf-8?q?=ed=a0=80?=\r\n\r\nbody",
    "broken file name": b"Content-Type: application/x; name*0*=utf-8''%ff; name*99999*=x; name*=y\r\n\r\n",
    "broken parameters": b'Content-Type: multipart/mixed; boundary="\r\n\r\n--\r\n',
    "endless boundary": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 3000,
    "deep": DEEP,
    "utf 7": b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "message in message": b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n",
    "hostile names": f'Content-Type: a/b; name="{HOSTILE}"\r\n{HOSTILE}: {HOSTILE}\r\n\r\n{HOSTILE}'.encode(),
}


@pytest.fixture
def shop(db: None) -> Workspace:
    return make_workspace("shop")


def test_a_message_is_shown_with_headers_text_and_framed_html(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    html = console.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "<td>Grüße</td>" in html
    assert "Thank you." in html
    assert f'src="{LIST}{row.pk}/html/"' in html
    assert "<iframe sandbox referrerpolicy" in html
    assert "<p>Thank" not in html


def test_the_frame_may_do_nothing(console: Client, shop: Workspace) -> None:
    answer = console.get(f"{LIST}{capture(shop).pk}/html/")
    assert answer.content.decode().strip() == "<p>Thank <b>you</b>.</p>"
    policy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert answer["Content-Security-Policy"] == policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert answer["Referrer-Policy"] == "no-referrer"


def test_the_source_is_a_download_of_plain_text(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    answer = console.get(f"{LIST}{row.pk}/source/")
    assert answer.content == MAIL
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{row.pk}.eml"'
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("source", MALFORMED.values(), ids=MALFORMED)
def test_malformed_mail_is_shown_all_the_same(source: bytes, console: Client, shop: Workspace) -> None:
    row = capture(shop, source)
    page = console.get(f"{LIST}{row.pk}/change/")
    assert page.status_code == 200
    assert "<img src=x" not in page.content.decode()
    assert console.get(f"{LIST}{row.pk}/html/").status_code == 200
    assert console.get(f"{LIST}{row.pk}/source/").content == source


def test_what_cannot_be_taken_apart_is_shown_as_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(inbox, "message_from_bytes", refuse)
    letter = inbox.read(b"Subject: x\r\n\r\n\xff")
    assert letter.fault
    assert letter.source == "Subject: x\r\n\r\n\ufffd"


def test_attachments_are_named_and_not_opened() -> None:
    letter = inbox.read(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
        b"Content-Disposition: attachment; filename=a.html\r\n\r\n<b>\r\n--b--\r\n"
    )
    assert letter.html is None
    assert [(found.name, found.content_type, found.size) for found in letter.attachments] == [
        ("a.html", "text/html", 3)
    ]


def test_the_list_can_be_narrowed_to_an_inbox(console: Client, shop: Workspace) -> None:
    capture(shop, subject="for ada")
    capture(shop, subject="for grace", inbox="grace@example.com")
    html = console.get(LIST, {"inbox": "grace@example.com"}).content.decode()
    assert "for grace" in html
    assert "for ada" not in html
    assert "for ada" in console.get(LIST, {"q": "ada@example"}).content.decode()


def test_views_of_a_message_that_is_not_there(console: Client, shop: Workspace) -> None:
    for word in ("html", "source"):
        assert console.get(f"{LIST}{shop.pk}/{word}/").status_code == 404


def test_strangers_see_no_mail(client: Client, shop: Workspace) -> None:
    row = capture(shop)
    for word in ("html", "source", "change"):
        assert client.get(f"{LIST}{row.pk}/{word}/")["Location"].startswith("/admin/login/")
