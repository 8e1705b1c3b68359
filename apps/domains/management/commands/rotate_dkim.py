"""`rotate_dkim NAME --workspace SLUG`: makes a domain's next DKIM key and prints the record to publish."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import Problem
from apps.domains.models import Domain, DomainRecord
from apps.domains.services.keys import rotate
from apps.domains.states import Algorithm
from apps.workspaces.models import Workspace


class Command(BaseCommand):
    help = "Makes the next DKIM key of a domain; mail is signed with it once its record is seen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="a verified domain of the workspace")
        parser.add_argument("--workspace", metavar="SLUG", required=True)
        parser.add_argument(
            "--algorithm",
            choices=Algorithm.values,
            default=Algorithm.RSA,
            help="ed25519: for the second signature, which begins with it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']}.")
        domain = Domain.objects.of(workspace.pk).filter(name=options["name"].lower().rstrip(".")).first()
        if domain is None:
            raise CommandError(f"The workspace {workspace.slug} does not have {options['name']}.")
        try:
            key = rotate(domain, Algorithm(options["algorithm"]))
        except Problem as refusal:
            raise CommandError(refusal.message) from refusal
        record = DomainRecord.objects.of(workspace.pk).get(key=key)
        self.stdout.write("Publish this record; mail is signed with the new key as soon as it is seen:")
        self.stdout.write(f"{record.name} {record.type} {record.value}")
