"""Every row of the table of reply codes (design/field.md D5) has exactly one meaning, whole and unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.protocols.reply import Bounce, Charge, Fault, Meaning, explanation_of, read
from apps.protocols.smtp_wire import Failure, FailureKind, Phase, RawReply, Reply, reply_from


def reply(line: str, phase: Phase = Phase.RCPT) -> Reply:
    code, _, text = line.partition(" ")
    return reply_from(RawReply(int(code), [text.encode()]), phase, 0)


def verdict(meaning: Meaning) -> dict[str, object]:
    """What of a meaning differs from an ordinary temporary deferral."""
    plain = Meaning(Fault.TEMPORARY, meaning.rule, meaning.explanation)
    return {
        name: getattr(meaning, name)
        for name in Meaning.__slots__
        if name not in ("rule", "explanation") and getattr(meaning, name) != getattr(plain, name)
    }


DEAD = {"fault": Fault.RECIPIENT, "permanent": True, "suppress": True, "bounce": Bounce.HARD}
SOFT = {"fault": Fault.RECIPIENT, "permanent": True, "bounce": Bounce.SOFT}
BLOCKED = {"fault": Fault.POLICY, "permanent": True, "alert": True, "slow": True}
SLOWER = {"fault": Fault.POLICY, "alert": True, "slow": True}
OUR_SENDER = {"fault": Fault.POLICY, "permanent": True, "alert": True}
CONTENT = {"fault": Fault.CONTENT, "permanent": True}
CONTENT_ALERT = CONTENT | {"alert": True}
WAY = {"fault": Fault.INFRASTRUCTURE, "permanent": True}
WAY_NOW = {"fault": Fault.INFRASTRUCTURE}
HOST = {"fault": Fault.INFRASTRUCTURE, "counts_against": Charge.DESTINATION}
LATER: dict[str, object] = {}
SPLIT = {"split": True}

ROWS = [
    # 5.1.1, 5.1.2, 5.1.3, 5.1.4: no such mailbox or host, bad syntax, ambiguous.
    (
        "550 5.1.1 The email account that you tried to reach does not exist. gsmtp",
        "no_such_mailbox",
        DEAD,
    ),
    ("553 5.1.2 bad domain", "no_such_host", DEAD),
    ("553 5.1.3 bad syntax", "bad_address_syntax", DEAD),
    ("550 5.1.4 ambiguous", "ambiguous_address", DEAD),
    # 5.1.10, null MX.
    ("556 5.1.10 Recipient address has null MX", "null_mx", DEAD),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", "null_mx", DEAD),
    ("556 domain does not accept mail", "null_mx", DEAD),
    # 5.1.6, 5.2.1, 525 5.7.13: moved, disabled; except Gmail's rate.
    ("551 5.1.6 moved", "mailbox_moved", DEAD),
    ("550 5.2.1 The email account that you tried to reach is disabled", "mailbox_disabled", DEAD),
    ("525 5.7.13 user disabled", "account_disabled", DEAD),
    ("550 5.7.13 user disabled", "policy", BLOCKED),
    (
        "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional "
        "messages from being delivered.",
        "mailbox_rate",
        SOFT,
    ),
    # 5.1.7, 5.1.8, x.7.27: our sender address is wrong.
    ("550 5.1.7 bad sender", "our_sender_address", OUR_SENDER),
    ("553 5.1.8 Domain of sender address does not exist", "our_sender_address", OUR_SENDER),
    (
        "451 4.1.8 Domain of sender does not resolve",
        "our_sender_address",
        {"fault": Fault.POLICY, "alert": True},
    ),
    ("550 5.7.27 null MX", "sender_null_mx_or_spf", BLOCKED),
    ("421 4.7.27 SPF did not pass", "sender_null_mx_or_spf", SLOWER),
    # 5.2.2, 552: full.
    ("552 5.2.2 The email account that you tried to reach is over quota.", "mailbox_full", SOFT),
    (
        "552 5.2.2 The email account that you tried to reach is over quota and inactive.",
        "mailbox_full_and_inactive",
        SOFT,
    ),
    ("552 Requested mail action aborted: exceeded storage allocation", "mailbox_full", SOFT),
    ("554 mailbox is full", "mailbox_full", SOFT),
    # 4.2.2, 4.2.1.
    ("452 4.2.2 over quota", "mailbox_full_now", LATER),
    ("450 4.2.1 The user is receiving mail at a rate that prevents it", "mailbox_busy", LATER),
    # 5.2.3, 5.3.4, 552: too large.
    ("552 5.2.3 too large", "message_too_large", CONTENT),
    ("552 5.3.4 Message size exceeds fixed limit", "message_too_large", CONTENT),
    ("552 message size exceeds fixed maximum message size", "message_too_large", CONTENT),
    # 4.3.x.
    ("451 4.3.0 trouble", "remote_system", WAY_NOW),
    ("452 4.3.1 Insufficient system storage", "remote_system", WAY_NOW),
    ("421 4.3.2 Service shutting down", "remote_system", WAY_NOW),
    ("451 4.4.1 no answer", "connection_trouble", HOST),
    ("421 4.4.2 drop", "connection_trouble", HOST),
    ("451 4.4.3 DNS", "connection_trouble", HOST),
    ("451 4.4.5 congestion", "connection_trouble", HOST),
    # 5.4.1 as Microsoft says it, and otherwise.
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "directory_unknown", DEAD),
    ("550 5.4.1 no answer from host", "connection_trouble", WAY | {"counts_against": Charge.DESTINATION}),
    ("550 5.4.4 no route", "no_route", WAY),
    ("554 5.4.6 loop", "mail_loop", WAY),
    # x.4.7: expired.
    ("550 5.4.7 expired", "expired", WAY | {"bounce": Bounce.SOFT}),
    ("451 4.4.7 expired", "expired", WAY_NOW),
    # x.5.3, 452: too many recipients.
    ("452 4.5.3 Your message has too many recipients", "too_many_recipients", SPLIT),
    ("552 5.5.3 too many recipients", "too_many_recipients", SPLIT),
    ("452 Too many recipients", "too_many_recipients", SPLIT),
    ("452 enough", "too_many_recipients", SPLIT),
    ("452 insufficient system storage", "storage", WAY_NOW),
    ("452 mailbox full", "mailbox_full_now", LATER),
    ("451 too many invalid recipients", "unexplained_deferral", LATER),
    # 5.5.x, 5.6.x.
    ("550 5.5.0 mailbox unavailable", "protocol", CONTENT_ALERT),
    ("503 5.5.1 bad sequence", "protocol", CONTENT_ALERT),
    ("554 5.6.0 bad content", "content", CONTENT_ALERT),
    ("500 what", "protocol", CONTENT_ALERT),
    # 4.7.x, 5.7.x.
    ("550 5.7.1 Message rejected due to spam; user unknown", "policy", BLOCKED),
    (
        "550 5.7.515 Access denied, sending domain lacks the required level",
        "unauthenticated",
        BLOCKED,
    ),
    ("421 4.7.0 low reputation", "policy", SLOWER),
    ("550 5.7.25 no PTR", "no_reverse_dns", BLOCKED),
    ("421 4.7.23 no PTR", "no_reverse_dns", SLOWER),
    ("421 4.7.24 SPF", "spf", SLOWER),
    ("550 5.7.26 unauthenticated", "unauthenticated", BLOCKED),
    ("421 4.7.28 rate", "rate", SLOWER),
    ("550 5.7.29 TLS", "tls_needed", BLOCKED),
    ("550 5.7.30 DKIM", "dkim", BLOCKED),
    ("421 4.7.31 DMARC", "dmarc_missing", SLOWER),
    ("421 4.7.32 alignment", "alignment", SLOWER),
    ("421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", "policy", SLOWER),
    ("530 authentication required", "credentials_wanted", BLOCKED),
    # 5.7.17, 5.7.18.
    ("550 5.7.17 owner changed", "mailbox_owner_changed", DEAD),
    ("550 5.7.18 owner changed", "domain_owner_changed", DEAD),
    # 421.
    ("421 too busy", "server_closing", HOST),
    ("421 [TS01] deferred", "block_listed", SLOWER),
    # 550 and 554 without an enhanced code.
    ("550 user unknown", "user_unknown_text", DEAD),
    ("550 No such user here", "user_unknown_text", DEAD),
    ("550 Requested action not taken: mailbox not found", "user_unknown_text", DEAD),
    (
        "554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] - mta1",
        "user_unknown_text",
        DEAD,
    ),
    ("550 sorry, no mailbox here by that name (#5.1.1)", "no_such_mailbox", DEAD),
    ("550 mailbox unavailable", "unexplained_recipient", {"fault": Fault.RECIPIENT, "permanent": True}),
    ("550 The account is disabled", "disabled_text", SOFT),
    ("554 Client host [192.0.2.1] blocked using zen.spamhaus.org", "block_listed", BLOCKED),
    ("550 listed in the RBL; user unknown", "block_listed", BLOCKED),
    ("550 Sender address rejected: User unknown in virtual mailbox table", "sender_refused", OUR_SENDER),
    ("521 host does not accept mail", "host_takes_no_mail", WAY),
    # Codes that say nothing leave the word to the text.
    ("550 5.0.0 user unknown", "user_unknown_text", DEAD),
    ("550 5.1.0 Sender address rejected: user unknown", "sender_refused", OUR_SENDER),
    # Greylisting.
    ("450 4.2.0 Recipient address rejected: Greylisted", "greylisted", LATER),
    ("451 4.7.1 Greylisting in action, please come back later", "greylisted", LATER),
    ("450 grey listed", "greylisted", LATER),
    ("450 try later", "unexplained_deferral", LATER),
    # Two codes that disagree: the basic code decides for how long, and nobody is suppressed.
    ("450 5.1.1 no such user", "unexplained_deferral", LATER),
    ("450 5.7.1 policy", "policy", SLOWER),
    ("550 4.1.1 no such user", "no_such_mailbox", {"fault": Fault.RECIPIENT, "permanent": True}),
    ("550 4.7.1 policy", "policy", BLOCKED),
]


@pytest.mark.parametrize(("line", "rule", "expected"), ROWS, ids=[row[0][:60] for row in ROWS])
def test_each_row_has_its_meaning(line: str, rule: str, expected: dict[str, object]) -> None:
    meaning = read(reply(line))

    assert (meaning.rule, verdict(meaning)) == (rule, expected)
    assert meaning.explanation.endswith(".")


@pytest.mark.parametrize(
    ("phase", "line", "rule", "expected"),
    [
        (Phase.BANNER, "554 no SMTP service here", "not_serving", HOST),
        (Phase.EHLO, "550 user unknown", "not_serving", HOST),
        (Phase.STARTTLS, "454 4.3.0 TLS not available", "not_serving", HOST),
        (Phase.RSET, "500 what", "not_serving", HOST),
        (Phase.BANNER, "421 busy", "server_closing", HOST),
        (Phase.AUTH, "535 5.7.8 wrong", "credentials_refused", HOST | {"alert": True}),
        (
            Phase.BANNER,
            "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org",
            "turned_away",
            SLOWER | {"counts_against": Charge.DESTINATION},
        ),
        (
            Phase.BANNER,
            "554 listed by spamhaus",
            "turned_away_block_list",
            SLOWER | {"counts_against": Charge.DESTINATION},
        ),
        (Phase.MAIL, "550 5.1.1 no such user", "sender_refused", OUR_SENDER),
        (Phase.MAIL, "550 user unknown", "sender_refused", OUR_SENDER),
        (Phase.MAIL, "550 5.7.17 owner changed", "sender_refused", OUR_SENDER),
        (Phase.MAIL, "550 no", "unexplained_sender", OUR_SENDER),
        (Phase.MAIL, "552 no", "message_too_large", CONTENT),
        (Phase.MAIL, "452 no storage", "storage", WAY_NOW),
        (Phase.MAIL, "452 no", "unexplained_deferral", LATER),
        (Phase.DOT, "554 no", "unexplained_content", CONTENT),
        (Phase.DOT, "552 too big", "message_too_large", CONTENT),
    ],
)
def test_the_phase_decides_whom_a_reply_is_about(
    phase: Phase, line: str, rule: str, expected: dict[str, object]
) -> None:
    meaning = read(reply(line, phase))

    assert (meaning.rule, verdict(meaning)) == (rule, expected)


@pytest.mark.parametrize("phase", [Phase.DATA, Phase.DOT])
def test_a_reply_for_several_recipients_suppresses_none_of_them(phase: Phase) -> None:
    said = reply("554 This user doesn't have a yahoo.com account", phase)

    assert verdict(read(said)) == DEAD
    assert verdict(read(said, recipients=2)) == {"fault": Fault.RECIPIENT, "permanent": True}
    assert read(said, recipients=2).rule == "user_unknown_text_shared"


def test_a_reply_to_one_rcpt_is_about_that_recipient_only() -> None:
    assert verdict(read(reply("550 5.1.1 no"), recipients=50)) == DEAD


@pytest.mark.parametrize("code", [250, 251, 252])
def test_acceptance(code: int) -> None:
    meaning = read(reply(f"{code} ok", Phase.DOT))

    assert verdict(meaning) == {"fault": Fault.ACCEPTED, "counts_against": Charge.NOTHING}


def test_an_intermediate_reply_is_not_acceptance() -> None:
    assert read(reply("354 go on", Phase.DOT)).rule == "not_smtp"


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        (FailureKind.TIMEOUT, "timeout", HOST),
        (FailureKind.REFUSED, "refused", HOST),
        (FailureKind.RESET, "reset", HOST),
        (FailureKind.UNREACHABLE, "unreachable", HOST),
        (FailureKind.CLOSED, "closed", HOST),
        (FailureKind.TLS, "tls", HOST | {"alert": True}),
        (FailureKind.PROTOCOL, "not_smtp", HOST),
        (FailureKind.NOT_OFFERED, "tls_not_offered", HOST | {"alert": True}),
        (FailureKind.AUTH, "credentials_unusable", HOST | {"alert": True}),
        (FailureKind.TOO_LARGE, "too_large_for_server", CONTENT),
        (FailureKind.SMTPUTF8, "smtputf8_missing", CONTENT),
        (FailureKind.EIGHT_BIT, "eight_bit_missing", CONTENT),
        (FailureKind.ABORTED, "called_off", {"counts_against": Charge.NOTHING}),
    ],
)
def test_each_failure_has_its_meaning(kind: FailureKind, rule: str, expected: dict[str, object]) -> None:
    meaning = read(Failure(kind, Phase.DOT, "", 0))

    assert (meaning.rule, verdict(meaning)) == (rule, expected)


def test_no_kind_of_failure_is_without_a_meaning() -> None:
    assert {read(Failure(kind, Phase.CONNECT, "", 0)).permanent for kind in FailureKind} == {True, False}


@given(
    code=st.integers(200, 599),
    text=st.text(max_size=200),
    phase=st.sampled_from(Phase),
    enhanced=st.none() | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
)
def test_whatever_is_said_the_principles_hold(code: int, text: str, phase: Phase, enhanced: str | None) -> None:
    meaning = read(Reply(code, enhanced, text, phase, 0))

    if meaning.suppress:
        assert (meaning.fault, meaning.permanent, meaning.bounce) == (Fault.RECIPIENT, True, Bounce.HARD)
        assert phase in (Phase.RCPT, Phase.DATA, Phase.DOT, Phase.QUIT)
    if code < 500:
        assert not meaning.permanent
        assert meaning.bounce is None


@pytest.mark.parametrize(
    ("rule", "begins"),
    [
        ("greylisted", "The server asks unknown senders to come again"),
        ("no_such_mailbox_shared", "There is no such mailbox."),
        ("timeout", "The server did not answer in time."),
        ("a rule of last year", ""),
    ],
)
def test_a_rule_is_explained_by_its_name(rule: str, begins: str) -> None:
    assert explanation_of(rule)[: len(begins) or None] == begins
