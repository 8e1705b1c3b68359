"""The real Postfix as a private instance: its own configuration, queue and log below one folder, on loopback only."""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

DAEMONS = Path("/usr/lib/postfix/sbin")
# No service is chrooted, because below the queue of a test there is nothing that a chroot needs.
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
relay_domains = {domains}
transport_maps = texthash:{folder}/config/transport
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_send_xforward_command = yes
smtpd_client_connection_count_limit = 0
"""


def missing() -> str:
    """Why there can be no instance on this machine; empty where there can."""
    if not (DAEMONS / "master").exists() or shutil.which("postfix") is None:
        return "Postfix is not installed"
    return "" if os.geteuid() == 0 else "Postfix can only be started by root"


class Postfix:
    """`with Postfix(folder, {"in.example": 2525}) as relay:` takes mail at `relay.port` and hands it to these ports.

    The folder must be one that every user may pass through: Postfix's own processes give up being root.
    """

    def __init__(self, folder: Path, destinations: Mapping[str, int]) -> None:
        self._folder, self._destinations = folder, destinations
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self) -> Self:
        self._write()
        command = ["postfix", "-c", str(self._folder / "config"), "start"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            pytest.fail(f"Postfix did not start: {self.log}")
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        pytest.fail(f"Postfix does not listen: {self.log}")

    def __exit__(self, *_: object) -> None:
        # Its master is the first of a group of processes that nobody else is in, and ends them all.
        pid = int((self._folder / "queue" / "pid" / "master.pid").read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(200):
                os.kill(pid, 0)
                time.sleep(0.05)
            os.killpg(pid, signal.SIGKILL)

    @property
    def log(self) -> str:
        path = self._folder / "mail.log"
        return path.read_text() if path.exists() else ""

    def _write(self) -> None:
        config, queue, data = (self._folder / name for name in ("config", "queue", "data"))
        for folder in (config, queue, data):
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        domains = " ".join(self._destinations)
        (config / "main.cf").write_text(MAIN.format(folder=self._folder, daemons=DAEMONS, domains=domains))
        (config / "master.cf").write_text(MASTER.format(port=self.port))
        lines = [f"{domain} smtp:[127.0.0.1]:{port}\n" for domain, port in self._destinations.items()]
        (config / "transport").write_text("".join(lines))
        for path in config.iterdir():
            path.chmod(0o644)
