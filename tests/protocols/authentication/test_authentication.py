"""SPF, DKIM and DMARC against a live DNS server, with the signatures of somebody else's signer too."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dkim as others
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apps.protocols import dkim
from apps.protocols.authentication.reader import authenticate
from apps.protocols.authentication.types import Authentication, Origin
from tests.factories import private_key
from tests.fakes.dns_server import DnsServer

RAW = (
    b"From: Ann <ann@a.example>\r\nTo: bob@b.example\r\nSubject: Hello  there\r\n"
    b"Date: Tue, 12 May 2026 09:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n\r\nHello Bob \r\n\r\nBye\r\n\r\n\r\n"
)
CLIENT = "192.0.2.1"


@pytest.fixture(scope="module")
def shared() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def dns(shared: DnsServer) -> DnsServer:
    shared.clear()
    return shared


def checked(
    dns: DnsServer,
    raw: bytes = RAW,
    *,
    client: str = CLIENT,
    mail_from: str = "ann@a.example",
    helo: str = "mx.a.example",
) -> Authentication:
    return authenticate(raw, Origin(client, helo, mail_from, dns.address))


def publish(dns: DnsServer, *, policy: str = "") -> None:
    dns.set("s1._domainkey.a.example", "TXT", dkim.public_record(private_key()))
    if policy:
        dns.set("_dmarc.a.example", "TXT", policy)


def signed(raw: bytes = RAW, *, domain: str = "a.example", expires_in: timedelta = timedelta(days=7)) -> bytes:
    key = dkim.SigningKey(domain, "s1", dkim.load_key(private_key()))
    now = datetime.now(UTC)
    return dkim.sign(raw, [key], signed_at=now - timedelta(days=30), expires_at=now + expires_in) + raw


class TestSpf:
    @pytest.mark.parametrize(
        ("policy", "verdict"),
        [
            ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
            ("v=spf1 -all", "fail"),
            ("v=spf1 ~all", "softfail"),
            ("v=spf1 ?all", "neutral"),
            ("v=spf1", "neutral"),
            ("v=spf1 a:host.example -all", "pass"),
            ("v=spf1 a:other.example/24 -all", "pass"),
            ("v=spf1 a:other.example -all", "fail"),
            ("v=spf1 mx:m.example -all", "pass"),
            ("v=spf1 include:in.example -all", "pass"),
            ("v=spf1 include:out.example -all", "fail"),
            ("v=spf1 include:missing.example -all", "permerror"),
            ("v=spf1 redirect=in.example", "pass"),
            ("v=spf1 redirect=missing.example", "permerror"),
            ("v=spf1 exists:%{ir}.list.example -all", "pass"),
            ("v=spf1 exists:%{l}.%{d2}.users.example -all", "pass"),
            ("v=spf1 exists:%{x}.example -all", "permerror"),
            ("v=spf1 ptr -all", "fail"),
            ("v=spf1 nonsense -all", "permerror"),
            ("v=spf1 include:a.example -all", "permerror"),
            ("v=spf1 a:v1.example a:v2.example a:v3.example -all", "permerror"),
            ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ],
    )
    def test_policies(self, dns: DnsServer, policy: str, verdict: str) -> None:
        dns.set("a.example", "TXT", policy)
        dns.set("host.example", "A", CLIENT)
        dns.set("other.example", "A", "192.0.2.9")
        dns.set("m.example", "MX", "10 host.example.")
        dns.set("in.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")
        dns.set("out.example", "TXT", "v=spf1 -all")
        dns.set("1.2.0.192.list.example", "A", "127.0.0.2")
        dns.set("ann.a.example.users.example", "A", "127.0.0.2")

        assert checked(dns).spf.verdict == verdict

    def test_two_records_are_an_error_and_none_is_none(self, dns: DnsServer) -> None:
        dns.set("a.example", "TXT", "v=spf1 -all", "v=spf1 ~all")

        assert checked(dns).spf.verdict == "permerror"
        assert checked(dns, mail_from="x@none.example").spf.verdict == "none"

    def test_a_silent_server_is_no_refusal(self, dns: DnsServer) -> None:
        dns.fail("a.example", "SERVFAIL")
        try:
            assert checked(dns).spf.verdict == "temperror"
        finally:
            dns.recover("a.example")

    def test_a_bounce_is_checked_by_the_name_in_helo(self, dns: DnsServer) -> None:
        dns.set("mx.a.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")

        found = checked(dns, mail_from="").spf

        assert (found.verdict, found.domain) == ("pass", "mx.a.example")

    def test_addresses_of_version_6(self, dns: DnsServer) -> None:
        dns.set("a.example", "TXT", "v=spf1 ip6:2001:db8::/32 -all")

        assert checked(dns, client="2001:db8::1").spf.verdict == "pass"
        assert checked(dns, client="IPv6:2001:db8::1").spf.verdict == "pass"
        assert checked(dns, client="2001:db9::1").spf.verdict == "fail"

    def test_without_an_address_nothing_is_claimed(self, dns: DnsServer) -> None:
        dns.set("a.example", "TXT", "v=spf1 +all")

        assert checked(dns, client="").spf.verdict == "none"


class TestDkim:
    def test_our_own_signature(self, dns: DnsServer) -> None:
        publish(dns)

        found = checked(dns, signed())

        assert (found.dkim.verdict, found.dkim.domain) == ("pass", "a.example")
        assert [(one.selector, one.verdict) for one in found.signatures] == [("s1", "pass")]

    def test_line_ends_of_a_pipe_do_not_matter(self, dns: DnsServer) -> None:
        publish(dns)

        assert checked(dns, signed().replace(b"\r\n", b"\n")).dkim.verdict == "pass"

    @pytest.mark.parametrize("header", [b"simple", b"relaxed"])
    @pytest.mark.parametrize("body", [b"simple", b"relaxed"])
    def test_somebody_elses_signature(self, dns: DnsServer, header: bytes, body: bytes) -> None:
        publish(dns)
        signature = others.sign(
            RAW, b"s1", b"a.example", private_key().encode(), canonicalize=(header, body), include_headers=None
        )

        assert checked(dns, signature + RAW).dkim.verdict == "pass"

    def test_an_ed25519_signature(self, dns: DnsServer) -> None:
        pem = dkim.generate_ed25519()
        dns.set("s2._domainkey.a.example", "TXT", dkim.public_record(pem))
        now = datetime.now(UTC)
        key = dkim.SigningKey("a.example", "s2", dkim.load_key(pem))
        signature = dkim.sign(RAW, [key], signed_at=now, expires_at=now + timedelta(days=1))

        assert checked(dns, signature + RAW).dkim.verdict == "pass"

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            (b"Hello Bob", b"Hello Eve", "the body was changed"),
            (b"Subject: Hello", b"Subject: Hallo", "a signed header field was changed"),
            (b"\r\n\r\nHello", b"\r\nFrom: eve@evil.example\r\n\r\nHello", "a signed header field was changed"),
        ],
    )
    def test_what_was_changed(self, dns: DnsServer, old: bytes, new: bytes, reason: str) -> None:
        publish(dns)

        found = checked(dns, signed().replace(old, new, 1)).dkim

        assert (found.verdict, found.reason) == ("fail", reason)

    @pytest.mark.parametrize(
        ("old", "new", "verdict"),
        [
            (b"a=rsa-sha256", b"a=rsa-sha1", "policy"),
            (b"v=1;", b"v=2;", "permerror"),
            (b"c=relaxed", b"c=loose", "permerror"),
            (b"d=a.example", b"d=evil.example", "permerror"),
            (b"bh=", b"l=1; bh=", "policy"),
            (b"bh=", b"i=ann@b.example; bh=", "permerror"),
            (b"h=From:From", b"h=To", "permerror"),
            (b"b=", b"zz=", "permerror"),
        ],
    )
    def test_signatures_that_vouch_for_nothing(self, dns: DnsServer, old: bytes, new: bytes, verdict: str) -> None:
        publish(dns)
        raw = signed()
        assert old in raw

        assert checked(dns, raw.replace(old, new, 1)).dkim.verdict == verdict

    def test_an_old_signature_has_expired(self, dns: DnsServer) -> None:
        publish(dns)

        found = checked(dns, signed(expires_in=timedelta(seconds=-1))).dkim

        assert (found.verdict, found.reason) == ("fail", "the signature has expired")

    @pytest.mark.parametrize(
        ("record", "verdict"),
        [
            ("v=DKIM1; p=", "fail"),
            ("v=DKIM1; k=ed25519; p=AAAA", "permerror"),
            ("v=DKIM1; p=AAAA", "permerror"),
            ("v=DKIM1; h=sha1; p=AAAA", "permerror"),
            ("nonsense", "permerror"),
            ("", "permerror"),
        ],
    )
    def test_keys_that_are_none(self, dns: DnsServer, record: str, verdict: str) -> None:
        if record:
            dns.set("s1._domainkey.a.example", "TXT", record)

        assert checked(dns, signed()).dkim.verdict == verdict

    def test_a_short_key_is_not_accepted(self, dns: DnsServer) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        octets = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        dns.set("s1._domainkey.a.example", "TXT", f"p={base64.b64encode(octets[:-40]).decode()}")

        assert checked(dns, signed()).dkim.verdict == "permerror"

    def test_of_many_signatures_the_first_are_looked_at(self, dns: DnsServer) -> None:
        publish(dns)
        raw = signed()

        found = checked(dns, b"DKIM-Signature: v=1\r\n" * 3_000 + raw)

        assert len(found.signatures) == 5
        assert found.dkim.verdict == "permerror"


class TestDmarc:
    @pytest.mark.parametrize(
        ("policy", "spf", "domain", "verdict"),
        [
            ("v=DMARC1; p=reject", "v=spf1 ip4:192.0.2.1 -all", "", "pass"),
            ("v=DMARC1; p=reject", "v=spf1 -all", "", "fail"),
            ("v=DMARC1; p=reject", "v=spf1 -all", "a.example", "pass"),
            ("v=DMARC1; p=none", "v=spf1 -all", "b.example", "fail"),
        ],
    )
    def test_alignment(self, dns: DnsServer, policy: str, spf: str, domain: str, verdict: str) -> None:
        publish(dns, policy=policy)
        dns.set("s1._domainkey.b.example", "TXT", dkim.public_record(private_key()))
        dns.set("a.example", "TXT", spf)

        found = checked(dns, signed(domain=domain) if domain else RAW)

        assert (found.dmarc.verdict, found.dmarc.domain) == (verdict, "a.example")
        assert found.policy == policy.rpartition("=")[2]

    @pytest.mark.parametrize(("mode", "verdict"), [("r", "pass"), ("s", "fail")])
    def test_a_subdomain_is_the_same_organisation_unless_the_policy_is_strict(
        self, dns: DnsServer, mode: str, verdict: str
    ) -> None:
        dns.set("_dmarc.a.example", "TXT", f"v=DMARC1; p=none; aspf={mode}")
        dns.set("bounces.a.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")

        assert checked(dns, mail_from="b@bounces.a.example").dmarc.verdict == verdict

    def test_without_a_policy_there_is_no_verdict(self, dns: DnsServer) -> None:
        assert checked(dns).dmarc.verdict == "none"

    @pytest.mark.parametrize(
        "from_", [b"From: a@a.example\r\nFrom: b@evil.example", b"From: a@a.example, b@evil.example", b"X: y"]
    )
    def test_who_names_two_domains_or_none_passes_nowhere(self, dns: DnsServer, from_: bytes) -> None:
        publish(dns, policy="v=DMARC1; p=none")
        dns.set("a.example", "TXT", "v=spf1 ip4:192.0.2.1 -all")

        assert checked(dns, RAW.replace(b"From: Ann <ann@a.example>", from_)).dmarc.verdict == "permerror"

    def test_an_encoded_word_is_no_domain(self, dns: DnsServer) -> None:
        publish(dns, policy="v=DMARC1; p=none")

        found = checked(dns, RAW.replace(b"Ann <ann@a.example>", b"=?utf-8?q?a=40a=2Eexample?= <x@evil.example>"))

        assert found.dmarc.domain == "evil.example"
