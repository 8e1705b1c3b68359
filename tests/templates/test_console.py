"""Templates in the console: versions, preview, comparison, activation; escaped, permitted, audited."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from apps.core import inert
from apps.templates.models import Template, TemplateVersion
from apps.templates.services import authoring
from apps.templates.services.lookups import find, versions_of
from apps.templates.services.samples import sample_data
from apps.workspaces.models import User, Workspace
from tests import stored
from tests.console.conftest import HOSTILE, console, staff
from tests.console.test_policy import inline
from tests.factories import make_workspace
from tests.templates.making import make_template

__all__ = ["console", "staff"]


@pytest.fixture
def template(db: None) -> Template:
    """Three versions, the newest of which is active."""
    row = make_template(make_workspace("shop"), subject="Hi {{ name }}", html="<p>One</p>\n<p>{{ order.id }}</p>")
    authoring.update(row, {"html": f"<p>Two</p>\n<p>{{{{ order.id }}}}</p>\n{HOSTILE}"})
    return authoring.update(row, {"subject": "Hello {{ name }}"})


def page(template: Template, number: int, name: str) -> str:
    version = versions_of(template).get(number=number)
    return reverse(f"admin:templates_template_{name}", args=(version.pk,))


def html_of(console: Client, address: str, **query: str) -> str:
    answer = console.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_of_a_template_shows_its_versions(console: Client, template: Template) -> None:
    shown = html_of(console, reverse("admin:templates_template_change", args=(template.pk,)))

    for number in (1, 2, 3):
        assert page(template, number, "preview") in shown
    assert page(template, 1, "activate") in shown
    assert page(template, 3, "activate") not in shown


@pytest.mark.parametrize("name", ["preview", "compare", "activate"])
def test_pages_escape_and_have_nothing_inline(console: Client, template: Template, name: str) -> None:
    shown = html_of(console, page(template, 2, name))

    assert "<img src=x" not in shown
    assert inline(shown) == []


def test_a_preview_begins_with_sample_data(console: Client, template: Template) -> None:
    shown = html_of(console, page(template, 3, "preview"))

    assert "&quot;order&quot;: {" in shown
    assert "<bdi>Hello Name</bdi>" in shown
    assert "<iframe sandbox referrerpolicy" in shown


def test_a_preview_takes_data_and_lists_what_is_missing(console: Client, template: Template) -> None:
    answer = console.post(page(template, 1, "feed"), {"sample": json.dumps({"name": "Ada"})})

    shown = answer.json()
    assert (shown["subject"], shown["missing"], shown["fault"]) == ("Hi Ada", ["order.id"], "")
    assert any(finding.startswith("warning: The data has no value") for finding in shown["findings"])


@pytest.mark.parametrize(
    "data", ["{", "[]", "1", '{"a":1,"a":2}', '{"a": NaN}', "[" * 5_000, '{"a": ' + "9" * 60 + "}"]
)
def test_data_that_is_none_is_told_and_no_error(console: Client, template: Template, data: str) -> None:
    for name in ("feed", "preview", "html"):
        answer = console.post(page(template, 1, name), {"sample": data})
        assert answer.status_code == 200
    assert console.post(page(template, 1, "feed"), {"sample": data}).json()["fault"]


def test_the_frame_may_do_nothing(console: Client, template: Template) -> None:
    answer = console.post(page(template, 2, "html"), {"sample": '{"order": {"id": "<b>"}}'})

    assert answer["Content-Security-Policy"] == inert.PREVIEW_POLICY
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "&lt;b&gt;" in answer.content.decode()
    assert console.get(page(template, 2, "html")).status_code == 405


def test_previews_change_nothing(console: Client, template: Template) -> None:
    before = stored.everything()

    for name in ("preview", "feed", "html"):
        console.post(page(template, 1, name), {"sample": "{}"})

    assert stored.everything() == before


def test_a_comparison_shows_what_was_added_and_removed(console: Client, template: Template) -> None:
    with_previous = html_of(console, page(template, 2, "compare"))
    first = versions_of(template).get(number=1)
    with_first = html_of(console, page(template, 3, "compare"), **{"with": str(first.pk)})

    assert "<del>&lt;p&gt;One&lt;/p&gt;</del>" in with_previous
    assert "<ins>&lt;p&gt;Two&lt;/p&gt;</ins>" in with_previous
    assert "SUBJECT" not in with_previous
    assert "<del>Hi {{ name }}</del>" in with_first
    assert "<ins>Hello {{ name }}</ins>" in with_first
    assert "only version" in html_of(console, page(make_template(make_workspace()), 1, "compare"))


def test_activating_asks_first_and_is_audited(console: Client, template: Template, staff: User) -> None:
    address = page(template, 1, "activate")
    assert "Yes, activate version 1" in html_of(console, address)
    assert find(template.workspace_id, "welcome").active_version_id == template.active_version_id

    console.post(address)

    row = find(template.workspace_id, "welcome")
    assert row.active_version is not None
    assert row.active_version.number == 1
    entry = LogEntry.objects.get(object_id=str(template.pk))
    assert (entry.user, entry.change_message) == (staff, "Version 1 goes out from now on.")
    console.post(address)
    assert LogEntry.objects.filter(object_id=str(template.pk)).count() == 1


def test_whoever_may_only_look_cannot_activate(template: Template, db: None) -> None:
    looker = User.objects.create_user("look@example.com", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__in=["view_template", "view_templateversion"]))
    client = Client(raise_request_exception=False)
    client.force_login(looker)
    before = stored.everything()

    assert client.get(page(template, 1, "preview")).status_code == 200
    assert client.post(page(template, 1, "activate")).status_code == 403
    assert page(template, 1, "activate") not in html_of(client, page(template, 1, "preview"))
    assert stored.everything() == before


@pytest.mark.parametrize("name", ["preview", "compare", "activate"])
def test_whoever_may_not_look_sees_nothing(template: Template, name: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("none@example.com", is_staff=True))

    assert client.get(page(template, 1, name)).status_code == 403


def test_archiving_and_restoring_are_actions(console: Client, template: Template) -> None:
    address = reverse("admin:templates_template_changelist")
    for action, status in (("archive", "archived"), ("restore", "active"), ("restore", "active")):
        console.post(address, {"action": action, "index": "0", "_selected_action": str(template.pk)})
        template.refresh_from_db()
        assert template.status == status
    assert LogEntry.objects.filter(object_id=str(template.pk)).count() == 2


def test_a_version_that_is_not_there(console: Client, workspace: Workspace) -> None:
    address = reverse("admin:templates_template_preview", args=(workspace.pk,))

    assert console.get(address).status_code == 404
    assert TemplateVersion.objects.of(workspace.pk).count() == 0


@pytest.mark.parametrize(
    ("names", "data"),
    [
        (["name"], {"name": "Name"}),
        (["order", "order.id"], {"order": {"id": "Id"}}),
        (["order.items", "order.total"], {"order": {"items": [{}], "total": 42}}),
        (["items[0].sku", "items[1].sku"], {"items": [{"sku": "Sku"}, {"sku": "Sku"}]}),
        (["user['last name']"], {"user": {"last name": "Last name"}}),
        (
            ["a[b]", "b", "l[99999999]", "reset_url"],
            {"a": {"b": "B"}, "b": "B", "l": [], "reset_url": "https://example.com/"},
        ),
        ([], {}),
    ],
)
def test_sample_data_has_a_value_at_each_name(names: list[str], data: dict[str, Any]) -> None:
    assert sample_data(names) == data


@pytest.mark.parametrize(
    "html", ['{{ a["²"] }}', "{{ a[0]['²'] }}", "{{ [''] }}", '{{ a["٣"].b }}', '{{ a["' + "9" * 1_900 + '"] }}']
)
def test_a_preview_begins_whatever_the_names_are(console: Client, template: Template, html: str) -> None:
    authoring.update(template, {"html": html})

    assert "<iframe sandbox referrerpolicy" in html_of(console, page(template, 4, "preview"))


@given(st.lists(st.text(alphabet="a.[]'\"0²٣- ", max_size=12) | st.text(max_size=8)))
def test_sample_data_is_made_of_any_names(names: list[str]) -> None:
    assert isinstance(sample_data(names), dict)
