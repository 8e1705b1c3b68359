"""`create_workspace SLUG`: makes a workspace and prints its id."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import Problem
from apps.workspaces.models import Tier
from apps.workspaces.services import create_workspace
from apps.workspaces.slugs import check_slug


class Command(BaseCommand):
    help = "Makes a workspace and prints its id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="its short name: lower-case letters, digits and hyphens")
        parser.add_argument("--name", default="", help="how people call it (the slug)")
        parser.add_argument("--tier", default=Tier.BUSINESS.value, choices=Tier.values, help="(business)")
        parser.add_argument(
            "--default-sender", help='who sends where a request names nobody: "Name <address>" (nobody)'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            check_slug(options["slug"])
            workspace = create_workspace(
                options["slug"],
                name=options["name"],
                tier=options["tier"],
                default_sender=options["default_sender"],
            )
        except Problem as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(str(workspace.pk))
