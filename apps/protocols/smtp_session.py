"""One open SMTP session and the mail transactions on it (RFC 5321 section 3.3; PIPELINING, RFC 2920).

A transaction ends in one answer per recipient. It never raises for what a server does, only for misuse.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from apps.protocols.smtp_wire import (
    Answer,
    Failure,
    FailureKind,
    Phase,
    Reply,
    Wire,
    check_content,
    dot_stuffed,
)

# Content goes out in pieces of this size, each awaited, so that a slow reader meets a deadline.
CHUNK = 65_536
QUIT_SECONDS = 5.0

# Whatever could end a command early, or close the angle brackets, before it reaches the wire.
_UNSAFE = re.compile(r"[\x00-\x20<>\x7f-\xa0\u2028\u2029\ud800-\udfff]")

BeforeData = Callable[[Sequence[str]], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait, each for a whole reply, however slowly its bytes drip (RFC 5321 section 4.5.3.2).

    `total` bounds opening a session, and again each transaction up to its final dot. After the dot only `dot`
    counts: hanging up early there is what makes duplicates (RFC 1047). A lease must outlast `total` + `dot`.
    """

    connect: float = 30
    tls: float = 60
    banner: float = 300
    helo: float = 300
    auth: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600
    total: float = 1_200


@dataclass(frozen=True, slots=True)
class Features:
    """What the server offered in its answer to EHLO."""

    pipelining: bool = False
    starttls: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    size: int = 0  # octets; 0 is no announced limit (RFC 1870 section 4)
    auth: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tls:
    """The protection that a session runs under, for the record of the attempt."""

    version: str
    cipher: str
    verified: bool  # the certificate was checked against the name of the host

    @property
    def line(self) -> str:
        return f"{self.version}, {self.cipher}, {'verified' if self.verified else 'not verified'}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom and to whom. An empty sender is the null reverse-path."""

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool = False  # the content needs it; a non-ASCII address needs it anyway

    def check(self) -> None:
        """Raises ValueError for what must never come near a command line."""
        if not self.recipients or len(set(self.recipients)) != len(self.recipients):
            raise ValueError("An envelope has at least one recipient, and each of them once.")
        if not all(self.recipients):
            raise ValueError("A recipient is never empty.")
        for address in (self.sender, *self.recipients):
            refuse_unsafe(address)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a transcript says where no server spoke."""

    line: str
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One thing said, or done where it stands in angle brackets, and what came back."""

    sent: str
    answer: Answer | Remark

    @property
    def received(self) -> str:
        return self.answer.line

    @property
    def milliseconds(self) -> int:
        return self.answer.milliseconds


@dataclass(frozen=True, slots=True)
class Transaction:
    """How a transaction ended, recipient by recipient."""

    results: Mapping[str, Answer]
    transcript: tuple[Exchange, ...]
    # No answer after the final dot began to go out: the server may or may not have the message.
    ambiguous: bool = False
    # The session may carry another message.
    reusable: bool = False
    # A kept connection turned out to be gone before anything was transferred. Recipients without a reply of
    # their own may be tried again at once, on a new connection, without being charged an attempt.
    stale_connection: bool = False


def refuse_unsafe(word: str) -> None:
    """Raises ValueError if this word, put into a command, could become more than one word."""
    if _UNSAFE.search(word):
        raise ValueError("Spaces, control characters and angle brackets have no place in an SMTP command.")


@dataclass(slots=True)
class Session:
    """An open conversation. Carries any number of messages, one after the other."""

    features: Features
    tls: Tls | None
    timeouts: Timeouts
    wire: Wire = field(repr=False)
    opening: tuple[Exchange, ...] = ()
    in_clear: str = ""  # why there is no TLS
    transactions: int = 0  # begun on this session
    _needs_reset: bool = False
    _is_busy: bool = False

    @property
    def is_open(self) -> bool:
        """False once the server hung up, or said something unasked: a 421 to an idle client, most likely."""
        return self.wire.is_open and not self.wire.has_unread

    async def send(self, envelope: Envelope, content: bytes, *, before_data: BeforeData) -> Transaction:
        """Carry one message to these recipients.

        `before_data` is awaited at most once, with the accepted recipients, when the server is ready for the
        content: the point of no return. If it says no, nothing is delivered and the connection closes. It
        closes too when this task is cancelled or `before_data` raises. Raises ValueError, before anything is
        sent, for an unsafe address or content that is not CRLF only; RuntimeError while a transaction runs.
        """
        envelope.check()
        check_content(content)
        if self._is_busy:
            raise RuntimeError("A session carries one transaction at a time.")
        self._is_busy = True
        try:
            dialogue = _Dialogue(self, envelope, content)
            await dialogue.run(before_data)
            transaction = dialogue.outcome()
            if dialogue.transcript:
                self._needs_reset = not dialogue.is_delivered
                self.transactions += 1
            return transaction
        except BaseException:
            self.close()
            raise
        finally:
            self._is_busy = False

    async def quit(self) -> None:
        """Take leave, wait a moment for the answer, close."""
        if self.is_open:
            self.wire.write(b"QUIT\r\n")
            await self.wire.reply(Phase.QUIT, asyncio.get_running_loop().time() + QUIT_SECONDS)
        self.close()

    def close(self) -> None:
        """Close at once."""
        self.wire.abort()

    @property
    def needs_reset(self) -> bool:
        """True after a failed transaction, of which the server may still hold a part."""
        return self._needs_reset


