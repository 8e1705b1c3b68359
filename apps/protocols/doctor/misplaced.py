"""Why a record that a customer swears to have added is not there: wrong names, other zones, aliases."""

from collections.abc import Callable, Iterator

from apps.protocols.dns import Answer, Outcome
from apps.protocols.doctor.findings import CheckResult, Diagnosis, Look, missing, wrong
from apps.protocols.sender_records import ExpectedRecord, Purpose, RecordType


def absent(record: ExpectedRecord, domain: str, answer: Answer[str], look: Look) -> CheckResult:
    """Explains a missing record, after a look at the names under which such records are found by mistake."""
    resembles = _resemblance(record)
    for name, diagnosis, mistake in _wrong_names(record, domain, answer.zone):
        elsewhere = _ask(record.type, name, look)
        found = [value for value in elsewhere.values if resembles(value)]
        if found and not elsewhere.aliases:
            mend = f"Move it to {record.name}{_as_typed(record, answer.zone)}."
            return missing(answer, diagnosis, f"{mistake.format(name=name)} {mend}", found)
    return missing(answer, Diagnosis.MISSING, _plainly_missing(record, domain, answer))


def beside_alias(record: ExpectedRecord, answer: Answer[str], look: Look) -> CheckResult | None:
    """A fault where an alias and other records share a name (RFC 1034 section 3.6.2), or None."""
    is_alias = record.type is RecordType.CNAME
    other = look.txt(record.name) if is_alias else look.cname(record.name)
    is_through_alias = bool(other.aliases if is_alias else answer.aliases)
    if other.status is not Outcome.FOUND or is_through_alias:
        return None
    explanation = (
        f"{record.name} has a CNAME and a TXT record. Beside a CNAME no other record may stand (RFC 1034), so some "
        f"resolvers see the one and some the other. Keep only the {record.type} record shown here."
    )
    return wrong(answer, (*answer.values, *other.values), Diagnosis.BESIDE_ALIAS, explanation)


def _wrong_names(record: ExpectedRecord, domain: str, zone: str) -> Iterator[tuple[str, Diagnosis, str]]:
    doubled = (
        "The record stands at {name}: the zone editor adds the domain to the name by itself, and it was typed in too."
    )
    for ending in dict.fromkeys((domain, zone)):
        if ending and domain.endswith(ending):
            yield f"{record.name}.{ending}", Diagnosis.NAME_DOUBLED, doubled
    prefix = record.name.removesuffix(domain)
    parent = domain.partition(".")[2]
    # Not for DMARC: a policy of the domain above is there for good reason, and holds for this one too.
    if prefix and "." in parent and record.purpose is not Purpose.DMARC:
        above = "The record stands at {name}, which belongs to another domain: a part of the name was left out."
        yield f"{prefix}{parent}", Diagnosis.NAME_MISPLACED, above
    if record.purpose is Purpose.DMARC:
        bare = "A DMARC record stands at {name} itself, where no receiver looks for it."
        yield domain, Diagnosis.NAME_MISPLACED, bare


def _ask(kind: RecordType, name: str, look: Look) -> Answer[str]:
    return look.cname(name) if kind is RecordType.CNAME else look.txt(name)


def _resemblance(record: ExpectedRecord) -> Callable[[str], bool]:
    """Tells the customer's misplaced record from records that have nothing to do with us."""
    if record.type is RecordType.CNAME:
        return lambda value: value.startswith(record.value.lower())
    if record.value.startswith("v=DKIM1"):
        return lambda value: record.value[-40:] in value
    version = record.value.partition(";")[0].partition(" ")[0].lower()
    return lambda value: value.strip('"').lower().startswith(version)


def _as_typed(record: ExpectedRecord, zone: str) -> str:
    """The name as editors want it, without the zone's; only where it is known which zone that is."""
    if not zone or zone == "." or "." not in zone or not record.name.endswith(zone):
        return ""
    return f"; in most editors that is the name {record.name.removesuffix(zone).rstrip('.') or '@'}"


def _plainly_missing(record: ExpectedRecord, domain: str, answer: Answer[str]) -> str:
    text = f"There is no {record.type} record at {record.name}. Add it with the value shown"
    zone = answer.zone
    if answer.aliases:
        return f"{record.name} is an alias of {answer.aliases[-1]}, and there is no {record.type} record there."
    if zone.endswith(f".{domain}"):
        return f"{text}, in the zone {zone}: that part of {domain} is delegated to name servers of its own."
    if answer.no_such_name and zone and zone != "." and domain.endswith(f".{zone}") and "." not in zone:
        return f"{text}. The answer came from the zone {zone}, so {domain} itself may not be registered or delegated."
    return f"{text}."
