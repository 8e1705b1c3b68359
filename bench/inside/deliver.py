"""One delivery process: says `ready`, starts at one byte on its standard input, ends when that is closed.

`python -m bench.inside.deliver [PROFILE]`; PROFILE is a file for what cProfile saw in all of its threads.
"""

import cProfile
import json
import os
import pstats
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import django

from bench.processes import memory

SHIFT_SECONDS = 120


def main() -> None:
    django.setup()
    from django.db import connection  # noqa: PLC0415 - needs the settings

    from apps.core import leash  # noqa: PLC0415
    from apps.delivery.services.drain import drain  # noqa: PLC0415

    connection.ensure_connection()
    os.write(1, b"ready\n")
    os.read(0, 1)
    # From now on our input is the leash: it becomes readable when the bench closes its end.
    os.environ[leash.VARIABLE] = "0"
    before = os.times()
    work: Callable[[], None] = lambda: drain(shift_seconds=SHIFT_SECONDS)  # noqa: E731
    if len(sys.argv) > 1:
        _profiled(work, sys.argv[1])
    else:
        work()
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    print(json.dumps({"cpu": cpu, "memory": asdict(memory(os.getpid()))}))


def _profiled(work: Callable[[], None], path: str) -> None:
    """cProfile sees one thread only, and the event loop runs in another than the database."""
    profiles = [cProfile.Profile()]
    run: Any = threading.Thread.run

    def run_profiled(thread: threading.Thread) -> None:
        profiles.append(profile := cProfile.Profile())
        profile.runcall(run, thread)

    threading.Thread.run = run_profiled  # type: ignore[method-assign]
    profiles[0].runcall(work)
    stats = pstats.Stats(profiles[0])
    for profile in profiles[1:]:
        stats.add(profile)
    stats.dump_stats(path)


if __name__ == "__main__":
    main()
