"""The records a sender's domain must publish, judged from what a live DNS server says."""

from collections.abc import Iterator

import pytest

from apps.protocols.dns import Resolver, parse_servers
from apps.protocols.sender_records import (
    CheckResult,
    CheckStatus,
    ExpectedRecord,
    Platform,
    Purpose,
    RecordType,
    check,
    expected,
)
from tests.fakes.dns_server import DnsServer

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" + "x" * 340 + "IDAQAB"
DKIM = f"v=DKIM1; k=rsa; p={KEY}"
PLATFORM = Platform(spf_include="spf.platform.test", return_path_host="return.platform.test")
DKIM_NAME = "s1._domainkey.shop.example"


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer({"shop.example": {"A": ["93.184.216.34"]}}) as server:
        yield server


def record(purpose: Purpose) -> ExpectedRecord:
    records = expected("shop.example", PLATFORM, selector="s1", dkim_public=DKIM)
    return next(record for record in records if record.purpose is purpose)


def result(dns: DnsServer, purpose: Purpose) -> CheckResult:
    return check(record(purpose), Resolver(parse_servers(dns.address), timeout=2, lifetime=4))


class TestExpected:
    def test_lists_the_four_records(self) -> None:
        assert expected("shop.example", PLATFORM, selector="s1", dkim_public=DKIM) == (
            ExpectedRecord(
                Purpose.SPF,
                RecordType.TXT,
                "shop.example",
                "v=spf1 include:spf.platform.test ~all",
                required=True,
            ),
            ExpectedRecord(Purpose.DKIM, RecordType.TXT, DKIM_NAME, DKIM, required=True),
            ExpectedRecord(Purpose.DMARC, RecordType.TXT, "_dmarc.shop.example", "v=DMARC1; p=none;", required=False),
            ExpectedRecord(
                Purpose.RETURN_PATH,
                RecordType.CNAME,
                "bounces.shop.example",
                "return.platform.test",
                required=True,
            ),
        )

    def test_requires_dmarc_and_names_the_return_path_as_configured(self) -> None:
        platform = Platform("spf.p.test", "r.p.test", return_path_label="rp", dmarc_required=True)

        records = expected("shop.example", platform, selector="s1", dkim_public=DKIM)

        assert [record.required for record in records] == [True, True, True, True]
        assert records[3].name == "rp.shop.example"


@pytest.mark.parametrize("purpose", list(Purpose))
class TestEveryRecord:
    def test_is_missing_when_the_name_does_not_exist(self, dns: DnsServer, purpose: Purpose) -> None:
        dns.remove("shop.example")

        assert result(dns, purpose) == CheckResult(purpose, CheckStatus.MISSING, reason="no such name")

    def test_is_missing_when_the_name_has_no_such_record(self, dns: DnsServer, purpose: Purpose) -> None:
        dns.set(record(purpose).name, "A", "93.184.216.34")

        assert result(dns, purpose) == CheckResult(purpose, CheckStatus.MISSING, reason="no record of that type")

    def test_is_verified_when_published_as_shown(self, dns: DnsServer, purpose: Purpose) -> None:
        published = record(purpose)
        value = published.value + "." if published.type is RecordType.CNAME else published.value
        dns.set(published.name, published.type, value)

        assert result(dns, purpose) == CheckResult(purpose, CheckStatus.VERIFIED, found=(published.value,))

    @pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
    def test_is_undecided_when_the_server_fails(self, dns: DnsServer, purpose: Purpose, code: str) -> None:
        dns.fail(record(purpose).name, code)

        assert result(dns, purpose) == CheckResult(
            purpose, CheckStatus.PENDING, reason=f"the server failed ({code})", undecided=True
        )

    def test_is_undecided_when_the_server_is_silent(self, dns: DnsServer, purpose: Purpose) -> None:
        dns.fail(record(purpose).name, "timeout")
        hasty = Resolver(parse_servers(dns.address), timeout=0.05, lifetime=0.05)

        assert check(record(purpose), hasty) == CheckResult(
            purpose, CheckStatus.PENDING, reason="time-out", undecided=True
        )


def spf(dns: DnsServer, *values: str) -> CheckResult:
    dns.set("shop.example", "TXT", *values)
    return result(dns, Purpose.SPF)


