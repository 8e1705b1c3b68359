"""The folder of data and secrets is nobody else's to read, and a folder that is everybody's is left alone."""

from pathlib import Path

import pytest

from stackshift_mail import env


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "var"
    path.mkdir()
    monkeypatch.setenv("STACKSHIFT_VAR", str(path))
    return path


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o701])
def test_a_folder_that_others_may_read_is_tightened(folder: Path, mode: int) -> None:
    folder.chmod(mode)

    env.var_folder()

    assert folder.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o1777, 0o1755])
def test_a_sticky_folder_is_not_touched(folder: Path, mode: int) -> None:
    folder.chmod(mode)

    env.var_folder()

    assert folder.stat().st_mode & 0o7777 == mode


def test_a_folder_that_is_tighter_still_stays_as_it_is(folder: Path) -> None:
    folder.chmod(0o500)

    env.var_folder()

    assert folder.stat().st_mode & 0o7777 == 0o500
    folder.chmod(0o700)
