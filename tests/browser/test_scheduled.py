"""Scheduled mail in a real browser, at a desk and on a phone: what waits, sent now, canceled after a question."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from apps.scheduled.tasks import dispatch
from apps.workspaces.models import Workspace
from apps.workspaces.services import switch
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.factories import make_domain
from tests.scheduled.making import at, bring_due, fresh, later, make_scheduled

LIST = "/admin/scheduled/scheduled/"


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_it_is_looked_at_sent_now_and_canceled(
    page: Page, shop: Workspace, complaints: list[str], viewport: dict[str, int], name: str
) -> None:
    page.set_viewport_size({"width": viewport["width"], "height": viewport["height"]})
    make_domain(shop)
    text = "Thank you for your order.\nIt is on its way.\n" + "A long line that has to be broken somewhere. " * 8
    waiting = make_scheduled(shop, later(subject="Your order 1041 is on its way", text=text, html=f"<p>{text}</p>"))
    sent, refused, kept = (
        make_scheduled(shop, later(at(timedelta(days=n)), subject=f"Reminder {n}")) for n in (1, 2, 3)
    )
    bring_due(shop, sent)
    dispatch()
    switch(shop, Workspace.Status.SUSPENDED)
    bring_due(shop, refused)
    dispatch()

    page.goto(LIST)
    expect(page.get_by_text("The workspace may not send.")).to_be_visible()
    expect(page.get_by_text("Its time has not come.").first).to_be_visible()
    keep_screenshot(page, f"scheduled-list-{name}")
    page.goto(f"{LIST}{waiting.pk}/change/")
    expect(page.get_by_text("Thank you for your order.").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep_screenshot(page, f"scheduled-page-{name}")
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("Made due now: 1.")).to_be_visible()
    page.goto(f"{LIST}{kept.pk}/change/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancel scheduled mail")).to_be_visible()
    keep_screenshot(page, f"scheduled-cancel-{name}")
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("Canceled: 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Send now")).to_have_count(0)

    assert (fresh(kept).status, fresh(waiting).status) == ("canceled", "scheduled")
    assert complaints == []
