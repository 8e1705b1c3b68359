"""What comes in, in a real browser, at a desk and on a phone: reports, the debugger, a mail whose script stays dead."""

import pytest
from playwright.sync_api import Page, expect

from apps.inbound.services import domains, reports
from apps.inbound.services.arrival import Arrival
from apps.inbound.states import Door
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.factories import make_domain
from tests.inbound.mail import make_inbound_message
from tests.inbound.making import dsn, make_sent, return_path


@pytest.mark.parametrize(("viewport", "name"), [(DESKTOP, "desktop"), (PHONE, "phone")])
def test_reports_the_debugger_and_a_mail(
    page: Page, shop: Workspace, complaints: list[str], viewport: dict[str, int], name: str
) -> None:
    page.set_viewport_size({"width": viewport["width"], "height": viewport["height"]})
    make_domain(shop)
    message, other = make_sent(shop), make_sent(shop, "grace@example.com")
    reports.take(Door.BOUNCES, Arrival(dsn(message), (return_path(message),)))
    stray = reports.take(Door.BOUNCES, Arrival(dsn(email="who@example.com"), ("postmaster@shop.example",)))
    mail = make_inbound_message(shop)
    domain = domains.create(shop.pk, "new.shop.example")

    page.goto("/admin/inbound/report/")
    expect(page.get_by_text("who@example.com: It names neither")).to_be_visible()
    keep_screenshot(page, f"reports-{name}")
    page.goto(f"/admin/inbound/report/{stray}/change/")
    expect(page.get_by_text("This is the mail system at host relay.example.")).to_be_visible()
    keep_screenshot(page, f"report-{name}")
    page.goto("/admin/inbound/report/")
    page.get_by_role("link", name="Bounce debugger").click()
    page.get_by_label("The report, headers and all").fill(dsn(other, "grace@example.com").decode())
    page.get_by_label("Sent to").fill(return_path(other, "grace@example.com"))
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("a bounce of type hard; suppressed (hard bounce)")).to_be_visible()
    keep_screenshot(page, f"debugger-{name}")

    page.goto(f"/admin/inbound/inboundmessage/{mail.pk}/change/")
    expect(page.frame_locator("iframe").get_by_text("Where is it?")).to_be_visible()
    keep_screenshot(page, f"inbound-mail-{name}")
    page.goto(f"/admin/inbound/inbounddomain/{domain.pk}/change/")
    expect(page.get_by_text("_stackshift-inbound.new.shop.example")).to_be_visible()
    keep_screenshot(page, f"inbound-domain-{name}")
    # The script of the mail is refused by its frame, and that is all that the browser has to say.
    assert [said for said in complaints if "sandboxed" not in said] == []
