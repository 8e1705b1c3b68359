"""A process that stands still past its lease and comes back late changes nothing that others have done meanwhile."""

import signal
from collections.abc import Callable

from apps.delivery.models import Drain
from apps.messages.models import Recipient
from apps.messages.states import Status
from tests.client import SEND, mail
from tests.fakes.smtp_raw import Delay, RawSmtpServer
from tests.journeys.processes import kill, wait_until
from tests.journeys.rig import INBOX, SENDER, LiveApi, Platform

# The answer arrives while the process that waits for it is frozen.
LATE = 3.0


def freeze_and_take_over(live: Platform, api: LiveApi, has_begun: Callable[[], object]) -> str:
    """Sends one message; freezes the drain that carries it once that has begun, and thaws it when another is done."""
    frozen = live.start_drain()
    message_id = api.post(SEND, mail(**{"from": f"a@{SENDER}"}, to=f"ada@{INBOX}")).data["id"]
    wait_until(has_begun, "the first drain is in the middle of its conversation")
    kill(frozen.pid, signal.SIGSTOP)
    try:
        live.start_drain()
        wait_until(lambda: status_of(message_id) == Status.SENT, "the second drain has sent it")
    finally:
        kill(frozen.pid, signal.SIGCONT)
    wait_until(lambda: has_come_back(frozen.pid), "the first drain has come back and let go")
    return message_id


def status_of(message_id: str) -> str:
    return str(Recipient.objects.across_workspaces().get(message_id=message_id).status)


def has_come_back(pid: int) -> bool:
    """Its beat is no older than the other's, and it holds nothing."""
    beats = {row.pid: row for row in Drain.objects.all()}
    newest = max(row.beat_at for row in beats.values())
    return (newest - beats[pid].beat_at).total_seconds() < 2 and beats[pid].in_flight == 0


def test_frozen_before_the_content_it_sends_nothing_afterwards(platform: Callable[..., Platform]) -> None:
    with RawSmtpServer({"rcpt": [Delay(LATE, "250 2.1.5 Ok")]}) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()

        message_id = freeze_and_take_over(live, api, lambda: any(c.startswith("RCPT") for c in server.commands))

        assert len(server.messages) == 1
        story = api.story(message_id)
        assert story.tries == ["sent"]
        assert story.happened == ["queued", "sending", "sent"]


def test_frozen_after_the_content_its_answer_changes_nothing(platform: Callable[..., Platform]) -> None:
    with RawSmtpServer({"dot": [Delay(LATE, "250 2.0.0 Queued")]}) as server:
        live = platform(server.port)
        live.start_web()
        api = live.customer()

        message_id = freeze_and_take_over(live, api, lambda: server.messages)

        first, second = server.messages
        assert first.data == second.data
        story = api.story(message_id)
        assert story.tries == ["ambiguous", "sent"]
        assert story.message["recipients"][0]["attemptCount"] == 2
        assert story.happened == ["queued", "sending", "delivery.ambiguous", "deferred", "sending", "sent"]
