"""The delivery engine in this process, between the API and real mail servers on loopback."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from apps.core import clock
from apps.delivery.models import Destination
from apps.delivery.services.drain import drain
from apps.messages.models import Recipient
from tests.client import SEND, Answer, Api, mail
from tests.conftest import World
from tests.fakes.dns_server import DnsServer
from tests.journeys.rig import INBOX, receives_mail
from tests.journeys.story import Story, story_of


class Post:
    """Sends through the API and delivers when it is told to."""

    def __init__(self, api: Api, dns: DnsServer, settings: LazySettings) -> None:
        self.api, self.dns, self.settings = api, dns, settings

    def goes_to(self, server: Any) -> None:
        """All mail servers of the world are this one."""
        self.settings.MAIL_MX_PORT = server.port

    def send(self, to: Any = f"ada@{INBOX}", *, api: Api | None = None, **changes: Any) -> str:
        answer: Answer = (api or self.api).post(SEND, mail(to=to, **changes))
        assert answer.status == 202, answer
        return str(answer.data["id"])

    def deliver(self) -> None:
        """Until nothing is due any more."""
        drain(until_idle=True)

    def deliver_later(self) -> None:
        """As it will be when all who wait have waited long enough."""
        Destination.objects.update(paused_until=clock.database_now())
        waiting = Recipient.objects.across_workspaces().filter(next_attempt_at__isnull=False)
        waiting.update(next_attempt_at=clock.database_now())
        self.deliver()

    def story(self, message_id: str) -> Story:
        return story_of(self.api, message_id)


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        receives_mail(server, INBOX)
        yield server


@pytest.fixture
def post(world: World, dns: DnsServer, settings: LazySettings) -> Iterator[Post]:
    settings.MAIL_TRANSPORT = "mx"
    settings.MAIL_DNS_SERVERS = dns.address
    settings.MAIL_RETRY_SCHEDULE = (60, 120, 300)
    settings.DELIVERY_WORKERS = 1
    policy = asyncio.get_event_loop_policy()
    yield Post(world.owner.api, dns, settings)
    asyncio.set_event_loop_policy(policy)  # the engine chose another for the process
