"""A real clamd for tests: ClamAV's daemon on a free loopback port, with signatures made by hand.

It starts in a fraction of a second and takes 16 MB, where the official signatures take over 1 GB;
its unpackers are those of any clamd.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

# The file that every scanner reports. In two pieces, so that this one is not reported itself.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
EICAR_NAME = "Eicar-Test-Signature.UNOFFICIAL"

_READY_S = 30.0
_END_S = 10.0
_PORT_TRIES = 3
# Debian has the daemon where only administrators look.
_PLACES = ("/usr/sbin", "/usr/local/sbin")


class ClamDaemon:
    """One clamd, a context manager; `unix_url` and `tcp_url` are what a client needs.

    Args:
        directory: for its configuration, signatures and log.
        signatures: bytes that are found anywhere in a file, by name; EICAR's when left out. clamd
            tells a name with `.UNOFFICIAL` behind it.
        stream_max_bytes: its StreamMaxLength.
        file_max_bytes: its MaxFileSize.
        scan_max_bytes: its MaxScanSize.
        alerts: its AlertExceedsMax and AlertEncrypted.
        program: name or path of the daemon.
    """

    def __init__(
        self,
        directory: Path,
        *,
        signatures: Mapping[str, bytes] | None = None,
        stream_max_bytes: int = 25 << 20,
        file_max_bytes: int = 25 << 20,
        scan_max_bytes: int = 100 << 20,
        alerts: bool = True,
        program: str = "clamd",
    ) -> None:
        self.directory = directory
        self._signatures = signatures or {EICAR_NAME.removesuffix(".UNOFFICIAL"): EICAR}
        self._limits = {
            "StreamMaxLength": stream_max_bytes,
            "MaxFileSize": file_max_bytes,
            "MaxScanSize": scan_max_bytes,
        }
        self._alerts = alerts
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._private = ""
        self._port = 0

    @property
    def unix_url(self) -> str:
        return f"unix:{self._socket_path}"

    @property
    def tcp_url(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and wait until both sockets answer; raises RuntimeError when they don't."""
        program = _path_of(self._program)
        database = self.directory / "signatures"
        database.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}:0:*:{content.hex()}\n" for name, content in self._signatures.items()]
        (database / "local.ndb").write_text("".join(lines))
        # Not in `directory`: the path of a socket may have 107 bytes at most.
        self._private = tempfile.mkdtemp(prefix="haulier-clamd-")
        for _ in range(_PORT_TRIES):
            self._port = _free_port()
            if self._try_to_start(program):
                return
        raise RuntimeError(f"clamd ended at once:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the daemon; it can be started again, and then listens elsewhere."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._private:
            shutil.rmtree(self._private)
            self._private = ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _socket_path(self) -> str:
        return os.path.join(self._private, "clamd.sock")

    @property
    def _log(self) -> Path:
        return self.directory / "clamd.log"

    def _try_to_start(self, program: str) -> bool:
        """Start; false when it ended by itself, as with a port that somebody else has taken."""
        config = self.directory / "clamd.conf"
        config.write_text(self._config())
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, f"--config-file={config}"], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _READY_S
        while self._process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise RuntimeError(f"clamd does not answer:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)
        return False

    def _config(self) -> str:
        alerts = "yes" if self._alerts else "no"
        settings = {
            "Foreground": "yes",
            "DatabaseDirectory": self.directory / "signatures",
            "LocalSocket": self._socket_path,
            "TCPAddr": "127.0.0.1",
            "TCPSocket": self._port,
            "TemporaryDirectory": self._private,
            **self._limits,
            "AlertExceedsMax": alerts,
            "AlertEncrypted": alerts,
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as unix:
                unix.connect(self._socket_path)
                return _pongs(unix) and _pongs(socket.create_connection(("127.0.0.1", self._port)))
        except OSError:
            return False


def _pongs(connection: socket.socket) -> bool:
    with connection:
        connection.settimeout(_READY_S)
        connection.sendall(b"zPING\0")
        return connection.recv(16) == b"PONG\0"


def _path_of(program: str) -> str:
    places = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    found = shutil.which(program, path=places)
    if found is None:
        raise RuntimeError(f"the program `{program}` is missing: apt-get install clamav-daemon")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
