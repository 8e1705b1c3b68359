"""Under the strict policy the stock admin works whole: Chromium refuses nothing, and nothing asks for an exception."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from apps.delivery.models import CapturedMessage
from apps.domains.models import Domain
from apps.keys.models import ApiKey
from apps.messages.models import Message, Recipient
from apps.suppressions.models import Suppression
from apps.workspaces.models import User, Workspace
from tests.browser.conftest import PHONE, keep_screenshot, sign_in
from tests.console.conftest import capture, hold
from tests.console.test_pages import MODELS, url
from tests.factories import make_domain, make_key, make_message, make_workspace, suppress

Rows = dict[type, object]


@pytest.fixture
def rows(page: Page) -> Rows:
    """One row of what has pages of different kinds, by model, with its id."""
    shop = make_workspace("shop")
    domain = make_domain(shop)
    message = make_message(shop)
    recipient = hold(message)
    key, _ = make_key(shop)
    made = (shop, domain, message, recipient, key, capture(shop), suppress(shop.pk, "grace@example.com"))
    return {type(row): row.pk for row in (*made, User.objects.get())}


def test_lists_and_forms_load_without_a_complaint(page: Page, rows: Rows, complaints: list[str]) -> None:
    for model in MODELS:
        page.goto(url(model, "changelist"))
    for model in (ApiKey, Domain, Suppression, Workspace, User):
        page.goto(url(model, "add"))
    page.goto("/admin/auth/group/add/")
    page.goto("/admin/password_change/")
    assert complaints == []


def test_the_pages_of_rows_load_without_a_complaint(page: Page, rows: Rows, complaints: list[str]) -> None:
    for model, pk in rows.items():
        page.goto(url(model, "change", pk))
        page.goto(url(model, "history", pk))
    for model in (Suppression, CapturedMessage, Domain):
        page.goto(url(model, "delete", rows[model]))
    assert complaints == []


def test_signing_out_and_in_loads_without_a_complaint(page: Page, rows: Rows, complaints: list[str]) -> None:
    page.get_by_role("button", name="Log out").click()
    page.goto("/admin/login/")
    page.get_by_label("Email").fill("ops@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Please enter the correct email").wait_for()
    sign_in(page)
    assert page.title() == "Operator console | StackShift Mail"
    assert complaints == []


def test_the_fields_of_forms_work(page: Page, rows: Rows, complaints: list[str]) -> None:
    page.goto(url(ApiKey, "add"))

    page.locator(".select2-selection").click()
    page.locator(".select2-search__field").fill("sho")
    page.locator(".select2-results__option", has_text="shop").click()
    page.get_by_label("Name").fill("till")
    page.locator(".field-expires_at .datetimeshortcuts a", has_text="Today").click()
    page.locator(".field-expires_at .date-icon").click()
    page.locator(".calendarbox").get_by_role("link", name="15", exact=True).click()
    page.locator(".field-expires_at .clock-icon").click()
    page.locator(".clockbox").get_by_role("link", name="Noon").click()

    assert page.locator("#id_workspace").input_value() == str(rows[Workspace])
    assert re.fullmatch(r"\d{4}-\d\d-15", page.locator("#id_expires_at_0").input_value())
    assert page.locator("#id_expires_at_1").input_value() == "12:00:00"
    assert complaints == []


def test_a_row_made_in_a_popup_is_chosen(page: Page, rows: Rows, complaints: list[str]) -> None:
    page.goto(url(ApiKey, "add"))
    with page.expect_popup() as opened:
        page.locator("#add_id_workspace").click()
    popup = opened.value
    popup.on("console", lambda said: complaints.append(said.text))
    popup.get_by_label("Slug").fill("fresh")
    popup.get_by_label("Name").fill("Fresh")
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Save").click()

    page.locator(".select2-selection__rendered", has_text="fresh").wait_for()
    assert Workspace.objects.filter(slug="fresh").exists()
    assert complaints == []


def test_permissions_are_moved_between_two_boxes(page: Page, rows: Rows, complaints: list[str]) -> None:
    page.goto("/admin/auth/group/add/")
    page.get_by_label("Name").fill("Readers")
    page.locator("#id_permissions_from option").first.dblclick()
    assert page.locator("#id_permissions_to option").count() == 1
    assert complaints == []


def test_older_and_newer_turn_the_pages(page: Page, shop: Workspace, complaints: list[str]) -> None:
    for number in range(51):
        suppress(shop.pk, f"reader{number}@example.com")
    page.goto("/admin/suppressions/suppression/")
    page.get_by_role("link", name="Older").click()
    page.get_by_text("reader0@example.com", exact=True).wait_for()
    page.get_by_role("link", name="Newer").click()
    page.get_by_text("reader50@example.com", exact=True).wait_for()
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_pages_fit_their_window(page: Page, rows: Rows, theme: str, size: str) -> None:
    """Wide tables scroll in a box of their own, and the page itself not at all."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of the two
    if size == "phone":
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # two numbers
    paths: dict[str, Callable[[], str]] = {
        "index": lambda: "/admin/",
        "messages": lambda: url(Message, "changelist"),
        "recipients": lambda: url(Recipient, "changelist"),
        "recipient": lambda: url(Recipient, "change", rows[Recipient]),
        "message": lambda: url(Message, "change", rows[Message]),
        "domain": lambda: url(Domain, "change", rows[Domain]),
        "workspace": lambda: url(Workspace, "change", rows[Workspace]),
        "key": lambda: url(ApiKey, "add"),
        "group": lambda: "/admin/auth/group/add/",
        "delete": lambda: url(Suppression, "delete", rows[Suppression]),
        "password": lambda: "/admin/password_change/",
    }
    for name, path in paths.items():
        page.goto(path())
        keep_screenshot(page, f"{name}-{theme}-{size}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
