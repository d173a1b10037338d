"""Real servers on loopback ports: a listener with prepared answers, a Pushgateway, a Prometheus.

Each is a context manager and stops by process id what it started.
"""

import json
import socket
import ssl
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import requests

from support.tools import require_tool

_READY_SECONDS = 30
SCRAPE_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True)
class Request:
    """A request that a listener received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body


@dataclass(frozen=True)
class Answer:
    """What a listener does with a request: answer, hang, or drop the connection.

    `cut_after`: send only this many bytes of the promised body.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    cut_after: int | None = None


OK = Answer()


class Listener:
    """A small HTTP server that gives its answers in order and repeats the last one."""

    def __init__(self, server: ThreadingHTTPServer, answers: Sequence[Answer]) -> None:
        self.answers = answers
        self.port = int(server.server_address[1])
        self.requests: list[Request] = []
        self.called = Event()
        self.released = Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer_to(self, request: Request) -> Answer:
        self.requests.append(request)
        self.called.set()
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


@contextmanager
def listen(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """Start a listener with these answers; the default is 200."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.listener = listener = Listener(server, answers or (OK,))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield listener
    finally:
        listener.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class ListeningFake(ABC):
    """A fake service that answers by itself, at an address inside `listening`."""

    listener: Listener | None = field(default=None, init=False)

    @abstractmethod
    def answer_to(self, request: Request) -> Answer:
        """Answer as the service does."""

    @property
    def url(self) -> str:
        assert self.listener
        return self.listener.url

    @property
    def host(self) -> str:
        assert self.listener
        return self.listener.host

    @property
    def requests(self) -> list[Request]:
        assert self.listener
        return self.listener.requests


Fake = TypeVar("Fake", bound=ListeningFake)


@contextmanager
def listening(fake: Fake) -> Iterator[Fake]:
    """Let a fake service answer at its `url`."""
    with listen() as listener:
        log = listener.answer_to

        def answer_to(request: Request) -> Answer:
            log(request)
            return fake.answer_to(request)

        listener.answer_to = answer_to  # type: ignore[method-assign] # a listener with answers of its own
        fake.listener = listener
        yield fake


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the threads, so that none outlives its test
    listener: Listener

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: _Server

    def handle_any(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("Content-Length", 0))
        request = Request(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
        answer = self.server.listener.answer_to(request)
        if answer.hang:
            self.server.listener.released.wait(_READY_SECONDS)
        elif not answer.drop:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - names that http.server requires

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)  # without the date of this machine
        for name, value in {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut_after])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def dripping(start: bytes, drop: bytes) -> Iterator[str]:
    """Start a server that sends `start`, then `drop` every tenth of a second; yield its URL."""
    server = socket.create_server(("127.0.0.1", 0))
    ended = Event()

    def drip(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.sendall(start)
            while not ended.wait(0.1):
                client.sendall(drop)

    def serve() -> None:
        with suppress(OSError):
            while not ended.is_set():
                Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@dataclass
class Flood:
    """A server that sends as much as it can: to whom, how many bytes, and whether the last client was cut off."""

    port: int
    sent_bytes: int = 0
    connection_count: int = 0
    is_cut_off: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def flooding(start: bytes, wave: bytes) -> Iterator[Flood]:
    """Start a server that sends `start`, then `wave` again and again without a pause."""
    server = socket.create_server(("127.0.0.1", 0))
    flood, ended = Flood(server.getsockname()[1]), Event()

    def pour(client: socket.socket) -> None:
        flood.connection_count += 1
        flood.is_cut_off.clear()
        client.settimeout(_READY_SECONDS)
        with client:
            try:
                client.sendall(start)
                while not ended.is_set():
                    client.sendall(wave)
                    flood.sent_bytes += len(wave)
            except OSError:
                flood.is_cut_off.set()

    def serve() -> None:
        with suppress(OSError):
            while not ended.is_set():
                Thread(target=pour, args=(server.accept()[0],), daemon=True).start()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield flood
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS context for a listener with a self-signed certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command = [str(require_tool("openssl")), "req", *options, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], url: str, log: Path, ready: str = "/-/ready") -> Iterator[str]:
    """Run a program that serves `url` for the duration of the block; wait until it is ready."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _await_ready(process, f"{url}{ready}", log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(url, timeout=1).status_code in (200, 401):
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def pushgateway(folder: Path, *options: str) -> Iterator[str]:
    """Start a Pushgateway that keeps no file (Debian's does by default); yield its URL."""
    program, port = require_tool("prometheus-pushgateway"), free_port()
    command = [str(program), f"--web.listen-address=127.0.0.1:{port}", "--persistence.file=", *options]
    with running(command, f"http://127.0.0.1:{port}", folder / "pushgateway.log") as url:
        yield url


@dataclass(frozen=True)
class PushgatewayGroups:
    """Groups of a Pushgateway with their labels and metrics, as in `GET /api/v1/metrics`."""

    groups: list[dict[str, Any]]

    @classmethod
    def read(cls, url: str) -> "PushgatewayGroups":
        answer = requests.get(f"{url}/api/v1/metrics", timeout=5)
        answer.raise_for_status()
        return cls(answer.json()["data"])

    def group(self, repository: str, job: str = "dora") -> dict[str, Any] | None:
        labels = {"job": job, "repository": repository}
        return next((group for group in self.groups if group["labels"] == labels), None)

    def samples(self, repository: str, metric: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of a counter or gauge of a repository."""
        family = (self.group(repository) or {}).get(metric, {"metrics": []})
        return [(series["labels"], float(series["value"])) for series in family["metrics"]]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus, or what answers the same queries."""

    url: str

    def vector(self, query: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """The results of a query at a time, now by default."""
        time_parameter = {"time": at.isoformat()} if at else {}
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query, **time_parameter}, timeout=10)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def value(self, query: str) -> float | None:
        """The only value of a query; None without a result."""
        result = self.vector(query)
        assert len(result) <= 1, f"{query} has {len(result)} results"
        return float(result[0]["value"][1]) if result else None

    def await_at_least(self, query: str, expected: float) -> None:
        """Wait for the scrape after which the value is at least `expected`."""
        end = time.monotonic() + _READY_SECONDS
        while (value := self.value(query) or 0) < expected:
            assert time.monotonic() < end, f"{query} is {value}, not {expected}"
            time.sleep(0.1)


@contextmanager
def configured_prometheus(
    folder: Path, settings: Mapping[str, object], *options: str, store: str = "tsdb"
) -> Iterator[Prometheus]:
    """Start a Prometheus with these settings; its store is in the folder."""
    program, port, settings_path = require_tool("prometheus"), free_port(), folder / f"{store}.yml"
    settings_path.write_text(json.dumps(settings), "utf-8")
    command = [
        *(str(program), f"--config.file={settings_path}", f"--storage.tsdb.path={folder / store}"),
        *(f"--web.listen-address=127.0.0.1:{port}", *options),
    ]
    with running(command, f"http://127.0.0.1:{port}", folder / f"{store}.log") as url:
        yield Prometheus(url)


def scrape_of_pushgateway(address: str) -> dict[str, object]:
    """The scrape of a Pushgateway, in a configuration of Prometheus."""
    targets = [{"targets": [address.removeprefix("http://")]}]
    return {"job_name": "pushgateway", "honor_labels": True, "static_configs": targets}


@contextmanager
def prometheus(folder: Path, target: str, *options: str) -> Iterator[Prometheus]:
    """Start a Prometheus that scrapes the Pushgateway `target` every half second; its store is `tsdb` in the folder."""
    interval = f"{SCRAPE_INTERVAL_SECONDS * 1000:.0f}ms"
    scraping = {"scrape_interval": interval, "scrape_timeout": interval}
    settings = {"global": scraping, "scrape_configs": [scrape_of_pushgateway(target)]}
    with configured_prometheus(folder, settings, *options) as started:
        yield started


@contextmanager
def writable_prometheus(folder: Path, out_of_order_window: str = "0s", *options: str) -> Iterator[Prometheus]:
    """Start a Prometheus that takes remote write at `/api/v1/write` and scrapes nothing, with an empty store."""
    settings = {"storage": {"tsdb": {"out_of_order_time_window": out_of_order_window}}}
    flags = ("--web.enable-remote-write-receiver", *options, "--storage.tsdb.retention.time=100y")
    with configured_prometheus(folder, settings, *flags, store="written") as started:
        yield started


@contextmanager
def victoria_metrics(folder: Path, retention: str = "100y") -> Iterator[Prometheus]:
    """Start a VictoriaMetrics, which takes remote write at `/api/v1/write`, with an empty store."""
    program, port = require_tool("victoria-metrics"), free_port()
    command = [
        *(str(program), f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}"),
        *(f"-retentionPeriod={retention}", "-search.latencyOffset=0s", "-search.disableCache"),
    ]
    with running(command, f"http://127.0.0.1:{port}", folder / "victoria.log") as url:
        yield Prometheus(url)
