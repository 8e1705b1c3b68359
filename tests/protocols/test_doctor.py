"""The DNS doctor, asked about zones of a live DNS server: what it finds, calls it, and says to do about it."""

from collections.abc import Iterator

import pytest

from apps.protocols.dns import Resolver, parse_servers
from apps.protocols.doctor import CheckResult, Diagnosis, examine
from apps.protocols.sender_records import (
    CheckStatus,
    ExpectedRecord,
    Platform,
    PublicKey,
    Purpose,
    RecordType,
    expected,
)
from tests.fakes.dns_server import DnsServer

DOMAIN = "shop.example"
KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" + "x" * 340 + "IDAQAB"
DKIM = f"v=DKIM1; k=rsa; p={KEY}"
SPF = "v=spf1 include:spf.platform.test ~all"
PLATFORM = Platform(spf_include="spf.platform.test", return_path_host="return.platform.test")
KEYS = [PublicKey("s1", DKIM), PublicKey("s2", "v=DKIM1; k=ed25519; p=AAAA")]
DKIM_NAME, DMARC_NAME, ALIAS = "s1._domainkey.shop.example", "_dmarc.shop.example", "bounces.shop.example"
ASK_AGAIN = "Replace the record's value by the one shown."
EVERY_PURPOSE = pytest.mark.parametrize("purpose", list(Purpose))


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer({DOMAIN: {"A": ["93.184.216.34"]}, "other.test": {"TXT": ["v=spf1 -all"]}}) as server:
        yield server


def record(purpose: Purpose, domain: str = DOMAIN) -> ExpectedRecord:
    return next(record for record in expected(domain, PLATFORM, KEYS) if record.purpose is purpose)


def examined(dns: DnsServer, purpose: Purpose, domain: str = DOMAIN) -> CheckResult:
    look = Resolver(parse_servers(dns.address), timeout=2, lifetime=4)
    return examine(record(purpose, domain), domain, look)


def wrong(diagnosis: Diagnosis, found: tuple[str, ...], explanation: str) -> CheckResult:
    return CheckResult(CheckStatus.FAILED, diagnosis, found, explanation, 60)


def missing(diagnosis: Diagnosis, explanation: str, found: tuple[str, ...] = ()) -> CheckResult:
    return CheckResult(CheckStatus.MISSING, diagnosis, found, explanation, 60)


def test_lists_the_records_of_a_domain() -> None:
    txt, cname = RecordType.TXT, RecordType.CNAME
    assert expected(DOMAIN, PLATFORM, KEYS) == (
        ExpectedRecord(Purpose.SPF, txt, DOMAIN, SPF, required=True),
        ExpectedRecord(Purpose.DKIM, txt, DKIM_NAME, DKIM, required=True),
        ExpectedRecord(Purpose.DKIM, txt, "s2._domainkey.shop.example", KEYS[1].record, required=False),
        ExpectedRecord(Purpose.DMARC, txt, DMARC_NAME, "v=DMARC1; p=none;", required=False),
        ExpectedRecord(Purpose.RETURN_PATH, cname, ALIAS, "return.platform.test", required=True),
    )


def test_requires_dmarc_where_the_platform_does() -> None:
    strict = Platform("spf.p.test", "r.p.test", dmarc_required=True)

    assert [record.required for record in expected(DOMAIN, strict, KEYS[:1])] == [True, True, True, True]


