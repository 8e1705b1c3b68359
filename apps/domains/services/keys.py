"""DKIM keys: the next one is made and shown, signs once it is seen, and the old one stays until nothing needs it.

Nothing is ever signed with a key whose record has not been seen, and no mail changes its key between two tries.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.crypto import seal
from apps.core.errors import NotFound
from apps.core.ids import new_id
from apps.domains.errors import CannotRotate
from apps.domains.models import DkimKey, Domain, DomainRecord
from apps.domains.schedule import FIRST, KEEP_OLD_KEY
from apps.domains.services.happenings import tell
from apps.domains.services.records import FIRST_POSITION, FURTHER_POSITION, further_record
from apps.domains.states import Algorithm, KeyState, Status
from apps.events.types import EventType
from apps.protocols import dkim


class Sighting(StrEnum):
    """What a look said about a key's record; a look that failed says nothing."""

    EVERYWHERE = "everywhere"  # every name server of the zone has it
    SOMEWHERE = "somewhere"
    WRONG = "wrong"
    GONE = "gone"
    UNKNOWN = "unknown"


_NOT_THERE = frozenset({Sighting.WRONG, Sighting.GONE})
MAKERS = {Algorithm.RSA: dkim.generate_rsa, Algorithm.ED25519: dkim.generate_ed25519}


def rotate(domain: Domain, algorithm: Algorithm = Algorithm.RSA) -> DkimKey:
    """Makes the key that is to sign next, and shows its record; it signs once that is seen.

    For Ed25519 that begins the second signature. A key that already waits to be seen is the answer, and nothing is
    made. Raises CannotRotate.
    """
    if waiting := _next(domain, algorithm):
        return waiting
    private_key = MAKERS[algorithm]()
    key = new_key(domain, private_key, algorithm, KeyState.NEXT)
    try:
        with transaction.atomic():
            locked = _changeable(domain)
            key.save(force_insert=True)
            further_record(domain, key, public=dkim.public_record(private_key)).save(force_insert=True)
            watch(locked)
            tell(EventType.DOMAIN_KEY_CREATED, locked, key)
    except IntegrityError:
        # Another request was faster; its key is as good.
        if waiting := _next(domain, algorithm):
            return waiting
        raise
    return key


def withdraw(domain: Domain, algorithm: Algorithm = Algorithm.RSA) -> bool:
    """Takes a key back that waits to be seen; False where there is none."""
    with transaction.atomic():
        # Locked, or a look that sees the key at this moment would let it sign, and it would be deleted nevertheless.
        _locked(domain)
        deleted, _ = _keys(domain).filter(algorithm=algorithm, state=KeyState.NEXT).delete()
    return deleted > 0


def add_second_signature(domain: Domain) -> None:
    """Makes the Ed25519 key, unless there is one already. Raises CannotRotate."""
    if not _keys(domain).filter(algorithm=Algorithm.ED25519, state=KeyState.ACTIVE).exists():
        rotate(domain, Algorithm.ED25519)


def drop_second_signature(domain: Domain) -> bool:
    """Signs with RSA alone from now on; False where that was so. The record may go when no such mail is under way."""
    withdrawn = withdraw(domain, Algorithm.ED25519)
    with transaction.atomic():
        signing = list(_keys(_locked(domain)).filter(algorithm=Algorithm.ED25519, state=KeyState.ACTIVE))
        for key in signing:
            _retire(key, clock.now())
    return withdrawn or bool(signing)


def advance(domain: Domain, sightings: Mapping[str, Sighting], now: datetime) -> None:
    """Moves the domain's keys on after a look, in the caller's transaction, which holds the domain's lock.

    `sightings` by selector. The keys are read anew: another look may have moved them since this one began.
    """
    for key in _keys(domain):
        sighting = sightings.get(key.selector)
        if key.state == KeyState.NEXT and sighting is Sighting.EVERYWHERE:
            _activate(domain, key, sightings, now)
        elif key.state == KeyState.ACTIVE and key.algorithm != Algorithm.RSA and sighting in _NOT_THERE:
            _suspend(domain, key)
        elif key.state in {KeyState.RETIRING, KeyState.RETIRED} and sighting is Sighting.GONE:
            _forget(domain, key)
        elif key.state == KeyState.RETIRING and (sighting is Sighting.WRONG or _is_over(key, now)):
            _end(domain, key)


