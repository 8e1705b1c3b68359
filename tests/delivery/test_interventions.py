"""An operator intervenes while the engine delivers: what is said to be stopped is not sent, all else exactly once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from apps.delivery.services.recover import recover
from apps.messages.models import Recipient
from apps.messages.services import interventions
from apps.messages.services.interventions import Intervention
from apps.messages.states import Status
from apps.messages.waits import WaitCode
from apps.workspaces.models import Workspace
from tests.conftest import World
from tests.delivery.conftest import Post
from tests.fakes.smtp_sink import SmtpSink
from tests.journeys.rig import INBOX

MANY = 50
PAUSES_AT = 10


class PausingSink(SmtpSink):
    """Stops in the middle of the tenth recipient's RCPT until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(reply_for=self._pause)
        self.is_reached, self.may_go_on = threading.Event(), threading.Event()
        self._heard = 0

    def _pause(self, recipient: str) -> None:
        self._heard += 1
        if self._heard == PAUSES_AT:
            self.is_reached.set()
            self.may_go_on.wait(timeout=20)

    def delivered(self) -> Counter[str]:
        return Counter(address for message in self.messages for address in message.rcpt_tos)


@pytest.fixture
def sink(post: Post) -> Iterator[PausingSink]:
    with PausingSink() as sink:
        post.goes_to(sink)
        yield sink


@pytest.fixture
def recipients(post: Post, workspace: Workspace) -> dict[str, Recipient]:
    for number in range(MANY):
        post.send(f"user{number}@{INBOX}")
    return {row.email: row for row in Recipient.objects.of(workspace.pk)}


def while_it_drains(post: Post, sink: PausingSink, verb: Callable[[], Intervention]) -> Intervention:
    """The verb's answer, given while the engine waits for the server in the middle of its work."""

    def intervene() -> Intervention:
        assert sink.is_reached.wait(timeout=20)
        try:
            return verb()
        finally:
            sink.may_go_on.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(intervene)
        post.deliver()
        return answer.result()


def with_status(recipients: dict[str, Recipient], status: Status) -> set[str]:
    rows = Recipient.objects.across_workspaces().filter(pk__in=[row.pk for row in recipients.values()], status=status)
    return set(rows.values_list("email", flat=True))


@pytest.mark.django_db(transaction=True)
def test_of_what_is_held_nothing_is_sent_until_it_is_released(
    post: Post, sink: PausingSink, recipients: dict[str, Recipient]
) -> None:
    chosen = [row.pk for row in recipients.values()]
    held = while_it_drains(post, sink, lambda: interventions.hold(chosen))

    stopped = {email for email, row in recipients.items() if row.pk in held.changed}
    assert stopped
    assert sink.delivered() == dict.fromkeys(recipients.keys() - stopped, 1)
    assert with_status(recipients, Status.DEFERRED) == stopped
    assert with_status(recipients, Status.SENT) == recipients.keys() - stopped

    post.deliver_later()
    assert sink.delivered().total() == MANY - len(stopped)

    assert interventions.release(held.changed) == Intervention(held.changed, {})
    post.deliver()
    assert sink.delivered() == dict.fromkeys(recipients, 1)
    assert with_status(recipients, Status.SENT) == recipients.keys()


@pytest.mark.django_db(transaction=True)
def test_what_is_said_to_be_canceled_is_never_sent(
    post: Post, sink: PausingSink, recipients: dict[str, Recipient]
) -> None:
    chosen = [row.pk for row in recipients.values()]
    canceled = while_it_drains(post, sink, lambda: interventions.cancel(chosen))

    stopped = {email for email, row in recipients.items() if row.pk in canceled.changed}
    assert stopped
    post.deliver_later()
    assert sink.delivered() == dict.fromkeys(recipients.keys() - stopped, 1)
    assert with_status(recipients, Status.FAILED) == stopped


def test_a_hold_outlives_the_worker_that_had_the_claim(post: Post, world: World) -> None:
    post.send()
    rows = Recipient.objects.of(world.owner.workspace.pk)
    rows.update(lease_until="2020-01-01T00:00:00Z", fence=3, crashes=1)

    interventions.hold([rows.get().pk])

    assert recover() == 0
    held = rows.get()
    assert (held.wait_code, held.next_attempt_at, held.crashes) == (WaitCode.HOLD, None, 0)


def test_what_is_made_due_is_tried_at_once(post: Post, world: World) -> None:
    with SmtpSink(reply_for=lambda _: "451 4.7.1 later") as busy:
        post.goes_to(busy)
        message_id = post.send()
        post.deliver()
    with SmtpSink() as server:
        post.goes_to(server)
        post.deliver()
        assert server.messages == []

        interventions.retry_now([Recipient.objects.of(world.owner.workspace.pk).get().pk])
        post.deliver()
        assert [message.rcpt_tos for message in server.messages] == [(f"ada@{INBOX}",)]
    assert post.story(message_id).status == "sent"
