"""From nothing to a running platform: migrates, makes what is missing, runs the web server and the workers."""

import json
import os
import secrets
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import Problem
from apps.delivery.supervisor import Child, Supervisor
from apps.domains.models import Domain
from apps.domains.services import registry as domains
from apps.keys import services as keys
from apps.workspaces import services as workspaces
from apps.workspaces.models import User, Workspace

WORKSPACE, DOMAIN, OPERATOR = "demo", "demo.example", "operator@demo.example"
SENDER = f"Demo <hello@{DOMAIN}>"
STOP_SECONDS = 9.0
HEALTH_SECONDS = 1.0
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
LOOPBACK = ("127.0.0.0/8", "::1/128")


class Command(BaseCommand):
    help = "Migrates, makes what is missing, and runs the web server and the workers until Ctrl-C or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        _require_free_port()
        self._say("Preparing the database ...")
        call_command("migrate", verbosity=0)
        password = _operator_password()
        key = _demo_key(_demo_workspace())
        self._greeting = _greeting(key, password)
        self._has_greeted = False
        self._say("Starting the web server and the workers ...")
        Supervisor(_children(), watch=self._greet_when_ready, stop_seconds=STOP_SECONDS).run()
        self._say("Stopped.")

    def _greet_when_ready(self, supervisor: Supervisor) -> None:
        if not self._has_greeted and _is_ready():
            self._has_greeted = True
            self._say(self._greeting)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _require_free_port() -> None:
    """Else another server would answer in our place, and ours would be started for ever."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.PORT))
        except OSError as error:
            raise CommandError(f"Port {settings.PORT} is in use; choose another: PORT=8001 make run") from error


def _children() -> list[Child]:
    configuration = str(settings.BASE_DIR / "stackshift_mail" / "gunicorn.conf.py")
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", configuration]
    return [
        Child("the web server", gunicorn, _for_trying_out()),
        Child("the workers", [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"], _for_trying_out()),
    ]


def _for_trying_out() -> dict[str, str]:
    """Webhooks may go to this machine, where somebody tries things out on it; not once it serves others."""
    is_said = "WEBHOOK_ALLOWED_NETWORKS" in os.environ or "WEBHOOK_ALLOWED_NETWORKS_FILE" in os.environ
    is_public = urlsplit(settings.PUBLIC_URL).hostname not in LOCAL
    return {} if is_said or is_public else {"WEBHOOK_ALLOWED_NETWORKS": ",".join(LOOPBACK)}


def _demo_workspace() -> Workspace:
    workspace = Workspace.objects.filter(slug=WORKSPACE).first()
    if workspace is None:
        workspace = workspaces.create_workspace(WORKSPACE, name="Demonstration")
    if not Domain.objects.of(workspace.pk).filter(name=DOMAIN).exists():
        domains.trust(domains.create(workspace.pk, DOMAIN))
    workspaces.offer_default_sender(workspace, SENDER)
    return workspace


def _demo_key(workspace: Workspace) -> str:
    """The key of the curl line: kept below the var folder like every generated secret, for the next start."""
    path = _secret("demo_api_key")
    kept = path.read_text().strip() if path.exists() else ""
    try:
        if keys.authenticate(kept).workspace_id == workspace.pk:
            return kept
    except Problem:
        pass  # of another database, or revoked
    _row, key = keys.create_key(workspace, name="quickstart")
    _keep(path, key)
    return key


def _operator_password() -> str:
    """The first operator's password, for as long as nobody has changed it."""
    path = _secret("operator_password")
    if not User.objects.filter(is_superuser=True).exists():
        _keep(path, secrets.token_urlsafe(12))
        workspaces.create_operator(OPERATOR, password=path.read_text().strip())
    kept = path.read_text().strip() if path.exists() else ""
    operator = User.objects.filter(email=OPERATOR).first()
    if operator is not None and operator.check_password(kept):
        return kept
    return "that you have set (manage.py create_operator sets another)"


def _secret(name: str) -> Path:
    return Path(settings.VAR) / "secrets" / name


def _keep(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret + "\n")


def _is_ready() -> bool:
    url = f"http://127.0.0.1:{settings.PORT}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=HEALTH_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _greeting(key: str, password: str) -> str:
    url = settings.PUBLIC_URL
    mail = {"from": SENDER, "to": "you@example.com", "subject": "First mail", "text": "It works."}
    where = {
        "capture": f"Mail does not leave this machine: see it in the inbox, {url}/admin/delivery/capturedmessage/",
        "relay": "Mail leaves through the relay of MAIL_RELAY_URL.",
        "mx": "Mail leaves directly to the recipients' servers.",
    }
    return f"""
StackShift Mail is running at {url}

  Console   {url}/admin/   sign in as {OPERATOR} with the password {password}
  API       {url}/v1/mail/   (also /api/v1/mail/), described at {url}/docs/
  Data      {settings.VAR}

{where[settings.MAIL_TRANSPORT]}
Send the first one:

curl -sS {url}/v1/mail/send -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{json.dumps(mail)}'

Ctrl-C stops everything.
"""
