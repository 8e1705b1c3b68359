"""Webhooks in a real browser, at a desk and on a phone: what fails and why, retried, replayed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page, expect

from apps.webhooks.services.shift import work
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.factories import make_domain, make_message
from tests.fakes.web_sink import Got, Say, WebSink
from tests.webhooks.making import make_endpoint

LIST = "/admin/webhooks/endpoint/"


def send() -> None:
    """In a thread: this one has the browser's event loop."""

    def run() -> None:
        try:
            work(until_idle=True, shift_seconds=60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result(timeout=60)


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_a_failing_endpoint_is_understood_retried_and_replayed(
    page: Page, shop: Workspace, complaints: list[str], settings: Any, viewport: dict[str, int], name: str
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    page.set_viewport_size({"width": viewport["width"], "height": viewport["height"]})
    make_domain(shop)
    turns = iter(range(1_000))

    def answering(got: Got) -> Say:
        return Say(200) if next(turns) < 3 else Say(500, body=b'{"error": "relation \\"orders\\" does not exist"}')

    with WebSink(answering) as sink:
        endpoint = make_endpoint(shop, sink.url("/webhooks/stackshift"), "mail.message.queued", description="Orders")
        make_endpoint(shop, "https://hooks.customer.example/stackshift", "mail.message.bounced")
        for _ in range(12):
            make_message(shop)
        send()

        page.goto(LIST)
        expect(page.get_by_text("Your server answered 500").first).to_be_visible()
        keep_screenshot(page, f"webhooks-list-{name}")
        page.goto(f"{LIST}{endpoint.pk}/change/")
        expect(page.get_by_text("Failing since 20")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        keep_screenshot(page, f"webhooks-page-{name}")
        page.get_by_role("link", name="mail.message.queued").first.click()
        expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
        expect(page.get_by_text("does not exist").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        keep_screenshot(page, f"webhooks-delivery-{name}")
        page.get_by_role("button", name="Retry now").click()
        expect(page.get_by_text("Made due now: 1.")).to_be_visible()
        page.goto(f"{LIST}{endpoint.pk}/change/")
        page.get_by_role("button", name="Replay a range").click()
        expect(page.get_by_role("heading", name="Replay a range")).to_be_visible()
        keep_screenshot(page, f"webhooks-replay-{name}")
        page.get_by_label("From (UTC)").fill("2026-01-01T00:00")
        page.get_by_role("button", name="Replay", exact=True).click()
        expect(page.get_by_text("Replayed events of 2026-01-01 00:00 to now: 1.")).to_be_visible()

        sink.answering = lambda got: Say(200)
        send()
    assert complaints == []
