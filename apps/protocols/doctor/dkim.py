"""Judges the TXT record that publishes a DKIM key (RFC 6376 section 3.6.1, RFC 8463)."""

import re

from apps.protocols.dns import Answer
from apps.protocols.doctor.findings import CheckResult, Diagnosis, is_quoted, right, wrong
from apps.protocols.sender_records import ExpectedRecord
from apps.protocols.tags import parse_tags

_SPACE = re.compile(r"[ \t\r\n]+")
PASTE_AGAIN = "Replace the record's value by the one shown."


def judge_key(record: ExpectedRecord, answer: Answer[str]) -> CheckResult:
    """Whether what is published is the key that signs, in a form that every receiver reads."""
    diagnosis, explanation = _fault(record, answer.values)
    if diagnosis is Diagnosis.RIGHT:
        return right(answer, answer.values)
    return wrong(answer, answer.values, diagnosis, explanation)


def _fault(record: ExpectedRecord, values: tuple[str, ...]) -> tuple[Diagnosis, str]:
    if len(values) > 1:
        # Which one a receiver takes is undefined, RFC 6376 section 3.6.2.2.
        return Diagnosis.SEVERAL_RECORDS, f"There are {len(values)} TXT records at {record.name}; leave only this one."
    (value,) = values
    if is_quoted(value):
        return (
            Diagnosis.QUOTES,
            f"Quotation marks or backslashes have become part of the value. {PASTE_AGAIN} Leave the marks out.",
        )
    tags = parse_tags(value)
    if tags is None or "p" not in tags or ("v" in tags and next(iter(tags.items())) != ("v", "DKIM1")):
        return Diagnosis.SYNTAX, f"This is no DKIM key record. {PASTE_AGAIN}"
    if not tags["p"]:
        return Diagnosis.DKIM_REVOKED, f"The key is withdrawn: p= is empty (RFC 6376). {PASTE_AGAIN}"
    if fault := _other_key(tags, parse_tags(record.value) or {}):
        return fault
    return _restriction(tags)


def _other_key(tags: dict[str, str], ours: dict[str, str]) -> tuple[Diagnosis, str] | None:
    published, wanted = _key(tags), _key(ours)
    if published == wanted:
        return None
    if published[0] == wanted[0] and wanted[1].startswith(published[1]):
        length = len(published[1])
        return Diagnosis.DKIM_CUT_OFF, (
            f"The key is cut off after {length} of {len(wanted[1])} characters. Some editors keep only 255 in one "
            "string: split the value into several quoted strings of one record, or use the editor's field for long TXT."
        )
    return Diagnosis.DKIM_WRONG_KEY, f"Another key is published. {PASTE_AGAIN}"


def _key(tags: dict[str, str]) -> tuple[str, str]:
    # White space inside base64 means nothing (RFC 6376 section 3.2); no k= means RSA (section 3.6.1).
    return tags.get("k", "rsa"), _SPACE.sub("", tags.get("p", ""))


def _restriction(tags: dict[str, str]) -> tuple[Diagnosis, str]:
    """Tags that keep a right key from counting (RFC 6376 section 3.6.1)."""
    if "y" in tags.get("t", "").replace(" ", "").split(":"):
        text = "t=y says that the domain only tests DKIM, so receivers treat its mail as unsigned."
    elif "h" in tags and "sha256" not in tags["h"].replace(" ", "").split(":"):
        text = f"h={tags['h']} forbids SHA-256, with which every signature is made."
    elif "s" in tags and not {"*", "email"} & set(tags["s"].replace(" ", "").split(":")):
        text = f"s={tags['s']} keeps the key from signing mail."
    else:
        return Diagnosis.RIGHT, ""
    return Diagnosis.DKIM_RESTRICTED, f"{text} {PASTE_AGAIN}"
