"""The databases that are measured: a private PostgreSQL that keeps its promises (fsync on), and a file for SQLite."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench import processes
from tests.provision import postgres as provision

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_connections=100")
SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Database:
    """One database and the process that serves it; SQLite has none."""

    url: str
    server: int | None = None

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if self.url.startswith(SQLITE):
            with contextlib.closing(sqlite3.connect(self.url.removeprefix(SQLITE), timeout=20)) as connection:
                return connection.execute(sql).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def beside(self, name: str) -> "Database":
        """Another empty database on the same server."""
        self.query(f"CREATE DATABASE {name}")
        return Database(urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")), self.server)

    def settle(self) -> None:
        """Statistics and visibility as after a quiet minute, so that no vacuum falls into a measurement."""
        if self.server is not None:
            self.query("VACUUM (ANALYZE)")
            self.query("CHECKPOINT")

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.server) if self.server is not None else 0.0


@contextlib.contextmanager
def postgres() -> Iterator[Database]:
    """An empty database on a server of our own. Raises Unavailable."""
    # A server that somebody else runs has settings and a load that we do not know.
    os.environ.pop("TEST_DATABASE_URL", None)
    # The tests' server is fast because it promises nothing; what is measured here must be on the disk.
    provision.FAST = DURABLE
    with provision.database_url() as url:
        database = Database(url, _postmaster(url))
        if database.query("SHOW fsync") != [("on",)]:
            raise RuntimeError("the bench is meaningless on a PostgreSQL without fsync")
        yield database


def sqlite(folder: Path) -> Database:
    return Database(f"{SQLITE}{folder}/bench.sqlite3")


def _postmaster(url: str) -> int:
    """Every backend is a child of the one process that we want."""
    with psycopg.connect(url) as connection:
        stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
