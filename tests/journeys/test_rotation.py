"""Keys change under a stream of mail, and whoever receives one can verify it by what the DNS has at that moment."""

import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dkim as dkimpy
import pytest

from tests.client import DOMAINS, SEND, Answer, mail
from tests.domains.conftest import publish
from tests.fakes.dns_server import DnsServer
from tests.fakes.smtp_sink import Received, SmtpSink
from tests.journeys.processes import wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform

ROTATIONS = 3
# At least so many messages go out between two changes.
STREAM = 60
SELECTOR = re.compile(rb"\bs=([a-z0-9]+);")


class Receiver(SmtpSink):
    """Looks up the keys of each message while it arrives, as a receiving server does."""

    def __init__(self, dns: DnsServer) -> None:
        super().__init__()
        self._dns = dns
        self.keys: list[dict[bytes, str | None]] = []

    def keep(self, message: Received) -> None:
        selectors = SELECTOR.findall(message.content.partition(b"\r\n\r\n")[0])
        names = [f"{selector.decode()}._domainkey.{SENDER}" for selector in selectors]
        self.keys.append({f"{name}.".encode(): self._dns.text(name) for name in names})
        super().keep(message)


class Stream:
    """Sends until it is told to stop; counts what was accepted."""

    def __init__(self, api: LiveApi) -> None:
        self._api, self._stop = api, threading.Event()
        self.accepted = 0

    def run(self) -> None:
        while not self._stop.is_set() and self.accepted < 3_000:
            answer = self._api.post(SEND, mail(**{"from": f"a@{SENDER}"}, to=f"r{self.accepted}@{INBOX}"))
            assert answer.status == 202, answer
            self.accepted += 1

    def stop(self) -> None:
        self._stop.set()

    def go_on(self, count: int = STREAM) -> None:
        until = self.accepted + count
        wait_until(lambda: self.accepted >= until, "the stream goes on")


@pytest.mark.django_db(transaction=True)
def test_a_rotation_under_a_stream_of_sends_leaves_no_message_unverifiable(
    platform: Callable[..., Platform], dns: DnsServer
) -> None:
    with Receiver(dns) as receiver:
        ours = platform(receiver.port)
        ours.start_web()
        ours.start_drain()
        api = ours.customer()
        stream = Stream(api.twin())
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(stream.run)
            try:
                for _ in range(ROTATIONS):
                    _rotate(api, dns, stream)
            finally:
                stream.stop()
            sending.result()
        messages = receiver.wait_for(stream.accepted, timeout=60)

    verdicts = [_verifies(message, keys) for message, keys in zip(messages, receiver.keys, strict=True)]
    signers = Counter(next(iter(keys)) for keys in receiver.keys)
    assert len(verdicts) == stream.accepted
    assert all(verdicts)
    # Each of the keys in turn has signed some of them.
    assert len(signers) == ROTATIONS + 1
    assert min(signers.values()) >= STREAM // 2


def _rotate(api: LiveApi, dns: DnsServer, stream: Stream) -> None:
    """As a customer does: ask for the next key, wait a while, publish it, ask for a look."""
    (domain,) = api.get(DOMAINS).rows
    stream.go_on()
    rotated = _ok(api.post(f"{DOMAINS}/{domain['id']}/rotate"))
    stream.go_on()
    assert _active(_ok(api.post(f"{DOMAINS}/{domain['id']}/verify"))) == _active(domain)
    publish(dns, rotated)
    assert _active(_ok(api.post(f"{DOMAINS}/{domain['id']}/verify"))) != _active(domain)
    stream.go_on()


def _ok(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    return dict(answer.data)


def _active(domain: dict[str, Any]) -> str:
    (selector,) = [key["selector"] for key in domain["keys"] if key["state"] == "active"]
    return str(selector)


def _verifies(message: Received, keys: dict[bytes, str | None]) -> bool:
    found = {name: value.encode() for name, value in keys.items() if value}
    return bool(dkimpy.verify(message.content, dnsfunc=lambda name, timeout=5: found.get(name)))
