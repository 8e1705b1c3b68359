"""Suppressions in a real browser: a file is checked and imported, and a stopped mail leads to what stopped it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from apps.suppressions.models import Suppression
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.client import SEND, Api, mail
from tests.factories import make_domain, make_key

LIST = "/admin/suppressions/suppression/"
HOSTILE = "<script>document.title = 'taken'</script>"
LINES = ["email,reason", "ada@example.com,unsubscribe", "=cmd@example.com,blocked", "nobody,", f"{HOSTILE},", "*@x.de,"]


@pytest.fixture
def api(shop: Workspace) -> Api:
    make_domain(shop)
    return Api(make_key(shop)[1])


def test_a_list_is_imported_and_exported(page: Page, shop: Workspace, tmp_path: Path, complaints: list[str]) -> None:
    file = tmp_path / "old provider.csv"
    file.write_text("\n".join(LINES))

    for name, size, scheme in (("", DESKTOP, "light"), ("-phone", PHONE, "light"), ("-dark", DESKTOP, "dark")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto(LIST)
        page.get_by_role("link", name="Import").click()
        page.locator(".select2-selection").click()
        page.get_by_role("option", name="shop").click()
        page.set_input_files("input[type=file]", file)
        page.get_by_label("Only check").set_checked(name == "")
        keep_screenshot(page, f"suppressions-import{name}")
        page.get_by_role("button", name="Import").click()
        page.get_by_text("Refused lines").wait_for()
        assert page.locator(".refused-lines tbody tr").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        keep_screenshot(page, f"suppressions-imported{name}")
    assert Suppression.objects.of(shop.pk).count() == 2
    page.get_by_role("link", name="The suppressions of").click()
    assert page.locator("#result_list tbody tr").count() == 2
    keep_screenshot(page, "suppressions")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    content = Path(download.value.path()).read_text().splitlines()
    assert [line.partition(",")[0] for line in content] == ["email", "'=cmd@example.com", "ada@example.com"]
    assert complaints == []


def test_a_stopped_mail_leads_to_its_suppression_and_back_to_the_evidence(
    page: Page, api: Api, deliver: Callable[[], None], complaints: list[str]
) -> None:
    api.post(SEND, mail(to="bounce@example.com"))
    deliver()
    stopped = api.post(SEND, mail(to="Bounce@example.com")).data["id"]

    for name, size, scheme in (("", DESKTOP, "light"), ("-phone", PHONE, "light"), ("-dark", DESKTOP, "dark")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto(f"/admin/mail_messages/message/{stopped}/change/")
        keep_screenshot(page, f"story-suppressed{name}")
        page.get_by_role("link", name="Suppressed", exact=True).click()
        page.get_by_text("The address is dead, as its server said.").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        keep_screenshot(page, f"suppression{name}")
    page.get_by_role("link", name="try 1").click()
    page.get_by_text("5.1.1").first.wait_for()
    page.go_back()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Yes").click()
    page.goto(f"/admin/mail_messages/message/{stopped}/change/")
    page.get_by_text("The suppression was lifted since").wait_for()
    assert complaints == []
