"""Jobs and scans of a real server: what is served, what is not, and what survives a kill."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import signal
import socket
import subprocess
from base64 import b64encode

import httpx2
import pytest
from PIL import Image

from haulier.testing.clamd import EICAR, EICAR_NAME, ClamDaemon
from haulier.testing.fake_clamd import FakeClamd
from people import add_user
from running_server import HAULIER, environment, start, stop


@pytest.fixture
def data(tmp_path):
    for name, role in (("ann", "user"), ("bob", "user"), ("root", "admin")):
        add_user(tmp_path, name, role)
    return tmp_path


async def started(data, **settings):
    server = await asyncio.to_thread(start, data, **settings)
    server.token("ann")
    return server


def client(server, name="ann"):
    return httpx2.AsyncClient(base_url=server.url, headers=server.headers(name))


async def put(http, content, name="notes.txt"):
    answer = await http.put(f"/api/content/{name}", content=content)
    assert answer.status_code == 201
    return answer.json()


async def until(http, stored, **wanted):
    """The metadata of a file once its fields are these."""
    while True:
        found = (await http.get(f"/api/files/{stored['id']}")).json()
        if all(found[name] == value for name, value in wanted.items()):
            return found
        await asyncio.sleep(0.02)


async def download(http, stored, **headers):
    return await http.get(f"/api/files/{stored['id']}/download", headers=headers)


def picture():
    out = io.BytesIO()
    Image.new("RGB", (800, 400), "teal").save(out, "JPEG")
    return out.getvalue()


@pytest.mark.servers
async def test_an_infected_file_is_never_served(data, tmp_path):
    with ClamDaemon(tmp_path / "clamd") as daemon:
        server = await started(data, CLAMD_URL=daemon.unix_url)
        try:
            async with client(server) as ann, client(server, "root") as root:
                clean, infected = (
                    await put(ann, b"keep the light"),
                    await put(ann, EICAR, "eicar.com"),
                )
                assert clean["scan_state"] in {"pending", "clean"}
                await until(ann, clean, scan_state="clean")
                assert (await download(ann, clean)).content == b"keep the light"

                told = await until(ann, infected, scan_state="infected")
                assert told["scan_detail"] == EICAR_NAME
                for http in (ann, root):
                    for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}):
                        answer = await download(http, infected, **headers)
                        assert (answer.status_code, answer.json()["code"]) == (410, "file-infected")
                    picture = await http.get(f"/api/files/{infected['id']}/thumbnail")
                    assert picture.status_code == 410
                    assert (await http.get(f"/api/files/{infected['id']}")).status_code == 200
        finally:
            stop(server)
    assert (data / "quarantine" / infected["id"]).read_bytes() == EICAR


@pytest.mark.servers
async def test_by_tus_an_infected_file_is_not_served_either(data, tmp_path):
    with ClamDaemon(tmp_path / "clamd") as daemon:
        server = await started(data, CLAMD_URL=daemon.tcp_url)
        try:
            async with client(server) as ann:
                made = await ann.post(
                    "/tus/",
                    content=EICAR,
                    headers={
                        "Tus-Resumable": "1.0.0",
                        "Upload-Length": str(len(EICAR)),
                        "Upload-Metadata": "filename " + b64encode(b"e.com").decode(),
                        "Content-Type": "application/offset+octet-stream",
                    },
                )
                place = f"/tus/{made.headers['location'].rpartition('/')[2]}"
                (stored,) = (await ann.get("/api/files")).json()["items"]
                await until(ann, stored, scan_state="infected")
                assert (await ann.get(place)).status_code == 410
        finally:
            stop(server)


@pytest.mark.servers
async def test_files_in_a_bucket_are_scanned_hashed_and_pictured(data, tmp_path, s3_server):
    bucket = {
        "AWS_S3_BUCKET": s3_server.make_bucket(),
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "DOWNLOAD_MODE": "redirect",
    }
    with ClamDaemon(tmp_path / "clamd") as daemon:
        server = await started(data, CLAMD_URL=daemon.unix_url, **bucket)
        try:
            async with client(server) as ann:
                content = picture()
                stored, infected = await put(ann, content, "a.jpg"), await put(ann, EICAR)
                digest = "sha256:" + hashlib.sha256(content).hexdigest()
                await until(ann, stored, scan_state="clean", sha256=digest)
                place = f"/api/files/{stored['id']}/thumbnail"
                while (answer := await ann.get(place)).status_code == 202:
                    await asyncio.sleep(0.2)
                assert Image.open(io.BytesIO(answer.content)).size == (320, 160)
                assert (await download(ann, stored)).status_code in {302, 303, 307}
                await until(ann, infected, scan_state="infected")
                assert (await download(ann, infected)).status_code == 410
        finally:
            stop(server)
    assert list(data.rglob(".source-*")) == []


async def test_a_file_waits_for_its_scan_and_the_scan_survives_a_kill(data):
    async with FakeClamd() as clamd:
        clamd.gate.clear()
        server = await started(data, CLAMD_URL=clamd.url)
        async with client(server) as ann:
            stored = await put(ann, b"keep the light")
            while not clamd.at_gate:
                await asyncio.sleep(0.02)
            answer = await download(ann, stored)
            assert (answer.status_code, answer.json()["code"]) == (423, "scan-pending")
            assert int(answer.headers["retry-after"]) > 0
        await asyncio.to_thread(stop, server, signal.SIGKILL)
        clamd.gate.set()

        server = await started(data, CLAMD_URL=clamd.url)
        try:
            async with client(server) as ann:
                assert (await download(ann, stored)).status_code == 423
                # Until the lease of the dead has run out.
                await until(ann, stored, scan_state="clean")
                assert (await download(ann, stored)).content == b"keep the light"
        finally:
            await asyncio.to_thread(stop, server)
    assert clamd.scanned == [b"keep the light"] * 2


async def test_what_was_answered_202_becomes_visible_though_the_server_is_killed(data):
    content = random.Random(9).randbytes(8 << 20)
    half = len(content) // 2
    server = await started(data)
    async with client(server) as ann:
        given = {"name": "a.bin", "size": len(content), "chunk_size": half}
        given["checksum"] = "sha256:" + hashlib.sha256(content).hexdigest()
        session = (await ann.post("/api/files/upload/start", json=given)).json()
        place = f"/api/files/upload/{session['session_id']}"
        for number, piece in (("2", content[half:]), ("1", content[:half])):
            headers = {"X-Chunk-Number": number, "Content-Type": "application/octet-stream"}
            answer = await ann.post(f"{place}/chunk", content=piece, headers=headers)
        assert answer.status_code == 202
    await asyncio.to_thread(stop, server, signal.SIGKILL)

    server = await started(data)
    try:
        async with client(server) as ann:
            while (await ann.get(place)).json()["status"] != "completed":
                await asyncio.sleep(0.02)
            (stored,) = (await ann.get("/api/files")).json()["items"]
            assert (await download(ann, stored)).content == content
            while 'haulier_jobs{state="completed"} 1.0' not in (await ann.get("/metrics")).text:
                await asyncio.sleep(0.02)
            assert "haulier_jobs_oldest_seconds 0.0" in (await ann.get("/metrics")).text
    finally:
        await asyncio.to_thread(stop, server)


async def test_a_stopped_server_gives_its_jobs_back(data):
    async with FakeClamd() as clamd:
        clamd.gate.clear()
        server = await started(data, CLAMD_URL=clamd.url, SCAN_POLICY="allow")
        async with client(server) as ann:
            stored = await put(ann, b"keep the light")
            while not clamd.at_gate:
                await asyncio.sleep(0.02)
            assert (await download(ann, stored)).content == b"keep the light"
        assert await asyncio.to_thread(stop, server) == 0
        clamd.gate.set()
        server = await started(data, CLAMD_URL=clamd.url)
        try:
            async with client(server) as ann:
                await until(ann, stored, scan_state="clean")
        finally:
            await asyncio.to_thread(stop, server)


@pytest.mark.parametrize(("on_error", "status"), [("block", 423), ("allow", 200)])
async def test_when_the_scanner_is_away_the_setting_decides(data, on_error, status):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    server = await started(data, CLAMD_URL=url, SCAN_ON_ERROR=on_error)
    try:
        async with client(server) as ann:
            stored = await put(ann, b"keep the light")
            found = await until(ann, stored, scan_state="error")
            assert "clamd" in found["scan_detail"]
            answer = await download(ann, stored)
            assert answer.status_code == status
            assert on_error == "allow" or answer.json()["code"] == "scan-inconclusive"
    finally:
        await asyncio.to_thread(stop, server)


async def test_what_follows_an_upload_without_a_scanner(data):
    server = await started(data)
    try:
        async with client(server) as ann, client(server, "bob") as bob:
            content = picture()
            stored = await put(ann, content, "a.jpg")
            assert stored["scan_state"] == "skipped"
            assert "no scanner" in stored["scan_detail"]
            digest = hashlib.sha256(content)
            await until(ann, stored, sha256=f"sha256:{digest.hexdigest()}")
            told = (await download(ann, stored)).headers["repr-digest"]
            assert told == f"sha-256=:{b64encode(digest.digest()).decode()}:"

            place = f"/api/files/{stored['id']}/thumbnail"
            while (answer := await ann.get(place)).status_code == 202:
                await asyncio.sleep(0.2)
            with Image.open(io.BytesIO(answer.content)) as made:
                assert (made.format, made.size) == ("WEBP", (320, 160))
            assert (await bob.get(place)).status_code == 404
            plain = await put(ann, b"no image")
            assert (await ann.get(f"/api/files/{plain['id']}/thumbnail")).status_code == 404
    finally:
        await asyncio.to_thread(stop, server)


async def test_a_job_is_shown_to_its_owner_and_to_admins(data):
    server = await started(data)
    try:
        async with client(server) as ann:
            content = b"abcdefgh"
            given = {"name": "a", "size": 8, "chunk_size": 4}
            given["checksum"] = "sha256:" + hashlib.sha256(content).hexdigest()
            session = (await ann.post("/api/files/upload/start", json=given)).json()
            place = f"/api/files/upload/{session['session_id']}/chunk"
            for number, piece in (("2", b"efgh"), ("1", b"abcd")):
                headers = {"X-Chunk-Number": number, "Content-Type": "application/octet-stream"}
                answer = await ann.post(place, content=piece, headers=headers)
            job_id = answer.json()["job_id"]
            for name, status in (("ann", 200), ("root", 200), ("bob", 404)):
                async with client(server, name) as http:
                    assert (await http.get(f"/api/jobs/{job_id}")).status_code == status
            while (job := (await ann.get(f"/api/jobs/{job_id}")).json())["status"] != "completed":
                await asyncio.sleep(0.02)
            assert (job["kind"], job["attempts"], job["error"]) == ("verify", 1, None)
            assert (await ann.get("/api/jobs/none")).status_code == 404
    finally:
        await asyncio.to_thread(stop, server)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SCAN_POLICY": "block"}, "CLAMD_URL"),
        ({"CLAMD_URL": "http://localhost"}, "unix://"),
        ({"CLAMD_URL": "unix:relative"}, "unix:/run"),
        ({"SCAN_ON_ERROR": "perhaps"}, "allow"),
    ],
)
def test_what_makes_no_sense_is_told_at_the_start(data, settings, words):
    done = subprocess.run(
        [*HAULIER, "serve", "--port", "0", "--data", data],
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment(), **settings},
        cwd=data,
    )
    assert done.returncode == 2
    assert words in done.stderr
