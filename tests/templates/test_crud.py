"""Templates over the API: made, found by id and slug in every position, changed, taken away."""

from typing import Any

import pytest

from apps.events.models import Event
from apps.templates.models import Template
from apps.templates.services import authoring
from apps.workspaces.models import Workspace
from tests import stored
from tests.client import TEMPLATES, Api
from tests.conftest import World
from tests.factories import make_key
from tests.templates.making import make_template

AN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = {"name": "Order", "slug": "order", "subject": "Order {{ order.id }}", "html": "<p>{{ name }}</p>"}


def events_of(workspace: Workspace) -> list[str]:
    return list(Event.objects.of(workspace.pk).order_by("pk").values_list("type", flat=True))


def test_makes_a_template_with_its_first_version(api: Api, workspace: Workspace) -> None:
    answer = api.post(TEMPLATES, BODY | {"description": "After checkout"})

    assert answer.status == 201
    shown = answer.data
    assert {name: shown[name] for name in ("name", "slug", "description", "status", "subject", "html", "text")} == {
        "name": "Order",
        "slug": "order",
        "description": "After checkout",
        "status": "active",
        "subject": "Order {{ order.id }}",
        "html": "<p>{{ name }}</p>",
        "text": None,
    }
    assert shown["activeVersion"]["versionNumber"] == 1
    assert shown["activeVersion"]["variables"] == shown["variables"] == ["order.id", "name"]
    assert [row["id"] for row in shown["versions"]] == [shown["activeVersion"]["id"]] == [shown["activeVersionId"]]
    assert events_of(workspace) == ["mail.template.created", "mail.template.version.created"]


def test_an_event_tells_of_the_version(api: Api, workspace: Workspace) -> None:
    shown = api.post(TEMPLATES, BODY).data

    event = Event.objects.of(workspace.pk).get(type="mail.template.version.created")

    assert (event.resource_type, str(event.resource_id)) == ("template", shown["id"])
    assert event.data["versionId"] == shown["activeVersionId"]
    assert (event.data["versionNumber"], event.data["variables"]) == (1, ["order.id", "name"])


@pytest.mark.parametrize("route", ["", "/versions", "/versions/{version}"])
@pytest.mark.parametrize("by", ["id", "slug", "SLUG"])
def test_reads_by_id_and_by_slug(api: Api, workspace: Workspace, route: str, by: str) -> None:
    template = make_template(workspace)
    reference = {"id": str(template.pk), "slug": "welcome", "SLUG": "Welcome"}[by]

    answer = api.get(f"{TEMPLATES}/{reference}{route.format(version=template.active_version_id)}")

    assert answer.status == 200


@pytest.mark.parametrize("by", ["id", "slug"])
def test_changes_by_id_and_by_slug(api: Api, workspace: Workspace, by: str) -> None:
    template = make_template(workspace)
    where = f"{TEMPLATES}/{template.pk if by == 'id' else 'welcome'}"

    assert api.patch(where, {"name": "Hello"}).data["name"] == "Hello"
    assert api.post(f"{where}/versions/{template.active_version_id}/activate").status == 200
    assert api.post(f"{where}/preview", {"data": {}}).status == 200
    assert api.post(f"{where}/diagnostics", {"data": {}}).status == 200
    assert api.delete(where).status == 204
    assert api.get(where).status == 404


def test_lists_newest_first_page_by_page(api: Api, workspace: Workspace) -> None:
    made = [make_template(workspace, slug=f"t{number}") for number in range(5)]

    first = api.get(TEMPLATES, {"limit": 3})
    second = api.get(TEMPLATES, {"limit": 3, "cursor": first.data["nextCursor"]})

    assert [row["id"] for row in first.rows + second.rows] == [str(row.pk) for row in reversed(made)]
    assert "html" not in first.rows[0]


def test_search_is_literal(api: Api, workspace: Workspace) -> None:
    make_template(workspace, slug="a_b", name="100% cotton")
    make_template(workspace, slug="axb", name="Plain")

    def found(text: str) -> list[str]:
        return [row["slug"] for row in api.get(TEMPLATES, {"search": text}).rows]

    assert found("a_b") == ["a_b"]
    assert found("%") == ["a_b"]
    assert found("PLAIN") == ["axb"]
    assert found("_") == ["a_b"]
    assert found("\\") == []


def test_deleted_templates_show_only_where_they_are_asked_for(api: Api, workspace: Workspace) -> None:
    make_template(workspace, slug="here")
    gone = make_template(workspace, slug="gone")
    api.delete(f"{TEMPLATES}/gone")
    archived = make_template(workspace, slug="kept")
    authoring.archive(archived)

    assert [row["slug"] for row in api.get(TEMPLATES).rows] == ["kept", "here"]
    assert [row["id"] for row in api.get(TEMPLATES, {"status": "deleted"}).rows] == [str(gone.pk)]
    assert [row["slug"] for row in api.get(TEMPLATES, {"status": "archived"}).rows] == ["kept"]
    assert api.get(TEMPLATES, {"status": "nonsense"}).status == 400


def test_deleting_frees_the_slug_and_keeps_the_rows(api: Api, workspace: Workspace) -> None:
    make_template(workspace)
    api.delete(f"{TEMPLATES}/welcome")

    assert api.delete(f"{TEMPLATES}/welcome").status == 404
    assert api.post(TEMPLATES, BODY | {"slug": "welcome"}).status == 201
    assert Template.objects.of(workspace.pk).count() == 2
    assert events_of(workspace).count("mail.template.deleted") == 1


