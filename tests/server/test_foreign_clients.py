"""Clients that others wrote, against the real server; each ends in the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.processes

MIB = 1 << 20
CLIENTS = Path(__file__).parents[1] / "clients"


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(random.Random(7).randbytes(9 * MIB + 11))
    return path


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def node(script, *arguments):
    assert (CLIENTS / "node_modules").is_dir(), "`make test-programs` installs the clients"
    done = subprocess.run(
        ["node", CLIENTS / script, *arguments], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def newest(http):
    return http.get("/api/files?limit=1").json()["items"][0]


def tus_js(server, how, place, path):
    [url] = node("tus.mjs", how, f"{server.url}/{place}/", server.headers()["Authorization"], path)
    return url


@pytest.mark.parametrize("how", ["whole", "chunks", "deferred", "creation", "override", "resume"])
def test_tus_js_client(server, http, clip, how):
    url = tus_js(server, how, "tus", clip)
    answer = http.get(url)
    assert sha256(answer.content) == sha256(clip.read_bytes())
    assert newest(http)["name"] == "clip.mp4"


def test_tus_js_client_sends_parts_side_by_side(server, http, clip):
    before = http.get("/auth/me").json()
    url = tus_js(server, "parallel", "tus", clip)
    for _ in range(200):
        if (answer := http.get(url)).status_code == 200:
            break
    assert sha256(answer.content) == sha256(clip.read_bytes())
    after = http.get("/auth/me").json()
    assert after["reserved"] == before["reserved"]
    assert after["used"] == before["used"] + clip.stat().st_size


@pytest.mark.parametrize("how", ["draft-03", "draft-05"])
def test_tus_js_client_speaks_resumable_http(server, http, clip, how):
    url = tus_js(server, how, "resumable", clip)
    assert http.head(url).headers["upload-complete"] == "?1"
    stored = newest(http)
    assert stored["name"] == "clip.mp4"
    content = http.get(f"/api/files/{stored['id']}/download").content
    assert sha256(content) == sha256(clip.read_bytes())


def test_tus_js_client_terminates(server, http, clip):
    url = tus_js(server, "terminate", "tus", clip)
    assert http.head(url, headers={"Tus-Resumable": "1.0.0"}).status_code == 410


def test_uppy(server, http, clip, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(random.Random(8).randbytes(3 * MIB + 1))
    token = server.headers()["Authorization"]
    urls = node("uppy.mjs", f"{server.url}/tus/", token, clip, other)
    found = {sha256(http.get(url).content) for url in urls}
    assert found == {sha256(path.read_bytes()) for path in (clip, other)}


def curl(server, *arguments):
    token = server.headers()["Authorization"]
    return subprocess.run(
        ["curl", "-sS", "--fail", "-H", f"Authorization: {token}", *arguments],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def stored(server, clip):
    return json.loads(curl(server, "-T", clip, f"{server.url}/api/content/holiday/clip.mp4"))


def test_curl_puts_a_file(http, stored, clip):
    assert (stored["name"], stored["folder"]) == ("clip.mp4", "holiday")
    content = http.get(f"/api/files/{stored['id']}/download").content
    assert sha256(content) == sha256(clip.read_bytes())


def test_curl_puts_what_comes_through_a_pipe(server, http, clip):
    token = server.headers()["Authorization"]
    with clip.open("rb") as stream:
        done = subprocess.run(
            ["curl", "-sS", "--fail", "-H", f"Authorization: {token}",
             "-T", "-", f"{server.url}/api/content/piped.mp4"],
            stdin=stream, capture_output=True, check=True,
        )  # fmt: skip
    content = http.get(f"/api/files/{json.loads(done.stdout)['id']}/download").content
    assert sha256(content) == sha256(clip.read_bytes())


def test_curl_goes_on_with_a_download(server, stored, clip, tmp_path):
    out = tmp_path / "out"
    out.write_bytes(clip.read_bytes()[: MIB + 5])
    curl(server, "-C", "-", "-o", out, f"{server.url}/api/files/{stored['id']}/download")
    assert sha256(out.read_bytes()) == sha256(clip.read_bytes())


def test_curl_goes_on_with_an_upload(server, http, clip):
    """`curl -C OFFSET -T` as tus: the bytes from OFFSET on, in a PATCH."""
    data = clip.read_bytes()
    made = http.post(
        "/tus/",
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(data)),
            "Content-Type": "application/offset+octet-stream",
        },
        content=data[:MIB],
    )
    url = str(made.url.join(made.headers["location"]))
    offset = made.headers["upload-offset"]
    headers = [
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {offset}",
        "Content-Type: application/offset+octet-stream",
    ]
    told = [part for header in headers for part in ("-H", header)]
    curl(server, "-X", "PATCH", *told, "-C", offset, "-T", clip, url)
    assert sha256(http.get(url).content) == sha256(data)


def test_aria2_downloads_by_four_connections(server, stored, clip, tmp_path):
    token = server.headers()["Authorization"]
    subprocess.run(
        ["aria2c", "-q", "-x4", "-s4", "-k1M", f"--header=Authorization: {token}",
         "-d", tmp_path, "-o", "out", f"{server.url}/api/files/{stored['id']}/download"],
        check=True, timeout=60,
    )  # fmt: skip
    assert sha256((tmp_path / "out").read_bytes()) == sha256(clip.read_bytes())