class _Command(NamedTuple):
    phase: Phase
    line: str
    seconds: float
    recipient: str = ""


# The first digit that lets the conversation go on (RFC 5321 section 4.3.2).
_GO_ON = {Phase.RSET: 2, Phase.MAIL: 2, Phase.RCPT: 2, Phase.DATA: 3, Phase.DOT: 2}


class _Dialogue:
    """One transaction while it runs: what was said, who was refused, how it ends for the others."""

    def __init__(self, session: Session, envelope: Envelope, content: bytes) -> None:
        self.session, self.envelope, self.content = session, envelope, content
        self.wire = session.wire
        self.loop = asyncio.get_running_loop()
        self.until = self.loop.time() + session.timeouts.total
        self.transcript: list[Exchange] = []
        self.accepted: list[str] = []
        self.refused: dict[str, Answer] = {}
        self.ending: Answer | None = None  # shared by all that have no refusal of their own
        self.is_ready_for_content = False
        self.is_stale = False
        self.is_delivered = False
        self.dot_sent = False

    async def run(self, before_data: BeforeData) -> None:
        self.ending = self._unsendable()
        if self.ending is not None:
            return
        if self.wire.has_unread:
            await self._hear_unasked()
            return
        await self._say_envelope()
        if self.is_ready_for_content and self.accepted and self.ending is None:
            await self._say_content(before_data)
        elif self.is_ready_for_content:
            await self._say_nothing()

    def outcome(self) -> Transaction:
        results = dict(self.refused)
        if self.ending is not None:
            for recipient in self.envelope.recipients:
                results.setdefault(recipient, self.ending)
        return Transaction(
            results,
            tuple(self.transcript),
            ambiguous=self.dot_sent and isinstance(self.ending, Failure),
            reusable=self.session.is_open,
            stale_connection=self.is_stale and self.session.transactions > 0,
        )

    def _unsendable(self) -> Failure | None:
        """What the server told us beforehand that it cannot take; nothing is sent then."""
        offered, size = self.session.features, len(self.content)
        if 0 < offered.size < size:
            text = f"the message has {size:,} octets, the server takes {offered.size:,}"
            return Failure(FailureKind.TOO_LARGE, Phase.MAIL, text, 0)
        if self._needs_smtputf8() and not offered.smtputf8:
            return Failure(FailureKind.SMTPUTF8, Phase.MAIL, "the server does not offer SMTPUTF8", 0)
        if not self.content.isascii() and not offered.eight_bit:
            # RFC 6152 section 3. Recoding it now would break its DKIM signature.
            return Failure(FailureKind.EIGHT_BIT, Phase.MAIL, "the server does not offer 8BITMIME", 0)
        return None

    def _needs_smtputf8(self) -> bool:
        envelope = self.envelope
        return envelope.smtputf8 or not all(map(str.isascii, (envelope.sender, *envelope.recipients)))

    async def _hear_unasked(self) -> None:
        """The server spoke while the session lay idle: RFC 5321 section 3.8 knows only a 421 there."""
        answer = await self.wire.reply(Phase.MAIL, self.loop.time())
        if isinstance(answer, Reply) and answer.code != 421:
            text = f"the server said {answer.code} out of turn"
            answer = self.wire.fail(FailureKind.PROTOCOL, Phase.MAIL, text)
        self.ending, self.is_stale = answer, True

    def _commands(self) -> list[_Command]:
        wait = self.session.timeouts
        commands = [_Command(Phase.MAIL, self._mail_line(), wait.mail)]
        if self.session.needs_reset:
            commands.insert(0, _Command(Phase.RSET, "RSET", wait.mail))
        commands += [
            _Command(Phase.RCPT, f"RCPT TO:<{recipient}>", wait.rcpt, recipient)
            for recipient in self.envelope.recipients
        ]
        commands.append(_Command(Phase.DATA, "DATA", wait.data))
        return commands

    def _mail_line(self) -> str:
        line = f"MAIL FROM:<{self.envelope.sender}>"
        if self.session.features.size:
            line += f" SIZE={len(self.content)}"  # RFC 1870 section 5: octets before dot-stuffing
        if not self.content.isascii():
            line += " BODY=8BITMIME"
        if self._needs_smtputf8():
            line += " SMTPUTF8"  # RFC 6531 section 3.4
        return line

    async def _say_envelope(self) -> None:
        commands = self._commands()
        pipelining = self.session.features.pipelining
        if pipelining:
            # RFC 2920 section 3.1: DATA may be the last command of a group.
            self.wire.write("".join(f"{command.line}\r\n" for command in commands).encode())
        for command in commands:
            if not pipelining:
                if command.phase is Phase.DATA and not self.accepted:
                    return
                self.wire.write(f"{command.line}\r\n".encode())
            answer = await self.wire.reply(command.phase, self._by(command.seconds))
            if not self._hear(command, answer):
                return
            if self.ending is not None and not pipelining:
                return

    def _hear(self, command: _Command, answer: Answer) -> bool:
        """Note what an answer decides; False if the conversation is over."""
        answer = self._expected(command.phase, answer)
        self.transcript.append(Exchange(command.line, answer))
        if isinstance(answer, Failure) or answer.code == 421 or self._is_reset_refused(command, answer):
            self.is_stale = isinstance(answer, Reply) or answer.kind in (
                FailureKind.CLOSED,
                FailureKind.RESET,
            )
            self.ending = answer
            return False
        goes_on = answer.code < 400
        if command.phase is Phase.DATA and goes_on:
            self.is_ready_for_content = True
        elif command.phase is Phase.RCPT and goes_on:
            self.accepted.append(command.recipient)
        elif command.phase is Phase.RCPT and self.ending is None:
            self.refused[command.recipient] = answer
        elif not goes_on and self.ending is None:
            # The first refusal is the true one: after a refused MAIL the rest are only "bad sequence".
            self.ending = answer
        return True

    def _expected(self, phase: Phase, answer: Answer) -> Answer:
        """The answer, unless it makes no sense here: then question and answer no longer match."""
        if isinstance(answer, Reply) and answer.code < 400 and answer.code // 100 != _GO_ON[phase]:
            return self.wire.fail(FailureKind.PROTOCOL, phase, f"the server said {answer.code} out of turn")
        return answer

    def _is_reset_refused(self, command: _Command, reply: Reply) -> bool:
        """A server that cannot forget the last message must not be given another one."""
        if command.phase is not Phase.RSET or reply.code < 400:
            return False
        self.wire.abort()
        return True

    async def _say_content(self, before_data: BeforeData) -> None:
        if not await before_data(tuple(self.accepted)):
            # RFC 5321 section 4.1.1.4: without the final dot there is no message.
            self.ending = self.wire.fail(FailureKind.ABORTED, Phase.DATA, "called off before the content was sent")
            return
        content = dot_stuffed(self.content)
        last = max(0, len(content) - 1) // CHUNK * CHUNK
        answer = await self._say_all_but_last(content, last)
        if answer is None:
            self.dot_sent = True
            self.wire.write(content[last:] + b".\r\n")
            answer = await self.wire.reply(Phase.DOT, self.loop.time() + self.session.timeouts.dot)
            answer = self._expected(Phase.DOT, answer)
        self.transcript.append(Exchange(f"<{len(self.content):,} octets>", answer))
        self.ending = answer
        self.is_delivered = isinstance(answer, Reply) and answer.code < 400

    async def _say_all_but_last(self, content: bytes, last: int) -> Answer | None:
        """Send up to the last piece; an answer only if the server spoke or failed before its turn."""
        for start in range(0, last, CHUNK):
            if self.wire.has_unread or not self.wire.is_open:
                break
            self.wire.write(content[start : start + CHUNK])
            failure = await self.wire.drained(Phase.DATA, self._by(self.session.timeouts.block))
            if failure is not None:
                return failure
        if not self.wire.has_unread and self.wire.is_open:
            return None
        answer = await self.wire.reply(Phase.DATA, self._by(self.session.timeouts.data))
        if isinstance(answer, Reply) and answer.code < 400:
            # Consent to a message that it has not seen the end of would hide the loss of it.
            return self.wire.fail(FailureKind.PROTOCOL, Phase.DATA, f"the server said {answer.code} out of turn")
        self.wire.abort()
        return answer

    async def _say_nothing(self) -> None:
        """RFC 2920 section 3.1: a server ready for content to nobody gets a lone dot; its answer is void."""
        self.wire.write(b".\r\n")
        answer = await self.wire.reply(Phase.DOT, self._by(self.session.timeouts.dot))
        self.transcript.append(Exchange("<0 octets>", answer))

    def _by(self, seconds: float) -> float:
        return min(self.loop.time() + seconds, self.until)
