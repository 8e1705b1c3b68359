#!/usr/bin/env python
"""Django's command line; `quickstart` first makes the secrets that the settings ask for."""

import os
import sys

from stackshift_mail import env


def main() -> None:
    os.umask(0o077)  # mail, keys and the database are nobody else's to read
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stackshift_mail.settings")
    if sys.argv[1:2] == ["quickstart"]:
        env.generate_missing_secrets()
    if sys.argv[1:2] == ["parse_report"]:
        env.use_throwaway_secrets()
    # Imported late: Django reads the settings, and so the secrets, while it is imported.
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    execute_from_command_line(sys.argv)


def run() -> None:
    """A mail server takes an unknown end of `ingest` for a refusal and tells the sender so: ours are "try again"."""
    if sys.argv[1:2] != ["ingest"]:
        main()
        return
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the mail must not be lost by it
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    run()
