"""The values that travel through the delivery engine."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from apps.assets.errors import AssetGone
from apps.messages.services.outcomes import Holding
from apps.messages.waits import WaitCode
from apps.protocols.smtp import Answer, Exchange


@dataclass(slots=True)
class Letter:
    """One message as it goes on the wire, composed and signed when it is first needed and then kept."""

    message_id: UUID
    scenario: str
    write: Callable[[], tuple[bytes, bool]]
    # Writing it reads files, so that it must not hold up what else this process does.
    is_heavy: bool = False
    _written: tuple[bytes, bool] | None = None

    @property
    def content(self) -> bytes:
        return self._once()[0]

    @property
    def needs_smtputf8(self) -> bool:
        return self._once()[1]

    def _once(self) -> tuple[bytes, bool]:
        if self._written is None:
            self._written = self.write()
        return self._written


@dataclass(slots=True)
class Parcel:
    """One SMTP transaction: a letter, its envelope, and the claims that it serves."""

    letter: Letter
    sender: str
    holdings: tuple[Holding, ...]

    @property
    def lane(self) -> int:
        return min(holding.lane for holding in self.holdings)

    async def fault(self) -> "Unwritable | None":
        """Writes the letter; what stands in the way, or nothing. A fault of ours must not cost the connection."""
        return await asyncio.to_thread(self._write) if self.letter.is_heavy else self._write()

    def _write(self) -> "Unwritable | None":
        try:
            self.letter.needs_smtputf8  # noqa: B018 - writes
        except AssetGone as error:
            return Unwritable(str(error), WaitCode.ATTACHMENT_MISSING)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message waits for a person
            return Unwritable(f"{type(error).__name__}: {error}")
        return None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(holding.email for holding in self.holdings)


@dataclass(frozen=True, slots=True)
class Carried:
    """How a parcel's transaction went: an answer for each address, and the circumstances."""

    answers: dict[str, Answer]
    started_at: datetime
    finished_at: datetime
    transport: str
    host: str = ""
    address: str = ""
    tls: str = ""
    transcript: Sequence[Exchange] = field(default_factory=tuple)
    is_ambiguous: bool = False
    # The destination itself could not be reached, so that nothing behind this parcel can go either.
    is_unreachable: bool = False


@dataclass(frozen=True, slots=True)
class NotCarried:
    """The parcel was given back before anything was transferred: we are stopping, or lost its claims."""


@dataclass(frozen=True, slots=True)
class TooSlow:
    """The parcel had not begun when its destination turned out to be slow; others need the room."""


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The letter could not be composed, signed or handed over, for something that is to be mended here."""

    fault: str
    code: WaitCode = WaitCode.CONFIGURATION


Carriage = Carried | NotCarried | TooSlow | Unwritable