@EVERY_PURPOSE
class TestEveryRecord:
    def test_is_right_when_published_as_shown(self, dns: DnsServer, purpose: Purpose) -> None:
        published = record(purpose)
        value = published.value + "." if published.type is RecordType.CNAME else published.value
        dns.set(published.name, published.type, value)

        right = CheckResult(CheckStatus.VERIFIED, Diagnosis.RIGHT, (published.value,), "", 60)
        assert examined(dns, purpose) == right

    def test_is_missing_where_the_server_says_so(self, dns: DnsServer, purpose: Purpose) -> None:
        wanted = record(purpose)
        text = f"There is no {wanted.type} record at {wanted.name}. Add it with the value shown."

        assert examined(dns, purpose) == missing(Diagnosis.MISSING, text)

    def test_is_undecided_where_the_server_fails(self, dns: DnsServer, purpose: Purpose) -> None:
        name = record(purpose).name
        dns.fail(name, "SERVFAIL")

        assert examined(dns, purpose) == CheckResult(
            CheckStatus.PENDING,
            Diagnosis.SERVER_FAILED,
            explanation=f"Asked for {name}, the name servers failed: the server failed (SERVFAIL). That says nothing "
            "about the record; it is looked up again by itself. If it lasts, the domain's delegation or its DNSSEC "
            "signatures are broken: ask whoever runs its DNS.",
        )

    def test_is_undecided_where_nobody_answers(self, dns: DnsServer, purpose: Purpose) -> None:
        dns.fail("*", "timeout")
        hasty = Resolver(parse_servers(dns.address), timeout=0.05, lifetime=0.05)

        found = examine(record(purpose), DOMAIN, hasty)

        assert (found.status, found.diagnosis) == (CheckStatus.PENDING, Diagnosis.TIMED_OUT)
        assert "No name server answered in time" in found.explanation

    def test_is_found_under_the_doubled_name(self, dns: DnsServer, purpose: Purpose) -> None:
        wanted = record(purpose)
        value = f"{wanted.value}." if wanted.type is RecordType.CNAME else wanted.value
        dns.set(f"{wanted.name}.{DOMAIN}", wanted.type, value)
        short = wanted.name.removesuffix(DOMAIN).rstrip(".") or "@"
        dns.cut(DOMAIN)

        assert examined(dns, purpose) == missing(
            Diagnosis.NAME_DOUBLED,
            f"The record stands at {wanted.name}.{DOMAIN}: the zone editor adds the domain to the name by itself, and "
            f"it was typed in too. Move it to {wanted.name}; in most editors that is the name {short}.",
            (wanted.value,),
        )

    @pytest.mark.parametrize(("minimum", "held"), [(3600, 3600), (2**31 - 1, 3 * 3600)])
    def test_says_how_long_a_missing_one_is_remembered(
        self, dns: DnsServer, purpose: Purpose, minimum: int, held: int
    ) -> None:
        dns.cut(DOMAIN, negative_ttl=minimum)

        assert examined(dns, purpose).held_seconds == held


@pytest.mark.parametrize("purpose", [Purpose.DKIM, Purpose.DMARC, Purpose.SPF])
def test_a_text_beside_an_alias_is_wrong(dns: DnsServer, purpose: Purpose) -> None:
    wanted = record(purpose)
    dns.set(wanted.name, "TXT", wanted.value)
    dns.set(wanted.name, "CNAME", "parked.example.")

    assert examined(dns, purpose) == wrong(
        Diagnosis.BESIDE_ALIAS,
        (wanted.value, "parked.example"),
        f"{wanted.name} has a CNAME and a TXT record. Beside a CNAME no other record may stand (RFC 1034), so some "
        "resolvers see the one and some the other. Keep only the TXT record shown here.",
    )


def test_a_record_in_a_delegated_part_is_missed_there(dns: DnsServer) -> None:
    dns.cut("_domainkey.shop.example")

    assert examined(dns, Purpose.DKIM).explanation == (
        f"There is no TXT record at {DKIM_NAME}. Add it with the value shown, in the zone _domainkey.shop.example: "
        "that part of shop.example is delegated to name servers of its own."
    )


def test_a_domain_that_nobody_registered_is_told_as_such(dns: DnsServer) -> None:
    dns.remove(DOMAIN)
    dns.cut("example")

    assert examined(dns, Purpose.SPF).explanation.endswith(
        "The answer came from the zone example, so shop.example itself may not be registered or delegated."
    )


def test_a_record_of_the_domain_above_is_misplaced(dns: DnsServer) -> None:
    dns.set("s1._domainkey.shop.example", "TXT", DKIM)
    dns.cut(DOMAIN)

    found = examined(dns, Purpose.DKIM, "mail.shop.example")

    assert found == missing(
        Diagnosis.NAME_MISPLACED,
        "The record stands at s1._domainkey.shop.example, which belongs to another domain: a part of the name was left "
        "out. Move it to s1._domainkey.mail.shop.example; in most editors that is the name s1._domainkey.mail.",
        (DKIM,),
    )


def spf(dns: DnsServer, *values: str) -> CheckResult:
    dns.set(DOMAIN, "TXT", *values)
    return examined(dns, Purpose.SPF)


