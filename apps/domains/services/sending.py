"""Whether a domain may send now, and the keys that sign what it sends."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from apps.core.crypto import SealBroken, unseal
from apps.domains.errors import DomainNotVerified
from apps.domains.models import DkimKey, Domain
from apps.domains.states import SIGNING, Algorithm, KeyState, Status
from apps.protocols import dkim


@dataclass(frozen=True, slots=True)
class DatedKey:
    """A key, and from which moment on accepted mail is signed with it."""

    algorithm: str
    state: str
    activated_at: datetime
    key: dkim.SigningKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The published keys of a domain, the present ones and those whose mail is still on its way."""

    keys: Sequence[DatedKey]

    def at(self, moment: datetime) -> tuple[dkim.SigningKey, ...]:
        """The keys that sign what was accepted at that moment: the same at every try, so that a repeat is recognised.

        What is older than every RSA key that is left gets the present one. A second signature is not added later, and
        one that was switched off does not go on.
        """
        rsa = self._rsa()
        second = [d for d in self.keys if d.algorithm != Algorithm.RSA and d.state == KeyState.ACTIVE]
        earlier = [dated for dated in rsa if dated.activated_at <= moment]
        main = max(earlier, key=_age) if earlier else max(rsa, key=_age)
        return (main.key, *(dated.key for dated in second if dated.activated_at <= moment))

    def reaches_back_to(self, moment: datetime) -> bool:
        """Whether the key of that time is still among them."""
        return any(dated.activated_at <= moment for dated in self._rsa())

    @property
    def can_sign(self) -> bool:
        return bool(self._rsa())

    def _rsa(self) -> list[DatedKey]:
        return [dated for dated in self.keys if dated.algorithm == Algorithm.RSA]


def _age(dated: DatedKey) -> datetime:
    return dated.activated_at


def require_verified(name: str, found: tuple[UUID, str] | None) -> UUID:
    """The id of the workspace's domain of this name, given its id and status. Raises DomainNotVerified."""
    if found is None:
        raise DomainNotVerified(
            f"{name} is not a domain of this workspace; add it with POST /mail/domains and publish its records.",
            details={"domain": name},
        )
    identifier, status = found
    if status != Status.VERIFIED:
        raise DomainNotVerified(
            f"{name} is {status}, not verified; see its records with GET /mail/domains/{identifier}.",
            details={"domain": name, "domainId": str(identifier), "status": status},
        )
    return identifier


def signing_keys(domain_ids: Collection[UUID | None]) -> tuple[dict[UUID, KeyRing], set[UUID]]:
    """The keys that sign for each domain that may send now, and the domains whose keys do not open.

    A domain that may not send is in neither.
    """
    rows = (
        DkimKey.objects.across_workspaces()
        .filter(domain_id__in=domain_ids, domain__status=Status.VERIFIED, state__in=SIGNING)
        .values_list(
            "domain_id", "algorithm", "state", "activated_at", "pk", "domain__name", "selector", "private_sealed"
        )
    )
    keys: dict[UUID, list[DatedKey]] = defaultdict(list)
    sealed: set[UUID] = set()
    for domain_id, algorithm, state, activated_at, *key in rows:
        try:
            keys[domain_id].append(DatedKey(algorithm, state, activated_at, _signing_key(*key)))
        except SealBroken:
            sealed.add(domain_id)
    rings = {domain_id: KeyRing(dated) for domain_id, dated in keys.items() if domain_id not in sealed}
    return {domain_id: ring for domain_id, ring in rings.items() if ring.can_sign}, sealed


def verified_ids(names: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """The domains of these names, each in its workspace, that may send now."""
    rows = Domain.objects.across_workspaces().filter(name__in={name for _, name in names}, status=Status.VERIFIED)
    found = {(workspace_id, name): pk for workspace_id, name, pk in rows.values_list("workspace_id", "name", "pk")}
    return {pair: found[pair] for pair in names if pair in found}


@cache
def _signing_key(key_id: UUID, domain: str, selector: str, private_sealed: str) -> dkim.SigningKey:
    # Kept for the life of the process: parsing a key costs more than signing a message.
    pem = unseal(private_sealed, bound_to=f"dkim:{key_id}")
    return dkim.SigningKey(domain=domain, selector=selector, private_key=dkim.load_key(pem))
