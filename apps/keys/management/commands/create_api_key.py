"""`create_api_key`: makes a key; the last line on stdout is the key, which nothing can show again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import Problem
from apps.keys.models import ApiKey
from apps.keys.services import SCOPES, create_key
from apps.workspaces.models import Workspace

MAX_NAME = ApiKey._meta.get_field("name").max_length or 0


class Command(BaseCommand):
    help = "Makes an API key and prints it, once, as the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument("--scopes", default="", help=f"comma-separated: {', '.join(SCOPES)} (everything)")
        parser.add_argument("--test", action="store_true", help="its mail never leaves this server")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 1 <= len(name) <= MAX_NAME:
            raise CommandError(f"--name must be 1 to {MAX_NAME} characters.")
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']}; see create_workspace.")
        if workspace.is_test:
            raise CommandError("This workspace holds what test keys do; name the one it belongs to, with --test.")
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        try:
            row, key = create_key(workspace, name=name, scopes=scopes, is_test=options["test"])
        except Problem as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{', '.join(row.scopes)} in {row.workspace.slug}; shown once:")
        self.stdout.write(key)