@pytest.mark.rfc(7208, "4.5")
class TestSpf:
    @pytest.mark.parametrize(
        "value",
        [
            "v=spf1 include:spf.platform.test -all",
            "V=SPF1 INCLUDE:SPF.PLATFORM.TEST ?all",
            "v=spf1 mx +include:spf.platform.test  ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all",
            "v=spf1 a a/24 a:shop.example/24 include:spf.platform.test",
            "v=spf1 include:spf.platform.test. ~all",
            "v=spf1 redirect=spf.platform.test",
            "v=spf1 redirect=spf.platform.test include:other.test",
            "v=spf1 exists:%{i}.allow.shop.example include:spf.platform.test ~all",
        ],
    )
    def test_verifies_a_policy_that_lets_us_send(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value, "unrelated=1") == CheckResult(CheckStatus.VERIFIED, Diagnosis.RIGHT, (value,), "", 60)

    def test_verifies_a_policy_that_lets_us_send_by_way_of_another(self, dns: DnsServer) -> None:
        dns.set("agency.test", "TXT", SPF)

        assert spf(dns, "v=spf1 include:agency.test -all").status is CheckStatus.VERIFIED

    @pytest.mark.parametrize(
        "value",
        [
            "v=spf1 -all",
            "v=spf1",
            "v=spf1 include:spf.platform.test.evil.example ~all",
            "v=spf1 include:evil-spf.platform.test ~all",
            "v=spf1 include:platform.test ~all",
            "v=spf1 redirect=other.test",
            "v=spf1 a:spf.platform.test ~all",
        ],
    )
    def test_fails_a_policy_that_does_not(self, dns: DnsServer, value: str) -> None:
        senders = [term for term in value.replace("redirect=", "include:").split()[1:] if not term.endswith("all")]
        mend = " ".join(["v=spf1", *senders, "include:spf.platform.test", "-all" if "-all" in value else "~all"])

        assert spf(dns, value) == wrong(
            Diagnosis.SPF_NOT_INCLUDED,
            (value,),
            f"The SPF record does not let this platform send. Change it to: {mend}",
        )

    @pytest.mark.parametrize("sign", ["-", "?", "~"])
    def test_an_include_that_does_not_say_yes_does_not_count(self, dns: DnsServer, sign: str) -> None:
        assert spf(dns, f"v=spf1 {sign}include:spf.platform.test ~all").status is CheckStatus.FAILED

    @pytest.mark.parametrize(
        "value", ["v=spf1 -all include:spf.platform.test", "v=spf1 ~all redirect=spf.platform.test"]
    )
    def test_fails_what_stands_where_nobody_reads(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value).diagnosis is Diagnosis.SPF_BEHIND_ALL

    @pytest.mark.parametrize("value", ["v=spf1 include:spf.platform.test +all", "v=spf1 include:spf.platform.test all"])
    def test_fails_a_policy_that_lets_everybody_send(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value) == wrong(
            Diagnosis.SPF_ALLOWS_ALL,
            (value,),
            f"The SPF record has {value.split()[-1]!r}, which lets every server of the world send as shop.example. "
            "Write ~all in its place.",
        )

    @pytest.mark.parametrize("inner", ["v=spf1 +all", "v=spf1 ip4:0.0.0.0/0 -all", "v=spf1 redirect=deeper.test"])
    def test_fails_a_policy_that_includes_everybody(self, dns: DnsServer, inner: str) -> None:
        dns.set("deeper.test", "TXT", "v=spf1 ip6:::/0 -all")
        dns.set("crm.test", "TXT", inner)

        found = spf(dns, "v=spf1 include:spf.platform.test include:crm.test -all")

        assert found.diagnosis is Diagnosis.SPF_ALLOWS_ALL
        assert (
            "whose policy lets every server of the world send as shop.example. Remove that include."
            in found.explanation
        )

    def test_the_first_word_about_us_counts(self, dns: DnsServer) -> None:
        found = spf(dns, "v=spf1 -include:spf.platform.test include:spf.platform.test -all")

        assert found.diagnosis is Diagnosis.SPF_NOT_INCLUDED
        assert found.explanation.endswith("Change it to: v=spf1 include:spf.platform.test -all")

    @pytest.mark.parametrize(
        ("value", "part"),
        [
            ("v=spf1 include: spf.platform.test ~all", "include:"),
            ("v=spf1 ip4:300.1.2.3 include:spf.platform.test ~all", "ip4:300.1.2.3"),
            ("v=spf1 ip6:192.0.2.1 include:spf.platform.test ~all", "ip6:192.0.2.1"),
            ("v=spf1 incude:spf.platform.test ~all", "incude:spf.platform.test"),
            ("v=spf1 spf.platform.test ~all", "spf.platform.test"),
            ("v=spf1 ip4:192.0.2.0/255.255.255.0 include:spf.platform.test ~all", "ip4:192.0.2.0/255.255.255.0"),
            ("v=spf1 a: include:spf.platform.test ~all", "a:"),
            ("v=spf1 mx/99 include:spf.platform.test ~all", "mx/99"),
            ("v=spf1 redirect=spf.platform.test redirect=other.test", "redirect=other.test"),
        ],
    )
    def test_names_the_part_that_cannot_be_read(self, dns: DnsServer, value: str, part: str) -> None:
        text = f"Receivers cannot read the SPF record because of {part!r}. Correct or remove that part."

        assert spf(dns, value) == wrong(Diagnosis.SYNTAX, (value,), text)

    def test_joins_two_policies_into_one(self, dns: DnsServer) -> None:
        values = ("v=spf1 a include:other.test -all", "v=spf1 include:spf.platform.test ~all")

        assert spf(dns, *values) == wrong(
            Diagnosis.SEVERAL_RECORDS,
            values,
            "shop.example has 2 SPF records, and receivers then take none of them. Join them into one: "
            "v=spf1 a include:other.test include:spf.platform.test ~all",
        )

    def test_does_not_repeat_without_end_what_a_zone_holds(self, dns: DnsServer) -> None:
        found = spf(dns, SPF, "v=spf1 " + "ip4:192.0.2.1 a:" + "x" * 50_000)

        assert (found.diagnosis, len(found.explanation)) == (Diagnosis.SEVERAL_RECORDS, 1501)

    @pytest.mark.parametrize(
        "value", ["v=spf10 include:spf.platform.test ~all", " v=spf1 include:spf.platform.test ~all", "note: " + SPF]
    )
    def test_misses_a_policy_among_other_text(self, dns: DnsServer, value: str) -> None:
        assert (spf(dns, value).status, spf(dns, value).diagnosis) == (CheckStatus.MISSING, Diagnosis.MISSING)

    def test_tells_quotation_marks(self, dns: DnsServer) -> None:
        assert spf(dns, f'"{SPF}"', "other") == wrong(
            Diagnosis.QUOTES,
            (f'"{SPF}"',),
            f"Quotation marks have become part of the SPF record. Write it as: {SPF}",
        )

    def test_tells_a_line_break(self, dns: DnsServer) -> None:
        assert spf(dns, SPF.replace(" ~", "\r\n~"), "other") == wrong(
            Diagnosis.FORBIDDEN_CHARACTERS,
            ("v=spf1 include:spf.platform.test\\r\\n~all",),
            f"The SPF record holds a line break or another control character. Write it as: {SPF}",
        )

    def test_joins_a_policy_in_several_strings(self, dns: DnsServer) -> None:
        dns.set(DOMAIN, "TXT", ["v=spf1 include:spf.", "platform.test ~all"])

        assert examined(dns, Purpose.SPF).status is CheckStatus.VERIFIED

    def test_shows_only_the_beginning_of_a_huge_record(self, dns: DnsServer) -> None:
        checked = spf(dns, "v=spf1 " + "x" * 60_000)

        assert checked.status is CheckStatus.FAILED
        assert checked.found == ("v=spf1 " + "x" * 1017,)
        assert len(checked.explanation) < 250


