"""`check_domain NAME`: looks at the records of any domain, says what is wrong and how to mend it, changes nothing."""

import sys
import textwrap
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.domains.lookups import look
from apps.domains.models import Domain
from apps.domains.services.records import expected_of, records_of
from apps.domains.states import KeyState
from apps.protocols.address import AddressError, canonical_domain
from apps.protocols.doctor import CheckResult, examine
from apps.protocols.sender_records import CheckStatus, ExpectedRecord, Platform, Purpose, expected

WIDTH = 100
WORDS = {
    CheckStatus.VERIFIED: "right",
    CheckStatus.MISSING: "MISSING",
    CheckStatus.FAILED: "WRONG",
    CheckStatus.PENDING: "NO ANSWER",
}


class Command(BaseCommand):
    help = (
        "Looks at a domain's SPF, DKIM, DMARC and return-path records. Exit code 1 where a required one is not right."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="any domain, whether a workspace has it or not")
        parser.add_argument("--workspace", metavar="SLUG", help="only as this workspace has it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name = canonical_domain(options["name"])
        except AddressError as error:
            raise CommandError(f"{options['name']!r}: {error.reason}") from error
        wanted = _known(name, options["workspace"])
        if not wanted and options["workspace"]:
            raise CommandError(f"The workspace {options['workspace']} does not have {name}.")
        results = [self._report(title, records, name) for title, records in wanted or [_unknown(name)]]
        if not all(results):
            sys.exit(1)

    def _report(self, title: str, records: list[ExpectedRecord], name: str) -> bool:
        self.stdout.write(title)
        way = look(name)
        is_well = True
        for record in records:
            result = examine(record, name, way)
            self._tell(record, result)
            is_well &= result.status is CheckStatus.VERIFIED or not record.required
        self.stdout.write("")
        return is_well

    def _tell(self, record: ExpectedRecord, result: CheckResult) -> None:
        need = "" if record.required else " (not required)"
        self.stdout.write(f"\n  {WORDS[result.status]}: {record.purpose} {record.type} {record.name}{need}")
        self._lines("wanted", record.value)
        for value in result.found:
            self._lines("found", value)
        if result.explanation:
            self._lines("so", result.explanation)
        if result.held_seconds and result.status is not CheckStatus.VERIFIED:
            self._lines("cached", f"resolvers may hold this answer for {result.held_seconds} s after they asked")

    def _lines(self, label: str, text: str) -> None:
        first, *more = textwrap.wrap(text, WIDTH, break_on_hyphens=False) or [""]
        self.stdout.write(f"    {label:<8}{first}")
        for line in more:
            self.stdout.write(f"            {line}")


def _known(name: str, slug: str | None) -> list[tuple[str, list[ExpectedRecord]]]:
    """The records that workspaces were told to publish."""
    domains = Domain.objects.across_workspaces().filter(name=name).select_related("workspace")
    if slug:
        domains = domains.filter(workspace__slug=slug)
    return [
        (f"{name}, as workspace {domain.workspace.slug} has it ({domain.status})", _needed(domain))
        for domain in domains.order_by("pk")
    ]


def _needed(domain: Domain) -> list[ExpectedRecord]:
    """All but the records of keys that nothing needs any more."""
    rows = records_of(domain)
    return [expected_of(row) for row in rows if row.key is None or row.key.state != KeyState.RETIRED]


def _unknown(name: str) -> tuple[str, list[ExpectedRecord]]:
    """What can be looked for without a key of ours: the policies of SPF and DMARC."""
    platform = Platform(settings.MAIL_SPF_INCLUDE, settings.MAIL_RETURN_PATH_HOST, settings.MAIL_DMARC_REQUIRED)
    policies = [record for record in expected(name, platform, []) if record.purpose in {Purpose.SPF, Purpose.DMARC}]
    return f"{name}: no workspace has it, so there is no DKIM key and no return path to look for", policies
