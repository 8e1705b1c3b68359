"""One captured message is shown whatever it holds, and none of it gets a hold on the console."""

from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.delivery.inbox import letter
from apps.delivery.inbox.letter import Letter
from apps.delivery.inbox.links import MAX_LINKS, links
from apps.delivery.models import CapturedMessage
from apps.workspaces.models import Workspace
from tests.console.conftest import HOSTILE, MAIL, capture
from tests.factories import make_domain, make_message, make_workspace

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


def shown(console: Client, row: CapturedMessage, **query: str) -> str:
    return console.get(f"{LIST}{row.pk}/change/", query).content.decode()


def test_a_message_is_shown_with_framed_html_text_and_headers(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    first = shown(console, row)
    assert f'src="{LIST}{row.pk}/html/"' in first
    assert "<iframe sandbox referrerpolicy" in first
    assert "<p>Thank" not in first
    assert '<pre class="verbatim">Thank you.' in shown(console, row, show="text")
    assert "<dt>Subject</dt><dd>Grüße</dd>" in shown(console, row, show="headers")
    assert "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=" in shown(console, row, show="source")
    assert "<iframe sandbox referrerpolicy" in shown(console, row, show="nonsense")


def test_a_message_names_its_envelope_and_its_neighbours_of_the_same_inbox(console: Client, shop: Workspace) -> None:
    older = capture(shop)
    capture(shop, inbox="grace@example.com")
    row = capture(shop)
    capture(make_workspace("other"))
    newer = capture(shop)
    page = console.get(f"{LIST}{row.pk}/change/")
    assert (page.context["newer"], page.context["older"]) == (newer.pk, older.pk)
    html = page.content.decode()
    assert "<bdi>bounces@shop.example</bdi>" in html
    assert f'href="/admin/mail_messages/message/{row.message_id}/change/"' in html


def test_a_page_reads_the_source_once(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    for name in ("html", "text", "headers", "source"):
        with CaptureQueriesContext(connection) as queries:
            shown(console, row, show=name)
        assert len([query for query in queries if '"source"' in query["sql"]]) == 1


def test_a_message_that_is_gone_leads_back_to_the_inbox(console: Client, shop: Workspace) -> None:
    answer = console.get(f"{LIST}{shop.pk}/change/", follow=True)
    assert answer.redirect_chain == [(LIST, 302)]
    assert "This mail is no longer here." in answer.content.decode()


def test_the_frame_may_do_nothing(console: Client, shop: Workspace) -> None:
    answer = console.get(f"{LIST}{capture(shop).pk}/html/")
    assert answer.content.decode().strip() == "<p>Thank <b>you</b>.</p>"
    policy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
    assert answer["Content-Security-Policy"] == policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert answer["Referrer-Policy"] == "no-referrer"


def test_remote_images_come_when_asked_for_and_nothing_else_does(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    assert f"{LIST}{row.pk}/html/?images=1" not in shown(console, row)
    assert f'src="{LIST}{row.pk}/html/?images=1"' in shown(console, row, images="1")
    answer = console.get(f"{LIST}{row.pk}/html/?images=1")
    policy = (
        "sandbox; default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; frame-ancestors 'self'"
    )
    assert answer["Content-Security-Policy"] == policy
    assert answer["Referrer-Policy"] == "no-referrer"


def test_html_is_shown_at_the_width_of_a_phone(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    assert 'class="mail-frame"' in shown(console, row)
    assert 'class="mail-frame narrow"' in shown(console, row, width="phone", images="1")


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
    for tab in page.context["page"].tabs:
        assert "<img src=x" not in shown(console, row, show=tab.name)
    assert console.get(f"{LIST}{row.pk}/attachments/1/").status_code in {200, 404}
    assert console.get(f"{LIST}{row.pk}/html/").status_code == 200
    assert console.get(f"{LIST}{row.pk}/source/").content == source


def test_what_cannot_be_taken_apart_is_shown_as_source(
    monkeypatch: pytest.MonkeyPatch, console: Client, shop: Workspace
) -> None:
    def refuse(source: bytes) -> None:
        raise IndexError

    row = capture(shop, b"Subject: x\r\n\r\n\xff")
    monkeypatch.setattr(letter, "message_from_bytes", refuse)
    html = shown(console, row)
    assert "cannot be taken apart" in html
    assert '<pre class="verbatim">Subject: x\r\n\r\n\ufffd</pre>' in html


def attached(name: str) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''"
        + quote(name, safe="").encode()
        + b"\r\n\r\n<b>\r\n--b--\r\n"
    )


def test_attachments_are_named_and_not_opened(console: Client, shop: Workspace) -> None:
    row = capture(shop, attached("a.html"))
    assert letter.read(bytes(row.source)).html is None
    html = shown(console, row)
    assert f'href="{LIST}{row.pk}/attachments/1/"><bdi>a.html</bdi></a>' in html
    assert "text/html, 3\xa0bytes" in html
    assert console.get(f"{LIST}{row.pk}/attachments/0/").status_code == 404
    assert console.get(f"{LIST}{row.pk}/attachments/2/").status_code == 404


@pytest.mark.parametrize(
    ("name", "saved_as"),
    [
        ("invoice.PDF", "attachment-1.pdf"),
        ("../../etc/passwd", "attachment-1"),
        ("C:\\x", "attachment-1"),
        ("a\x00.pdf", "attachment-1.pdf"),
        ("invoice\u202efdp.exe", "attachment-1.exe"),
        ('"; filename="x.exe', "attachment-1.exe"),
        ("x" * 300, "attachment-1"),
        ("", "attachment-1"),
        (".", "attachment-1"),
        ("CON", "attachment-1"),
        ("\U0001f4ce", "attachment-1"),
        ("a.pdf\r\nX: y", "attachment-1"),
    ],
    ids=repr,
)
def test_an_attachment_is_kept_under_a_name_of_ours(name: str, saved_as: str, console: Client, shop: Workspace) -> None:
    row = capture(shop, attached(name))
    answer = console.get(f"{LIST}{row.pk}/attachments/1/")
    assert (answer.status_code, answer.content) == (200, b"<b>")
    assert answer["Content-Disposition"] == f'attachment; filename="{saved_as}"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "\u202e" not in shown(console, row)


# --- Links ---


def found(html: str = "", text: str = "") -> list[tuple[str, bool, bool]]:
    return [(link.target, link.is_web, link.is_misleading) for link in links(letter.Letter(html=html, text=text))]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="https://a.example/?x=1&amp;y=2">Go</a>', ("https://a.example/?x=1&y=2", True, False)),
        ("<A class=b HREF = 'mailto:a@b.example'>Write</A>", ("mailto:a@b.example", False, False)),
        ("<a href=javascript:alert(1)>x</a>", ("javascript:alert(1)", False, False)),
        ("<a href=' java&#10;script:x'>x</a>", ("java\ufffdscript:x", False, False)),
        ("<area href=https://a.example>", ("https://a.example", True, False)),
        ("<a href=https://evil.example><b>https://bank.example/</b></a>", ("https://evil.example", True, True)),
        ("<a href=https://bank.example/x>bank.example</a>", ("https://bank.example/x", True, False)),
        ("<a href=https://a.example/\u202egpj>x</a>", ("https://a.example/\ufffdgpj", True, False)),
        ("<a href=https://[>bank.example</a>", ("https://[", True, True)),
    ],
)
def test_links_of_html_show_where_they_lead(html: str, expected: tuple[str, bool, bool]) -> None:
    assert found(html) == [expected]


def test_links_of_text_end_before_the_sentence_does() -> None:
    assert found(text="See (https://a.example/b). And HTTP://B.example!") == [
        ("https://a.example/b", True, False),
        ("HTTP://B.example", True, False),
    ]


def test_only_links_to_the_web_can_be_followed(console: Client, shop: Workspace) -> None:
    source = b"Content-Type: text/html\r\n\r\n<a href='javascript:alert(1)'>x</a><a href='https://a.example/'>y</a>"
    html = shown(console, capture(shop, source), show="links")
    assert "<span>javascript:alert(1)</span>" in html
    assert 'href="https://a.example/" target="_blank" rel="noopener noreferrer"' in html
    assert 'href="javascript' not in html


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["<a ", "<a href=", '<a href="', "<a>", "http://", "<a href" + " " * 3_900, "<" * 40])
def test_hostile_html_does_not_hold_up_the_search_for_links(piece: str) -> None:
    text = piece * (letter.MAX_SHOWN // len(piece))
    assert len(links(letter.Letter(html=text, text=text))) <= 2 * MAX_LINKS


def test_views_of_a_message_that_is_not_there(console: Client, shop: Workspace) -> None:
    for word in ("html", "source", "attachments/1"):
        assert console.get(f"{LIST}{shop.pk}/{word}/").status_code == 404


def test_each_look_is_kept_once_an_hour(console: Client, shop: Workspace) -> None:
    row = capture(shop)
    for part in ("change/", "html/", "source/", "change/"):
        assert console.get(f"{LIST}{row.pk}/{part}").status_code == 200
    console.get(f"{LIST}feed/?since=0")

    (entry,) = LogEntry.objects.all()
    assert (entry.object_id, entry.change_message, str(entry.user)) == (str(row.pk), "Looked at it.", "ops@example.com")


def test_a_look_at_what_a_message_holds_is_kept(console: Client, shop: Workspace) -> None:
    make_domain(shop)
    message = make_message(shop)

    assert console.get(f"/admin/mail_messages/messagecontent/{message.pk}/change/").status_code == 200

    assert LogEntry.objects.get(object_id=str(message.pk)).change_message == "Looked at it."


def test_long_html_is_shown_whole_and_long_text_says_that_it_is_cut(console: Client, shop: Workspace) -> None:
    html = capture(shop, b"Content-Type: text/html\r\n\r\n" + b"<p>x</p>" * 40_000 + b"<p id=end>")
    text = capture(shop, b"Content-Type: text/plain\r\n\r\n" + b"x" * 200_001)

    assert console.get(f"{LIST}{html.pk}/html/").content.rstrip().endswith(b"<p id=end>")
    assert "Shortened:" not in console.get(f"{LIST}{html.pk}/change/").content.decode()
    assert "Shortened:" in console.get(f"{LIST}{text.pk}/change/").content.decode()


def test_images_are_loaded_for_the_one_word_that_asks(console: Client, shop: Workspace) -> None:
    row = capture(shop)

    for query, is_loaded in (("images=1", True), ("images=0", False), ("images", False)):
        policy = console.get(f"{LIST}{row.pk}/html/?{query}")["Content-Security-Policy"]
        assert ("img-src data: https: http:" in policy) is is_loaded


def test_the_inbox_takes_no_posts(console: Client, shop: Workspace) -> None:
    row = capture(shop)

    answer = console.post(LIST, {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"})

    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert CapturedMessage.objects.of(shop.pk).count() == 1


@pytest.mark.parametrize(
    ("html", "target", "is_misleading"),
    [
        ('<a data-href="https://good.example/" href="https://evil.example/">x</a>', "https://evil.example/", False),
        ('<a title="a>b" href="https://evil.example/">good.example</a>', "https://evil.example/", True),
        ("<a title=it's href=https://a.example/>a</a>", "https://a.example/", False),
        ('<a href="https://www.shop.example/x">shop.example</a>', "https://www.shop.example/x", False),
    ],
)
def test_a_link_is_listed_with_where_it_leads(html: str, target: str, is_misleading: bool) -> None:
    (link,) = links(Letter(html=html))

    assert (link.target, link.is_misleading) == (target, is_misleading)


def test_hostile_tags_take_no_long_time() -> None:
    for piece in ("<a ", '<a "', "<a '", "<a \"'", '<a x="', "<a" + "x" * 499 + '"'):
        assert links(Letter(html=piece * (200_000 // len(piece)))) == []
