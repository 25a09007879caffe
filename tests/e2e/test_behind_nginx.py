"""The server behind nginx, by the configuration that is shipped."""

from __future__ import annotations

import getpass
import random
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from people import add_user
from running_server import start, stop

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def configuration(haulier_port, port, files, scratch):
    """Return what is shipped, for these ports and without TLS, with what it is a part of."""
    text = SHIPPED.read_text("utf-8")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{haulier_port}")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    text = re.sub(r"^\s*ssl_.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("/var/lib/haulier/files/", f"{files}/")
    return (
        f"daemon off; user {getpass.getuser()}; pid {scratch}/pid; error_log {scratch}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {scratch}/body;\n"
        f"proxy_temp_path {scratch}/proxy;\n{text}}}\n"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of nginx, and the server behind it."""
    assert shutil.which("nginx"), "`make test-programs` installs nginx"
    data, scratch = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("nginx")
    add_user(data, "ann")
    server = start(data, TRUSTED_PROXIES="127.0.0.1", X_ACCEL_PREFIX="/stored", LOG_LEVEL="INFO")
    port = free_port()
    file = scratch / "nginx.conf"
    file.write_text(configuration(server.url.rpartition(":")[2], port, data / "files", scratch))
    nginx = subprocess.Popen(["nginx", "-c", file, "-e", scratch / "error.log"])
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            httpx2.get(f"{url}/health/live")
            break
        except httpx2.ConnectError:
            time.sleep(0.1)
    yield url, server
    nginx.terminate()
    nginx.wait(90)
    stop(server)


@pytest.fixture
def client(site):
    url, server = site
    with httpx2.Client(base_url=url, headers=server.headers()) as client:
        yield client


def test_an_upload_goes_on_while_it_comes_and_resumes(site, client):
    url, server = site
    data = random.Random(1).randbytes(6 * MIB)
    headers = {**TUS, "Upload-Length": str(len(data)), "X-Forwarded-Proto": "gopher"}
    made = client.post("/tus/", headers=headers)
    where = made.url.join(made.headers["location"])
    assert str(where).startswith(url)

    head = {**server.headers(), **TUS, **OCTETS, "Upload-Offset": "0", "Host": "x"}
    lines = [f"PATCH {where.path} HTTP/1.1", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    with socket.create_connection(("127.0.0.1", where.port)) as breaking:
        breaking.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + data[: 4 * MIB])
        time.sleep(1)
    # nginx passed on what came before the connection broke.
    offset = int(client.head(where, headers=TUS).headers["upload-offset"])
    assert 0 < offset <= 4 * MIB
    more = {**TUS, **OCTETS, "Upload-Offset": str(offset)}
    assert client.patch(where, content=data[offset:], headers=more).status_code == 204
    [stored] = client.get("/api/files").json()["items"]
    assert client.get(f"/api/files/{stored['id']}/download").content == data


def test_nginx_sends_files_with_the_headers_that_keep_them_from_running(site, client):
    _, server = site
    data = random.Random(2).randbytes(300_000)
    stored = client.put("/api/content/page.html", content=data).json()
    where = f"/api/files/{stored['id']}/download"
    whole, direct = client.get(where), httpx2.get(server.url + where, headers=server.headers())
    assert whole.content == data
    assert "x-accel-redirect" in direct.headers
    assert "x-accel-redirect" not in whole.headers
    for name in (
        "etag", "content-type", "content-disposition", "x-content-type-options",
        "content-security-policy", "cross-origin-resource-policy", "cache-control",
    ):  # fmt: skip
        assert whole.headers[name] == direct.headers[name], name
    part = client.get(where, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert client.get(where, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_what_is_inside_stays_inside(site, client):
    _, server = site
    files = sorted(path for path in (server.data / "files").rglob("*") if path.is_file())
    assert files
    inner = "/stored/" + str(files[0].relative_to(server.data / "files"))
    assert client.get(inner).status_code == 404
    stored = client.put("/api/content/mine.bin", content=b"x").json()
    assert httpx2.get(f"{client.base_url}/api/files/{stored['id']}/download").status_code == 401
