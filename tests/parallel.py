"""Calls that happen at once, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

Result = TypeVar("Result")


def threads(most: int) -> int:
    """How many threads to use: SQLite has one writer, and more would only wait in line."""
    return most if connection.vendor == "postgresql" else min(most, 8)


def at_once(calls: Sequence[Callable[[], Result]], *, workers: int) -> list[Result]:
    """The results of all calls; the first ones of all threads begin at the same moment."""
    barrier = threading.Barrier(workers)
    shares = [calls[number::workers] for number in range(workers)]

    def work(share: Sequence[Callable[[], Result]]) -> list[Result]:
        barrier.wait()
        try:
            return [call() for call in share]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        return [result for results in pool.map(work, shares) for result in results]
