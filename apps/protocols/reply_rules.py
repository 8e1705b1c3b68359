"""The rules by which replies are read, as tables (RFC 3463, its IANA registry, RFC 5321, RFC 7372, RFC 7505).

In every table the first rule that matches wins, so the special stands before the general. What providers mean
by a code beyond the registry stands with its rule. Reading them is in `reply.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from apps.protocols.smtp_wire import FailureKind, Phase, Reply


class Fault(StrEnum):
    """What the refusal is about."""

    ACCEPTED = "accepted"  # nothing: the server took it
    RECIPIENT = "recipient"  # this address or mailbox; the only fault that may suppress
    CONTENT = "content"  # this message, or how it was put into SMTP
    POLICY = "policy"  # us: reputation, authentication, our addresses
    INFRASTRUCTURE = "infrastructure"  # the way to the server, or the server itself
    TEMPORARY = "temporary"  # nothing in particular: come again


class Bounce(StrEnum):
    """What the refusal says about the address."""

    HARD = "hard"  # it is dead
    SOFT = "soft"  # it takes no mail now; repeats may count against it


class Charge(StrEnum):
    """Whom the failed try is charged to."""

    MESSAGE = "message"  # one of the message's tries is used up
    DESTINATION = "destination"  # the destination backs off; the message loses no try
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer means, and by which rule."""

    fault: Fault
    rule: str
    explanation: str
    permanent: bool = False  # this message to this recipient is over; else it may be tried again
    suppress: bool = False  # never write to this address again
    alert: bool = False  # an operator should see this
    slow: bool = False  # write to this destination less often, or pause the route
    split: bool = False  # try the rest again at once, with fewer recipients
    bounce: Bounce | None = None  # None says nothing about the address
    counts_against: Charge = Charge.MESSAGE


@dataclass(frozen=True, slots=True)
class Rule:
    """A meaning, and the replies it is for; a condition that is empty is met."""

    meaning: Meaning
    codes: re.Pattern[str] | None = None  # enhanced, with the class of the basic code
    basic: frozenset[int] = field(default_factory=frozenset)
    text: re.Pattern[str] | None = None
    phases: frozenset[Phase] = field(default_factory=frozenset)

    def matches(self, reply: Reply, code: str) -> bool:
        return (
            (self.codes is None or self.codes.fullmatch(code) is not None)
            and (not self.basic or reply.code in self.basic)
            and (not self.phases or reply.command in self.phases)
            and (self.text is None or self.text.search(reply.text) is not None)
        )


def _codes(*patterns: str) -> re.Pattern[str]:
    """`x` is any class, `*` any detail: `5.1.1`, `x.7.*`."""
    joined = "|".join(re.escape(pattern) for pattern in patterns)
    return re.compile(joined.replace("x", "[45]").replace(r"\*", "[0-9]+"))


