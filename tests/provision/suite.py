"""Runs the whole suite on SQLite and beside it, what touches the database, on PostgreSQL; says what was skipped.

Many tests wait for processes, servers and clocks: one half after the other would leave the machine idle for half of
the time. What PostgreSQL has to say is kept back until SQLite is done.

`python -m tests.provision.suite [PYTEST ARGUMENTS]`, which is `make test`.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.provision import postgres

# Each worker begins with a share of neighbours, which use the same servers, and helps the others when it is done.
PARALLEL = ("-n", "2", "--dist", "worksteal", "--quiet", "--durations=15", "--durations-min=5")
# Pure functions, wire protocols, and what browsers and clients make of answers that both databases have been asked for.
ONCE = tuple(
    f"--ignore=tests/{name}"
    for name in (
        *("protocols", "browser", "clients", "webhooks/test_addresses.py", "core/test_raw_http.py"),
        *("test_architecture.py", "test_openapi.py", "test_bad_input.py", "console/test_policy.py"),
        *(f"templates/test_{name}.py" for name in ("bombs", "compiled_once", "css", "engine_language", "escaping")),
    )
)
NOTHING_COLLECTED = 5


def main(arguments: Sequence[str]) -> int:
    postgres.stop_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="stackshift-suite-") as name, contextlib.ExitStack() as stack:
        report, later, code = Path(name) / "skipped", Path(name) / "postgresql", 0
        report.touch()
        _say("\n== SQLite")
        halves = [stack.enter_context(_pytest(arguments, {**os.environ, "SKIP_REPORT": str(report)}))]
        try:
            url = stack.enter_context(postgres.database_url())
        except postgres.Unavailable as reason:
            report.write_text(f"everything on PostgreSQL ({reason})\n")
            code = int(os.environ.get("REQUIRE_ALL") == "1")
        else:
            env = {**postgres.environment(url), "SKIP_REPORT": str(report)}
            halves.append(stack.enter_context(_pytest([*ONCE, *arguments], env, output=later)))
        codes = [_ended(half) for half in halves]
        if later.exists():
            _say(f"\n== PostgreSQL\n{later.read_text(errors='replace')}")
        _close(report)
    return next((code for code in (*codes, code) if code), 0)


@contextlib.contextmanager
def _pytest(
    arguments: Sequence[str], env: Mapping[str, str], *, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One half of the suite, which ends with us."""
    command = [sys.executable, "-m", "pytest", *PARALLEL, *arguments]
    with output.open("wb") if output else contextlib.nullcontext() as file:
        half = subprocess.Popen(command, env=env, stdout=file, stderr=file)
    try:
        yield half
    finally:
        if half.poll() is None:
            half.terminate()
            half.wait()


def _ended(half: subprocess.Popen[bytes]) -> int:
    """The exit code; a Ctrl-C is left to pytest, which shares our terminal."""
    while True:
        try:
            code = half.wait()
        except KeyboardInterrupt:
            continue
        return 0 if code == NOTHING_COLLECTED else code


def _close(report: Path) -> None:
    reasons = sorted(set(report.read_text().splitlines()))
    _say(f"\nSkipped: {'; '.join(reasons)}." if reasons else "\nSkipped: nothing.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
