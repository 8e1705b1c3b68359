"""Changes that happen at once: one version each, no number twice, nothing lost."""

import pytest
from django.db import IntegrityError

from apps.core.errors import Problem
from apps.templates.models import Template
from apps.templates.services import authoring
from apps.templates.services.lookups import find, versions_of
from tests.conftest import make_world
from tests.parallel import at_once, threads
from tests.templates.making import make_template

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_of_many_updates_is_a_version_of_its_own() -> None:
    template = make_template(make_world().owner.workspace)
    workers = threads(16)
    calls = [lambda number=number: authoring.update(template, {"subject": f"S{number}"}) for number in range(24)]

    at_once(calls, workers=workers)

    versions = list(versions_of(template).order_by("number"))
    assert [version.number for version in versions] == list(range(1, 26))
    assert {version.subject for version in versions} == {"Subject", *(f"S{number}" for number in range(24))}
    assert find(template.workspace_id, "welcome").active_version_id == versions[-1].pk


def test_updates_of_different_parts_lose_nothing() -> None:
    template = make_template(make_world().owner.workspace)
    changes = [{"subject": "S"}, {"html": "<p>H</p>"}, {"text": "T"}, {"name": "N"}]

    at_once([lambda change=change: authoring.update(template, change) for change in changes], workers=4)

    row = find(template.workspace_id, "welcome")
    active = row.active_version
    assert active is not None
    assert (active.subject, active.html, active.text, row.name) == ("S", "<p>H</p>", "T", "N")
    assert active.number == 4


def test_one_of_many_gets_the_slug() -> None:
    workspace = make_world().owner.workspace

    def make(number: int) -> str:
        try:
            return make_template(workspace, slug="Once" if number % 2 else "once").slug
        except (Problem, IntegrityError) as error:
            return type(error).__name__

    answers = at_once([lambda number=number: make(number) for number in range(16)], workers=threads(16))

    assert answers.count("SlugTaken") == 15
    assert Template.objects.of(workspace.pk).count() == 1


def test_updating_while_it_is_deleted_ends_in_one_of_both_orders() -> None:
    template = make_template(make_world().owner.workspace)

    def update(number: int) -> str:
        try:
            authoring.update(template, {"subject": f"S{number}"})
        except Problem as error:
            return error.code
        return "updated"

    calls = [lambda number=number: update(number) for number in range(7)]
    answers = at_once([*calls, lambda: f"{authoring.delete(template)}"], workers=threads(8))

    assert answers.count("True") == 1
    assert set(answers) <= {"True", "updated", "not_found"}
    assert versions_of(template).count() == 1 + answers.count("updated")
    assert Template.objects.of(template.workspace_id).get().status == "deleted"