def _text(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


def _dead(rule: str, explanation: str) -> Meaning:
    return Meaning(Fault.RECIPIENT, rule, explanation, permanent=True, suppress=True, bounce=Bounce.HARD)


def _soft(rule: str, explanation: str) -> Meaning:
    return Meaning(Fault.RECIPIENT, rule, explanation, permanent=True, bounce=Bounce.SOFT)


def _policy(rule: str, explanation: str, *, slow: bool = True) -> Meaning:
    return Meaning(Fault.POLICY, rule, explanation, permanent=True, alert=True, slow=slow)


def _content(rule: str, explanation: str, *, alert: bool = False) -> Meaning:
    return Meaning(Fault.CONTENT, rule, explanation, permanent=True, alert=alert)


def _way(rule: str, explanation: str, *, charge: Charge = Charge.MESSAGE, bounce: Bounce | None = None) -> Meaning:
    return Meaning(Fault.INFRASTRUCTURE, rule, explanation, permanent=True, bounce=bounce, counts_against=charge)


def _down(rule: str, explanation: str, *, alert: bool = False) -> Meaning:
    return Meaning(Fault.INFRASTRUCTURE, rule, explanation, alert=alert, counts_against=Charge.DESTINATION)


def _later(rule: str, explanation: str) -> Meaning:
    return Meaning(Fault.TEMPORARY, rule, explanation)


GREYLISTED = _text(r"gr[ae]y[ -]?list")
BLOCK_LISTED = _text(
    r"block ?list|black ?list|deny ?list|\bdnsbl\b|\brbl\b",
    r"spamhaus|spamcop|barracudacentral|\bsorbs\b|uceprotect|invaluement|senderscore",
    r"ipcheck\.proofpoint|cloudmark\.com",
    r"[\[(](?:TSS?\d\d|BL\d\d|S\d{4})[\])]",  # Yahoo's and Microsoft's own lists
    r"blocked (?:using|by|for|due)|(?:client host|ip(?: address)?|your network)\b.{0,60}\bblocked",
    r"(?:poor|low|bad) (?:\w+ )?reputation|unusual rate of|temporarily (?:rate limited|deferred due to)",
)
# Sender checks quote the very words of an unknown recipient.
SENDER_TEXT = _text(
    r"sender (?:address |domain |e?-?mail )?(?:\S+ )?(?:rejected|refused|denied|unknown)",
    r"sender (?:address |domain )?(?:\S+ )?not (?:found|allowed)",
    r"sender verif(?:y|ication)|callout|return(?:-| )path|envelope[- ]from|unknown sender|invalid sender",
)
USER_UNKNOWN = _text(
    r"(?:user|recipient|address(?:ee)?|mailbox|account)(?: is)? unknown",
    r"unknown (?:user|recipient|addressee|mailbox|local[ -]?part)",
    r"no such (?:user|recipient|mailbox|person|account|address|local user)",
    r"(?:user|recipient|mailbox|account|address)\b.{0,80}?\b(?:does not|doesn.?t|do not|did not) exist",
    r"(?:user|recipient|mailbox|account)\b(?: \S+)? (?:was |is |could )?not (?:be )?found",
    r"no mailbox (?:here )?(?:by|with) that name",
    r"(?:invalid|not a valid|is not a known) (?:recipient|mailbox|user)\b",
    r"this user doesn.?t have an? \S+ account",
)
MAILBOX_FULL = _text(r"mailbox.{0,30}\bfull|over ?quota|quota (?:exceeded|full)|exceed\w* .{0,30}quota|out of storage")
DISABLED = _text(r"(?:mailbox|account|user)\b.{0,40}\b(?:disabled|inactive|suspended|deactivated|closed)")
TOO_LARGE = _text(r"too (?:large|big|long)|message size|size limit|exceed\w* .{0,40}\b(?:size|maximum)|fixed maximum")
# "Too many invalid recipients" is a reproach, not a limit.
TOO_MANY = _text(r"too many (?!invalid|unknown|bad|non)(?:\w+ ){0,2}(?:recipients|rcpts|domains|addresses)")
STORAGE = _text(r"storage|disk|space|resources")

_GREYLISTED = _later("greylisted", "The server asks unknown senders to come again; it usually accepts the next try.")
_BLOCKED = _policy("block_listed", "The server refuses this sending address because of its reputation.")
_FULL = _soft("mailbox_full", "The mailbox is full.")
_FULL_NOW = _later("mailbox_full_now", "The mailbox is full for now.")
_LARGE = _content("message_too_large", "The message is larger than the server takes.")
_SPLIT = Meaning(Fault.TEMPORARY, "too_many_recipients", "The server takes no more recipients in one go.", split=True)
SENDER = _policy("sender_refused", "The server does not accept our sender address.", slow=False)
_CLOSING = _down("server_closing", "The server is closing the connection or too busy.")
_NULL_MX = _dead("null_mx", "The domain takes no mail at all (null MX); true of every address in it.")
_NO_USER = _dead("user_unknown_text", "The server says in words that there is no such user.")

ENHANCED: tuple[Rule, ...] = (
    # What the text says against the code.
    Rule(_GREYLISTED, _codes("4.*.*"), text=GREYLISTED),
    Rule(SENDER, _codes("x.1.*"), text=SENDER_TEXT),
    Rule(
        _soft("mailbox_rate", "The mailbox receives more mail than its provider allows; the address is alive."),
        _codes("5.2.1"),
        text=_text(r"receiving mail (?:at a rate|too (?:quickly|fast))"),
    ),
    Rule(
        _soft("mailbox_full_and_inactive", "The mailbox is full and its owner inactive."),
        _codes("5.2.2"),
        text=_text(r"\binactive\b"),
    ),
    Rule(
        _dead("directory_unknown", "The recipient is not in the directory of this Microsoft 365 domain."),
        _codes("5.4.1"),
        text=_text(r"recipient address rejected"),
    ),
    # The address: RFC 3463 section 3.2.
    Rule(_dead("no_such_mailbox", "There is no such mailbox."), _codes("5.1.1")),
    Rule(_dead("no_such_host", "The domain of the address does not exist or takes no mail."), _codes("5.1.2")),
    Rule(_dead("bad_address_syntax", "The server cannot read the address."), _codes("5.1.3")),
    Rule(_dead("ambiguous_address", "The address fits more than one mailbox."), _codes("5.1.4")),
    Rule(_dead("mailbox_moved", "The mailbox has moved and left no address."), _codes("5.1.6")),
    Rule(
        _policy("our_sender_address", "The server finds fault with our sender address or its domain.", slow=False),
        _codes("x.1.7", "x.1.8"),
    ),
    Rule(_NULL_MX, _codes("5.1.10")),
    # The mailbox: RFC 3463 section 3.3.
    Rule(_dead("mailbox_disabled", "The mailbox is disabled."), _codes("5.2.1")),
    Rule(_later("mailbox_busy", "The mailbox takes no more mail for now."), _codes("4.2.1")),
    Rule(_FULL, _codes("5.2.2")),
    Rule(_FULL_NOW, _codes("4.2.2")),
    Rule(_LARGE, _codes("x.2.3", "x.3.4")),
    # The remote system and the way to it: RFC 3463 sections 3.4 and 3.5.
    Rule(_way("remote_system", "The receiving system has trouble of its own."), _codes("x.3.*")),
    Rule(
        _way("connection_trouble", "The way to the receiving system is broken.", charge=Charge.DESTINATION),
        _codes("x.4.1", "x.4.2", "x.4.3", "x.4.5"),
    ),
    Rule(_way("no_route", "The receiving side has no route for this address."), _codes("x.4.4")),
    Rule(_way("mail_loop", "The mail goes round in circles on the receiving side."), _codes("x.4.6")),
    Rule(_way("expired", "The receiving side gave up after too long.", bounce=Bounce.SOFT), _codes("x.4.7")),
    Rule(_way("network", "The network between the servers has trouble."), _codes("x.4.*")),
    # The conversation and the content: RFC 3463 sections 3.6 and 3.7. RFC 5321 section 4.5.3.1.10: too many
    # recipients is never an error of those left over, also with a 5yz code.
    Rule(_SPLIT, _codes("x.5.3")),
    Rule(
        _content("protocol", "The server objects to how the message was handed over.", alert=True),
        _codes("x.5.*"),
    ),
    Rule(_content("content", "The server objects to the form of the content.", alert=True), _codes("x.6.*")),
    # Policy: RFC 3463 section 3.8, RFC 7372; the meanings beyond the registry are Gmail's and Microsoft's.
    Rule(_dead("mailbox_owner_changed", "The mailbox has another owner now (RFC 7293)."), _codes("5.7.17")),
    Rule(_dead("domain_owner_changed", "The domain has another owner now (RFC 7293)."), _codes("5.7.18")),
    Rule(_dead("account_disabled", "The account is disabled."), _codes("5.7.13"), basic=frozenset({525})),
    Rule(
        _policy("no_reverse_dns", "The sending address has no matching reverse DNS."),
        _codes("x.7.23", "x.7.25"),
    ),
    Rule(_policy("spf", "SPF does not pass for this mail."), _codes("x.7.24")),
    Rule(_policy("unauthenticated", "The mail passes neither SPF nor DKIM."), _codes("x.7.26", "5.7.515")),
    Rule(
        _policy("sender_null_mx_or_spf", "Our sender domain has a null MX, or (Gmail) SPF does not pass."),
        _codes("x.7.27"),
    ),
    Rule(_policy("rate", "The server sees too much mail from us."), _codes("x.7.28")),
    Rule(_policy("tls_needed", "The server wants TLS."), _codes("x.7.29")),
    Rule(_policy("dkim", "DKIM does not pass for this mail."), _codes("x.7.20", "x.7.21", "x.7.22", "x.7.30")),
    Rule(_policy("dmarc_missing", "The sender domain has no DMARC record."), _codes("x.7.31")),
    Rule(_policy("alignment", "The From domain is not aligned with SPF or DKIM."), _codes("x.7.32")),
    Rule(
        _policy("policy", "The server refuses us: reputation, authentication or a local rule."),
        _codes("x.7.*"),
    ),
)

PLAIN: tuple[Rule, ...] = (
    # The harmless reading first: a block list may quote an address, and a sender check an unknown user.
    Rule(_GREYLISTED, basic=frozenset(range(400, 500)), text=GREYLISTED),
    Rule(_BLOCKED, text=BLOCK_LISTED),
    Rule(_CLOSING, basic=frozenset({421})),
    Rule(SENDER, text=SENDER_TEXT),
    # RFC 5321 section 4.5.3.1.10 also for 552, which its forerunner gave out.
    Rule(_SPLIT, basic=frozenset({450, 451, 452, 552}), text=TOO_MANY),
    Rule(_FULL_NOW, basic=frozenset(range(400, 500)), text=MAILBOX_FULL),
    Rule(_way("storage", "The server is short of storage."), basic=frozenset({452}), text=STORAGE),
    # RFC 5321 section 4.5.3.1.10: 452 to RCPT is how a server ends the list of recipients.
    Rule(_SPLIT, basic=frozenset({452}), phases=frozenset({Phase.RCPT})),
    Rule(_NULL_MX, basic=frozenset({556})),
    Rule(_NO_USER, basic=frozenset(range(550, 560)), text=USER_UNKNOWN),
    Rule(_FULL, basic=frozenset(range(500, 600)), text=MAILBOX_FULL),
    Rule(_LARGE, basic=frozenset(range(500, 600)), text=TOO_LARGE),
    # RFC 1870 section 6.1: 552 to MAIL is about the SIZE given there.
    Rule(_LARGE, basic=frozenset({552}), phases=frozenset({Phase.MAIL})),
    Rule(_FULL, basic=frozenset({552})),
    Rule(
        _soft("disabled_text", "The server says in words that the mailbox is disabled."),
        basic=frozenset(range(550, 560)),
        text=DISABLED,
    ),
    Rule(_way("host_takes_no_mail", "This host takes no mail (RFC 7504)."), basic=frozenset({521})),
    Rule(
        _policy("credentials_wanted", "The server wants other credentials, or any."),
        basic=frozenset({530, 534, 535, 538}),
    ),
    Rule(
        _content("protocol", "The server objects to how the message was handed over.", alert=True),
        basic=frozenset({500, 501, 502, 503, 504, 555}),
    ),
)

# Another server, or this one later, may still take the message: no 5yz ends it here.
BEFORE_MAIL: tuple[Rule, ...] = (
    Rule(
        _down("credentials_refused", "The server does not accept our credentials.", alert=True),
        phases=frozenset({Phase.AUTH}),
    ),
    Rule(
        Meaning(
            Fault.POLICY,
            "turned_away",
            "The server turns this sending address away before any mail is offered.",
            alert=True,
            slow=True,
            counts_against=Charge.DESTINATION,
        ),
        _codes("x.7.*"),
    ),
    Rule(
        Meaning(
            Fault.POLICY,
            "turned_away_block_list",
            "The server turns this sending address away because of its reputation.",
            alert=True,
            slow=True,
            counts_against=Charge.DESTINATION,
        ),
        text=BLOCK_LISTED,
    ),
    Rule(_CLOSING, basic=frozenset({421})),
    Rule(_down("not_serving", "The server does not take part in a conversation at the moment.")),
)

# What remains if no rule matched.
DEFERRED = _later("unexplained_deferral", "The server asks to try again, without a clear reason.")
REFUSED: Mapping[Phase, Meaning] = {
    Phase.MAIL: _policy("unexplained_sender", "The server refuses our sender without a clear reason.", slow=False),
    Phase.RCPT: Meaning(
        Fault.RECIPIENT,
        "unexplained_recipient",
        "The server refuses this recipient without a clear reason; the address is not suppressed.",
        permanent=True,
    ),
    Phase.DOT: _content("unexplained_content", "The server refuses the message without a clear reason."),
}

ACCEPTED = Meaning(Fault.ACCEPTED, "accepted", "The server accepted the message.", counts_against=Charge.NOTHING)

FAILURES: Mapping[FailureKind, Meaning] = {
    FailureKind.TIMEOUT: _down("timeout", "The server did not answer in time."),
    FailureKind.REFUSED: _down("refused", "The server accepts no connections."),
    FailureKind.RESET: _down("reset", "The connection broke."),
    FailureKind.UNREACHABLE: _down("unreachable", "The server cannot be reached."),
    FailureKind.CLOSED: _down("closed", "The server hung up without an answer."),
    FailureKind.TLS: _down("tls", "No trustworthy TLS could be set up with the server.", alert=True),
    FailureKind.PROTOCOL: _down("not_smtp", "What the server said is not SMTP."),
    FailureKind.NOT_OFFERED: _down("tls_not_offered", "TLS is required, and the server has none.", alert=True),
    FailureKind.AUTH: _down("credentials_unusable", "Our credentials cannot be given to this server.", alert=True),
    FailureKind.TOO_LARGE: _content("too_large_for_server", "The message is larger than the server announced."),
    FailureKind.SMTPUTF8: _content("smtputf8_missing", "The server takes no internationalised addresses."),
    FailureKind.EIGHT_BIT: _content("eight_bit_missing", "The server takes no 8-bit content."),
    FailureKind.ABORTED: Meaning(
        Fault.TEMPORARY,
        "called_off",
        "We called the delivery off before the message went out.",
        counts_against=Charge.NOTHING,
    ),
}
