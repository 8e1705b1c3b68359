"""A typing error in the environment stops the start, with the variable's name and what it should be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from stackshift_mail import env

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STACKSHIFT_VAR", str(tmp_path / "var"))
    for name in ("X", "X_FILE", "SECRET_KEY", "FIELD_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "var"


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("no", False), ("", False)])
def test_reads_a_boolean(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("X", text)

    assert env.env_bool("X", default=not value) is value


@pytest.mark.parametrize("text", ["2", "maybe", "truee", "yes please"])
def test_refuses_what_is_no_boolean(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("X", text)

    with pytest.raises(ImproperlyConfigured, match="X must be true or false"):
        env.env_bool("X", default=False)


def test_reads_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", " 8000 ")

    assert env.env_int("X", 1) == 8000


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1e3", "٣", "0", "65536", "9" * 30])
def test_refuses_a_number_out_of_range(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("X", text)

    with pytest.raises(ImproperlyConfigured, match="X must be a whole number from 1 to 65535"):
        env.env_int("X", 1, minimum=1, maximum=65_535)


def test_reads_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "1, 5,30")

    assert env.env_seconds("X") == (1, 5, 30)
    assert env.env_seconds("Y") is None


@pytest.mark.parametrize("text", ["a", "1,b", "-1", "1.5"])
def test_refuses_what_is_no_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("X", text)

    with pytest.raises(ImproperlyConfigured, match="X must be whole seconds"):
        env.env_seconds("X")


def test_reads_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "a, b,,c ")

    assert env.env_list("X") == ["a", "b", "c"]


def test_reads_a_value_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))

    assert env.env_text("X") == "from a file"
    monkeypatch.setenv("X", "given")
    assert env.env_text("X") == "given"


def test_refuses_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("X_FILE", str(tmp_path / "nothing"))

    with pytest.raises(ImproperlyConfigured, match="X_FILE names .*nothing"):
        env.env_text("X")


def test_has_no_secret_by_default() -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
        env.env_secret("SECRET_KEY")


def test_makes_the_missing_secrets_once(var: Path) -> None:
    env.generate_missing_secrets()
    first = {name: env.env_secret(name) for name in ("SECRET_KEY", "FIELD_KEYS")}

    env.generate_missing_secrets()

    assert {name: env.env_secret(name) for name in first} == first
    assert len(first["SECRET_KEY"]) > 60
    assert (var / "secrets" / "SECRET_KEY").stat().st_mode & 0o777 == 0o600
    assert var.stat().st_mode & 0o777 == 0o700


def test_makes_no_secret_that_is_given(monkeypatch: pytest.MonkeyPatch, var: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "given")

    env.generate_missing_secrets()

    assert not (var / "secrets" / "SECRET_KEY").exists()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is not set"),
        ("PORT", "0", "PORT must be a whole number"),
        ("MAIL_TRANSPORT", "pigeon", "MAIL_TRANSPORT must be"),
        ("MAIL_DMARC_REQUIRED", "perhaps", "MAIL_DMARC_REQUIRED must be true or false"),
        ("MAIL_RETRY_SCHEDULE", "5m", "MAIL_RETRY_SCHEDULE must be whole seconds"),
    ],
)
def test_the_platform_does_not_start_with_it(tmp_path: Path, name: str, value: str, complaint: str) -> None:
    settings = {
        "STACKSHIFT_VAR": str(tmp_path),
        "SECRET_KEY": "given",
        "FIELD_KEYS": "Zm9yLXRlc3RzLW9ubHktMDAwMDAwMDAwMDAwMDAwMDA=",
        "DJANGO_SETTINGS_MODULE": "stackshift_mail.settings",
        name: value,
    }
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}

    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=kept | settings,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert complaint in done.stderr
