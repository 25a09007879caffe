"""A server that keeps its files packed: every way out gives the bytes that came in."""

from __future__ import annotations

import asyncio
import hashlib
import io
import signal
import subprocess
import zipfile

import httpx2
import pytest

from people import add_user
from running_server import haulier, served

pytestmark = pytest.mark.processes

DATA = b"".join(b"%d keep the light on the water\n" % number for number in range(60_000))
PACKS = {"COMPRESS_AT_REST": "true"}


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    add_user(data, "ann", "user")
    return data


def served_until_killed(data, **settings):
    return served(data, signal.SIGKILL, **settings)


async def put_packed(data, http, content=DATA, name="a.txt"):
    """Store a file and wait until it lies there packed; return it and its path."""
    stored = (await http.put(f"/api/content/{name}", content=content)).json()
    while not (found := list((data / "files").glob(f"*/{stored['id']}.zst"))):
        await asyncio.sleep(0.02)
    return stored, found[0]


def let_plain_ones_go(data):
    """Do what a job does a minute after."""
    for path in (data / "files").glob("*/*.zst"):
        path.with_suffix("").unlink(missing_ok=True)  # where the minute is over


async def test_each_way_out_gives_what_came_in(data):
    settings = {**PACKS, "X_ACCEL_PREFIX": "/inner", "DOWNLOAD_MODE": "redirect"}
    async with served_until_killed(data, **settings) as http:
        stored, path = await put_packed(data, http)
        place = f"/api/files/{stored['id']}/download"
        # nginx opens it a moment later: what is about to go is not named to it.
        beside = await http.get(place)
        assert beside.content == DATA
        let_plain_ones_go(data)
        assert path.stat().st_size < len(DATA) / 3
        whole = await http.get(place)
        assert whole.content == DATA
        assert "x-accel-redirect" not in whole.headers
        assert whole.headers["etag"] == beside.headers["etag"]
        assert "content-encoding" not in whole.headers
        head = await http.head(place)
        assert head.headers["content-length"] == str(len(DATA))
        frame = 256 << 10
        for one, last in ((0, 0), (frame - 1, frame), (100, 5 * frame), (len(DATA) - 1, len(DATA))):
            answer = await http.get(place, headers={"Range": f"bytes={one}-{last}"})
            assert answer.status_code == 206
            assert answer.content == DATA[one : last + 1]
        answer = await http.get(place, headers={"Range": f"bytes=7-9,{frame - 2}-{frame + 1}"})
        assert DATA[7:10] in answer.content
        assert DATA[frame - 2 : frame + 2] in answer.content
        zipped = await http.get("/api/files/zip", params={"ids": stored["id"]})
        assert zipfile.ZipFile(io.BytesIO(zipped.content)).read("a.txt") == DATA
        link = (await http.post(f"/api/files/{stored['id']}/link", json={})).json()
        share = (await http.post(f"/api/files/{stored['id']}/shares", json={})).json()
        async with httpx2.AsyncClient(base_url=http.base_url, follow_redirects=True) as anybody:
            assert (await anybody.get(link["url"])).content == DATA
            assert (await anybody.get(f"{share['url']}/download")).content == DATA
        while not (told := (await http.get(f"/api/files/{stored['id']}")).json())["sha256"]:
            await asyncio.sleep(0.02)
        assert told["sha256"] == "sha256:" + hashlib.sha256(DATA).hexdigest()
        assert told["size"] == len(DATA)
        assert (await http.get("/auth/me")).json()["used"] == len(DATA)


async def test_curl_goes_on_with_a_packed_file_in_pieces(data, tmp_path):
    async with served_until_killed(data, **PACKS) as http:
        stored, _ = await put_packed(data, http)
        let_plain_ones_go(data)
        url = f"{http.base_url}/api/files/{stored['id']}/download".replace("//api", "/api")
        token = http.headers["authorization"]
        begun = tmp_path / "begun"
        for end in (99_999, 700_000, ""):
            offset = begun.stat().st_size if begun.exists() else 0
            part = tmp_path / "part"
            curl = ["curl", "-sf", "-H", f"Authorization: {token}", "-o", part]
            done = await asyncio.to_thread(
                subprocess.run, [*curl, "-r", f"{offset}-{end}", url], timeout=60
            )
            assert done.returncode == 0
            with begun.open("ab") as out:
                out.write(part.read_bytes())
        assert begun.read_bytes() == DATA


