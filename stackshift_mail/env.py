"""Reads the environment and refuses nonsense, so that a typing error stops the start and not the mail."""

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def env_text(name: str, default: str = "") -> str:
    """The variable, or what the file named by NAME_FILE holds, or the default."""
    if name in os.environ:
        return os.environ[name].strip()
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}") from error
    return default


def env_bool(name: str, default: bool) -> bool:
    word = env_text(name, str(default)).lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}")


def env_int(name: str, default: int, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    text = env_text(name, str(default))
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise ImproperlyConfigured(f"{name} must be a whole number from {minimum} to {maximum}, not {text!r}")
    return int(text)


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env_text(name, default).split(",") if part.strip()]


def env_seconds(name: str) -> tuple[int, ...] | None:
    """A comma-separated list of whole seconds, or None where the variable is not set."""
    parts = env_list(name)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ImproperlyConfigured(f"{name} must be whole seconds separated by commas, not {','.join(parts)!r}")
    return tuple(int(part) for part in parts) or None


def asset_storage(url: str, folder: Path) -> dict[str, Any]:
    """Where uploaded files lie: this folder, or the bucket of `s3://KEY:SECRET@BUCKET?endpoint=...&region=...`.

    Raises ImproperlyConfigured, never with the secret in its text.
    """
    if not url:
        return {"BACKEND": "apps.assets.storage.PrivateFolderStorage", "OPTIONS": {"location": folder}}
    form = "ASSETS_URL must be s3://KEY:SECRET@BUCKET, with ?region=... and for other servers than AWS &endpoint=..."
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        has_port = parts.port is not None
    except ValueError:
        raise ImproperlyConfigured(form) from None
    bucket, endpoint = parts.hostname or "", options.get("endpoint")
    is_whole = parts.scheme == "s3" and parts.username and parts.password and BUCKET.fullmatch(bucket)
    if not is_whole or has_port or parts.path.strip("/") or parts.fragment or options.keys() - {"endpoint", "region"}:
        raise ImproperlyConfigured(form)
    if endpoint is not None and (urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname):
        raise ImproperlyConfigured("ASSETS_URL: endpoint must be the http or https address of an S3 server")
    credentials = {"access_key": unquote(parts.username or ""), "secret_key": unquote(parts.password or "")}
    place = {"bucket_name": bucket, "endpoint_url": endpoint, "region_name": options.get("region") or None}
    return {"BACKEND": "apps.assets.s3.BucketStorage", "OPTIONS": credentials | place}


def var_folder() -> Path:
    """Where data and generated secrets live; readable by the owner alone."""
    folder = Path(env_text("STACKSHIFT_VAR", str(BASE_DIR / "var"))).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    is_shared = state.st_mode & stat.S_ISVTX  # such as /tmp, which is not ours to close
    if state.st_uid == os.getuid() and not is_shared and state.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def env_secret(name: str) -> str:
    """A secret from the environment, from NAME_FILE, or from what `quickstart` generated.

    Raises ImproperlyConfigured where there is none: a default secret would be everybody's secret.
    """
    if value := env_text(name):
        return value
    generated = _secret_file(name)
    if generated.exists():
        return generated.read_text().strip()
    raise ImproperlyConfigured(
        f"{name} is not set. Set {name} or {name}_FILE, or run `python manage.py quickstart` once to generate it."
    )


MAKERS = {"SECRET_KEY": lambda: secrets.token_urlsafe(64), "FIELD_KEYS": lambda: Fernet.generate_key().decode()}


def use_throwaway_secrets() -> None:
    """Gives this process secrets that nobody keeps where there are none, for commands that need no secret at all."""
    for name, make in MAKERS.items():
        if not env_text(name) and not _secret_file(name).exists():
            os.environ[name] = make()


def generate_missing_secrets() -> None:
    """Writes SECRET_KEY and FIELD_KEYS below the var folder where nobody has given them."""
    for name, make in MAKERS.items():
        path = _secret_file(name)
        if env_text(name) or path.exists():
            continue
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # Two first starts at once: O_EXCL lets one of them write, the other reads what it wrote.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(make() + "\n")


def _secret_file(name: str) -> Path:
    return var_folder() / "secrets" / name
