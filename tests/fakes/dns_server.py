"""A small authoritative DNS server on loopback, UDP and TCP, with scripted failures (RFC 1035, RFC 2308).

It answers for every name there is. From other processes: `python -m tests.fakes.dns_server ZONES.json`.
"""

import json
import signal
import socketserver
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

# A TXT record of several strings is a sequence of them; everything else is the text of a zone file.
Value = str | bytes | Sequence[str | bytes]
Zones = Mapping[str, Mapping[str, Sequence[Value]]]

EVERY_NAME = "*"
NEGATIVE_TTL = 60
PLAIN_UDP_SIZE = 512
_SOA = "ns.fake. hostmaster.fake. 1 3600 600 86400"


class Query(NamedTuple):
    """One question as it came in."""

    name: str
    type: str
    transport: str


class DnsServer:
    """`with DnsServer({"a.test": {"MX": ["10 mx.a.test."]}}) as dns:` serves on `dns.address`."""

    def __init__(self, zones: Zones | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.queries: list[Query] = []
        self._cuts: dict[dns.name.Name, int] = {}
        self._own = dns.name.root
        self._wildcards: dict[dns.name.Name, str] = {}
        self._delegations: dict[dns.name.Name, tuple[str, ...]] = {}
        self._records: dict[tuple[dns.name.Name, str], dns.rrset.RRset] = {}
        self._failures: dict[str, str] = {}
        for name, types in (zones or {}).items():
            for rdtype, values in types.items():
                self._load(name, rdtype, values)
        self._tcp, self._udp = _listeners(host, port)
        for listener in (self._tcp, self._udp):
            listener.owner = self

    def __enter__(self) -> Self:
        for listener in (self._tcp, self._udp):
            threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in (self._tcp, self._udp):
            listener.shutdown()
            listener.server_close()

    @property
    def host(self) -> str:
        return str(self._tcp.server_address[0])

    @property
    def port(self) -> int:
        return int(self._tcp.server_address[1])

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def set(self, name: str, rdtype: str, *values: Value, ttl: int = 60) -> None:
        """Replace the records of this name and type."""
        rrset = dns.rrset.RRset(_absolute(name), dns.rdataclass.IN, dns.rdatatype.from_text(rdtype))
        for value in values:
            rrset.add(_rdata(rdtype, value), ttl)
        # An empty set is a name that exists and has no such record.
        self._records[rrset.name, rdtype] = rrset

    def cut(self, name: str, *, negative_ttl: int = NEGATIVE_TTL) -> None:
        """Makes this name the top of a zone: what is missing below it is denied by its SOA, for so many seconds."""
        self._cuts[_absolute(name)] = negative_ttl

    def wildcard(self, name: str, address: str) -> None:
        """Gives every name below this one the address, unless it has records (RFC 4592)."""
        self._wildcards[_absolute(name)] = address

    def text(self, name: str) -> str | None:
        """The TXT record at this name, its strings joined."""
        rrset = self._records.get((_absolute(name), "TXT"))
        return b"".join(rrset[0].strings).decode() if rrset else None

    def delegate(self, name: str, *hosts: str) -> None:
        """Points to other servers for this name and all below it, as the zone above a cut does."""
        self._delegations[_absolute(name)] = hosts

    def answers_only_below(self, name: str) -> None:
        """Leaves aliases to other zones unfinished, as a server does that knows its own zone alone."""
        self._own = _absolute(name)

    def clear(self) -> None:
        """Takes all records away, for a server that outlives a test."""
        self._records.clear()

    def remove(self, name: str, rdtype: str | None = None) -> None:
        """Take the records away; without a type the name no longer exists."""
        for key in [key for key in self._records if key[0] == _absolute(name)]:
            if rdtype in (None, key[1]):
                del self._records[key]

    def fail(self, name: str, how: str, rdtype: str | None = None) -> None:
        """Fail the questions about a name ("*": all names), of one type or of all, until `recover`.

        `how` is the name of a response code ("SERVFAIL"), or: timeout (silence), malformed (bytes that are no
        message), empty (no bytes, and TCP hangs up), referral (to other servers), truncate (over UDP; TCP
        answers), truncate-malformed, truncate-empty (over UDP; TCP fails in that way).
        """
        self._failures[_failure_key(name, rdtype)] = how

    def recover(self, name: str, rdtype: str | None = None) -> None:
        self._failures.pop(_failure_key(name, rdtype), None)

    def respond(self, wire: bytes, transport: str) -> bytes | None:
        """The bytes to send back; None means silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        rdtype = dns.rdatatype.to_text(question.rdtype)
        self.queries.append(Query(question.name.to_text(omit_final_dot=True).lower(), rdtype, transport))
        how = self._failure(question.name, rdtype)
        if how and how.startswith("truncate"):
            how = "truncate" if transport == "udp" else how.removeprefix("truncate").lstrip("-") or None
        if how in ("timeout", "malformed", "empty"):
            # The id is right, so that the bytes are taken for an answer.
            return {"timeout": None, "malformed": wire[:2] + b"\x81\x80" + b"\xff" * 20, "empty": b""}[how]
        response = self._response(query, how)
        return _packed(response, _size_limit(query, transport))

    def _response(self, query: dns.message.Message, how: str | None) -> dns.message.Message:
        question = query.question[0]
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if how is None:
            self._answer(response, question.name, dns.rdatatype.to_text(question.rdtype))
        elif how == "truncate":
            response.flags |= dns.flags.TC
        elif how == "referral":
            response.authority.append(
                dns.rrset.from_text(question.name, NEGATIVE_TTL, "IN", "NS", "ns.elsewhere.test.")
            )
        else:
            response.set_rcode(dns.rcode.from_text(how))
        return response

    def _load(self, name: str, rdtype: str, values: Sequence[Value]) -> None:
        if rdtype == "FAIL":
            self.fail(name, str(values[0]))
        else:
            self.set(name, rdtype, *values)

    def _failure(self, name: dns.name.Name, rdtype: str) -> str | None:
        for key in (name.to_text(), EVERY_NAME):
            for kind in (rdtype, None):
                how = self._failures.get(_failure_key(key, kind))
                if how is not None:
                    return how
        return None

    def _answer(self, response: dns.message.Message, name: dns.name.Name, rdtype: str) -> None:
        for cut, hosts in self._delegations.items():
            if name.is_subdomain(cut):
                response.flags &= ~dns.flags.AA
                response.authority.append(dns.rrset.from_text(cut, NEGATIVE_TTL, "IN", "NS", *hosts))
                return
        seen = set()
        # An alias is followed until it ends or comes round, as the algorithm of RFC 1034 section 4.3.2 does.
        while name not in seen:
            seen.add(name)
            rrset = self._records.get((name, rdtype))
            alias = self._records.get((name, "CNAME"))
            if rrset:
                response.answer.append(rrset)
                return
            if not alias:
                self._fill_in(response, name, rdtype)
                return
            response.answer.append(alias)
            name = alias[0].target
            if not name.is_subdomain(self._own):
                return

    def _fill_in(self, response: dns.message.Message, name: dns.name.Name, rdtype: str) -> None:
        """The wildcard's answer, or that there is none."""
        for above, address in self._wildcards.items():
            if rdtype == "A" and name.is_subdomain(above) and name != above:
                response.answer.append(dns.rrset.from_text(name, NEGATIVE_TTL, "IN", "A", address))
                return
        self._deny(response, name)

    def _deny(self, response: dns.message.Message, name: dns.name.Name) -> None:
        # A name above an existing one exists too, without records of its own (RFC 8020 section 2).
        if not any(known.is_subdomain(name) for known, _ in list(self._records)):
            response.set_rcode(dns.rcode.NXDOMAIN)
        above = [zone for zone in self._cuts if name.is_subdomain(zone)]
        zone = max(above, key=len, default=dns.name.root)
        ttl = self._cuts.get(zone, NEGATIVE_TTL)
        response.authority.append(dns.rrset.from_text(zone, ttl, "IN", "SOA", f"{_SOA} {ttl}"))


class _Udp(socketserver.UDPServer):
    owner: DnsServer


class _Tcp(socketserver.ThreadingTCPServer):
    owner: DnsServer
    daemon_threads = True
    block_on_close = False


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, socket = self.request
        reply = self.server.owner.respond(wire, "udp")
        if reply is not None:
            socket.sendto(reply, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        # Each message has its length before it, and one connection may carry many (RFC 7766 section 8).
        while len(header := self.rfile.read(2)) == 2:
            (length,) = struct.unpack("!H", header)
            reply = self.server.owner.respond(self.rfile.read(length), "tcp")
            if reply == b"":
                return
            if reply is not None:
                self.wfile.write(struct.pack("!H", len(reply)) + reply)


def _listeners(host: str, port: int) -> tuple[_Tcp, _Udp]:
    """Both transports on one port; the one that TCP was given may be taken for UDP."""
    for _ in range(20):
        tcp = _Tcp((host, port), _TcpHandler)
        try:
            return tcp, _Udp(tcp.server_address, _UdpHandler)
        except OSError:
            tcp.server_close()
    raise RuntimeError("no port is free for UDP and TCP at once")


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def _failure_key(name: str, rdtype: str | None) -> str:
    return f"{name.rstrip('.').lower()} {rdtype or 'any type'}"


def _rdata(rdtype: str, value: Value) -> dns.rdata.Rdata:
    if rdtype == "TXT":
        return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, _strings(value))
    return dns.rdata.from_text("IN", rdtype, str(value), relativize=False)


def _strings(value: Value) -> list[bytes]:
    """The strings of one TXT record; a long single value is cut at 255 bytes, as zone editors do."""
    if isinstance(value, str | bytes):
        whole = _bytes(value)
        return [whole[start : start + 255] for start in range(0, len(whole), 255)] or [b""]
    return [_bytes(part) for part in value]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _size_limit(query: dns.message.Message, transport: str) -> int:
    if transport == "tcp":
        return 65535
    return query.payload if query.edns >= 0 else PLAIN_UDP_SIZE


def _packed(response: dns.message.Message, limit: int) -> bytes:
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


def main(path: str) -> None:
    """Serve the zones of a JSON file (`{name: {type: [value, ...]}}`, type FAIL: [how]) until terminated."""
    zones = json.loads(Path(path).read_text())
    with DnsServer(zones) as server:
        sys.stdout.write(f"ready {server.port}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