@pytest.mark.rfc(7208, "4.5")
class TestSpf:
    @pytest.mark.parametrize(
        "value",
        [
            "v=spf1 include:spf.platform.test -all",
            "V=SPF1 INCLUDE:SPF.PLATFORM.TEST ?all",
            "v=spf1 mx +include:spf.platform.test  ip4:192.0.2.0/24 ~all",
            "v=spf1 include:spf.platform.test",
            "v=spf1 include:spf.platform.test. ~all",
            "v=spf1 redirect=spf.platform.test",
            "v=spf1 redirect=spf.platform.test include:other.test",
        ],
    )
    def test_verifies_a_policy_that_lets_us_send(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value, "unrelated=1") == CheckResult(Purpose.SPF, CheckStatus.VERIFIED, found=(value,))

    @pytest.mark.parametrize(
        "value",
        [
            "v=spf1 -all",
            "v=spf1",
            "v=spf1 include:spf.platform.test.evil.example ~all",
            "v=spf1 include:evil-spf.platform.test ~all",
            "v=spf1 include:platform.test ~all",
            "v=spf1 -include:spf.platform.test ~all",
            "v=spf1 ?include:spf.platform.test ~all",
            "v=spf1 -all include:spf.platform.test",
            "v=spf1 ~all redirect=spf.platform.test",
            "v=spf1 redirect=other.test",
            "v=spf1 exists:include:spf.platform.test ~all",
            "v=spf1 a:spf.platform.test ~all",
            "v=spf1 include: spf.platform.test ~all",
        ],
    )
    def test_fails_a_policy_that_does_not(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value) == CheckResult(
            Purpose.SPF,
            CheckStatus.FAILED,
            found=(value,),
            reason="the SPF record does not include spf.platform.test",
        )

    def test_fails_two_policies_though_one_is_right(self, dns: DnsServer) -> None:
        values = ("v=spf1 -all", "v=spf1 include:spf.platform.test ~all")

        assert spf(dns, *values) == CheckResult(
            Purpose.SPF, CheckStatus.FAILED, found=values, reason="more than one SPF record"
        )

    @pytest.mark.parametrize(
        "value",
        [
            "v=spf10 include:spf.platform.test ~all",
            "v=spf1\tinclude:spf.platform.test ~all",
            " v=spf1 include:spf.platform.test ~all",
            '"v=spf1 include:spf.platform.test ~all"',
            "note: v=spf1 include:spf.platform.test ~all",
        ],
    )
    def test_misses_a_policy_among_other_text(self, dns: DnsServer, value: str) -> None:
        assert spf(dns, value) == CheckResult(
            Purpose.SPF, CheckStatus.MISSING, reason="no SPF record among the TXT records"
        )

    def test_joins_a_policy_in_several_strings(self, dns: DnsServer) -> None:
        dns.set("shop.example", "TXT", ["v=spf1 include:spf.", "platform.test ~all"])

        assert result(dns, Purpose.SPF).status is CheckStatus.VERIFIED

    def test_shows_only_the_beginning_of_a_huge_record(self, dns: DnsServer) -> None:
        checked = spf(dns, "v=spf1 " + "x" * 60_000)

        assert checked.status is CheckStatus.FAILED
        assert checked.found == ("v=spf1 " + "x" * 1017,)


