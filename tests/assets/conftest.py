"""Each test has a storage of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.test import override_settings

from stackshift_mail.env import asset_storage
from tests.client import Api
from tests.conftest import World
from tests.factories import make_key


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: object) -> Iterator[Path]:
    """Where the assets lie."""
    place = tmp_path / "assets"
    with override_settings(STORAGES={**storages.backends, "assets": asset_storage("", place)}):
        yield place


def files_in(folder: Path) -> list[str]:
    """Every file of the storage, below it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def make_key_of(world: World) -> Callable[[str], Api]:
    """A caller of the owner's workspace whose key has this scope alone."""
    return lambda scope: Api(make_key(world.owner.workspace, scopes=[scope])[1])
