"""Runs every part and shows one table, which it keeps in bench/results/latest.txt."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import accept, batch, claim, console, drain, idle, processes, signing
from bench.table import Figure, render

PARTS: tuple[Callable[[], list[Figure]], ...] = (
    *(signing.main, drain.main, accept.main, batch.main, idle.main, claim.main),
    console.main,
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    # So that everything that was started ends with us.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    figures: list[Figure] = []
    has_failed = False
    for part in PARTS:
        print(f"{part.__module__} ...", file=sys.stderr, flush=True)
        try:
            figures += part()
        except Exception as error:  # noqa: BLE001 - the other parts can still be measured
            traceback.print_exc()
            figures.append(Figure(part.__module__, "failed", f"{type(error).__name__}: {error}"[:70], "", False))
            has_failed = True
    text = f"{render(figures)}\n{_circumstances(time.monotonic() - began)}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n")
    (RESULTS / "latest.txt").write_text(text)
    print(f"\n{text}")
    if has_failed:
        sys.exit(1)


def _circumstances(seconds: float) -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else "unknown processor"
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}; {processes.CORES} cores of {model}; load average {load}; took {seconds:.0f} s."


if __name__ == "__main__":
    main()
