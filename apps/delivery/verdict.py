"""Decides what becomes of a recipient after a try; writes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from apps.delivery.routing import NoRoute
from apps.delivery.schedule import schedule_of
from apps.delivery.work import Carried
from apps.messages.services.outcomes import AttemptFacts, Holding, Outcome
from apps.messages.soft_bounces import REPEATED
from apps.messages.states import AttemptStatus, BounceType, Lane, Status
from apps.messages.waits import Wait, WaitCode
from apps.protocols.reply import Charge, Fault, Meaning, read
from apps.protocols.smtp import Answer, Exchange, Failure, FailureKind, Phase, Reply
from apps.suppressions.models import Reason

AMBIGUOUS = "The connection ended after the message was handed over: perhaps it was delivered."
EXPIRED = "It could not be delivered in time. The last answer was: "


def after_carriage(holding: Holding, carried: Carried, *, scenario: str, pause: timedelta | None) -> Outcome:
    """What follows from the answer for this recipient; `pause`: how long its destination rests now."""
    answer = carried.answers[holding.email]
    meaning = read(answer, recipients=len(carried.answers))
    is_ambiguous = carried.is_ambiguous and isinstance(answer, Failure) and answer.command is Phase.DOT
    if _is_consent(answer):
        complained = Reason.COMPLAINT if scenario == "complained" else None
        return Outcome(holding, Status.SENT, _facts(AttemptStatus.SENT, answer, meaning, carried), suppress=complained)
    if meaning.permanent:
        return _refused(holding, answer, meaning, carried)
    status = AttemptStatus.AMBIGUOUS if is_ambiguous else AttemptStatus.DEFERRED
    facts = _facts(status, answer, meaning, carried)
    if is_ambiguous and holding.lane == Lane.OTP:
        # A second code in the mailbox confuses more than none; the user asks again.
        return Outcome(holding, Status.FAILED, facts, error=AMBIGUOUS)
    if is_ambiguous:
        meaning = replace(meaning, counts_against=Charge.MESSAGE)
    if meaning.split and any(_is_consent(other) for other in carried.answers.values()):
        # The server takes few at a time (RFC 5321 section 4.5.3.1.10), and this time it took others.
        return Outcome(
            holding, Status.DEFERRED, facts, Wait(WaitCode.RETRY, answer.line), retry_in=timedelta(0), error=answer.line
        )
    return _later(holding, answer, meaning, facts, pause=pause)


def without_route(holding: Holding, route: NoRoute, *, now: datetime) -> Outcome:
    """What follows when there is no server to speak to: the domain takes no mail, or the DNS is silent."""
    code = route.enhanced_code or None
    answer = (
        Reply(556 if code == "5.1.10" else 550, code, route.reason, Phase.RCPT, 0)
        if route.is_permanent
        else Failure(FailureKind.UNREACHABLE, Phase.CONNECT, route.reason, 0)
    )
    carried = Carried({holding.email: answer}, now, now, "mx")
    return after_carriage(holding, carried, scenario="", pause=None)


def _is_consent(answer: Answer) -> bool:
    return isinstance(answer, Reply) and answer.code < 300


def _refused(holding: Holding, answer: Answer, meaning: Meaning, carried: Carried) -> Outcome:
    facts = _facts(AttemptStatus.FAILED, answer, meaning, carried)
    return Outcome(
        holding,
        Status.BOUNCED if meaning.bounce else Status.FAILED,
        facts,
        bounce=BounceType(meaning.bounce.value) if meaning.bounce else None,
        suppress=Reason.HARD_BOUNCE if meaning.suppress else None,
        error=answer.line,
        needs_operator=meaning.alert,
    )


def _later(
    holding: Holding, answer: Answer, meaning: Meaning, facts: AttemptFacts, *, pause: timedelta | None
) -> Outcome:
    schedule = schedule_of(holding.lane)
    age = facts.finished_at - holding.queued_at
    is_charged = meaning.counts_against is Charge.MESSAGE or meaning.split
    gap: timedelta | None
    if is_charged:
        gap = schedule.next_gap(holding.tries + 1, age, slower=meaning.slow)
    else:
        # Not one of the message's tries, but not once a minute for two days either.
        gap = pause if pause is not None else schedule.gap(holding.attempt_number)
        gap = gap if age + gap <= schedule.lifetime else None
    if gap is None:
        return _given_up(holding, answer, facts, is_charged=is_charged)
    code = WaitCode.RETRY if is_charged else WaitCode.DESTINATION_PAUSED
    wait = Wait(code, answer.line)
    return Outcome(
        holding,
        Status.DEFERRED,
        facts,
        wait,
        retry_in=gap,
        is_charged=is_charged,
        error=answer.line,
        needs_operator=meaning.alert,
    )


def _given_up(holding: Holding, answer: Answer, facts: AttemptFacts, *, is_charged: bool) -> Outcome:
    """A mailbox that took no mail for all that time has refused it; whatever else was in the way tells nothing."""
    is_bounce = facts.rule in REPEATED.rules
    return Outcome(
        holding,
        Status.BOUNCED if is_bounce else Status.FAILED,
        facts,
        is_charged=is_charged,
        bounce=BounceType.SOFT if is_bounce else None,
        error=EXPIRED + answer.line,
    )


def _facts(status: AttemptStatus, answer: Answer, meaning: Meaning, carried: Carried) -> AttemptFacts:
    return AttemptFacts(
        status=status,
        started_at=carried.started_at,
        finished_at=carried.finished_at,
        transport=carried.transport,
        remote_host=carried.host,
        remote_address=carried.address,
        tls=carried.tls,
        smtp_code=answer.code if isinstance(answer, Reply) else None,
        enhanced_code=(answer.enhanced or "") if isinstance(answer, Reply) else "",
        response=answer.line,
        fault="" if meaning.fault is Fault.ACCEPTED else meaning.fault.value,
        rule=meaning.rule,
        explanation=meaning.explanation,
        conversation=_conversation(carried.transcript),
    )


def _conversation(transcript: Sequence[Exchange]) -> list[tuple[str, str, int]]:
    return [(exchange.sent, exchange.received, exchange.milliseconds) for exchange in transcript]
