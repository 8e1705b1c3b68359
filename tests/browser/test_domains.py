"""A domain in the console: added, found wrong, explained, mended in its zone, verified, and its key rotated."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from playwright.sync_api import Page

from apps.domains.models import Domain, DomainRecord
from apps.workspaces.models import Workspace
from tests.browser.conftest import PHONE, keep_screenshot
from tests.fakes.dns_server import DnsServer

NAME = "shop.example"


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server, override_settings(MAIL_DNS_SERVERS=server.address, MAIL_SPF_INCLUDE="spf.mail.example"):
        yield server


def publish(dns: DnsServer) -> None:
    for row in DomainRecord.objects.across_workspaces():
        dns.set(row.name, row.type, f"{row.value}." if row.type == "CNAME" else row.value)


def add_domain(page: Page) -> None:
    page.goto("/admin/domains/domain/add/")
    page.locator(".select2-selection").click()
    page.get_by_role("option", name="shop").click()
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name=NAME, exact=True).first.click()
    page.get_by_role("heading", name="DNS records").wait_for()


def test_a_domain_is_added_explained_mended_and_verified(
    page: Page, shop: Workspace, dns: DnsServer, complaints: list[str]
) -> None:
    add_domain(page)
    publish(dns)
    dns.set(NAME, "TXT", "v=spf1 mx -all", "v=spf1 include:spf.mail.example ~all")

    page.get_by_role("button", name="Verify now").click()

    page.get_by_text(f"{NAME} is failed. What is wrong stands at its records.").wait_for()
    page.get_by_text("Join them into one: v=spf1 include:spf.mail.example mx ~all").wait_for()
    keep_screenshot(page, "domain-wrong")
    dns.set(NAME, "TXT", "v=spf1 mx include:spf.mail.example ~all")

    page.get_by_role("button", name="Verify now").click()

    page.get_by_text(f"{NAME} is verified.").wait_for()
    assert page.locator(".record-verified").count() == 4
    buttons = page.locator(".page-actions input[type=submit]")
    assert [button.get_attribute("value") for button in buttons.all()] == [
        "Verify now",
        "Rotate the DKIM key",
        "Add an Ed25519 signature",
        "Disable: send nothing from it",
    ]
    assert complaints == []


def test_a_key_is_rotated(page: Page, shop: Workspace, dns: DnsServer, complaints: list[str]) -> None:
    add_domain(page)
    publish(dns)
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text(f"{NAME} is verified.").wait_for()

    page.get_by_role("button", name="Rotate the DKIM key").click()

    page.get_by_text("The next key: mail is signed with it as soon as this record is seen.").wait_for()
    publish(dns)
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text("The old key: keep this record until").wait_for()
    assert page.locator(".record").count() == 5
    keep_screenshot(page, "domain-rotated")
    assert complaints == []


def test_a_phone_shows_all_of_it(page: Page, shop: Workspace, dns: DnsServer, complaints: list[str]) -> None:
    add_domain(page)
    page.set_viewport_size(PHONE)

    page.reload()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    keep_screenshot(page, "domain-phone")
    assert complaints == []


def test_what_a_zone_holds_is_shown_and_not_run(
    page: Page, shop: Workspace, dns: DnsServer, complaints: list[str]
) -> None:
    add_domain(page)
    publish(dns)
    hostile = "<script>document.title='taken'</script><img src=https://tracker.example/x.png>"
    key = DomainRecord.objects.across_workspaces().get(purpose="dkim")
    dns.set(key.name, "TXT", f"v=DKIM1; k=rsa; p={hostile}")

    page.get_by_role("button", name="Verify now").click()

    page.get_by_text("Another key is published.").wait_for()
    assert hostile in str(page.locator(".record-failed dd").last.text_content())
    assert "taken" not in page.title()
    assert complaints == []
    assert Domain.objects.across_workspaces().get().status == "failed"