def new_key(domain: Domain, private_key: str, algorithm: Algorithm, state: KeyState) -> DkimKey:
    """A row that is not saved yet. The selector is random, so that no two workspaces publish under one name."""
    key = DkimKey(id=new_id(), workspace_id=domain.workspace_id, domain=domain, algorithm=algorithm, state=state)
    key.selector = f"ss{secrets.token_hex(5)}"
    key.activated_at = clock.now() if state == KeyState.ACTIVE else None
    key.private_sealed = seal(private_key, bound_to=f"dkim:{key.pk}")
    return key


def watch(domain: Domain) -> None:
    """Looks at the domain often from now on, because something about it is about to change."""
    now = clock.now()
    Domain.objects.of(domain.workspace_id).filter(pk=domain.pk).update(
        watched_since=now, looks=0, next_check_at=now + FIRST[0]
    )


def _locked(domain: Domain) -> Domain:
    """The row, locked before all that belongs to it. Raises NotFound."""
    locked: Domain | None = Domain.objects.of(domain.workspace_id).select_for_update().filter(pk=domain.pk).first()
    if locked is None:
        raise NotFound
    return locked


def _changeable(domain: Domain) -> Domain:
    locked = _locked(domain)
    if locked.status != Status.VERIFIED:
        raise CannotRotate("Keys change while a domain is verified; publish its records and verify it first.")
    if locked.is_trusted:
        raise CannotRotate("This domain is trusted without being looked up, so no new key could ever be seen.")
    return locked


def _activate(domain: Domain, key: DkimKey, sightings: Mapping[str, Sighting], now: datetime) -> None:
    """The seen key signs from now on, and its predecessor no longer does: one transaction, no gap."""
    for old in _keys(domain).filter(algorithm=key.algorithm, state=KeyState.ACTIVE):
        _retire(old, now)
        if sightings.get(old.selector) in _NOT_THERE:
            _end(domain, old)  # nobody could verify what it signs, whenever that was accepted
    key.state, key.activated_at = KeyState.ACTIVE, now
    key.save(update_fields=["state", "activated_at"])
    is_main = key.algorithm == Algorithm.RSA
    _record(key).update(required=is_main, position=FIRST_POSITION if is_main else FURTHER_POSITION)
    tell(EventType.DOMAIN_KEY_ACTIVATED, domain, key)


def _retire(key: DkimKey, now: datetime) -> None:
    key.state, key.retires_at = KeyState.RETIRING, now + KEEP_OLD_KEY
    key.save(update_fields=["state", "retires_at"])
    _record(key).update(required=False, position=FURTHER_POSITION + 1)


def _suspend(domain: Domain, key: DkimKey) -> None:
    """A second signature that does not verify harms where the first one would have passed, so it ends at once."""
    if _next(domain, Algorithm.ED25519) is not None:
        _end(domain, key)  # its successor waits to be seen already
        return
    key.state, key.activated_at = KeyState.NEXT, None
    key.save(update_fields=["state", "activated_at"])
    tell(EventType.DOMAIN_KEY_SUSPENDED, domain, key)


def _forget(domain: Domain, key: DkimKey) -> None:
    """Deletes an old key with its record; nothing signs with it any more, whether its time was over or not."""
    if key.state != KeyState.RETIRED:
        _end(domain, key)
    key.delete()


def _is_over(key: DkimKey, now: datetime) -> bool:
    return key.retires_at is not None and key.retires_at <= now


def _end(domain: Domain, key: DkimKey) -> None:
    key.state, key.private_sealed = KeyState.RETIRED, ""
    key.save(update_fields=["state", "private_sealed"])
    tell(EventType.DOMAIN_KEY_RETIRED, domain, key)


def _next(domain: Domain, algorithm: Algorithm) -> DkimKey | None:
    row: DkimKey | None = _keys(domain).filter(algorithm=algorithm, state=KeyState.NEXT).first()
    return row


def _keys(domain: Domain) -> QuerySet[DkimKey]:
    return DkimKey.objects.of(domain.workspace_id).filter(domain=domain)


def _record(key: DkimKey) -> QuerySet[DomainRecord]:
    return DomainRecord.objects.of(key.workspace_id).filter(key=key)
