"""A change of content is a new version, and activating goes back and forth."""

from typing import Any

import pytest

from apps.events.models import Event
from apps.templates.services import authoring
from apps.templates.services.lookups import versions_of
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import TEMPLATES, Api
from tests.templates.making import make_template

HERE = f"{TEMPLATES}/welcome"


@pytest.mark.parametrize(
    "change", [{"subject": "Other"}, {"html": "<p>Other</p>"}, {"text": "Other"}, {"html": None}, {"text": None}]
)
def test_a_change_of_content_is_a_new_active_version(api: Api, workspace: Workspace, change: dict[str, Any]) -> None:
    template = make_template(workspace)

    shown = api.patch(HERE, change).data

    ((part, value),) = change.items()
    assert shown["activeVersion"]["versionNumber"] == 2
    assert shown[part] == shown["activeVersion"][part] == value
    assert [row["versionNumber"] for row in shown["versions"]] == [2, 1]
    first = api.get(f"{HERE}/versions/{template.active_version_id}").data
    assert (first["subject"], first["html"], first["text"]) == ("Subject", "<p>Hello</p>", "Hello")
    types = list(Event.objects.of(workspace.pk).order_by("pk").values_list("type", flat=True))
    assert types[2:] == ["mail.template.version.created", "mail.template.updated"]


@pytest.mark.parametrize("change", [{}, {"subject": "Subject"}, {"html": "<p>Hello</p>", "text": "Hello"}])
def test_no_change_changes_nothing(api: Api, workspace: Workspace, change: dict[str, Any]) -> None:
    make_template(workspace)
    before = stored.everything()

    assert api.patch(HERE, change).status == 200
    assert stored.everything() == before


def test_another_name_is_no_version(api: Api, workspace: Workspace) -> None:
    template = make_template(workspace)

    shown = api.patch(HERE, {"name": "Hello", "description": None}).data

    assert (shown["name"], shown["description"], shown["activeVersion"]["versionNumber"]) == ("Hello", None, 1)
    assert versions_of(template).count() == 1
    assert Event.objects.of(workspace.pk).filter(type="mail.template.updated").count() == 1


def test_a_refused_change_leaves_everything(api: Api, workspace: Workspace) -> None:
    make_template(workspace)
    before = stored.everything()

    broken = api.patch(HERE, {"name": "New", "html": "{{"})
    empty = api.patch(HERE, {"name": "New", "html": None, "text": None})

    assert (broken.status, broken.code, list(broken.fields)) == (400, "template_render_error", ["html"])
    assert (empty.status, list(empty.fields)) == (400, ["text"])
    assert stored.everything() == before


def test_activating_goes_back_and_forth(api: Api, workspace: Workspace) -> None:
    first = make_template(workspace).active_version_id
    second = api.patch(HERE, {"subject": "Two"}).data["activeVersionId"]

    back = api.post(f"{HERE}/versions/{first}/activate").data
    events = Event.objects.of(workspace.pk).count()
    again = api.post(f"{HERE}/versions/{first}/activate").data

    assert (back["activeVersionId"], back["subject"]) == (str(first), "Subject")
    assert (again["activeVersionId"], Event.objects.of(workspace.pk).count()) == (str(first), events)
    assert api.post(f"{HERE}/versions/{second}/activate").data["subject"] == "Two"


def test_a_change_after_going_back_begins_from_the_active_version(api: Api, workspace: Workspace) -> None:
    first = make_template(workspace).active_version_id
    api.patch(HERE, {"subject": "Two", "text": "Two"})
    api.post(f"{HERE}/versions/{first}/activate")

    shown = api.patch(HERE, {"subject": "Three"}).data

    assert (shown["activeVersion"]["versionNumber"], shown["subject"], shown["text"]) == (3, "Three", "Hello")


def test_a_version_of_another_template_is_not_found(api: Api, workspace: Workspace) -> None:
    make_template(workspace)
    other = make_template(workspace, slug="other").active_version_id
    before = stored.everything()

    assert api.get(f"{HERE}/versions/{other}").status == 404
    assert api.post(f"{HERE}/versions/{other}/activate").status == 404
    assert stored.everything() == before


def test_lists_versions_newest_first(api: Api, workspace: Workspace) -> None:
    make_template(workspace)
    for number in range(3):
        api.patch(HERE, {"subject": f"S{number}"})

    rows = api.get(f"{HERE}/versions").rows

    assert [(row["versionNumber"], row["subject"]) for row in rows] == [(4, "S2"), (3, "S1"), (2, "S0"), (1, "Subject")]
    assert rows[0]["html"] == "<p>Hello</p>"


def test_variables_of_a_version_are_those_of_all_parts(workspace: Workspace) -> None:
    template = make_template(workspace, subject="{{ a }}", html="{{ b.c }}", text="{{ a }}{{ d }}")

    authoring.update(template, {"html": "<p>{{ e }}</p>"})

    newest = versions_of(template).order_by("-number")[0]
    assert newest.variables == ["a", "e", "d"]
