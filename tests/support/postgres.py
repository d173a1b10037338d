"""A real PostgreSQL on a free loopback port, with our tables and views."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from support.servers import free_port
from support.tools import require_tool
from support.warehouse import SQL, Database, Row, view_texts

_READY_SECONDS = 60
_DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")


@dataclass
class Postgres(Database):
    """A database of a running server."""

    port: int
    _has_views: bool = field(default=False, init=False)

    def load(self, folder: Path) -> None:
        self._psql("-f", str(SQL / "load" / "postgres.sql"), folder=folder)
        if not self._has_views:
            self._psql("-c", "".join(view_texts("postgres")))
            self._has_views = True

    def select(self, query: str) -> list[Row]:
        text = self._psql("-c", f"SELECT coalesce(json_agg(result), '[]') FROM ({query}) AS result")
        rows: list[Row] = json.loads(text)
        return rows

    def _psql(self, *arguments: str, folder: Path | None = None) -> str:
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        command = [str(require_tool("psql")), *options, "-U", "postgres", *arguments]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start an empty PostgreSQL for the duration of the block. It refuses to run as root, who starts it as nobody."""
    user = "nobody" if os.geteuid() == 0 else None
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        if user:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log.txt"
        initdb = [_program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, cwd=folder, user=user, check=True, capture_output=True)
        settings = ("fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}")
        options = [option for setting in settings for option in ("-c", setting)]
        command = [_program("postgres"), "-D", str(data), "-p", str(port), *options]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, cwd=folder, user=user, stdout=output, stderr=output) as server,
        ):
            try:
                _await_ready(server, port, log)
                yield Postgres(port)
            finally:
                server.send_signal(signal.SIGINT)  # disconnects clients and ends
                server.wait(_READY_SECONDS)


def _program(name: str) -> str:
    """Path of a program of the server, which Debian does not put on the PATH."""
    installed = sorted(_DEBIAN_PROGRAMS.glob(f"*/bin/{name}"))
    return str(installed[-1] if installed else require_tool(name))


def _await_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    probe = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while time.monotonic() < end and server.poll() is None:
        if subprocess.run(probe, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))
