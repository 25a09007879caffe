"""The server is killed in the middle of an archive and started again: the upload goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import tarfile

import httpx2
import pytest

from people import add_user
from running_server import start, stop

pytestmark = pytest.mark.processes

MIB = 1 << 20


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_server_that_is_killed_loses_nothing_of_an_archive(tmp_path):
    data = tmp_path / "server"
    data.mkdir()
    add_user(data, "ann", "user")
    server = start(data, port=free_port())
    port = int(server.url.rsplit(":", 1)[-1])
    headers = server.headers()
    folder = tmp_path / "media" / "film"
    folder.mkdir(parents=True)
    (folder / "film.mp4").write_bytes(os.urandom(24 * MIB))
    env = {
        **os.environ,
        "HAULIER_DATA": str(tmp_path / "client"),
        "MGMT_LOCAL_DIR": str(folder.parent),
        "HAULIER_TOKEN": server.token("ann"),
    }
    command = [sys.executable, "-m", "haulier.cli.main"]
    # Slow enough that there is a middle.
    to = ["--to", server.url, "--limit-rate", "2M"]
    with subprocess.Popen(
        [*command, "upload", "film", *to], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as client:
        while not any(
            one["bytes"] >= 8 * MIB
            for one in httpx2.get(f"{server.url}/api/files/upload", headers=headers).json()["items"]
        ):
            assert client.poll() is None, client.stdout.read()
        stop(server, signal.SIGKILL)
        server = start(data, port=port)
        told = client.communicate()[0].decode()
    if client.returncode != 0:  # it was given up before the server listened again
        resumed = subprocess.run([*command, "resume"], env=env, capture_output=True, text=True)
        assert resumed.returncode == 0, told + resumed.stderr
    (file,) = httpx2.get(f"{server.url}/api/files?name=film.tar.gz", headers=headers).json()[
        "items"
    ]
    (tmp_path / "film.tar.gz").write_bytes(
        httpx2.get(f"{server.url}/api/files/{file['id']}/download", headers=headers).content
    )
    moved = folder.parent / "completed" / "film" / "film.mp4"
    with tarfile.open(tmp_path / "film.tar.gz") as tar:
        content = tar.extractfile("film/film.mp4").read()
    assert hashlib.sha256(content).digest() == hashlib.sha256(moved.read_bytes()).digest()
    assert httpx2.get(f"{server.url}/api/files/upload", headers=headers).json()["items"] == []
    stop(server)
