"""Stands between a program and an HTTP server, and does to requests and answers what a test says.

Each request is shown to `behave`, which says what happens to it; None lets it through.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct, structs

_HOPS: Final = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})
_NO_BODY: Final = frozenset({204, 304})


class Asked(Struct, frozen=True):
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def key(self) -> str:
        """Bucket and key of S3, without what was asked about them."""
        return unquote(urlsplit(self.target).path).lstrip("/")

    @property
    def about(self) -> frozenset[str]:
        """The names in the query: which of S3's requests it is."""
        return frozenset(parse_qs(urlsplit(self.target).query, keep_blank_values=True))


class Answer(Struct, frozen=True):
    """What the asker gets."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Reset(Struct, frozen=True):
    """The connection is reset; the server had the request before, or never had it."""

    arrives: bool


class Silence(Struct, frozen=True):
    """No answer, until the proxy is told to `go_on`; then the request goes through."""


class Altered(Struct, frozen=True):
    """The answer of the server, changed."""

    change: Callable[[Answer], Answer]


class Cut(Struct, frozen=True):
    """The answer of the server, whose body breaks off after so many bytes."""

    after: int


Behaviour = Answer | Reset | Silence | Altered | Cut | None


def refusal(status: int, code: str, **headers: str) -> Answer:
    """As S3 tells an error."""
    body = f"<Error><Code>{code}</Code><Message>scripted</Message></Error>".encode()
    return Answer(status, body, {"Content-Type": "application/xml", **headers})


class HostileProxy:
    """Listens at `url`, the same over `stop` and `start`."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url).netloc
        self._port = 0
        self._http: _Server | None = None
        self.behave: Callable[[Asked], Behaviour] = lambda _: None
        self.asked: list[Asked] = []
        self.goes_on = Event()
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """It listens."""
        self._http = _Server(("127.0.0.1", self._port), self)
        self._port = self._http.server_address[1]
        Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Connections are refused, and whoever waits for an answer gets none."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http.cut_connections()
            self._http = None
        self.go_on()

    def fall_silent(self) -> None:
        """Nothing is answered any more, until it is told to `go_on`."""
        self.goes_on.clear()
        self.behave = lambda _: Silence()

    def go_on(self) -> None:
        """Everything goes through, what waits too."""
        self.behave = lambda _: None
        self.goes_on.set()

    def ask(self, asked: Asked) -> Answer:
        """What the server answers."""
        connection = HTTPConnection(self._server)
        try:
            headers = {name: value for name, value in asked.headers.items() if name != "expect"}
            connection.request(asked.method, asked.target, asked.body, headers)
            found = connection.getresponse()
            body = found.read()
            told = {name: value for name, value in found.getheaders() if name.lower() not in _HOPS}
            if asked.method == "HEAD":
                told["Content-Length"] = found.getheader("Content-Length", "0")
            return Answer(found.status, body, told)
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def _pass_on(self) -> None:
        proxy: HostileProxy = self.server.proxy  # type: ignore[attr-defined]  # a _Server
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        proxy.asked.append(asked)
        match proxy.behave(asked):
            case Answer() as answer:
                self._tell(answer)
            case Reset(arrives=False):
                self._reset()
            case Reset():
                proxy.ask(asked)
                self._reset()
            case Altered(change=change):
                self._tell(change(proxy.ask(asked)))
            case Cut(after=after):
                self._tell(proxy.ask(asked), cut=after)
            case Silence():
                proxy.goes_on.wait()
                self._tell(proxy.ask(asked))
            case None:
                self._tell(proxy.ask(asked))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815  the library's

    def _tell(self, answer: Answer, cut: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        has_length = "Content-Length" in answer.headers
        if not has_length and answer.status not in _NO_BODY:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body if cut is None else answer.body[:cut])
        if cut is not None:
            self._reset()

    def _reset(self) -> None:
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)  # closing sends RST
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Said nowhere."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], proxy: HostileProxy) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: object) -> None:  # noqa: ANN401
        """In a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def cut_connections(self) -> None:
        """Those that are kept alive, too."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  as the library has it
        """Only closed: a reset must not be softened by a proper end."""
        self._connections.discard(request)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went is no error."""


def with_body(answer: Answer, body: bytes) -> Answer:
    """The answer with another body, and the length of that."""
    return structs.replace(answer, body=body)
