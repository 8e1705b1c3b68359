"""Every model has its pages, whatever its rows hold; none of them counts a big table or changes anything."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.delivery.models import CapturedMessage
from apps.workspaces.models import Workspace
from tests.console.conftest import HOSTILE

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# All but the inbox, which is a page of another kind and has tests of its own.
LISTS = [model for model in MODELS if model is not CapturedMessage]
# Whole-table counts of these would take seconds on a busy server.
BIG = "mail_messages_|otp_|events_|delivery_capturedmessage|keys_idempotencykey|suppressions_|django_admin_log"
BIG += "|webhooks_delivery"
WHOLE_COUNT = re.compile(rf'^SELECT COUNT\(.*\) AS "__count" FROM "(?:{BIG})')


def url(model: type[Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def pages_of(model: type[Model], console: Client) -> list[str]:
    """Every page of a model that a superuser may open, for its first row."""
    row = model._meta.base_manager.first()
    assert row is not None, "the fixture has a row of every model"
    request = console.get("/admin/").wsgi_request
    model_admin = admin.site._registry[model]
    pages = [url(model, "changelist"), url(model, "change", quote(row.pk)), url(model, "history", quote(row.pk))]
    if model_admin.has_add_permission(request):
        pages.append(url(model, "add"))
    if model_admin.has_delete_permission(request):
        pages.append(url(model, "delete", quote(row.pk)))
    return pages


def everything_stored() -> dict[str, Any]:
    """The rows of all our models."""
    return {model._meta.label: list(model._meta.base_manager.order_by("pk").values()) for model in OURS}


def test_every_model_of_ours_has_pages() -> None:
    assert set(OURS) <= set(MODELS)


def test_nothing_of_django_q_has_pages(console: Client) -> None:
    assert [model for model in MODELS if model._meta.app_label == "django_q"] == []
    for name in ("schedule", "success", "failure", "ormq"):
        assert console.get(f"/admin/django_q/{name}/").status_code == 404


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_pages_open_and_escape_what_they_show(model: type[Model], console: Client, everything: Workspace) -> None:
    for page in pages_of(model, console):
        response = console.get(page)
        assert response.status_code == 200, page
        html = response.content.decode()
        assert "<img src=x" not in html, page
        assert HOSTILE not in html, page


def test_the_index_links_every_model_and_escapes(console: Client, everything: Workspace) -> None:
    html = console.get("/admin/").content.decode()
    for model in MODELS:
        assert f'href="{url(model, "changelist")}"' in html
    assert "<img src=x" not in html


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
@pytest.mark.parametrize("query", ["", "?q=ada"])
def test_lists_count_no_whole_table(model: type[Model], query: str, console: Client, everything: Workspace) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert console.get(url(model, "changelist") + query).status_code == 200
    counts = [query["sql"] for query in queries if WHOLE_COUNT.match(query["sql"])]
    assert [sql for sql in counts if "LIMIT" not in sql] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_looking_changes_nothing(model: type[Model], console: Client, everything: Workspace) -> None:
    before = everything_stored()
    pages = pages_of(model, console)
    actions = [f"{pages[0]}?action={name}&_selected_action=1" for name in ("revoke", "retry_now", "delete_selected")]
    for page in [*pages, *actions]:
        console.get(page)
    assert everything_stored() == before


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_strangers_are_sent_to_sign_in(
    model: type[Model], client: Client, everything: Workspace, console: Client
) -> None:
    for page in pages_of(model, console):
        response = client.get(page)
        assert response.status_code == 302, page
        assert response["Location"].startswith("/admin/login/?next="), page


@pytest.mark.parametrize(
    "path",
    [
        "mail_messages/message/?q=" + "x" * 10_000,
        "mail_messages/message/?q=%00",
        "mail_messages/message/?status__exact=%00",
        "mail_messages/message/?workspace=nobody",
        "mail_messages/message/%00/change/",
        "mail_messages/recipient/?queue=nothing",
        "mail_messages/attempt/?message_id=nothing",
        "events/event/?q=nothing",
        "delivery/capturedmessage/?inbox=%27",
        "delivery/destination/nowhere/change/",
        "workspaces/user/?password__startswith=a",
        "workspaces/member/?user__password__startswith=a",
        "keys/apikey/?secret_hash__startswith=a",
        "domains/dkimkey/?private_sealed__startswith=a",
        "otp/challenge/?purpose=%27&status__exact=nothing",
        "otp/challenge/?code_hash=a",
        "workspaces/user/?_popup=1&_to_field=password",
    ],
)
def test_nonsense_in_an_address_is_no_error_of_ours(path: str, console: Client, everything: Workspace) -> None:
    assert console.get(f"/admin/{path}").status_code in {200, 302, 400, 404}


@pytest.mark.parametrize(
    "path",
    [
        "workspaces/user/?password__startswith=a",
        "workspaces/member/?user__password__startswith=a",
        "keys/apikey/?secret_hash__startswith=a",
        "domains/dkimkey/?private_sealed__startswith=a",
        "otp/challenge/?code_hash=a",
    ],
)
def test_no_list_can_be_filtered_by_a_secret(path: str, console: Client, everything: Workspace) -> None:
    assert console.get(f"/admin/{path}").status_code == 400


def test_no_page_shows_a_secret_column(console: Client, everything: Workspace) -> None:
    key = apps.get_model("keys", "ApiKey")._meta.base_manager.first()
    dkim = apps.get_model("domains", "DkimKey")._meta.base_manager.first()
    for page in pages_of(type(key), console) + pages_of(type(dkim), console):
        html = console.get(page).content.decode()
        assert key.secret_hash not in html
        assert dkim.private_sealed not in html


@pytest.mark.parametrize("query", ["queue=deferred", "queue=due", "lane__exact=1", "wait_code__exact=quarantine"])
def test_recipients_can_be_filtered(query: str, console: Client, everything: Workspace) -> None:
    assert console.get(f"/admin/mail_messages/recipient/?{query}").status_code == 200


def test_a_message_is_found_by_its_id_and_by_its_recipient(console: Client, everything: Workspace) -> None:
    message = apps.get_model("mail_messages", "Message")._meta.base_manager.first()
    for term in (str(message.pk), "ada@example.com"):
        assert str(message.pk) in console.get("/admin/mail_messages/message/", {"q": term}).content.decode()
    assert str(message.pk) not in console.get("/admin/mail_messages/message/", {"q": "no@example.com"}).content.decode()


def test_texts_are_shown_only_with_their_own_permission(client: Client, everything: Workspace) -> None:
    permission = apps.get_model("auth", "Permission").objects
    reader = apps.get_model("workspaces", "User").objects.create_user("reader@example.com", is_staff=True)
    reader.user_permissions.add(permission.get(codename="view_message"))
    client.force_login(reader)
    message = apps.get_model("mail_messages", "Message")._meta.base_manager.first()

    page = client.get(url(type(message), "change", message.pk)).content.decode()
    content = client.get(url(apps.get_model("mail_messages", "MessageContent"), "change", message.pk))

    assert "HTML source" not in page
    assert content.status_code == 403


def test_pages_are_neither_kept_nor_framed_nor_scripted(console: Client, everything: Workspace) -> None:
    response = console.get("/admin/")
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    assert "script-src 'self';" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