@pytest.mark.rfc(7208, "4.6.4")
class TestSpfLimits:
    def publish(self, dns: DnsServer, name: str, lookups: int) -> None:
        """A policy that costs so many look-ups beside its own include."""
        dns.set(name, "TXT", "v=spf1 " + "a:shop.example " * lookups + "-all")

    def test_ten_look_ups_are_right(self, dns: DnsServer) -> None:
        self.publish(dns, "crm.test", 8)

        assert spf(dns, "v=spf1 include:spf.platform.test include:crm.test -all").status is CheckStatus.VERIFIED

    def test_eleven_are_too_many_and_each_include_says_its_part(self, dns: DnsServer) -> None:
        self.publish(dns, "crm.test", 8)
        value = "v=spf1 include:spf.platform.test include:crm.test mx -all"

        assert spf(dns, value) == wrong(
            Diagnosis.SPF_TOO_MANY_LOOKUPS,
            (value,),
            "The SPF record needs 11 DNS look-ups and receivers stop at 10: include:spf.platform.test 1, "
            "include:crm.test 9, mx 1. Remove what no longer sends for you.",
        )

    def test_counting_ends_early(self, dns: DnsServer) -> None:
        for number in range(60):
            dns.set(f"n{number}.test", "TXT", f"v=spf1 include:n{number + 1}.test include:n{number + 2}.test -all")

        found = spf(dns, "v=spf1 include:spf.platform.test include:n0.test -all")

        assert found.diagnosis is Diagnosis.SPF_TOO_MANY_LOOKUPS
        assert "30 or more" in found.explanation
        assert len(dns.queries) < 40

    def test_three_hosts_that_do_not_exist_are_too_many(self, dns: DnsServer) -> None:
        value = "v=spf1 a:x.test a:y.test exists:z.test include:spf.platform.test ~all"

        assert spf(dns, value.replace("exists:z.test ", "")).status is CheckStatus.VERIFIED
        assert spf(dns, value) == wrong(
            Diagnosis.SPF_VOID_LOOKUPS,
            (value,),
            "The SPF record, or what it includes, names 3 hosts of which the DNS knows nothing, and receivers stop "
            "after 2: a:x.test, a:y.test, exists:z.test. Remove them.",
        )

    def test_an_include_of_nothing_breaks_the_policy(self, dns: DnsServer) -> None:
        found = spf(dns, "v=spf1 include:spf.platform.test include:gone.test ~all")

        assert found.diagnosis is Diagnosis.SPF_BROKEN_INCLUDE
        assert "includes gone.test, which has no SPF record that can be read" in found.explanation

    def test_a_circle_is_named(self, dns: DnsServer) -> None:
        dns.set("crm.test", "TXT", "v=spf1 include:shop.example -all")

        found = spf(dns, "v=spf1 include:spf.platform.test include:crm.test ~all")

        assert found.diagnosis is Diagnosis.SPF_LOOP
        assert "by way of shop.example" in found.explanation

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            ("v=spf1 include:spf.platform.test include:crm.test ~all", CheckStatus.VERIFIED),
            ("v=spf1 include:crm.test include:spf.platform.test ~all", CheckStatus.VERIFIED),
            ("v=spf1 include:crm.test ~all", CheckStatus.PENDING),
            ("v=spf1 include:crm.test -include:spf.platform.test ~all", CheckStatus.FAILED),
        ],
    )
    def test_an_included_server_that_fails_decides_nothing(
        self, dns: DnsServer, value: str, status: CheckStatus
    ) -> None:
        dns.fail("crm.test", "SERVFAIL")

        assert spf(dns, value).status is status

    def test_an_included_policy_that_cannot_be_read_breaks_it(self, dns: DnsServer) -> None:
        dns.set("crm.test", "TXT", "v=spf1 nonsense -all")

        found = spf(dns, "v=spf1 include:spf.platform.test include:crm.test ~all")

        assert found.diagnosis is Diagnosis.SPF_BROKEN_INCLUDE

    def test_mx_hosts_that_do_not_exist_count_too(self, dns: DnsServer) -> None:
        found = spf(dns, "v=spf1 mx:x.test mx:y.test mx:z.test include:spf.platform.test ~all")

        assert found.diagnosis is Diagnosis.SPF_VOID_LOOKUPS


