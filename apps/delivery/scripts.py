"""Scripted outcomes of the capture transport: what a server would have said, chosen by the recipient's local part.

Behaviour and its description stand side by side, so that the inbox explains exactly what is played.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.messages.services.outcomes import Holding
from apps.protocols.smtp import Answer, Failure, FailureKind, Phase, Reply

ACCEPTED = Reply(250, "2.0.0", "captured", Phase.DOT, 0)
UNKNOWN_USER = Reply(550, "5.1.1", "no such user (scripted)", Phase.RCPT, 0)
LATER = Reply(451, "4.7.1", "greylisted, come back later (scripted)", Phase.RCPT, 0)
DROPPED = Failure(FailureKind.CLOSED, Phase.DOT, "the connection was dropped after the message (scripted)", 0)


@dataclass(frozen=True, slots=True)
class Script:
    """Local parts of one form, and what is played for them; `play` gets the form's parts and the attempts so far."""

    form: re.Pattern[str]
    play: Callable[[Sequence[str | None], int], Answer]
    # A local part, and what becomes of mail to it.
    examples: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Example:
    """A row of the inbox's table of scripts."""

    asked: str
    outcome: str
    first_answer: str


def _bounce(parts: Sequence[str | None], attempt_count: int) -> Answer:
    code, enhanced = parts
    return Reply(int(code), enhanced, "refused (scripted)", Phase.RCPT, 0) if code else UNKNOWN_USER


def _defer(parts: Sequence[str | None], attempt_count: int) -> Answer:
    return LATER if parts[0] is None or attempt_count < int(parts[0]) else ACCEPTED


def _drop(parts: Sequence[str | None], attempt_count: int) -> Answer:
    return DROPPED if attempt_count < int(parts[0] or 1) else ACCEPTED


SCRIPTS = (
    Script(
        re.compile(r"bounce(?:\+([45]\d\d)(?:-([245]\.\d{1,3}\.\d{1,3}))?)?"),
        _bounce,
        (
            ("bounce", "Bounces, and the address is suppressed."),
            ("bounce+550-5.1.1", "The same, with the codes written out."),
            ("bounce+550-5.7.1", "Fails: refused by policy, so the address is not suppressed."),
            ("bounce+452-4.2.2", "Deferred at every attempt: the mailbox is full. Any 4xx or 5xx code will do."),
        ),
    ),
    Script(
        re.compile(r"defer(?:\+(\d{1,3}))?"),
        _defer,
        (
            ("defer", "Deferred at every attempt, until the retries end."),
            ("defer+2", "Deferred twice, then delivered."),
        ),
    ),
    Script(
        re.compile(r"drop(?:\+(\d{1,3}))?"),
        _drop,
        (
            ("drop", "The line is cut after the content: the attempt is ambiguous, and the next one delivers."),
            ("drop+2", "The same, twice."),
        ),
    ),
)

# What test keys may ask for in `simulation.scenario`, and what comes of it.
SCENARIOS = {
    "delivered": "Delivered, whatever the address says.",
    "delayed": "Deferred once, then delivered.",
    "bounced": "Bounces, and the address is suppressed.",
    "complained": "Delivered, and then the recipient complains.",
}


def scripted(holding: Holding, scenario: str) -> Answer:
    """What the server plays for this address, or for the scenario that a test key asked for."""
    return _scenario(scenario, holding.attempt_count) if scenario else _address(holding.email, holding.attempt_count)


def examples() -> list[Example]:
    """Addresses to try, and what the server answers at first."""
    return [
        Example(f"{local}@", outcome, _said(_address(f"{local}@example.com", 0)))
        for script in SCRIPTS
        for local, outcome in script.examples
    ]


def scenarios() -> list[Example]:
    """The same for test keys."""
    return [Example(name, outcome, _said(_scenario(name, 0))) for name, outcome in SCENARIOS.items()]


def _address(email: str, attempt_count: int) -> Answer:
    local = email.rpartition("@")[0].lower()
    for script in SCRIPTS:
        if found := script.form.fullmatch(local):
            return script.play(found.groups(), attempt_count)
    return ACCEPTED


def _scenario(name: str, attempt_count: int) -> Answer:
    if name == "bounced":
        return UNKNOWN_USER
    return LATER if name == "delayed" and attempt_count == 0 else ACCEPTED


def _said(answer: Answer) -> str:
    if isinstance(answer, Failure):
        return "none: the line is cut"
    return " ".join(part for part in (str(answer.code), answer.enhanced) if part)
