"""The inbox in a real browser: mail appears by itself, and nothing in it runs, is fetched, or breaks the page."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import unquote

from django.contrib.sessions.models import Session
from playwright.sync_api import Page, Route, expect

from apps.core import clock
from apps.delivery.models import CapturedMessage
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.console.conftest import HOSTILE, capture
from tests.factories import make_domain, make_message, make_workspace

LIST = "/admin/delivery/capturedmessage/"
RECEIPT = """Subject: Your receipt from Nordlicht Coffee
From: Nordlicht Coffee <orders@nordlicht.example>
To: ada@example.com
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Thank you, Ada. Your order: https://nordlicht.example/orders/1041
--b
Content-Type: text/html; charset=utf-8

<div style="max-width:600px;margin:24px auto;font:16px/1.5 sans-serif;color:#222">
<h2 style="color:#0a5c4a">Thank you, Ada</h2><p>Your order <b>1041</b> has left our roastery.</p>
<table width="100%" style="border-collapse:collapse"><tr><td style="padding:8px 0;border-bottom:1px solid #ddd">
Ethiopia Sidamo, 1 kg</td><td align="right" style="border-bottom:1px solid #ddd">24.00</td></tr>
<tr><td style="padding:8px 0"><b>Total</b></td><td align="right"><b>24.00</b></td></tr></table>
<p><a href="https://nordlicht.example/orders/1041">Follow your parcel</a></p></div>
--b--
""".replace("\n", "\r\n").encode()
# Author, inbox, subject, and how many minutes ago.
MAILS = (
    ("Nordlicht Coffee <orders@nordlicht.example>", "ada@example.com", "Your receipt from Nordlicht Coffee", 1),
    ("Acme Billing <billing@acme.example>", "grace@example.com", "Invoice 2026-1107 for November", 3),
    ("Acme <hello@acme.example>", "ada@example.com", "Confirm your address", 8),
    ("Acme <hello@acme.example>", "linus@example.com", "Your sign-in code is 481 226", 26),
    ("Harbour Clinic <noreply@harbour.example>", "grace@example.com", "Reminder: your visit on Thursday, 14:30", 64),
    ("Acme Billing <billing@acme.example>", "ada@example.com", "We could not charge your card", 190),
    ("Nordlicht Coffee <orders@nordlicht.example>", "margaret@example.com", "Order 1039 is on its way", 400),
    ("Acme <hello@acme.example>", "katherine@example.com", "You were invited to the project “Orbit”", 1500),
)
HOSTILE_HTML = (
    f"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Read me {HOSTILE}</p>"
    "<script>top.document.title = 'taken'</script><img src='https://tracker.example/x.png'>"
    "<link rel=stylesheet href='https://tracker.example/x.css'><style>@import 'https://tracker.example/y.css'</style>"
    "<form action='https://tracker.example/'><button>Go</button></form>"
    "<a href='javascript:alert(1)'>x</a><iframe src='https://tracker.example/f'></iframe>"
).encode()


def mails(shop: Workspace) -> None:
    for number, (author, inbox, subject, minutes) in reversed(list(enumerate(MAILS))):
        facts = {"author": author, "inbox": inbox, "subject": subject}
        received_at = clock.now() - timedelta(minutes=minutes)
        size = 3_000 + 7_919 * number
        capture(shop, RECEIPT, **facts, received_at=received_at, size=size, has_attachments=number == 1)


def subjects(page: Page) -> list[str]:
    return page.locator(".line-subject").all_text_contents()


def width_of(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_mail_appears_while_the_page_is_open(
    page: Page, shop: Workspace, complaints: list[str], deliver: Callable[[], None]
) -> None:
    mails(shop)
    page.goto(LIST)
    expect(page.locator(".inbox-state")).to_have_text("Live")
    make_domain(shop)
    make_message(shop, "new@example.com", subject="Just arrived")

    deliver()

    expect(page.locator(".line-subject").first).to_have_text("Just arrived", timeout=3_000)
    expect(page.locator(".inbox-state")).to_have_text("New mail: Just arrived")
    assert page.locator(".inbox-names li").nth(1).inner_text().split() == ["new@example.com", "1"]
    live = page.locator(".line").first.inner_html()
    page.reload()
    assert page.locator(".line").first.inner_html().split() == live.split()
    page.get_by_role("link", name="Just arrived").click()
    page.get_by_role("heading", name="Just arrived").wait_for()
    assert complaints == []


def test_an_empty_inbox_explains_the_scripts_and_fills(page: Page, shop: Workspace, complaints: list[str]) -> None:
    page.goto(LIST)
    expect(page.get_by_text("No mail yet.")).to_be_visible()
    expect(page.get_by_text("bounce+550-5.7.1@")).to_be_visible()
    capture(shop, subject="The first")
    page.get_by_role("link", name="The first").wait_for()
    expect(page.get_by_text("No mail yet.")).to_be_hidden()
    assert complaints == []


def test_an_open_search_and_an_open_inbox_show_only_what_belongs_there(page: Page, shop: Workspace) -> None:
    capture(shop, subject="Invoice 1")
    page.goto(LIST)
    page.get_by_role("searchbox").fill("subject:invoice to:ada")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Found among the newest").wait_for()
    capture(shop, subject="Something else")
    capture(shop, subject="Invoice 3", inbox="grace@example.com")
    capture(shop, subject="Invoice 2")
    expect(page.locator(".line-subject")).to_have_text(["Invoice 2", "Invoice 1"])

    page.goto(f"{LIST}?inbox=grace@example.com")
    capture(shop, subject="Invoice 4", inbox="ada@example.com")
    capture(shop, subject="Invoice 5", inbox="grace@example.com")
    expect(page.locator(".line-subject")).to_have_text(["Invoice 5", "Invoice 3"])


def test_a_full_page_stays_one_page_and_older_mail_follows(page: Page, shop: Workspace) -> None:
    for number in range(52):
        capture(shop, subject=f"mail {number}")
    page.goto(LIST)
    expect(page.locator(".inbox-state")).to_have_text("Live")
    capture(shop, subject="mail 52")
    expect(page.locator(".line-subject").first).to_have_text("mail 52")
    assert page.locator(".line").count() == 50
    page.get_by_role("link", name="Older mail").click()
    page.get_by_role("link", name="Back to the newest").wait_for()
    assert subjects(page) == ["mail 2", "mail 1", "mail 0"]


def test_a_lost_server_and_an_ended_session_are_told(page: Page, shop: Workspace) -> None:
    page.goto(LIST)
    state = page.locator(".inbox-state")
    expect(state).to_have_text("Live")

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/feed/**", refuse)
    expect(state).to_have_text("Contact lost; trying again.")
    page.unroute("**/feed/**", refuse)
    expect(state).to_have_text("Live")
    Session.objects.all().delete()
    expect(state).to_have_text("Your session has ended. Sign in again")
    page.get_by_role("link", name="Sign in again").click()
    page.get_by_label("Password").wait_for()
    assert unquote(page.url).endswith(f"?next={LIST}")


def test_hostile_mail_runs_nothing_and_fetches_nothing(page: Page, shop: Workspace, complaints: list[str]) -> None:
    outside: list[tuple[str, str | None]] = []
    answered: list[str] = []
    page.on("requestfailed", lambda request: outside.append((request.url, request.failure)))
    page.on("response", lambda response: answered.append(response.url))
    page.goto(LIST)
    expect(page.locator(".inbox-state")).to_have_text("Live")
    row = capture(shop, HOSTILE_HTML, subject=HOSTILE, author=HOSTILE, sender=HOSTILE, inbox=HOSTILE)
    expect(page.locator(".line-subject")).to_have_text(HOSTILE)
    assert page.locator(".inbox img").count() == 0
    assert complaints == []

    page.goto(f"{LIST}{row.pk}/change/")
    page.frame_locator("iframe").get_by_text("Read me").wait_for()
    for tab in ("Links", "Headers", "Source"):
        page.locator(".mail-tabs").get_by_text(tab).click()
        page.locator(".mail-tabs a[aria-current]", has_text=tab).wait_for()
    assert page.locator("main img").count() == 0
    assert "taken" not in page.title()
    # The browser refused it all by itself, before any connection.
    assert {failure for url, failure in outside if ".example" in url} <= {"csp", "net::ERR_BLOCKED_BY_CSP"}
    assert [url for url in answered if ".example" in url.split("/")[2]] == []


def test_remote_images_are_loaded_only_when_asked_for(page: Page, shop: Workspace) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("referer", ""))
        route.fulfill(content_type="image/svg+xml", body="<svg xmlns='http://www.w3.org/2000/svg'/>")

    page.route("https://images.example/**", answer)
    source = b"Content-Type: text/html\r\n\r\n<img src='https://images.example/logo.svg'><script src='https://images.example/'>"
    row = capture(shop, source)
    page.goto(f"{LIST}{row.pk}/change/")
    page.wait_for_load_state("networkidle")
    assert asked == []
    page.get_by_role("link", name="Load remote images").click()
    page.wait_for_load_state("networkidle")
    assert asked == [""]
    page.get_by_role("link", name="Block them").click()
    page.wait_for_load_state("networkidle")
    assert asked == [""]


def test_html_is_shown_as_wide_as_a_phone(page: Page, shop: Workspace, complaints: list[str]) -> None:
    row = capture(shop, RECEIPT)
    page.goto(f"{LIST}{row.pk}/change/")
    assert page.locator("iframe").bounding_box()["width"] > 900
    page.get_by_role("link", name="Phone").click()
    page.locator("iframe.narrow").wait_for()
    assert page.locator("iframe").bounding_box()["width"] == 375
    assert complaints == []


def test_an_inbox_is_cleared(page: Page, shop: Workspace, complaints: list[str]) -> None:
    mails(shop)
    page.goto(f"{LIST}?inbox=ada@example.com")
    page.get_by_role("link", name="Clear this inbox…").click()
    page.get_by_role("button", name="Yes, delete them").click()
    page.get_by_text("Deleted 3 captured messages.").wait_for()
    assert "ada@example.com" not in page.locator(".inbox").inner_text()
    page.get_by_role("link", name="Clear all…").click()
    page.get_by_role("button", name="Yes, delete them").click()
    page.get_by_text("No mail yet.").wait_for()
    assert not CapturedMessage.objects.across_workspaces().exists()
    assert complaints == []


def test_nothing_is_wider_than_a_phone(page: Page, shop: Workspace, complaints: list[str]) -> None:
    make_workspace("other")
    mails(shop)
    long = "x" * 300
    row = capture(shop, RECEIPT, subject=long, author=long, inbox=f"{long[:60]}@example.com", sender=long)
    page.set_viewport_size(PHONE)
    tabs = [f"{row.pk}/change/?show={name}" for name in ("html", "text", "links", "headers", "source")]
    for path in ("", "?q=nothing", f"clear/?inbox={row.inbox}", *tabs):
        page.goto(f"{LIST}{path}")
        assert width_of(page) == PHONE["width"], path
    page.goto(LIST)
    page.get_by_text("Try other endings").click()
    assert width_of(page) == PHONE["width"]
    assert complaints == []


def test_pictures_for_the_docs(page: Page, shop: Workspace, complaints: list[str]) -> None:
    mails(shop)
    page.goto(LIST)
    expect(page.locator(".inbox-state")).to_have_text("Live")
    keep_screenshot(page, "inbox")
    page.set_viewport_size(PHONE)
    keep_screenshot(page, "inbox-phone")
    page.set_viewport_size(DESKTOP)
    page.get_by_role("link", name="Your receipt").click()
    page.frame_locator("iframe").get_by_text("Thank you, Ada").wait_for()
    keep_screenshot(page, "inbox-message")
    assert complaints == []


def test_times_are_told_in_the_same_words_as_time_goes_by(page: Page, shop: Workspace) -> None:
    capture(shop, received_at=clock.now() - timedelta(seconds=30))
    page.clock.install()
    page.goto(LIST)
    expect(page.locator(".line-time")).to_have_text("just now")
    page.clock.fast_forward("05:00")
    expect(page.locator(".line-time")).to_have_text("5 min")


def test_old_mail_is_not_announced_again(page: Page, shop: Workspace, complaints: list[str]) -> None:
    rows = [capture(shop, subject=f"m{number}") for number in range(60)]
    page.goto(LIST)
    expect(page.locator(".inbox-state")).to_have_text("Live")
    rows[-1].delete()
    with page.expect_response("**/feed/**"), page.expect_response("**/feed/**"):
        pass
    with page.expect_response("**/feed/**"):
        pass

    expect(page.locator(".inbox-state")).to_have_text("Live")
    assert page.locator(".inbox-count").first.inner_text() == "60"
    assert page.locator(".line-subject").count() == 50
    assert complaints == []
