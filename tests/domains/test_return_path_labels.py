"""A name that an alias may lead to is one workspace's for ever, also when domain and workspace are gone."""

from typing import Any

import pytest

from apps.domains.models import ReturnPathLabel
from apps.workspaces.models import Workspace
from tests.client import DOMAINS, Api
from tests.conftest import World
from tests.domains.conftest import record_of
from tests.factories import private_key


@pytest.fixture(autouse=True)
def one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = private_key()
    monkeypatch.setattr("apps.domains.services.registry.dkim.generate_rsa", lambda: key)


def add(api: Api, name: str = "ex.example") -> dict[str, Any]:
    answer = api.post(DOMAINS, {"domain": name})
    assert answer.status == 201
    return dict(answer.data)


def target(domain: dict[str, Any]) -> str:
    return str(record_of(domain, "return_path")["value"])


def test_every_domain_of_every_workspace_has_its_own(world: World) -> None:
    made = [add(world.owner.api), add(world.owner.api, "two.example"), add(world.stranger.api)]

    assert len({target(domain) for domain in made}) == 3


def test_who_comes_back_finds_the_old_one(api: Api) -> None:
    first = add(api)
    api.delete(f"{DOMAINS}/{first['id']}")
    assert ReturnPathLabel.objects.get().released_at is not None

    again = add(api)

    assert target(again) == target(first)
    assert ReturnPathLabel.objects.get().released_at is None


def test_who_comes_after_gets_another(world: World) -> None:
    ours = add(world.owner.api)
    world.owner.api.delete(f"{DOMAINS}/{ours['id']}")

    theirs = add(world.stranger.api)

    assert target(theirs) != target(ours)
    assert ReturnPathLabel.objects.count() == 2


def test_it_outlives_the_workspace(world: World) -> None:
    ours = add(world.owner.api)

    Workspace.objects.filter(pk=world.owner.workspace.pk).delete()

    assert ReturnPathLabel.objects.get().label == target(ours).partition(".")[0]


def test_a_refused_domain_takes_no_label(api: Api) -> None:
    add(api)

    assert api.post(DOMAINS, {"domain": "ex.example"}).status == 409
    assert ReturnPathLabel.objects.count() == 1
