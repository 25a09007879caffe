"""haulier's server and its peers on loopback, and what they cost."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HAULIER = [sys.executable, "-m", "haulier.cli.main"]
TICKS = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; user {user}; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; sendfile_max_chunk 2m; keepalive_requests 100000;
  client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {root}/temp;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {root}/files; dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""

TUS_SERVER = """
import {{ Server }} from "@tus/server";
import {{ FileStore }} from "@tus/file-store";
const server = new Server({{ path: "/tus", datastore: new FileStore({{ directory: {root!r} }}) }});
server.listen({{ host: "127.0.0.1", port: {port} }}, () => console.log("listening"));
"""


@dataclass
class Server:
    """A server that runs. `headers` open it; `token` is haulier's."""

    name: str
    port: int
    process: subprocess.Popen[str]
    root: Path
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def cpu_s(self) -> float:
        """CPU seconds of the process and its children so far."""
        return cpu_s(self.process.pid)

    def jobs_left(self) -> int:
        """How many jobs of haulier's are waiting or running."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in lines
            if re.match(r'haulier_jobs\{.*"(pending|running)"', line)
        )

    def memory_mib(self) -> float:
        """Resident memory of the process and its children."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids())
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def _pids(self) -> list[int]:
        return _with_children(self.process.pid)


@dataclass(frozen=True)
class Load:
    """What a list of requests took, at the client and at the server."""

    seconds: float
    server_cpu_s: float
    transferred_bytes: int
    p99_s: float


def build_load(folder: Path) -> Path:
    """Compile the load generator into `folder`."""
    program = folder / "load"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "load.c", "-lpthread"], check=True)
    return program


def send(program: Path, server: Server, source: Path, requests: Sequence[Sequence[object]]) -> Load:
    """Send requests of (connection, method, path, offset, length, headers) to `server`."""
    opened = [f"{name}: {value}" for name, value in server.headers.items()]
    lines = [
        "\t".join([*map(str, request[:5]), "|".join([*opened, *request[5]])])
        for request in requests
    ]
    before = server.cpu_s()
    done = subprocess.run(
        [program, str(server.port), source],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    return Load(
        told["seconds"],
        server.cpu_s() - before,
        told["sent_bytes"] + told["received_bytes"],
        told["p99_s"],
    )


@contextmanager
def haulier(root: Path, *, processes: int = 1, **settings: str) -> Iterator[Server]:
    """`haulier serve` with settings as environment variables."""
    root.mkdir()
    unlimited = {"RATE_LIMIT_API": "1000000/second"}
    environment = {**os.environ, **unlimited, **settings, "HAULIER_DATA": str(root)}

    def run(*words: str) -> str:
        return subprocess.run(
            [*HAULIER, *words], env=environment, capture_output=True, text=True, check=True
        ).stdout

    run("user", "add", "bench", "--role", "admin")
    token = run("token", "create", "bench", "--ttl", "12h").strip()
    process = subprocess.Popen(
        [*HAULIER, "serve", "--port", "0", "--workers", str(processes)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    doing = None
    if "REDIS_URL" in settings:
        # With a broker the server does no jobs.
        doing = subprocess.Popen(
            [*HAULIER, "worker"], env=environment, stdout=subprocess.PIPE, text=True
        )
    name = ", ".join(["haulier", *(f"{key}={value}" for key, value in settings.items())])
    with _ended(Server(name, port, process, root, token)) as server:
        try:
            yield server
        finally:
            if doing is not None:
                doing.terminate()
                doing.wait(60)


@contextmanager
def nginx(root: Path) -> Iterator[Server]:
    """nginx that takes PUT and sends files, with one worker."""
    (root / "files").mkdir(parents=True)
    port = _free_port()
    (root / "nginx.conf").write_text(NGINX.format(root=root, port=port, user=getpass.getuser()))
    process = subprocess.Popen(["nginx", "-c", root / "nginx.conf"], text=True)
    with _ended(Server("nginx", port, process, root / "files")) as server:
        yield server


@contextmanager
def tus_server(root: Path, modules: Path) -> Iterator[Server]:
    """@tus/server with its file store, of the node packages in `modules`."""
    root.mkdir()
    port = _free_port()
    script = modules.parent / f"tus-server-{port}.mjs"
    script.write_text(TUS_SERVER.format(root=str(root), port=port))
    process = subprocess.Popen(["node", script], text=True, stdout=subprocess.DEVNULL)
    with _ended(Server("@tus/server", port, process, root)) as server:
        yield server
    script.unlink()


def node_packages(folder: Path) -> Path:
    """Install @tus/server into `folder`; returns its node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "tus-server" / name, folder)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder / "node_modules"


@contextmanager
def _ended(server: Server) -> Iterator[Server]:
    try:
        _await_port(server)
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        shutil.rmtree(server.root, ignore_errors=True)


def _await_port(server: Server) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{server.name} does not answer")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    return sum(_ticks(one) for one in _with_children(pid)) / TICKS


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, children.split())]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
