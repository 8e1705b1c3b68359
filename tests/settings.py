"""The platform's settings for tests and checks: throwaway secrets, a private folder, and nothing from outside."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# A developer's own configuration must decide neither what the tests find nor which database they touch. The
# database comes from tests.provision under a name of its own.
_OURS: tuple[str, ...] = (
    "MAIL_",
    "ASSET",
    "WEBHOOK_",
    "STACKSHIFT_",
    "SECRET_KEY",
    "FIELD_KEYS",
    "DATABASE_URL",
    "REDIS_URL",
    "ALLOWED_HOSTS",
)
_OURS += ("PUBLIC_URL", "PORT", "DEBUG", "WEB_WORKERS", "DELIVERY_WORKERS", "LOG_LEVEL")
for _name in [name for name in os.environ if name.startswith(_OURS)]:
    del os.environ[_name]

# The first process makes the folder and takes it away; its workers end without a chance to tidy up after themselves.
if "TEST_RUN_FOLDER" not in os.environ:
    os.environ["TEST_RUN_FOLDER"] = tempfile.mkdtemp(prefix="stackshift-tests-")
    atexit.register(shutil.rmtree, os.environ["TEST_RUN_FOLDER"], ignore_errors=True)
FOLDER = Path(tempfile.mkdtemp(dir=os.environ["TEST_RUN_FOLDER"]))
os.environ["STACKSHIFT_VAR"] = str(FOLDER)
os.environ["SECRET_KEY"] = "for-tests-only-" + "0" * 40
os.environ["FIELD_KEYS"] = "Zm9yLXRlc3RzLW9ubHktMDAwMDAwMDAwMDAwMDAwMDA="
if _database := os.environ.get("TEST_RUN_DATABASE_URL"):
    os.environ["DATABASE_URL"] = _database

from stackshift_mail.settings import *  # noqa: E402, F403
from stackshift_mail.settings import DATABASES, LOGGING  # noqa: E402

# A name that nobody else has: what the tests make and drop can never be a database that was there before.
DATABASES["default"]["TEST"] = {"NAME": f"stackshift_test_{os.getpid()}_{os.urandom(4).hex()}"}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file and not memory, so that threads and processes share it as they do in production.
    DATABASES["default"]["TEST"]["NAME"] = str(FOLDER / "test.sqlite3")
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;"
    )
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING |= {"root": {"handlers": ["stderr"], "level": "ERROR"}}
# No look-up leaves the machine; a test of domains names the server that it has started.
MAIL_DNS_SERVERS = "127.0.0.1:9"
