"""An operator's first hour: a domain is added, found wrong, mended and verified; mail goes out, is read and stopped."""

from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings
from playwright.sync_api import Page

from apps.domains.models import DomainRecord
from apps.workspaces.models import Workspace
from tests.browser.conftest import keep_screenshot
from tests.client import SEND, Api, mail
from tests.factories import make_key
from tests.fakes.dns_server import DnsServer

NAME = "shop.example"


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server, override_settings(MAIL_DNS_SERVERS=server.address):
        yield server


def test_from_the_first_domain_to_the_story_of_a_message(
    page: Page, shop: Workspace, dns: DnsServer, deliver: Callable[[], None], complaints: list[str]
) -> None:
    api = Api(make_key(shop)[1])
    _add_and_verify(page, dns)

    page.goto("/admin/delivery/capturedmessage/")
    page.get_by_text("Live", exact=True).wait_for()
    assert api.post(SEND, mail(to="ada@example.com", subject="Your receipt", html="<p>Thanks, Ada.</p>")).status == 202
    deliver()
    page.get_by_role("link", name="Your receipt").click()
    page.frame_locator("iframe").get_by_text("Thanks, Ada.").wait_for()

    waiting = api.post(SEND, mail(to="defer+1@example.com", subject="Your invoice")).data["id"]
    deliver()
    page.goto(f"/admin/mail_messages/message/{waiting}/change/")
    page.get_by_text("Waiting for example.com: the receiving server asked us to try again later").wait_for()
    _hold_release_and_retry(page)
    deliver()
    page.reload()
    page.get_by_text("Taken by the receiving server.").first.wait_for()
    keep_screenshot(page, "story-end")
    assert api.get(f"/v1/mail/messages/{waiting}").data["status"] == "sent"
    assert complaints == []


def _add_and_verify(page: Page, dns: DnsServer) -> None:
    page.goto("/admin/domains/domain/add/")
    page.locator(".select2-selection").click()
    page.get_by_role("option", name="shop").click()
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name=NAME, exact=True).first.click()
    for row in DomainRecord.objects.across_workspaces():
        dns.set(row.name, row.type, f"{row.value}." if row.type == "CNAME" else f'"{row.value}"')
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text("Quotation marks or backslashes have become part of the value").first.wait_for()
    for row in DomainRecord.objects.across_workspaces().filter(type="TXT"):
        dns.set(row.name, row.type, row.value)
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text(f"{NAME} is verified.").wait_for()


def _hold_release_and_retry(page: Page) -> None:
    page.locator("summary", has_text="Hold").first.click()
    page.locator("details[open]").get_by_label("Reason").first.fill("wrong prices")
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_text("Held: 1 recipient.").wait_for()
    page.get_by_role("button", name="Release").first.click()
    page.get_by_text("Released: 1 recipient.").wait_for()
    page.get_by_role("button", name="Retry now").first.click()
    page.get_by_text("Made due now: 1 recipient.").wait_for()