def dkim(dns: DnsServer, *values: str | list[str]) -> CheckResult:
    dns.set(DKIM_NAME, "TXT", *values)
    return examined(dns, Purpose.DKIM)


SYNTAX = f"This is no DKIM key record. {ASK_AGAIN}"
OTHER = f"Another key is published. {ASK_AGAIN}"
CUT_OFF = (
    "The key is cut off after {} of 390 characters. Some editors keep only 255 in one string: split the value into "
    "several quoted strings of one record, or use the editor's field for long TXT."
)
REVOKED = f"The key is withdrawn: p= is empty (RFC 6376). {ASK_AGAIN}"


@pytest.mark.rfc(6376, "3.6.1")
class TestDkim:
    @pytest.mark.parametrize(
        "value",
        [
            f"p={KEY}",
            f"k=rsa;p={KEY};",
            f"v=DKIM1;k=rsa;p={KEY}",
            f"v=DKIM1 ; k = rsa ; p = {KEY[:100]} {KEY[100:200]}\t{KEY[200:]} ; ",
            f"v=DKIM1; p={KEY}; t=s; n=our key",
            f"v=DKIM1; h=sha1:sha256; s=email; p={KEY}",
        ],
    )
    def test_verifies_the_same_key_in_other_words(self, dns: DnsServer, value: str) -> None:
        assert dkim(dns, value).status is CheckStatus.VERIFIED

    def test_verifies_a_key_in_several_strings(self, dns: DnsServer) -> None:
        assert dkim(dns, [DKIM[:100], DKIM[100:300], DKIM[300:]]).status is CheckStatus.VERIFIED

    def test_verifies_a_key_behind_an_alias(self, dns: DnsServer) -> None:
        dns.set(DKIM_NAME, "CNAME", "s1.keys.platform.test.")
        dns.set("s1.keys.platform.test", "TXT", DKIM)

        assert examined(dns, Purpose.DKIM).status is CheckStatus.VERIFIED

    def test_tells_where_an_alias_ends(self, dns: DnsServer) -> None:
        dns.set(DKIM_NAME, "CNAME", "s1.keys.platform.test.")

        assert examined(dns, Purpose.DKIM).explanation == (
            f"{DKIM_NAME} is an alias of s1.keys.platform.test, and there is no TXT record there."
        )

    @pytest.mark.parametrize(
        ("value", "diagnosis", "explanation"),
        [
            (f"v=DKIM1; k=rsa; p={KEY}AAAA", Diagnosis.DKIM_WRONG_KEY, OTHER),
            (f"v=DKIM1; k=rsa; p={KEY.swapcase()}", Diagnosis.DKIM_WRONG_KEY, OTHER),
            (f"v=DKIM1; k=ed25519; p={KEY}", Diagnosis.DKIM_WRONG_KEY, OTHER),
            (f"v=DKIM1; k=rsa; p=AAAA; n=p={KEY}", Diagnosis.DKIM_WRONG_KEY, OTHER),
            (f"v=DKIM1; k=rsa; p={KEY[:-1]}", Diagnosis.DKIM_CUT_OFF, CUT_OFF.format(389)),
            (DKIM[:255], Diagnosis.DKIM_CUT_OFF, CUT_OFF.format(237)),
            ("v=DKIM1; k=rsa; p=", Diagnosis.DKIM_REVOKED, REVOKED),
            (f"v=DKIM1; p={KEY}; p=AAAA", Diagnosis.SYNTAX, SYNTAX),
            (f"v=DKIM2; p={KEY}", Diagnosis.SYNTAX, SYNTAX),
            (f"p={KEY}; v=DKIM1", Diagnosis.SYNTAX, SYNTAX),
            (f"v=DKIM1; k=rsa; P={KEY}", Diagnosis.SYNTAX, SYNTAX),
            (KEY, Diagnosis.SYNTAX, SYNTAX),
            ("", Diagnosis.SYNTAX, SYNTAX),
            (
                f'{DKIM[:200]}" "{DKIM[200:]}',
                Diagnosis.QUOTES,
                f"Quotation marks or backslashes have become part of the value. {ASK_AGAIN} Leave the marks out.",
            ),
            (
                DKIM.replace(";", "\\;"),
                Diagnosis.QUOTES,
                f"Quotation marks or backslashes have become part of the value. {ASK_AGAIN} Leave the marks out.",
            ),
            (
                f'"{DKIM}"',
                Diagnosis.QUOTES,
                f"Quotation marks or backslashes have become part of the value. {ASK_AGAIN} Leave the marks out.",
            ),
            (
                f"v=DKIM1; t=s:y; p={KEY}",
                Diagnosis.DKIM_RESTRICTED,
                "t=y says that the domain only tests DKIM, so receivers treat its mail as unsigned. " + ASK_AGAIN,
            ),
            (
                f"v=DKIM1; h=sha1; p={KEY}",
                Diagnosis.DKIM_RESTRICTED,
                f"h=sha1 forbids SHA-256, with which every signature is made. {ASK_AGAIN}",
            ),
            (
                f"v=DKIM1; s=tlsrpt; p={KEY}",
                Diagnosis.DKIM_RESTRICTED,
                f"s=tlsrpt keeps the key from signing mail. {ASK_AGAIN}",
            ),
        ],
    )
    def test_fails_anything_else(self, dns: DnsServer, value: str, diagnosis: Diagnosis, explanation: str) -> None:
        assert dkim(dns, value) == wrong(diagnosis, (value,), explanation)

    def test_fails_two_records_though_one_is_right(self, dns: DnsServer) -> None:
        assert dkim(dns, DKIM, "v=DKIM1; p=AAAA") == wrong(
            Diagnosis.SEVERAL_RECORDS,
            (DKIM, "v=DKIM1; p=AAAA"),
            f"There are 2 TXT records at {DKIM_NAME}; leave only this one.",
        )

    def test_shows_line_breaks_without_breaking_the_line(self, dns: DnsServer) -> None:
        assert dkim(dns, DKIM[:100] + "\r\n" + DKIM[100:]) == CheckResult(
            CheckStatus.FAILED,
            Diagnosis.FORBIDDEN_CHARACTERS,
            (DKIM[:100] + "\\r\\n" + DKIM[100:],),
            f"The record at {DKIM_NAME} holds a line break or another control character, as happens when a value is "
            "pasted in several lines. Delete it and paste the value again as one line.",
        )