@pytest.mark.parametrize("slug", ["welcome", "WELCOME", "Welcome"])
def test_a_slug_is_once_in_a_workspace_in_any_case(api: Api, workspace: Workspace, slug: str) -> None:
    make_template(workspace)
    before = stored.everything()

    answer = api.post(TEMPLATES, BODY | {"slug": slug})

    assert (answer.status, answer.code) == (409, "conflict")
    assert stored.everything() == before


def test_a_slug_of_another_workspace_is_free(world: World) -> None:
    make_template(world.stranger.workspace)

    assert world.owner.api.post(TEMPLATES, BODY | {"slug": "welcome"}).status == 201


@pytest.mark.parametrize(
    "slug",
    [
        "",
        " ",
        "a b",
        "a/b",
        "../x",
        "-a",
        ".a",
        "größe",
        "a\u202eb",
        "x" * 101,
        "a%00",
        AN_ID,
        "0" * 32,
        AN_ID.upper(),
    ],
)
def test_refuses_slugs_that_no_address_could_hold(api: Api, slug: str) -> None:
    before = stored.everything()

    answer = api.post(TEMPLATES, BODY | {"slug": slug})

    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.fields) == ["slug"]
    assert stored.everything() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"subject": ""}, "subject"),
        ({"subject": "a\r\nBcc: x"}, "subject"),
        ({"html": "a\x01b"}, "html"),
        ({"html": None}, "text"),
        ({"html": "", "text": ""}, "text"),
        ({"slug": None}, "slug"),
        ({"extra": 1}, "extra"),
    ],
)
def test_refuses_wrong_fields_and_stores_nothing(api: Api, change: dict[str, Any], field: str) -> None:
    before = stored.everything()

    answer = api.post(TEMPLATES, BODY | change)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.fields) == [field]
    assert stored.everything() == before


def test_refuses_a_template_that_cannot_be_read_with_its_line(api: Api) -> None:
    before = stored.everything()

    answer = api.post(TEMPLATES, BODY | {"html": "<p>\n<b>\n{% if %}</p>"})

    assert (answer.status, answer.code) == (400, "template_render_error")
    assert answer.fields == {"html": ["line 3: missing expression"]}
    assert answer.body["error"]["details"]["line"] == 3
    assert stored.everything() == before


@pytest.mark.parametrize("part", ["html", "text"])
def test_a_part_of_two_megabytes_is_too_large(api: Api, part: str) -> None:
    before = stored.everything()

    answer = api.post(TEMPLATES, BODY | {part: "x" * 2_000_000})

    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert list(answer.fields) == [part]
    assert stored.everything() == before


def test_a_change_names_no_slug(api: Api, workspace: Workspace) -> None:
    make_template(workspace)

    answer = api.patch(f"{TEMPLATES}/welcome", {"slug": "other"})

    assert (answer.status, answer.fields) == (400, {"slug": ["unknown field"]})


@pytest.mark.parametrize("reference", ["nothing", "%00", "a%2Fb", "x" * 5_000, "%C3%B6", AN_ID])
def test_what_is_not_there_is_not_found(api: Api, reference: str) -> None:
    answer = api.get(f"{TEMPLATES}/{reference}")

    assert (answer.status, answer.code) == (404, "not_found")


def test_reading_needs_no_right_to_change(world: World) -> None:
    make_template(world.owner.workspace)
    reader = Api(make_key(world.owner.workspace, scopes=["mail:read"])[1])

    assert reader.get(f"{TEMPLATES}/welcome").status == 200
    assert reader.post(f"{TEMPLATES}/welcome/preview", {"data": {}}).status == 200
    assert reader.patch(f"{TEMPLATES}/welcome", {"name": "x"}).status == 403
    assert reader.delete(f"{TEMPLATES}/welcome").status == 403


def test_a_preview_lists_what_is_missing_and_stores_nothing(api: Api, workspace: Workspace) -> None:
    template = make_template(workspace, subject="Hi {{ name }}", html="<p>{{ a.b }}</p>", text="")
    before = stored.everything()

    answer = api.post(f"{TEMPLATES}/welcome/preview", {"data": {"name": "<Ada>"}})

    assert answer.status == 200
    assert answer.data == {"subject": "Hi <Ada>", "html": "<p></p>", "text": None, "missingVariables": ["a.b"]}
    assert stored.everything() == before
    authoring.update(template, {"subject": "Bye"})
    pinned = api.post(f"{TEMPLATES}/welcome/preview", {"versionId": str(template.active_version_id)})
    assert pinned.data["subject"] == "Hi "


@pytest.mark.parametrize("data", [[], "x", 1, None, True])
def test_preview_data_is_an_object(api: Api, workspace: Workspace, data: Any) -> None:
    make_template(workspace)

    answer = api.post(f"{TEMPLATES}/welcome/preview", {"data": data})

    assert (answer.status, list(answer.fields)) == (400, ["data"])


def test_a_preview_of_too_much_data_is_refused(api: Api, workspace: Workspace) -> None:
    make_template(workspace, text="{{ a }}" * 5)

    large = api.post(f"{TEMPLATES}/welcome/preview", {"data": {"a": "x" * 256_001}})
    long = api.post(f"{TEMPLATES}/welcome/preview", {"data": {"a": "x" * 250_000}})

    assert (large.status, large.code, list(large.fields)) == (400, "validation_error", ["data"])
    assert (long.status, long.code, list(long.fields)) == (400, "template_render_error", ["text"])


@pytest.mark.parametrize("version_id", ["", "x", "\u0000", AN_ID, 1])
def test_a_preview_of_a_version_that_is_not_there(api: Api, workspace: Workspace, version_id: Any) -> None:
    make_template(workspace)

    assert api.post(f"{TEMPLATES}/welcome/preview", {"versionId": version_id}).status in (400, 404)
