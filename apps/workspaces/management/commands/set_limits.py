"""`set_limits SLUG`: how many recipients a workspace may address in a day and in an hour."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.workspaces.models import Workspace
from apps.workspaces.services import set_limits

MAX_LIMIT = 2**31 - 1


class Command(BaseCommand):
    help = "Sets how many recipients a workspace may address in a day and in an hour (UTC)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--daily", type=int, help="left as it is where not given")
        parser.add_argument("--hourly", type=int, help="left as it is where not given")

    def handle(self, *args: Any, **options: Any) -> None:
        limits = {name: options[name] for name in ("daily", "hourly") if options[name] is not None}
        if not limits:
            raise CommandError("Give --daily, --hourly or both.")
        for name, limit in limits.items():
            if not 0 <= limit <= MAX_LIMIT:
                raise CommandError(f"--{name} must be from 0 to {MAX_LIMIT}.")
        workspace = Workspace.objects.filter(slug=options["slug"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['slug']}.")
        set_limits(workspace, **limits)
        told = " and ".join(f"{limit} recipients {name}" for name, limit in limits.items())
        self.stdout.write(f"{workspace.slug} may address {told}.")