def dmarc(dns: DnsServer, *values: str) -> CheckResult:
    dns.set(DMARC_NAME, "TXT", *values)
    return examined(dns, Purpose.DMARC)


NO_POLICY = "The DMARC record says {}; it must be p=none, p=quarantine or p=reject."
NO_DMARC = f"The TXT record at {DMARC_NAME} is no DMARC record. Replace its value by: v=DMARC1; p=none;"


@pytest.mark.rfc(9989, "4.10")
class TestDmarc:
    @pytest.mark.parametrize(
        "value",
        [
            "v=DMARC1; p=none",
            "v=DMARC1;p=quarantine;rua=mailto:d@shop.example!10m",
            "v=DMARC1 ; p = Reject ; sp=none; pct=50",
            "v=DMARC1; adkim=s; p=reject;",
            "v=DMARC1; p=reject;; rua=mailto:d@shop.example",
            "v=DMARC1; p=reject; nonsense; p=none",
            "v=DMARC1; rua=mailto:d@shop.example",
        ],
    )
    def test_verifies_any_policy(self, dns: DnsServer, value: str) -> None:
        found = dmarc(dns, value, "unrelated")

        assert (found.status, found.found) == (CheckStatus.VERIFIED, ("unrelated", value))

    @pytest.mark.parametrize(
        ("value", "diagnosis", "explanation"),
        [
            ("v=DMARC1; p=maybe", Diagnosis.DMARC_NO_POLICY, NO_POLICY.format("p=maybe")),
            ("v=DMARC1; sp=none", Diagnosis.DMARC_NO_POLICY, NO_POLICY.format("no p=")),
            ("v=DMARC1", Diagnosis.DMARC_NO_POLICY, NO_POLICY.format("no p=")),
            ("v=DMARC10; p=none", Diagnosis.SYNTAX, NO_DMARC),
            ("v=dmarc1; p=none", Diagnosis.SYNTAX, NO_DMARC),
            ("v=spf1 -all", Diagnosis.SYNTAX, NO_DMARC),
            (
                "p=none; v=DMARC1",
                Diagnosis.DMARC_VERSION_NOT_FIRST,
                "The DMARC record begins with p=; receivers only read records that begin with v=DMARC1. "
                "Move v=DMARC1 to the front.",
            ),
            (
                '"v=DMARC1; p=none"',
                Diagnosis.QUOTES,
                "Quotation marks or backslashes have become part of the value. Replace it by: v=DMARC1; p=none;",
            ),
        ],
    )
    def test_fails_anything_else(self, dns: DnsServer, value: str, diagnosis: Diagnosis, explanation: str) -> None:
        assert dmarc(dns, value) == wrong(diagnosis, (value,), explanation)

    def test_fails_two_policies(self, dns: DnsServer) -> None:
        assert dmarc(dns, "v=DMARC1; p=none", "v=DMARC1; p=reject").diagnosis is Diagnosis.SEVERAL_RECORDS

    def test_finds_a_policy_at_the_domain_itself(self, dns: DnsServer) -> None:
        dns.set(DOMAIN, "TXT", "v=DMARC1; p=none", "other")
        dns.cut(DOMAIN)

        assert examined(dns, Purpose.DMARC) == missing(
            Diagnosis.NAME_MISPLACED,
            "A DMARC record stands at shop.example itself, where no receiver looks for it. Move it to "
            "_dmarc.shop.example; in most editors that is the name _dmarc.",
            ("v=DMARC1; p=none",),
        )