def dkim(dns: DnsServer, *values: str | list[str]) -> CheckResult:
    dns.set(DKIM_NAME, "TXT", *values)
    return result(dns, Purpose.DKIM)


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
        ],
    )
    def test_verifies_the_same_key_in_other_words(self, dns: DnsServer, value: str) -> None:
        assert dkim(dns, value).status is CheckStatus.VERIFIED

    def test_verifies_a_key_in_several_strings(self, dns: DnsServer) -> None:
        assert dkim(dns, [DKIM[:100], DKIM[100:300], DKIM[300:]]).status is CheckStatus.VERIFIED

    def test_verifies_a_key_behind_an_alias(self, dns: DnsServer) -> None:
        dns.set(DKIM_NAME, "CNAME", "s1.keys.platform.test.")
        dns.set("s1.keys.platform.test", "TXT", DKIM)

        assert result(dns, Purpose.DKIM).status is CheckStatus.VERIFIED

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (f"v=DKIM1; k=rsa; p={KEY}AAAA", "another key is published"),
            (f"v=DKIM1; k=rsa; p={KEY[:-1]}", "another key is published"),
            (f"v=DKIM1; k=rsa; p={KEY.swapcase()}", "another key is published"),
            (f"v=DKIM1; k=ed25519; p={KEY}", "another key is published"),
            (f"v=DKIM1; k=rsa; p=AAAA; n=p={KEY}", "another key is published"),
            ("v=DKIM1; k=rsa; p=", "the key is withdrawn (empty p=)"),
            (f"v=DKIM1; p={KEY}; p=AAAA", "not a DKIM key record"),
            (f"v=DKIM2; p={KEY}", "not a DKIM key record"),
            (f"v=DKIM1; k=rsa; P={KEY}", "not a DKIM key record"),
            (KEY, "not a DKIM key record"),
            ("", "not a DKIM key record"),
            (f'"{DKIM}"', "not a DKIM key record"),
        ],
    )
    def test_fails_anything_else(self, dns: DnsServer, value: str, reason: str) -> None:
        assert dkim(dns, value) == CheckResult(Purpose.DKIM, CheckStatus.FAILED, found=(value,), reason=reason)

    def test_fails_two_records_though_one_is_right(self, dns: DnsServer) -> None:
        assert dkim(dns, DKIM, "v=DKIM1; p=AAAA") == CheckResult(
            Purpose.DKIM,
            CheckStatus.FAILED,
            found=(DKIM, "v=DKIM1; p=AAAA"),
            reason="more than one TXT record at the DKIM name",
        )

    def test_is_undecided_about_a_record_with_line_breaks(self, dns: DnsServer) -> None:
        assert dkim(dns, DKIM[:100] + "\r\n" + DKIM[100:]) == CheckResult(
            Purpose.DKIM,
            CheckStatus.PENDING,
            reason="the record holds forbidden characters",
            undecided=True,
        )


def dmarc(dns: DnsServer, *values: str) -> CheckResult:
    dns.set("_dmarc.shop.example", "TXT", *values)
    return result(dns, Purpose.DMARC)


@pytest.mark.rfc(7489, "6.6.3")
class TestDmarc:
    @pytest.mark.parametrize(
        "value",
        [
            "v=DMARC1; p=none",
            "v=DMARC1;p=quarantine;rua=mailto:d@shop.example!10m",
            "v=DMARC1 ; p = Reject ; sp=none; pct=50",
            "v=DMARC1; adkim=s; p=reject;",
        ],
    )
    def test_verifies_any_policy(self, dns: DnsServer, value: str) -> None:
        assert dmarc(dns, value, "unrelated") == CheckResult(
            Purpose.DMARC, CheckStatus.VERIFIED, found=("unrelated", value)
        )

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            (("v=DMARC1; p=none", "v=DMARC1; p=reject"), "more than one DMARC record"),
            (("v=DMARC1; p=maybe",), "the DMARC record has no valid policy (p=)"),
            (("v=DMARC1; sp=none",), "the DMARC record has no valid policy (p=)"),
            (("v=DMARC1",), "the DMARC record has no valid policy (p=)"),
            (("v=DMARC10; p=none",), "not a DMARC record"),
            (("v=dmarc1; p=none",), "not a DMARC record"),
            (("p=none; v=DMARC1",), "not a DMARC record"),
            (("v=spf1 -all",), "not a DMARC record"),
        ],
    )
    def test_fails_anything_else(self, dns: DnsServer, values: tuple[str, ...], reason: str) -> None:
        assert dmarc(dns, *values) == CheckResult(Purpose.DMARC, CheckStatus.FAILED, found=values, reason=reason)


class TestReturnPath:
    def test_verifies_the_alias_in_any_case(self, dns: DnsServer) -> None:
        dns.set("bounces.shop.example", "CNAME", "Return.PLATFORM.test.")

        assert result(dns, Purpose.RETURN_PATH).status is CheckStatus.VERIFIED

    @pytest.mark.parametrize(
        "target",
        [
            "return.platform.test.evil.example",
            "evil-return.platform.test",
            "platform.test",
            "bounces.elsewhere.example",
        ],
    )
    def test_fails_an_alias_to_elsewhere(self, dns: DnsServer, target: str) -> None:
        dns.set("bounces.shop.example", "CNAME", f"{target}.")

        assert result(dns, Purpose.RETURN_PATH) == CheckResult(
            Purpose.RETURN_PATH,
            CheckStatus.FAILED,
            found=(target,),
            reason="the alias points elsewhere",
        )

    def test_does_not_follow_a_second_alias(self, dns: DnsServer) -> None:
        dns.set("bounces.shop.example", "CNAME", "middle.example.")
        dns.set("middle.example", "CNAME", "return.platform.test.")

        assert result(dns, Purpose.RETURN_PATH).status is CheckStatus.FAILED
