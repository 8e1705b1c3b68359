"""A PostgreSQL of our own that can be torn down in the middle of its work; what it had committed survives that."""

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.provision import postgres

# Unlike the servers for ordinary tests: what is acknowledged must be on the disk when the server is shot.
HONEST = ("fsync=off", "synchronous_commit=on", "full_page_writes=off", "max_connections=100")


class Server:
    """One data folder and the server on it, which may come and go."""

    def __init__(self, programs: postgres.Programs, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._data, password = folder / "data", secrets.token_hex(16)
        postgres._initialise(programs, self._data, password)
        self._port = postgres._free_port()
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        settings = [*HONEST, f"port={self._port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        command = [str(self._programs.folder / "postgres"), "-D", str(self._data)]
        command += [part for setting in settings for part in ("-c", setting)]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, **self._programs.options()
            )
        postgres._wait(self._process, self.url, log)

    def shoot(self) -> None:
        """What `pg_ctl stop -m immediate` does: no check-point, no farewell to anybody."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def stop(self) -> None:
        if self._process.poll() is None:
            postgres._stop(self._process)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Raises postgres.Unavailable."""
    with tempfile.TemporaryDirectory(prefix="stackshift-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.chmod(folder, 0o711)  # the account that runs the server must be able to walk through
        made = Server(postgres._programs(folder), folder)
        made.start()
        try:
            yield made
        finally:
            made.stop()
