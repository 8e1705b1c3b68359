"""Batches in a real browser: the bar, the failed items first, and the way to their stories, on a desk and a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from apps.workspaces.models import Workspace
from tests.batches.making import BATCH, batch, item
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.client import Api
from tests.factories import make_domain, make_key

HOSTILE = "<script>document.title = 'taken'</script>"


@pytest.fixture
def api(shop: Workspace) -> Api:
    make_domain(shop)
    return Api(make_key(shop)[1])


def test_a_batch_shows_its_failed_items_first(
    page: Page, api: Api, deliver: Callable[[], None], complaints: list[str]
) -> None:
    waiting = api.post(BATCH, batch(*[item(number) for number in range(3)])).data
    items = [*[item(number) for number in range(6)], item(6, to="bounce@example.com"), item(7, to=HOSTILE)]
    deliver()
    sent = api.post(BATCH, batch(*items, item(8, to="suppressed@example.com"))).data
    deliver()
    api.post(BATCH, batch(item(0), item(1, to="x")))

    for name, size, scheme in (("", DESKTOP, "light"), ("-phone", PHONE, "light"), ("-dark", DESKTOP, "dark")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto("/admin/batches/batch/")
        assert page.locator(".progress svg").count() == 3
        assert waiting["id"] in (page.locator("#result_list").inner_html())
        keep_screenshot(page, f"batches{name}")
        page.goto(f"/admin/batches/batch/{sent['id']}/change/")
        assert page.locator(".batch-items tbody tr").count() == 9
        first, second = page.locator(".batch-items tbody tr").nth(0), page.locator(".batch-items tbody tr").nth(1)
        assert "Bounced" in first.inner_text()
        assert "validation_error" in second.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        keep_screenshot(page, f"batch{name}")
    page.get_by_role("link", name="Story", exact=True).first.click()
    page.get_by_text("bounce@example.com").first.wait_for()
    page.go_back()
    page.get_by_role("link", name="7 sent").click()
    page.locator("#result_list tbody tr").nth(6).wait_for()
    assert page.locator("#result_list tbody tr").count() == 7
    assert complaints == []
