"""A site as several hosts make it up: servers and workers behind nginx, on shared services."""

from __future__ import annotations

import getpass
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from haulier.testing.seaweed import SeaweedServer
from postgres import Postgres
from rabbitmq import RabbitServer
from redis_server import RedisServer
from running_server import HAULIER, environment

SECRET = secrets.token_hex(32)
START_TIMEOUT_S = 90


@dataclass
class Program:
    """A `haulier` that runs, and can be killed and begun again."""

    arguments: list[str]
    data: Path
    settings: dict[str, str]
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Begin, and return what it says when it is ready."""
        self.data.mkdir(exist_ok=True)
        with (self.data / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*HAULIER, *self.arguments, "--data", self.data],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.data,
                env={**environment(), **self.settings},
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.data / "log").read_text()[-3000:]
        return line.strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(90)
        self.process.stdout.close()
        return code


@dataclass
class Site:
    settings: dict[str, str]
    redis: RedisServer
    postgres: Postgres
    directory: Path
    broker: RedisServer | RabbitServer | None = None
    servers: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    url: str = ""

    def host(self, name: str, *arguments: str, **more: str) -> Program:
        """Return a program on a host of its own, which shares no directory with others."""
        return Program(list(arguments), self.directory / name, {**self.settings, **more})


@contextmanager
def shared_services(directory: Path, s3: SeaweedServer) -> Iterator[Site]:
    """PostgreSQL, Redis and a bucket for the programs of one site."""
    with ExitStack() as stack:
        (directory / "redis").mkdir()
        # PostgreSQL runs as a user of its own, who may not go below pytest's directory.
        cluster = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="haulier-postgres-")))
        postgres, redis = Postgres(cluster), RedisServer(directory / "redis")
        postgres.start()
        stack.callback(postgres.stop)
        redis.start()
        stack.callback(redis.stop)
        settings = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "JWT_SECRET_KEY": SECRET,
            "RATE_LIMIT_API": "1000000/minute",
            "AWS_S3_BUCKET": s3.make_bucket(),
            "AWS_ENDPOINT_URL": s3.endpoint_url,
            "AWS_ACCESS_KEY_ID": s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        }
        yield Site(settings, redis, postgres, directory)


@contextmanager
def running_site(directory: Path, s3: SeaweedServer, *, servers: int, workers: int):
    """A whole site; its address is nginx's."""
    with shared_services(directory, s3) as site, ExitStack() as stack:
        ports = [_free_port() for _ in range(servers)]
        for number, port in enumerate(ports):
            site.servers.append(site.host(f"server{number}", "serve", "--port", str(port)))
        for number in range(workers):
            site.workers.append(site.host(f"worker{number}", "worker", "--jobs", "2"))
        for program in (*site.servers, *site.workers):
            stack.callback(program.stop)
            program.start()
        site.url = stack.enter_context(nginx(directory / "nginx", ports))
        yield site


@contextmanager
def nginx(directory: Path, ports: list[int]) -> Iterator[str]:
    directory.mkdir()
    port = _free_port()
    behind = "".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    (directory / "nginx.conf").write_text(
        f"daemon off; user {getpass.getuser()}; pid {directory}/pid; error_log {directory}/error;\n"
        "events { worker_connections 2048; }\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body;\n"
        f"proxy_temp_path {directory}/proxy; upstream haulier {{ {behind} }}\n"
        "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
        f"server {{ listen 127.0.0.1:{port}; client_max_body_size 0; location / {{\n"
        "proxy_pass http://haulier; proxy_http_version 1.1; proxy_request_buffering off;\n"
        "proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;\n"
        "proxy_set_header Connection $connection_upgrade; proxy_connect_timeout 5s;\n"
        "} } }\n"
    )
    process = subprocess.Popen(["nginx", "-c", directory / "nginx.conf", "-e", directory / "error"])
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, (directory / "error").read_text()
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(90)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
