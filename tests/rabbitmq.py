"""A real RabbitMQ for the tests: a process on free loopback ports, with all it keeps in one folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import amqp
import pytest

START_TIMEOUT_S = 120
_CONFIGURATION = """
listeners.tcp.default = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = 256MB
disk_free_limit.absolute = 10MB
log.file.level = warning
"""


@dataclass
class RabbitServer:
    directory: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    names: subprocess.Popen[bytes] | None = field(default=None, init=False)
    names_port: int = 0

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        if not self.port:
            self._prepare()
        log = (self.directory / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*_as_user(), _program()], env=self._environment(), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self.process.poll() is None, (self.directory / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, "RabbitMQ did not start"
            time.sleep(0.1)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; what it was told to keep survives any signal."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def leave(self) -> None:
        """End it for good, and what finds Erlang's nodes by name with it."""
        for process in (self.process, self.names):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait(60)

    def _prepare(self) -> None:
        self.port, self.names_port, self.distribution_port = (_free_port() for _ in range(3))
        (self.directory / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=self.port))
        (self.directory / "plugins").write_text("[].")
        if os.geteuid() == 0:
            user = pwd.getpwnam("rabbitmq")
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        # One of our own: it would be started otherwise, on a fixed port, and outlive the tests.
        epmd = shutil.which("epmd")
        assert epmd, "RabbitMQ's packages bring Erlang"
        self.names = subprocess.Popen(
            [*_as_user(), epmd, "-address", "127.0.0.1", "-port", str(self.names_port)],
            stdin=subprocess.DEVNULL,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.names_port),
            # Two schedulers that sleep when there is nothing to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_LOG_BASE": str(self.directory / "logs"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_NODENAME": f"haulier-{self.port}@localhost",
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            # The script then becomes the server, which signals reach.
            "RUNNING_UNDER_SYSTEMD": "1",
        }

    def _answers(self) -> bool:
        try:
            with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2, read_timeout=2):
                return True
        except (OSError, amqp.AMQPError):
            return False


@pytest.fixture(scope="session")
def rabbitmq_server():
    """A RabbitMQ that a test may stop and start, and has to leave running."""
    # It runs as a user of its own, who may not go below pytest's directory.
    with tempfile.TemporaryDirectory(prefix="haulier-rabbitmq-") as directory:
        server = RabbitServer(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.leave()


def _program() -> Path:
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"))
    assert found, "`make test-programs` installs rabbitmq-server"
    return found[-1]


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("rabbitmq")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
