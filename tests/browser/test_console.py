"""The console in a real browser: sign in, see the state, open captured mail; nothing is blocked that should not be."""

from playwright.sync_api import Page

from apps.workspaces.models import Workspace
from tests.console.conftest import capture

HOSTILE_MAIL = (
    b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p id=said>Read me</p>"
    b"<script>top.document.title = 'taken'</script><img src='https://tracker.example/x.png'>"
    b"<meta http-equiv=refresh content='0;url=https://elsewhere.example/'>"
)


def test_the_index_tells_the_state(page: Page, complaints: list[str]) -> None:
    assert page.title() == "Operator console | StackShift Mail"
    assert page.locator(".tiles li").count() == 13
    # The stylesheet has arrived: tiles stand in a grid.
    assert page.locator(".tiles").evaluate("element => getComputedStyle(element).display") == "grid"
    page.locator(".tiles a", has_text="workers alive").click()
    page.wait_for_url("**/admin/delivery/drain/")
    assert complaints == []


def test_captured_mail_is_read_in_its_frame(page: Page, shop: Workspace, complaints: list[str]) -> None:
    capture(shop, subject="Your order")
    page.goto("/admin/delivery/capturedmessage/")
    page.get_by_role("link", name="Your order").click()
    page.frame_locator("iframe").get_by_text("Thank you.").wait_for()
    assert complaints == []


def test_hostile_mail_runs_nothing_and_fetches_nothing(page: Page, shop: Workspace) -> None:
    refused: dict[str, str | None] = {}
    answered: list[str] = []
    page.on("requestfailed", lambda request: refused.update({request.url: request.failure}))
    page.on("response", lambda response: answered.append(response.url))
    row = capture(shop, HOSTILE_MAIL)
    page.goto(f"/admin/delivery/capturedmessage/{row.pk}/change/")
    page.frame_locator("iframe").get_by_text("Read me").wait_for()
    page.wait_for_load_state("networkidle")
    assert "taken" not in page.title()
    # The browser refused it by itself, before any connection, and the page stayed where it was.
    assert refused == {"https://tracker.example/x.png": "csp"}
    assert [url for url in answered if ".example" in url] == []


def test_a_button_on_a_page_acts_and_comes_back(page: Page, shop: Workspace, complaints: list[str]) -> None:
    page.goto(f"/admin/workspaces/workspace/{shop.pk}/change/")
    page.get_by_role("button", name="Suspend").click()
    page.get_by_text("Now suspended: shop.").wait_for()
    assert page.url.endswith(f"/{shop.pk}/change/")
    shop.refresh_from_db()
    assert shop.status == Workspace.Status.SUSPENDED
    assert complaints == []


def test_the_reference_works_offline(page: Page, complaints: list[str]) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto("/docs/")
    page.get_by_text("/v1/mail/send").first.wait_for()
    assert {url.split("/")[2] for url in requested if url.startswith("http")} == {page.url.split("/")[2]}
    assert complaints == []