async def test_damage_is_told_and_no_wrong_byte_is_sent(data):
    async with served_until_killed(data, **PACKS) as http:
        stored, path = await put_packed(data, http)
        let_plain_ones_go(data)
        altered = bytearray(path.read_bytes())
        altered[1000] ^= 1
        path.write_bytes(altered)
        place = f"/api/files/{stored['id']}/download"
        refused = await http.get(place)
        assert refused.status_code == 422
        assert refused.json()["code"] == "verification-failed"
        assert str(data) not in refused.text
        # The frames behind it are as good as they were.
        rest = await http.get(place, headers={"Range": f"bytes={256 << 10}-"})
        assert rest.content == DATA[256 << 10 :]
        cut = altered[:-5]
        path.write_bytes(cut)
        assert (await http.get(place, headers={"Range": "bytes=-5"})).status_code == 422


async def test_what_is_packed_is_read_without_the_setting_and_removed_with_the_file(data):
    async with served_until_killed(data, **PACKS) as http:
        stored, path = await put_packed(data, http)
        # Another version, and then both of them go.
        newer, other = await put_packed_version(data, http)
        let_plain_ones_go(data)
    async with served_until_killed(data) as http:
        place = f"/api/files/{stored['id']}/download"
        assert (await http.get(place)).content == DATA + b"more"
        first = await http.get(place, params={"version": 1})
        assert first.content == DATA
        await http.delete(f"/api/files/{stored['id']}")
        assert (await http.delete(f"/api/trash/{stored['id']}")).status_code == 204
        while any(path.is_file() for path in (data / "files").rglob("*")):
            await asyncio.sleep(0.02)
    assert newer["id"] == stored["id"]
    assert path != other


async def put_packed_version(data, http):
    answer = await http.put("/api/content/a.txt", content=DATA + b"more")
    while len(found := sorted((data / "files").glob("*/*.zst"), key=lambda one: one.stem)) < 2:
        await asyncio.sleep(0.02)
    return answer.json(), found[1]


async def test_a_backup_holds_what_is_packed_and_knows_damage_in_it(data, tmp_path):
    target, again = tmp_path / "backup", tmp_path / "again"
    async with served_until_killed(data, **PACKS) as http:
        stored, path = await put_packed(data, http)
        # Both lie there: it is taken as it was.
        assert (await asyncio.to_thread(haulier, data, "backup", target)).returncode == 0
        assert [one.name for one in (target / "data" / "files").glob("*/*")] == [stored["id"]]
        let_plain_ones_go(data)
        made = await asyncio.to_thread(haulier, data, "backup", target)
        assert made.returncode == 0, made.stderr
        assert [one.name for one in (target / "data" / "files").glob("*/*")] == [path.name]
    assert haulier(data, "backup", target, "--verify").returncode == 0
    assert haulier(again, "restore-server", target).returncode == 0
    async with served_until_killed(again) as http:
        assert (await http.get(f"/api/files/{stored['id']}/download")).content == DATA
    altered = bytearray(path.read_bytes())
    altered[1000] ^= 1
    path.write_bytes(altered)
    damaged = haulier(data, "backup", tmp_path / "other")
    assert damaged.returncode == 1
    assert "a.txt" in damaged.stderr


def test_what_it_does_not_go_with_is_told(data):
    for settings, name in (
        ({"AWS_S3_BUCKET": "b"}, "AWS_S3_BUCKET"),
        ({"ENCRYPTION_KEY": "0123456789abcdef" * 4}, "ENCRYPTION_KEY"),
    ):
        refused = haulier(data, "serve", "--port", "0", **PACKS, **settings)
        assert refused.returncode == 2
        assert name in refused.stderr
        assert "COMPRESS_AT_REST" in refused.stderr
