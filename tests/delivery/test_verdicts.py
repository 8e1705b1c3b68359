"""What a failed try costs and when the next one is: from the schedule, and not from the moment."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from django.conf import LazySettings

from apps.core import clock
from apps.delivery.routing import NoRoute
from apps.delivery.schedule import JITTER, SCHEDULES, schedule_of
from apps.delivery.verdict import after_carriage, without_route
from apps.delivery.work import Carried
from apps.messages.services.outcomes import Holding, Outcome
from apps.messages.states import Lane, Status
from apps.messages.waits import WaitCode
from apps.protocols.smtp import Answer, Failure, FailureKind, Phase, Reply
from tests.delivery.held import holding

ADA, GRACE = "ada@inbox.example", "grace@inbox.example"
OF_THE_DESTINATION: dict[str, Answer] = {
    "421 at RCPT": Reply(421, None, "too busy", Phase.RCPT, 0),
    "421 at MAIL": Reply(421, "4.4.2", "time-out", Phase.MAIL, 0),
    "hung up in DATA": Failure(FailureKind.CLOSED, Phase.DATA, "hung up", 0),
    "silent at RCPT": Failure(FailureKind.TIMEOUT, Phase.RCPT, "no answer in time", 0),
    "silent DNS": Failure(FailureKind.UNREACHABLE, Phase.CONNECT, "SERVFAIL", 0),
}
OK = Reply(250, "2.1.5", "Ok", Phase.RCPT, 0)
GREYLISTED = Reply(451, "4.7.1", "Greylisted, please try again", Phase.RCPT, 0)
NO_MORE = Reply(452, "4.5.3", "Too many recipients", Phase.RCPT, 0)
SLOW_DOWN = Reply(450, "4.7.28", "Our system has detected an unusual rate of mail", Phase.MAIL, 0)


@pytest.fixture(autouse=True)
def ordinary(settings: LazySettings) -> None:
    settings.MAIL_RETRY_SCHEDULE = None


def verdict(held: Holding, answer: Answer, *, others: dict[str, Answer] | None = None, at: datetime) -> Outcome:
    carried = Carried({held.email: answer} | (others or {}), at, at, "mx")
    return after_carriage(held, carried, scenario="", pause=None)


def life(answer: Answer, *, lane: Lane = Lane.TRANSACTIONAL) -> tuple[list[timedelta], list[Outcome]]:
    """All gaps and outcomes of a recipient for which every try ends like this."""
    at = queued_at = clock.now()
    gaps: list[timedelta] = []
    outcomes: list[Outcome] = []
    tries = 0
    while len(outcomes) < 500:
        held = holding(lane=lane, attempts=len(outcomes), tries=tries, queued_at=queued_at)
        outcomes.append(outcome := verdict(held, answer, at=at))
        tries += outcome.is_charged
        if outcome.retry_in is None:
            break
        gaps.append(outcome.retry_in)
        at += outcome.retry_in
    return gaps, outcomes


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("answer", OF_THE_DESTINATION.values(), ids=OF_THE_DESTINATION)
def test_failures_of_the_destination_follow_the_growing_gaps_and_use_up_no_tries(answer: Answer, lane: Lane) -> None:
    schedule = SCHEDULES[lane]

    gaps, outcomes = life(answer, lane=lane)

    for position, gap in enumerate(gaps):
        wanted = timedelta(seconds=schedule.gaps[min(position, len(schedule.gaps) - 1)])
        assert wanted * (1 - JITTER) <= gap <= wanted * (1 + JITTER)
    assert len(gaps) >= min(len(schedule.gaps), 5)
    assert not any(outcome.is_charged for outcome in outcomes)
    assert {outcome.wait.code for outcome in outcomes if outcome.wait} == {WaitCode.DESTINATION_PAUSED}
    assert outcomes[-1].status == Status.FAILED
    assert sum(gaps, timedelta()) <= schedule.lifetime


def test_a_silent_dns_follows_the_schedule_too() -> None:
    held = holding(attempts=5)
    wanted = timedelta(seconds=SCHEDULES[Lane.TRANSACTIONAL].gaps[5])

    outcome = without_route(held, NoRoute("SERVFAIL", is_permanent=False), now=held.queued_at)

    assert outcome.retry_in is not None
    assert wanted * (1 - JITTER) <= outcome.retry_in <= wanted * (1 + JITTER)
    assert not outcome.is_charged


def test_the_pause_of_the_destination_goes_before_the_schedule() -> None:
    held, pause = holding(attempts=5), timedelta(seconds=17)
    carried = Carried({held.email: OF_THE_DESTINATION["silent DNS"]}, held.queued_at, held.queued_at, "mx")

    assert after_carriage(held, carried, scenario="", pause=pause).retry_in == pause


def test_a_split_that_made_progress_goes_on_at_once_and_is_not_charged() -> None:
    held = holding(ADA, attempts=9, tries=9)

    outcome = verdict(held, NO_MORE, others={GRACE: OK}, at=held.queued_at)

    assert (outcome.status, outcome.retry_in, outcome.is_charged) == (Status.DEFERRED, timedelta(0), False)
    assert outcome.wait is not None
    assert outcome.wait.code == WaitCode.RETRY


def test_a_split_without_progress_is_charged_and_comes_to_an_end() -> None:
    """A server that takes no recipient at all, but says that they are too many, is not asked for ever."""
    gaps, outcomes = life(NO_MORE)

    assert min(gaps) >= timedelta(seconds=SCHEDULES[Lane.TRANSACTIONAL].gaps[0]) * (1 - JITTER)
    assert all(outcome.is_charged for outcome in outcomes)
    assert outcomes[-1].status == Status.FAILED


@pytest.mark.parametrize("tries", range(4))
def test_a_server_that_wants_us_to_slow_down_gets_the_gap_after_the_next(settings: LazySettings, tries: int) -> None:
    settings.MAIL_RETRY_SCHEDULE = (60, 120, 300, 600, 1200)
    held = holding(attempts=tries, tries=tries)

    ordinary_gap = verdict(held, GREYLISTED, at=held.queued_at).retry_in
    slow_gap = verdict(held, SLOW_DOWN, at=held.queued_at).retry_in

    assert ordinary_gap == timedelta(seconds=(60, 120, 300, 600, 1200)[tries])
    assert slow_gap == timedelta(seconds=(60, 120, 300, 600, 1200)[tries + 1])


@pytest.mark.parametrize("answer", [GREYLISTED, SLOW_DOWN], ids=["ordinary", "slow"])
def test_the_override_schedule_gives_all_its_tries(settings: LazySettings, answer: Answer) -> None:
    settings.MAIL_RETRY_SCHEDULE = (1, 2, 3)

    gaps, outcomes = life(answer)

    assert len(outcomes) == 4
    assert len(gaps) == 3
    assert all(earlier <= later for earlier, later in pairwise(gaps))
    assert outcomes[-1].status == Status.FAILED


def test_the_override_schedule_is_for_letters_alone(settings: LazySettings) -> None:
    settings.MAIL_RETRY_SCHEDULE = (1, 2, 3)

    assert schedule_of(Lane.TRANSACTIONAL).gaps == (1, 2, 3)
    assert schedule_of(Lane.OTP) is SCHEDULES[Lane.OTP]
    assert schedule_of(Lane.BULK) is SCHEDULES[Lane.BULK]
