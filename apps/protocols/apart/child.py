"""The process apart: reads one piece of mail after the other from its socket, within limits that the kernel sets."""

from __future__ import annotations

import math
import resource
import socket
import sys

from apps.protocols.apart import values
from apps.protocols.apart.tasks import TASKS

# Of address space, with all that Python itself takes of it: mail of 40 MiB, its lines and its files decoded.
MEMORY = 1024 * 1024 * 1024
# It goes when nobody has asked for so long, and after so many, whatever it may have left behind of each.
IDLE_SECONDS, MAX_JOBS = 60.0, 1_000


def main() -> None:
    _limit()
    # The parent's end is inherited as standard input.
    sock = socket.socket(fileno=sys.stdin.fileno())
    for _ in range(MAX_JOBS):
        sock.settimeout(IDLE_SECONDS)
        try:
            header, octets = values.receive(sock)
        except (EOFError, TimeoutError, OSError):
            return
        sock.settimeout(None)
        if not _answer(sock, header, octets):
            return


def _answer(sock: socket.socket, header: dict[str, object], octets: list[bytes]) -> bool:
    """Does one job; False where this process had better end."""
    _allow_seconds(int(str(header["cpu"])))
    answer: list[bytes] = []
    try:
        task = TASKS[str(header["task"])]
        value = values.pack(task.run(octets[0], values.unpack(task.options, header["options"], ())), answer)
    except MemoryError:
        octets.clear()
        values.send(sock, {"failed": "memory"}, ())
        return False
    except Exception as error:  # noqa: BLE001 - whatever a stranger's octets bring about is an answer, not an end
        values.send(sock, {"failed": type(error).__name__}, ())
        return True
    values.send(sock, {"value": value}, answer)
    return True


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _allow_seconds(seconds: int) -> None:
    """The kernel ends this process (SIGXCPU) once it has used so much more; the limit counts from its beginning."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = math.ceil(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
