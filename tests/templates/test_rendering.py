"""The door for whoever sends: prepared once, rendered for each person, refused before anything is stored."""

import pytest

from apps.core.errors import Invalid
from apps.core.ids import new_id
from apps.templates.errors import MissingVariables, TemplateArchived, TemplateNotFound, TemplateRenderError
from apps.templates.models import Template
from apps.templates.services import authoring
from apps.templates.services.lookups import versions_of
from apps.templates.services.rendering import Rendered, prepare, prepare_version
from apps.workspaces.models import Workspace
from tests.templates.making import make_template


def test_renders_the_active_version_by_id_and_by_slug_in_any_case(workspace: Workspace) -> None:
    template = make_template(workspace, subject="Hi {{ name }}", html="<p>{{ name }}</p>", text="Hi {{ name }}")
    expected = Rendered("Hi <Ada>", "<p>&lt;Ada&gt;</p>", "Hi <Ada>")

    for reference in (str(template.pk), "welcome", "WELCOME"):
        assert prepare(workspace.pk, reference).render({"name": "<Ada>"}) == expected


def test_names_all_missing_variables_at_once(workspace: Workspace) -> None:
    make_template(workspace, subject="{{ a }}", html="<p>{{ order.id }}{{ a }}</p>", text="{{ b }}")

    with pytest.raises(MissingVariables) as caught:
        prepare(workspace.pk, "welcome").render({"order": {}})

    assert caught.value.details == {"missingVariables": ["a", "order.id", "b"]}


def test_a_pinned_version_stays_what_it_was(workspace: Workspace) -> None:
    template = make_template(workspace, subject="One")
    first = template.active_version
    authoring.update(template, {"subject": "Two"})

    assert prepare(workspace.pk, "welcome").render({}).subject == "Two"
    assert prepare(workspace.pk, "welcome", str(first.pk)).render({}).subject == "One"


def test_a_version_of_another_template_is_not_found(workspace: Workspace) -> None:
    make_template(workspace)
    other = make_template(workspace, slug="other")

    for version_id in (str(other.active_version_id), str(new_id()), "1", "\0"):
        with pytest.raises(Exception, match="no such version") as caught:
            prepare(workspace.pk, "welcome", version_id)
        assert caught.value.details == {"fields": {"versionId": ["This template has no such version."]}}


@pytest.mark.parametrize("reference", ["", "nothing", "\0", "x" * 300, "größe", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_is_named(workspace: Workspace, reference: str) -> None:
    with pytest.raises(TemplateNotFound) as caught:
        prepare(workspace.pk, reference)

    assert caught.value.details == {"fields": {"template": ["There is no such template in this workspace."]}}


def test_an_archived_template_sends_nothing_new_and_a_deleted_one_is_not_found(workspace: Workspace) -> None:
    template = make_template(workspace)

    authoring.archive(template)
    with pytest.raises(TemplateArchived):
        prepare(workspace.pk, "welcome")
    authoring.delete(template)
    with pytest.raises(TemplateNotFound):
        prepare(workspace.pk, "welcome")


def test_accepted_mail_keeps_its_version_after_the_template_is_gone(workspace: Workspace) -> None:
    template = make_template(workspace, subject="Kept")
    version_id = template.active_version_id
    authoring.delete(template)

    prepared = prepare_version(workspace.pk, version_id)

    assert prepared.render({}).subject == "Kept"
    assert (prepared.template_id, prepared.version_id) == (template.pk, version_id)


def test_another_workspaces_template_is_not_found(world: object) -> None:
    theirs = make_template(world.stranger.workspace)  # type: ignore[attr-defined]

    ours = world.owner.workspace.pk  # type: ignore[attr-defined]
    with pytest.raises(TemplateNotFound):
        prepare(ours, str(theirs.pk))
    with pytest.raises(TemplateNotFound):
        prepare_version(ours, theirs.active_version_id)


@pytest.mark.parametrize("value", ["", " ", "\u2003", "a\nb", "a\r\nBcc: x@y.example", "a\x85b", "a\u2028b", "x" * 999])
def test_a_subject_that_cannot_be_sent_is_refused_and_named(workspace: Workspace, value: str) -> None:
    make_template(workspace, subject="{{ s }}")

    with pytest.raises(TemplateRenderError) as caught:
        prepare(workspace.pk, "welcome").render({"s": value})

    assert caught.value.details["part"] == "subject"
    assert list(caught.value.details["fields"]) == ["subject"]


@pytest.mark.parametrize("data", [{"a": object()}, {"a": (1,)}, {"a": {1}}, {"a": b"x"}, {"a": float("nan")}, {1: "x"}])
def test_data_is_what_json_can_say_and_nothing_else(workspace: Workspace, data: dict) -> None:  # type: ignore[type-arg]
    make_template(workspace)

    with pytest.raises(Invalid):
        prepare(workspace.pk, "welcome").render(data)


def test_a_text_part_is_made_from_the_html(workspace: Workspace) -> None:
    make_template(workspace, html="<p>Hi {{ name }}</p><p><a href='https://x.example'>Go</a></p>", text="")

    rendered = prepare(workspace.pk, "welcome").render({"name": "<Ada> & Co"})

    assert rendered.text == "Hi <Ada> & Co\n\n[Go](https://x.example)"


def test_a_template_without_html_has_none(workspace: Workspace) -> None:
    make_template(workspace, html="", text="Hi")

    assert prepare(workspace.pk, "welcome").render({}) == Rendered("Subject", None, "Hi")


def test_versions_never_change(workspace: Workspace) -> None:
    template = make_template(workspace)

    with pytest.raises(TypeError, match="only made"):
        versions_of(template).get().save()
    assert Template.objects.of(workspace.pk).count() == 1
