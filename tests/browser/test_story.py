"""The story of a message in a real browser: its buttons act, it fits a phone, and hostile content stays inert."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from apps.core import clock
from apps.messages.models import Attempt, Message, Recipient
from apps.messages.services.interventions import retry_now
from apps.messages.states import Status
from apps.workspaces.models import Workspace
from tests.browser.conftest import DESKTOP, PHONE, keep_screenshot
from tests.client import SEND, Api, mail
from tests.factories import make_domain, make_key

TRACKER = "https://tracker.example/x.png"
HOSTILE = "<script>top.document.title = 'taken'</script><img src='https://tracker.example/x.png'>"
HTML = f"<h1>Your order</h1><p id=said>Thank you.</p>{HOSTILE}"


@pytest.fixture
def api(shop: Workspace) -> Api:
    make_domain(shop)
    return Api(make_key(shop)[1])


def sent(api: Api, to: Any, **changes: Any) -> Message:
    answer = api.post(SEND, mail(to=to, **changes))
    assert answer.status == 202, answer
    return Message.objects.across_workspaces().get(pk=answer.data["id"])


def go_to_story(page: Page, message: Message, query: str = "") -> None:
    page.goto(f"/admin/mail_messages/message/{message.pk}/change/{query}")


def recipients(message: Message) -> Any:
    return Recipient.objects.across_workspaces().filter(message=message)


def fits(page: Page) -> bool:
    """Whether nothing scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_the_story_of_a_deferred_and_then_sent_message(
    page: Page, api: Api, deliver: Callable[[], None], complaints: list[str]
) -> None:
    message = sent(api, ["Ada <defer+1@example.com>", "grace@example.org"], html=HTML)
    deliver()
    go_to_story(page, message)
    page.get_by_text("Waiting for example.com: the receiving server asked us to try again later").wait_for()
    assert fits(page)
    keep_screenshot(page, "story")
    page.set_viewport_size(PHONE)
    assert fits(page)
    keep_screenshot(page, "story-phone")
    page.set_viewport_size(DESKTOP)
    page.get_by_role("button", name="Retry now", exact=True).click()
    page.get_by_text("Made due now: 1 recipient.").wait_for()
    deliver()

    go_to_story(page, message)
    page.get_by_text("2 of 2 sent.").wait_for()
    assert page.locator(".timeline li", has_text="Made due now for defer+1@example.com").count() == 1
    assert page.locator("details.try").count() == 3
    assert page.locator("details.try[open]").count() == 1
    assert fits(page)
    assert complaints == []


def test_an_operator_holds_releases_and_cancels(
    page: Page, api: Api, deliver: Callable[[], None], complaints: list[str]
) -> None:
    message = sent(api, "ada@example.com")
    go_to_story(page, message)
    page.locator("summary", has_text="Hold").click()
    page.locator("details[open]").get_by_label("Reason").fill("wrong prices")
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_text("Held: 1 recipient.").wait_for()
    deliver()
    assert recipients(message).get().wait_detail == "wrong prices"

    page.get_by_role("button", name="Release").click()
    page.get_by_text("Released: 1 recipient.").wait_for()
    assert recipients(message).get().status == Status.QUEUED

    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Yes, cancel").click()
    page.get_by_text("Canceled: 1 recipient.").wait_for()
    deliver()
    assert recipients(message).get().status == Status.FAILED
    assert complaints == []


def test_hostile_content_runs_nothing_and_fetches_nothing(
    page: Page, api: Api, deliver: Callable[[], None], complaints: list[str]
) -> None:
    asked: list[str] = []
    page.on("response", lambda response: asked.append(response.url))
    message = sent(
        api,
        [{"email": "bounce@example.com", "name": HOSTILE}],
        subject=HOSTILE,
        html=f"<h1>{HOSTILE}</h1>",
        text=HOSTILE,
        headers={"X-Hostile": HOSTILE},
    )
    deliver()
    said = f"550 5.1.1 {HOSTILE}"
    Attempt.objects.across_workspaces().update(response=said, conversation=[[HOSTILE, said, 3]], tls=HOSTILE)
    recipients(message).update(last_error=said)

    for tab in ("", "?sent=text", "?sent=headers", "?sent=source", "?sent=attachments"):
        go_to_story(page, message, tab)
        page.wait_for_load_state("networkidle")
        assert page.title() == "The story of a message | StackShift Mail"
        assert page.locator("img[src*=tracker]").count() == 0
    assert fits(page)
    page.set_viewport_size(PHONE)
    assert fits(page)
    assert [url for url in asked if ".example" in url] == []
    assert complaints == []


def test_the_html_is_shown_in_a_frame_that_runs_nothing_and_fetches_nothing(
    page: Page, api: Api, deliver: Callable[[], None]
) -> None:
    refused: dict[str, str | None] = {}
    page.on("requestfailed", lambda request: refused.update({request.url: request.failure}))
    message = sent(api, "ada@example.com", html=HTML)
    deliver()

    go_to_story(page, message, "?sent=html")
    page.frame_locator("iframe").get_by_text("Thank you.").wait_for()
    page.wait_for_load_state("networkidle")
    assert refused == {TRACKER: "csp"}
    assert "taken" not in page.title()
    page.locator("#sent").scroll_into_view_if_needed()
    keep_screenshot(page, "story-content")

    page.get_by_role("link", name="Phone width").click()
    page.locator("iframe.narrow").wait_for()
    assert page.locator("iframe").bounding_box()["width"] <= 392  # type: ignore[index]


def test_a_story_with_much_to_tell_fits_a_phone(page: Page, api: Api, complaints: list[str]) -> None:
    message = sent(api, [f"{'a' * 60}{number}@{'b' * 60}.example.com" for number in range(5)], subject="x" * 300)
    retry_now(recipients(message).values_list("pk", flat=True))
    recipients(message).update(wait_code="retry", wait_detail="4" * 500, next_attempt_at=clock.now())
    page.set_viewport_size(PHONE)
    go_to_story(page, message)
    assert fits(page)
    assert complaints == []
