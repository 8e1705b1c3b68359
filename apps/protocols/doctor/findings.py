"""What a look at one record comes to: a status, what was found, and in plain words what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from apps.protocols.dns import BROKEN_RECORD, NO_SERVER, TIME_OUT, UNREACHABLE, Answer, Outcome
from apps.protocols.dns_records import MxRecord
from apps.protocols.sender_records import CheckStatus

# What is shown and stored of an answer; a TXT record may hold 64 KiB.
MAX_SHOWN = 10
MAX_SHOWN_LENGTH = 1024
LONGEST_DENIAL, LONGEST_RECORD = 3 * 3600, 24 * 3600
# Of an explanation, which may repeat what a stranger's zone holds.
MAX_EXPLANATION = 1500


class Look(Protocol):
    """The look-ups that the doctor needs; the resolvers of `dns` and `authority` have them."""

    def txt(self, name: str) -> Answer[str]: ...

    def cname(self, name: str) -> Answer[str]: ...

    def mx(self, name: str) -> Answer[MxRecord]: ...

    def addresses(self, name: str) -> Answer[str]: ...


class Diagnosis(StrEnum):
    """Each mistake that has an explanation of its own, in a word that programs can compare."""

    RIGHT = "right"
    MISSING = "missing"
    TIMED_OUT = "timed_out"
    SERVER_FAILED = "server_failed"
    SPREADING = "spreading"
    NAME_DOUBLED = "name_doubled"
    NAME_MISPLACED = "name_misplaced"
    QUOTES = "quotes"
    FORBIDDEN_CHARACTERS = "forbidden_characters"
    BESIDE_ALIAS = "beside_alias"
    SEVERAL_RECORDS = "several_records"
    SYNTAX = "syntax"
    SPF_NOT_INCLUDED = "spf_not_included"
    SPF_BEHIND_ALL = "spf_behind_all"
    SPF_ALLOWS_ALL = "spf_allows_all"
    SPF_TOO_MANY_LOOKUPS = "spf_too_many_lookups"
    SPF_VOID_LOOKUPS = "spf_void_lookups"
    SPF_LOOP = "spf_loop"
    SPF_BROKEN_INCLUDE = "spf_broken_include"
    DKIM_WRONG_KEY = "dkim_wrong_key"
    DKIM_CUT_OFF = "dkim_cut_off"
    DKIM_REVOKED = "dkim_revoked"
    DKIM_RESTRICTED = "dkim_restricted"
    DMARC_VERSION_NOT_FIRST = "dmarc_version_not_first"
    DMARC_NO_POLICY = "dmarc_no_policy"
    DMARC_INHERITED = "dmarc_inherited"
    ALIAS_ELSEWHERE = "alias_elsewhere"
    ALIAS_TARGET_DOUBLED = "alias_target_doubled"
    ALIAS_FLATTENED = "alias_flattened"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one record stands. Undecided when the DNS failed: that says nothing about the record."""

    status: CheckStatus
    diagnosis: Diagnosis
    found: tuple[str, ...] = ()
    explanation: str = ""
    # Seconds for which a resolver that asks now may go on giving this answer (RFC 1035 TTL, RFC 2308 section 5).
    held_seconds: int = 0

    @property
    def is_undecided(self) -> bool:
        return self.status is CheckStatus.PENDING


def right(answer: Answer[str], found: Sequence[str]) -> CheckResult:
    return CheckResult(CheckStatus.VERIFIED, Diagnosis.RIGHT, shown(found), held_seconds=_held(answer))


def wrong(answer: Answer[str], found: Sequence[str], diagnosis: Diagnosis, explanation: str) -> CheckResult:
    return CheckResult(CheckStatus.FAILED, diagnosis, shown(found), _bounded(explanation), _held(answer))


def missing(answer: Answer[str], diagnosis: Diagnosis, explanation: str, found: Sequence[str] = ()) -> CheckResult:
    return CheckResult(CheckStatus.MISSING, diagnosis, shown(found), _bounded(explanation), _held(answer))


def no_answer(answer: Answer[str]) -> CheckResult:
    """For a look-up that failed. Only a record that holds what no record may is the customer's own mistake."""
    if answer.reason == BROKEN_RECORD:
        explanation = (
            f"The record at {answer.name} holds a line break or another control character, as happens when a value is "
            "pasted in several lines. Delete it and paste the value again as one line."
        )
        return wrong(answer, answer.broken, Diagnosis.FORBIDDEN_CHARACTERS, explanation)
    if answer.reason == TIME_OUT:
        explanation = (
            f"No name server answered in time when asked for {answer.name}. That says nothing about the record; "
            "it is looked up again by itself. If it lasts, the domain's name servers are down or cannot be reached."
        )
        return CheckResult(CheckStatus.PENDING, Diagnosis.TIMED_OUT, explanation=explanation)
    if answer.reason in {NO_SERVER, UNREACHABLE}:
        explanation = (
            f"{answer.name} could not be looked up: {answer.reason}. Either this platform cannot reach its resolver, "
            "which its operator has to mend, or all name servers of the domain are down. It is looked up again by "
            "itself."
        )
        return CheckResult(CheckStatus.PENDING, Diagnosis.SERVER_FAILED, explanation=explanation)
    explanation = (
        f"Asked for {answer.name}, the name servers failed: {answer.reason}. That says nothing about the record; it is "
        "looked up again by itself. If it lasts, the domain's delegation or its DNSSEC signatures are broken: "
        "ask whoever runs its DNS."
    )
    return CheckResult(CheckStatus.PENDING, Diagnosis.SERVER_FAILED, explanation=explanation)


def shown(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value[:MAX_SHOWN_LENGTH] for value in values[:MAX_SHOWN])


def is_quoted(value: str) -> bool:
    """Whether quotation marks became part of the value: zone files need them, forms add them by themselves."""
    # A backslash is how a mark that is not ASCII is shown, or one that somebody has escaped.
    return '"' in value or "\\" in value or value.strip().startswith("'")


def _held(answer: Answer[str]) -> int:
    """What a careful resolver keeps at most: a denial for three hours, as BIND does, and a record for a day."""
    return min(answer.ttl, LONGEST_DENIAL if answer.status is Outcome.MISSING else LONGEST_RECORD)


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_EXPLANATION else f"{text[:MAX_EXPLANATION]}…"
