"""Runs the whole suite on SQLite and then, what touches the database, on PostgreSQL; says at the end what was skipped.

`python -m tests.provision.suite [PYTEST ARGUMENTS]`, which is `make test`.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.provision import postgres

PARALLEL = ("-n", "2", "--quiet")
# Pure functions, wire protocols, and what a browser makes of pages that both databases have been asked for already.
ONCE = (
    *("--ignore=tests/protocols", "--ignore=tests/browser"),
    *("--ignore=tests/test_architecture.py", "--ignore=tests/test_openapi.py"),
)
NOTHING_COLLECTED = 5


def main(arguments: Sequence[str]) -> int:
    postgres.stop_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="stackshift-suite-") as folder:
        report = Path(folder) / "skipped"
        report.touch()
        codes = [_pytest("SQLite", arguments, os.environ, report), _on_postgres(arguments, report)]
        _close(report)
    return next((code for code in codes if code), 0)


def _on_postgres(arguments: Sequence[str], report: Path) -> int:
    try:
        with postgres.database_url() as url:
            return _pytest("PostgreSQL", [*ONCE, *arguments], postgres.environment(url), report)
    except postgres.Unavailable as reason:
        with report.open("a") as lines:
            lines.write(f"everything on PostgreSQL ({reason})\n")
        return int(os.environ.get("REQUIRE_ALL") == "1")


def _pytest(name: str, arguments: Sequence[str], env: Mapping[str, str], report: Path) -> int:
    _say(f"\n== {name}")
    command = [sys.executable, "-m", "pytest", *PARALLEL, *arguments]
    code = postgres.run(command, {**env, "SKIP_REPORT": str(report)})
    return 0 if code == NOTHING_COLLECTED else code


def _close(report: Path) -> None:
    reasons = sorted(set(report.read_text().splitlines()))
    _say(f"\nSkipped: {'; '.join(reasons)}." if reasons else "\nSkipped: nothing.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
