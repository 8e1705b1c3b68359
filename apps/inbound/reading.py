"""Hostile mail is read in a process apart (apps.protocols.apart); here is what a failure of it means."""

from dataclasses import replace

from apps.core.errors import TemporarilyUnavailable
from apps.protocols.apart.pool import NoTurn, Pool, Unread
from apps.protocols.apart.tasks import AUTHENTICATE, LETTER, REPORT
from apps.protocols.authentication.types import Authentication, Checked, Origin, Verdict
from apps.protocols.letters.types import Letter
from apps.protocols.reports.types import Kind, Report

# Of a report nothing behind this matters: the machine-readable part and the header of what came back stand before.
MAX_REPORT_OCTETS = 4 * 1024 * 1024

POOL = Pool()


def read_in_child(raw: bytes) -> Report:
    """What a report says; where it could not be read, one that says nothing and why. Raises TemporarilyUnavailable."""
    is_cut = len(raw) > MAX_REPORT_OCTETS
    try:
        report = POOL.run(REPORT, raw[:MAX_REPORT_OCTETS])
    except Unread as error:
        return Report(Kind.OTHER, note=str(error))
    except NoTurn:
        raise TemporarilyUnavailable from None
    note = f"{report.note} Only its first {MAX_REPORT_OCTETS:,} octets were read.".strip() if is_cut else report.note
    return replace(report, note=note)


def read_letter_in_child(raw: bytes) -> Letter:
    """What a mail holds; where it could not be read, nothing and why. Raises TemporarilyUnavailable."""
    try:
        return POOL.run(LETTER, raw)
    except Unread as error:
        return Letter(fault=str(error))
    except NoTurn:
        raise TemporarilyUnavailable from None


def authenticate_in_child(raw: bytes, origin: Origin) -> Authentication:
    """Who sent it, as far as the DNS can tell. Raises TemporarilyUnavailable."""
    try:
        return POOL.run(AUTHENTICATE, raw, origin)
    except Unread as error:
        undecided = Checked(Verdict.TEMPERROR, reason=str(error))
        return Authentication(undecided, undecided, undecided)
    except NoTurn:
        raise TemporarilyUnavailable from None
