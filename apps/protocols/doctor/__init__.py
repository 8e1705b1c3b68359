"""The DNS doctor: looks at one record of a sender's domain, and says in plain words what is wrong and how to mend it.

A failed look-up decides nothing: a server that fails, silence, and a record that is not there are three things.
"""

from apps.protocols.dns import Answer, Outcome
from apps.protocols.doctor.dkim import judge_key
from apps.protocols.doctor.dmarc import judge_dmarc, judge_no_dmarc
from apps.protocols.doctor.findings import CheckResult, Diagnosis, Look, no_answer, shown
from apps.protocols.doctor.misplaced import absent, beside_alias
from apps.protocols.doctor.return_path import judge_alias, judge_no_alias
from apps.protocols.doctor.spf import judge_spf
from apps.protocols.sender_records import CheckStatus, ExpectedRecord, Purpose, RecordType

__all__ = ["CheckResult", "Diagnosis", "Look", "examine", "shown"]


def examine(record: ExpectedRecord, domain: str, look: Look) -> CheckResult:
    """Looks one record of `domain` up, and others where they explain it."""
    answer = look.cname(record.name) if record.type is RecordType.CNAME else look.txt(record.name)
    if answer.status is Outcome.FAILED:
        return no_answer(answer)
    if answer.status is Outcome.MISSING:
        return _judge_missing(record, domain, answer, look)
    result = _judge(record, domain, answer, look)
    if result.status is CheckStatus.VERIFIED:
        return beside_alias(record, answer, look) or result
    return result


def _judge(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    if record.purpose is Purpose.SPF:
        return judge_spf(record, domain, answer, look)
    if record.purpose is Purpose.DKIM:
        return judge_key(record, answer)
    if record.purpose is Purpose.DMARC:
        return judge_dmarc(record, domain, answer, look)
    return judge_alias(record, answer, look)


def _judge_missing(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    if record.purpose is Purpose.DMARC:
        return judge_no_dmarc(record, domain, answer, look)
    if record.purpose is Purpose.RETURN_PATH:
        return judge_no_alias(record, domain, answer, look)
    return absent(record, domain, answer, look)