@pytest.mark.rfc(9989, "4.10")
class TestDmarcOfTheOrganisation:
    def test_holds_for_a_subdomain(self, dns: DnsServer) -> None:
        dns.set(DMARC_NAME, "TXT", "v=DMARC1; p=reject; sp=quarantine")

        assert examined(dns, Purpose.DMARC, "mail.shop.example") == CheckResult(
            CheckStatus.VERIFIED,
            Diagnosis.DMARC_INHERITED,
            ("v=DMARC1; p=reject; sp=quarantine",),
            "mail.shop.example needs none of its own: the record of shop.example holds for it (policy quarantine).",
            60,
        )

    @pytest.mark.parametrize(
        ("lower", "upper", "expected_domain"),
        [
            ("v=DMARC1; p=none", "v=DMARC1; p=reject", "shop.example"),
            ("v=DMARC1; p=none; psd=n", "v=DMARC1; p=reject", "mail.shop.example"),
            ("v=DMARC1; p=none", "v=DMARC1; p=reject; psd=y", "mail.shop.example"),
        ],
    )
    def test_is_the_highest_unless_a_record_says_otherwise(
        self, dns: DnsServer, lower: str, upper: str, expected_domain: str
    ) -> None:
        dns.set("_dmarc.mail.shop.example", "TXT", lower)
        dns.set(DMARC_NAME, "TXT", upper)

        found = examined(dns, Purpose.DMARC, "news.mail.shop.example")

        assert f"the record of {expected_domain} holds" in found.explanation

    def test_holds_also_where_another_text_stands_at_the_name(self, dns: DnsServer) -> None:
        dns.set(DMARC_NAME, "TXT", "v=DMARC1; p=reject")
        dns.set("_dmarc.mail.shop.example", "TXT", "a wildcard's text")

        assert examined(dns, Purpose.DMARC, "mail.shop.example").diagnosis is Diagnosis.DMARC_INHERITED

    def test_that_cannot_be_read_is_none(self, dns: DnsServer) -> None:
        dns.set(DMARC_NAME, "TXT", "v=DMARC1; p=maybe")

        found = examined(dns, Purpose.DMARC, "mail.shop.example")

        assert (found.status, found.diagnosis) == (CheckStatus.MISSING, Diagnosis.MISSING)

    def test_is_nobodys_at_a_public_suffix(self, dns: DnsServer) -> None:
        dns.set("_dmarc.co.uk", "TXT", "v=DMARC1; p=reject")

        assert examined(dns, Purpose.DMARC, "shop.co.uk").status is CheckStatus.MISSING

    def test_is_the_suffixs_where_that_says_so(self, dns: DnsServer) -> None:
        dns.set("_dmarc.bank", "TXT", "v=DMARC1; p=reject; psd=y")

        assert examined(dns, Purpose.DMARC, "shop.bank").diagnosis is Diagnosis.DMARC_INHERITED

    def test_of_a_long_name_is_looked_for_from_the_seventh_label_on(self, dns: DnsServer) -> None:
        dns.set(DMARC_NAME, "TXT", "v=DMARC1; p=reject")
        long = "a.b.c.d.e.f.g.h.i.j.shop.example"

        assert examined(dns, Purpose.DMARC, long).diagnosis is Diagnosis.DMARC_INHERITED
        asked = [query.name for query in dns.queries if query.name.startswith("_dmarc")]
        assert asked[:2] == [f"_dmarc.{long}", "_dmarc.f.g.h.i.j.shop.example"]

    def test_is_undecided_where_a_server_on_the_way_fails(self, dns: DnsServer) -> None:
        dns.fail(DMARC_NAME, "SERVFAIL")

        assert examined(dns, Purpose.DMARC, "mail.shop.example").diagnosis is Diagnosis.SERVER_FAILED


