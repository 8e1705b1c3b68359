"""A signed-in operator in Debian's Chromium, by pytest-playwright; and what the browser itself complains about."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Playwright, sync_playwright

from apps.delivery.services.drain import drain
from apps.workspaces.models import Workspace
from apps.workspaces.services import create_operator
from tests.factories import make_workspace

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PASSWORD = "correct-horse-1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM.exists():
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"there is no chromium at {CHROMIUM}"))


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """The plugin's own lives as long as the session, and with it an event loop in this thread, which Django would
    take for asynchronous code in every test that follows; this one ends with the browser tests."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield playwright


@pytest.fixture(scope="package")
def browser_type(playwright: Playwright) -> BrowserType:
    return playwright.chromium


@pytest.fixture(scope="package")
def browser(browser_type: BrowserType) -> Iterator[Browser]:
    chromium = browser_type.launch(executable_path=str(CHROMIUM), headless=True, args=ARGUMENTS)
    yield chromium
    chromium.close()


@pytest.fixture(scope="package")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": DESKTOP}


@pytest.fixture
def context(new_context: Callable[..., BrowserContext], live_server: Any) -> BrowserContext:
    return new_context(base_url=live_server.url)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says: errors, and what the content security policy refused."""
    return []


@pytest.fixture
def page(context: BrowserContext, complaints: list[str], live_server: Any) -> Page:
    """A page of an operator who has signed in. The form for that has its tests; here only its cookie is needed."""
    visitor = Client()
    visitor.force_login(create_operator("ops@example.com", password=PASSWORD))
    cookie = visitor.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/admin/")
    return page


@pytest.fixture
def shop(live_server: Any) -> Workspace:
    return make_workspace("shop")


@pytest.fixture
def deliver() -> Iterator[Callable[[], None]]:
    """The engine until nothing is due, in a thread: this one has the browser's event loop."""

    def run() -> None:
        try:
            drain(until_idle=True)
        finally:
            connections.close_all()

    policy = asyncio.get_event_loop_policy()
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(run).result(timeout=60)
    asyncio.set_event_loop_policy(policy)  # the engine chose another for the process


def sign_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Email").fill("ops@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state("networkidle")


def keep_screenshot(page: Page, name: str) -> None:
    """Keeps a picture for the README and the docs where SCREENSHOTS names a folder, as in `SCREENSHOTS=docs/images`."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
