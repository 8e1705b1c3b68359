"""What browsers are told of every answer of the console, and that no page needs an exception from it."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client

from apps.console.middleware import POLICY
from apps.domains.models import Domain
from apps.messages.models import Recipient
from apps.workspaces.models import User, Workspace
from tests.console.conftest import MAIL, capture
from tests.console.test_pages import MODELS, pages_of, url

STRICT = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Inline(HTMLParser):
    """Collects whatever of a page the policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag == "style" or (tag == "script" and not names.get("src")):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            scheme = (value or "").strip().lower().partition(":")[0]
            if name == "style" or name.startswith("on") or scheme in {"javascript", "data", "vbscript"}:
                self.found.append(f"<{tag} {name}={value}>")


def inline(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


def headers(response: Any) -> dict[str, str | None]:
    return {name: response.get(name) for name in STRICT}


def test_the_policy_admits_nothing_that_is_inline_or_from_elsewhere() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))
    assert rules.pop("default-src") == rules.pop("frame-ancestors") == rules.pop("base-uri") == "'none'"
    assert set(rules.values()) == {"'self'"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_has_the_policy_and_nothing_against_it(
    model: type[Model], console: Client, everything: Workspace
) -> None:
    for page in [*pages_of(model, console), f"{url(model, 'changelist')}?q=x&_popup=1"]:
        response = console.get(page)
        assert headers(response) == STRICT, page
        assert response["X-Frame-Options"] == "DENY", page
        assert inline(response.content.decode()) == [], page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/", 200),
        ("/admin", 302),
        ("/admin/password_change/", 200),
        ("/admin/password_change/done/", 200),
        ("/admin/jsi18n/", 200),
        ("/admin/autocomplete/?app_label=keys&model_name=apikey&field_name=workspace&term=s", 200),
        ("/admin/autocomplete/", 403),
        ("/admin/nowhere/", 404),
        ("/admin/mail_messages/message/nowhere/change/", 404),
        ("/admin/mail_messages/message/?q=%00", 400),
        ("/admin/mail_messages/message/?subject__regex=(", 400),
        ("/admin/mail_messages/message/add/", 403),
        ("/admin/workspaces/", 200),
        ("/admin/r/1/1/", 404),
    ],
)
def test_other_answers_have_it_too(path: str, status: int, console: Client, everything: Workspace) -> None:
    response = console.get(path)
    assert response.status_code == status
    assert headers(response) == STRICT
    if response["Content-Type"].startswith("text/html"):
        assert inline(response.content.decode()) == []


def test_signing_in_and_out_has_it(client: Client, staff: User) -> None:
    wrong = {"username": staff.email, "password": "wrong"}
    right = {"username": staff.email, "password": "correct-horse-1", "next": "/admin/"}
    answers = [
        client.get("/admin/"),
        client.get("/admin/login/"),
        client.post("/admin/login/", wrong),
        client.post("/admin/login/", right),
        client.post("/admin/logout/"),
    ]
    assert [answer.status_code for answer in answers] == [302, 200, 200, 302, 200]
    assert [headers(answer) for answer in answers] == [STRICT] * 5
    assert [inline(answer.content.decode()) for answer in answers] == [[]] * 5


def test_a_failure_of_ours_has_it(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("apps.console.overview.read", fail)
    response = console.get("/admin/")
    assert response.status_code == 500
    assert headers(response) == STRICT
    assert "broken" not in response.content.decode()


def test_a_download_has_it(console: Client, everything: Workspace) -> None:
    row = capture(everything, MAIL)
    response = console.get(f"/admin/delivery/capturedmessage/{row.pk}/source/")
    assert response["Content-Disposition"].startswith("attachment")
    assert headers(response) == STRICT | {"Content-Security-Policy": "sandbox; default-src 'none'"}


def test_a_frame_of_ours_keeps_a_stricter_policy_of_its_own(console: Client, everything: Workspace) -> None:
    row = capture(everything, MAIL)
    response = console.get(f"/admin/delivery/capturedmessage/{row.pk}/html/")
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    assert response["Cache-Control"] == "no-store"
    assert response["X-Frame-Options"] == "SAMEORIGIN"


def test_a_refused_form_is_a_page_of_ours(staff: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    response = client.post("/admin/logout/")
    assert response.status_code == 403
    assert headers(response) == STRICT
    assert inline(response.content.decode()) == []
    assert "Nothing was changed." in response.content.decode()
    assert client.get("/admin/").status_code == 200


def test_steps_between_pages_have_nothing_against_it(console: Client, everything: Workspace) -> None:
    row, recipient = capture(everything, MAIL), Recipient.objects.of(everything.pk).order_by("pk").first()
    domain = Domain.objects.of(everything.pk).get()
    key = {"workspace": everything.pk, "name": "till", "scopes": ["mail:send"]}
    steps = [
        console.get("/admin/delivery/capturedmessage/clear/"),
        console.get(f"/admin/delivery/capturedmessage/{row.pk}/delete/"),
        console.post("/admin/mail_messages/recipient/", chosen("cancel", recipient.pk)),
        console.post("/admin/domains/domain/", chosen("delete_selected", domain.pk)),
        console.post("/admin/keys/apikey/add/", key, follow=True),
    ]
    for response in steps:
        assert response.status_code == 200
        assert headers(response) == STRICT
        assert inline(response.content.decode()) == []


def chosen(action: str, pk: object) -> dict[str, Any]:
    return {"action": action, "index": 0, "_selected_action": str(pk)}


def test_a_reader_without_actions_gets_the_same_pages(client: Client, everything: Workspace) -> None:
    reader = User.objects.create_user("reader@example.com", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)
    for model in MODELS:
        response = client.get(url(model, "changelist"))
        assert response.status_code == 200
        assert inline(response.content.decode()) == [], model._meta.label
