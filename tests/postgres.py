"""A real PostgreSQL for the tests: a throw-away cluster on a free loopback port."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

START_TIMEOUT_S = 60


def find_postgres() -> Path:
    """Return the directory of the newest installed server's programs; fails when there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[-3])
    )
    on_path = shutil.which("postgres")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    pytest.fail("PostgreSQL is not installed: `apt-get install postgresql` brings it")


def start_postgres(directory: Path, **more: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Make a cluster in `directory` (which the server's user must reach) and start it.

    Returns the URL of its empty database and the process; end it with `stop_postgres`. A cluster
    that is there already is started again; `more` are settings of the server.
    """
    programs = find_postgres()
    data = directory / "data"
    as_user = _unprivileged(directory)
    if not data.exists():
        subprocess.run(
            [*as_user, programs / "initdb", "-D", data, "-U", "haulier", "--auth=trust",
             "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"],
            check=True, stdout=subprocess.DEVNULL, cwd=directory,
        )  # fmt: skip
    port = _free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(directory),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "shared_buffers": "256MB",
        **more,
    }
    options = [item for key, value in settings.items() for item in ("-c", f"{key}={value}")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", data, *options],
            stdout=log, stderr=log, cwd=directory,
        )  # fmt: skip
    url = f"postgresql://haulier@127.0.0.1:{settings['port']}/postgres"
    try:
        _wait_until_ready(url, process, directory / "log")
    except BaseException:
        stop_postgres(process)
        raise
    return url, process


def stop_postgres(process: subprocess.Popen[bytes]) -> None:
    """End the server at once, dropping its connections."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def postgres_url():
    """The URL of a running server, on which a test makes its own database."""
    directory = Path(tempfile.mkdtemp(prefix="haulier-postgres-"))
    try:
        url, process = start_postgres(directory)
        try:
            yield url
        finally:
            stop_postgres(process)
    finally:
        shutil.rmtree(directory)


@dataclass
class Postgres:
    """A server that a test may stop and start; what is committed survives its death."""

    directory: Path
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        more = {"synchronous_commit": "on", "shared_buffers": "64MB"}
        if self.url:
            more["port"] = self.url.rpartition(":")[2].partition("/")[0]
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.url, self.process = start_postgres(self.directory, **more)
                return
            except pytest.fail.Exception:
                # It refuses while what is left of the one that crashed has not ended yet.
                if not self.url or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def crash(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)

    def stop(self) -> None:
        assert self.process is not None
        stop_postgres(self.process)


@pytest.fixture
def own_postgres():
    """A server that the test may stop and start."""
    # It runs as a user of its own, who may not go below pytest's directory.
    with tempfile.TemporaryDirectory(prefix="haulier-postgres-") as directory:
        server = Postgres(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _unprivileged(directory: Path) -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(directory, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
