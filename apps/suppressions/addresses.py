"""Which addresses somebody may put on the list."""

from apps.protocols.address import AddressError, canonical_email


def suppressible(text: str) -> str:
    """The canonical form of one bare address. Raises AddressError.

    RFC 5321 allows `*` in an address, but whoever writes one here means many, and would be left unprotected.
    """
    email = canonical_email(text)
    if "*" in email:
        raise AddressError("A suppression is for one address: there are no wildcards.")
    return email
