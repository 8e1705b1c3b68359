"""How a supervisor tells its workers to stop, in a way that also works when the supervisor is killed.

The supervisor holds the writing end of a pipe and every worker the reading end. When the supervisor lets go, or
dies, the pipe ends; no signal has to pass through django-q2's processes, which would pass it on too late.
"""

import os
import select

VARIABLE = "STACKSHIFT_LEASH"


def is_cut() -> bool:
    """Whether the supervisor wants this process to end. Without a supervisor: never."""
    descriptor = os.environ.get(VARIABLE)
    if descriptor is None:
        return False
    readable, _, _ = select.select([int(descriptor)], [], [], 0)
    return bool(readable)