class TestReturnPath:
    def test_verifies_the_alias_in_any_case(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "Return.PLATFORM.test.")

        assert examined(dns, Purpose.RETURN_PATH).status is CheckStatus.VERIFIED

    def test_follows_an_alias_to_an_alias(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "middle.example.")
        dns.set("middle.example", "CNAME", "return.platform.test.")

        assert examined(dns, Purpose.RETURN_PATH).status is CheckStatus.VERIFIED

    def test_does_not_follow_a_circle(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "middle.example.")
        dns.set("middle.example", "CNAME", f"{ALIAS}.")

        assert examined(dns, Purpose.RETURN_PATH).status is CheckStatus.FAILED

    @pytest.mark.parametrize("target", ["evil-return.platform.test", "platform.test", "bounces.elsewhere.example"])
    def test_fails_an_alias_to_elsewhere(self, dns: DnsServer, target: str) -> None:
        dns.set(ALIAS, "CNAME", f"{target}.")

        assert examined(dns, Purpose.RETURN_PATH) == wrong(
            Diagnosis.ALIAS_ELSEWHERE,
            (target,),
            f"The alias leads to {target}. Let it point to return.platform.test.",
        )

    def test_tells_a_target_without_its_dot(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "return.platform.test.shop.example.")

        assert examined(dns, Purpose.RETURN_PATH) == wrong(
            Diagnosis.ALIAS_TARGET_DOUBLED,
            ("return.platform.test.shop.example",),
            "The alias leads to return.platform.test.shop.example: the zone editor has added the domain to the target. "
            "Write the target with a dot at its end: return.platform.test.",
        )

    def test_tells_a_text_beside_it(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "return.platform.test.")
        dns.set(ALIAS, "TXT", "hello")

        assert examined(dns, Purpose.RETURN_PATH) == wrong(
            Diagnosis.BESIDE_ALIAS,
            ("return.platform.test", "hello"),
            f"{ALIAS} has a CNAME and a TXT record. Beside a CNAME no other record may stand (RFC 1034), so some "
            "resolvers see the one and some the other. Keep only the CNAME record shown here.",
        )

    def test_lets_the_target_have_a_text(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "CNAME", "return.platform.test.")
        dns.set("return.platform.test", "TXT", "v=spf1 -all")

        assert examined(dns, Purpose.RETURN_PATH).status is CheckStatus.VERIFIED

    def test_tells_a_proxy_that_answers_in_its_place(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "A", "93.184.216.34")

        found = examined(dns, Purpose.RETURN_PATH)

        assert (found.status, found.diagnosis, found.found) == (
            CheckStatus.MISSING,
            Diagnosis.ALIAS_FLATTENED,
            ("93.184.216.34",),
        )
        assert "flattens or proxies the CNAME" in found.explanation

    def test_does_not_take_a_wildcard_for_a_proxy(self, dns: DnsServer) -> None:
        dns.wildcard(DOMAIN, "93.184.216.34")

        assert examined(dns, Purpose.RETURN_PATH).diagnosis is Diagnosis.MISSING

    def test_tells_a_text_in_its_place(self, dns: DnsServer) -> None:
        dns.set(ALIAS, "TXT", "return.platform.test")

        found = examined(dns, Purpose.RETURN_PATH)

        assert (found.status, found.diagnosis) == (CheckStatus.MISSING, Diagnosis.NAME_MISPLACED)
        assert found.explanation.startswith("A TXT record holds the name return.platform.test.")
