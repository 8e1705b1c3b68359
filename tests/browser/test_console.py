"""The console in a real browser: sign in, see the state, open captured mail; nothing is blocked that should not be."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from apps.workspaces.models import Workspace
from apps.workspaces.services import create_operator
from tests.console.conftest import capture
from tests.factories import make_workspace

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
HOSTILE_MAIL = (
    b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p id=said>Read me</p>"
    b"<script>top.document.title = 'taken'</script><img src='https://tracker.example/x.png'>"
    b"<meta http-equiv=refresh content='0;url=https://elsewhere.example/'>"
)
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no chromium at /usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop running in this thread, which Django would take for asynchronous code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says: errors, and what the content security policy refused."""
    return []


@pytest.fixture
def page(browser: Browser, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    create_operator("ops@example.com", password="correct-horse-1")
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page)
    yield page
    context.close()


@pytest.fixture
def shop(live_server: Any) -> Workspace:
    return make_workspace("shop")


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").fill("ops@example.com")
    page.get_by_label("Password").fill("correct-horse-1")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state("networkidle")


def test_the_index_tells_the_state(page: Page, complaints: list[str]) -> None:
    assert page.title() == "Operator console | StackShift Mail"
    assert page.locator(".tiles li").count() == 11
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
