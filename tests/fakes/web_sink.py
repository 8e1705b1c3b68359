"""A web server that keeps what it gets and answers as it is told, over HTTP or HTTPS. `python -m` runs it alone."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Say:
    """One answer. `wait` comes before it, `raw` takes its place: those bytes, and the end of the connection."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: float = 0.0
    raw: bytes | None = None


Answering = Callable[[Got], Say]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        got = Got(self.path, dict(self.headers.items()), body, time.monotonic())
        sink = self.server.sink
        with sink.lock:
            sink.got.append(got)
            sink.open += 1
            sink.most_open = max(sink.most_open, sink.open)
        say = sink.answering(got)
        if say.wait:
            sink.stopped.wait(say.wait)
        with sink.lock:
            sink.open -= 1
        if say.raw is not None:
            self.wfile.write(say.raw)
            self.close_connection = True
            return
        head = [f"HTTP/1.1 {say.status} Said"]
        headers = {"Content-Length": str(len(say.body)), **say.headers}
        head += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + say.body)

    def log_message(self, *arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    sink: "WebSink"

    def get_request(self) -> tuple[Any, Any]:
        client, address = super().get_request()
        self.sink.connections += 1
        return client, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.sink.context is not None:
            request = self.sink.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what some tests are about."""


class WebSink:
    """`with WebSink() as sink:` listens on loopback; `sink.answering` may be changed at any time."""

    def __init__(
        self, answering: Answering | None = None, *, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.answering = answering or (lambda got: Say())
        self.context = context
        self.got: list[Got] = []
        self.connections = self.open = self.most_open = 0
        self.lock, self.stopped = threading.Lock(), threading.Event()
        _Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = _Server((host, 0), _Handler)
        self._server.sink = self

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{path}"

    def ids(self) -> list[str]:
        """The events that came, in the order of their coming."""
        with self.lock:
            return [got.headers["StackShift-Event-Id"] for got in self.got]


def raw_server(answer: Callable[[socket.socket], None]) -> "contextlib.AbstractContextManager[int]":
    """A listener that lets the test talk bytes; gives its port."""

    @contextlib.contextmanager
    def serve() -> Any:
        listener = socket.create_server(("127.0.0.1", 0))

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_talk, args=(client, answer), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.close()

    return serve()


def _talk(client: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with contextlib.suppress(OSError), client:
        answer(client)
