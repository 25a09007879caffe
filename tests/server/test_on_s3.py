"""The server with its files in a bucket: every way in, downloads, a kill, two servers at once."""

from __future__ import annotations

import io
import random
import secrets
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest
from tusclient import client as tuspy

from haulier.store.base import ObjectOptions
from haulier.store.haulier import HaulierStore
from haulier.testing.faults import FaultProxy
from haulier.testing.store_suite import part_of, read_all
from people import add_user, token_of
from running_server import HAULIER, environment, start, stop

pytestmark = pytest.mark.servers
MIB = 1 << 20
PART = 5 * MIB
DATA = random.Random(11).randbytes(2 * PART + 3 * MIB + 7)


@pytest.fixture(scope="module")
def settings(s3_server):
    return {
        "AWS_S3_BUCKET": s3_server.make_bucket(),
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "AWS_S3_PREFIX": "team",
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("server-on-s3")
    add_user(place, "ann", "user")
    return place


def start_beside(data, settings, **more):
    """Start a server with a directory of its own, on the same catalog and bucket."""
    place = data.with_name(f"{data.name}-{secrets.token_hex(4)}")
    place.mkdir()
    shutil.copy(data / "jwt-secret", place)
    server = start(place, **settings, DATABASE_URL=str(data / "catalog.db"), **more)
    server.data = data
    return server


@pytest.fixture(scope="module")
def servers(data, settings):
    """Two servers on one catalog and one bucket; the second one redirects downloads."""
    running = [start(data, **settings)]
    running.append(start_beside(data, settings, DOWNLOAD_MODE="redirect"))
    yield running
    for one in running:
        stop(one)
    # Nothing of a file ever lay on this machine.
    assert not (data / "files").exists()
    assert not (data / "uploads").exists()


@pytest.fixture(scope="module")
def both(servers):
    clients = [
        httpx2.Client(base_url=one.url, headers=one.headers(), timeout=60) for one in servers
    ]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def http(both):
    return both[0]


@pytest.fixture(scope="module")
def stored(http):
    answer = http.put(
        "/api/content/film/clip.mp4", content=DATA, headers={"Content-Type": "video/mp4"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def download(http, stored):
    answer = http.get(f"/api/files/{stored['id']}/download")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_put_and_its_ranges(http, stored):
    url = f"/api/files/{stored['id']}/download"
    assert download(http, stored) == DATA
    for asked, start_at, end in (("0-0", 0, 1), (f"{PART - 1}-{PART}", PART - 1, PART + 1),
                                 ("-5", len(DATA) - 5, len(DATA))):  # fmt: skip
        answer = http.get(url, headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start_at}-{end - 1}/{len(DATA)}"
        assert answer.content == DATA[start_at:end]
    several = http.get(url, headers={"Range": "bytes=0-3,-3"})
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert DATA[:4] in several.content
    assert DATA[-3:] in several.content
    head = http.head(url)
    assert head.headers["content-length"] == str(len(DATA))
    fresh = http.get(url, headers={"If-None-Match": head.headers["etag"]})
    assert fresh.status_code == 304


def link_to(http, stored):
    """Return a signed address of a file."""
    return http.post(f"/api/files/{stored['id']}/link").json()["url"]


def test_a_download_can_be_left_to_the_store(both, stored, settings):
    url = f"/api/files/{stored['id']}/download"
    answer = both[1].get(url)
    assert (answer.status_code, answer.content) == (307, b"")
    place = answer.headers["location"]
    assert place.startswith(settings["AWS_ENDPOINT_URL"])
    fetched = httpx2.get(place, headers={"Range": "bytes=10-19"})
    assert (fetched.status_code, fetched.content) == (206, DATA[10:20])
    assert fetched.headers["content-type"] == "video/mp4"
    assert fetched.headers["content-disposition"] == 'attachment; filename="clip.mp4"'
    assert both[1].head(url).headers["content-length"] == str(len(DATA))
    assert httpx2.get(place.replace("clip.mp4", "clip.exe")).status_code == 403
    for one in (url, urlsplit(link_to(both[1], stored)).path):
        assert both[1].get(one).status_code == 307
        answer = both[1].get(one, params={"redirect": False}, headers={"Range": "bytes=10-19"})
        assert (answer.status_code, answer.content) == (206, DATA[10:20])
    saved = both[1].get(one, params={"inline": False}, follow_redirects=True)
    assert saved.headers["content-disposition"] == 'attachment; filename="clip.mp4"'


def test_chunks_go_to_either_server(both):
    started = (
        both[0]
        .post(
            "/api/files/upload/start", json={"name": "clip.mp4", "size": len(DATA), "chunk_size": 1}
        )
        .json()
    )
    assert (started["chunk_size"], started["total_chunks"]) == (PART, 3)

    def put(number):
        return both[number % 2].post(
            f"/api/files/upload/{started['session_id']}/chunk",
            content=DATA[(number - 1) * PART : number * PART],
            headers={"X-Chunk-Number": str(number)},
        )

    assert put(3).json()["missing_count"] == 2
    assert put(3).status_code == 200
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(put, (1, 2)))
    assert sorted(one.status_code for one in answers) == [200, 201]
    done = next(one.json() for one in answers if one.status_code == 201)
    assert download(both[0], done["file"]) == DATA


def test_the_chunked_api_with_forms(http):
    started = http.post(
        "/upload/chunked/init", json={"file_name": "a.wav", "file_size": PART + 3}
    ).json()
    url = f"/upload/chunked/{started['file_id']}"
    for number, piece in ((2, DATA[PART : PART + 3]), (1, DATA[:PART])):
        answer = http.post(
            f"{url}/chunk", data={"chunk_number": str(number)}, files={"file": ("x", piece)}
        )
        assert answer.status_code == 200, answer.text
    done = http.post(f"{url}/complete").json()
    assert done["status"] == "completed"
    assert download(http, {"id": done["file_id"]}) == DATA[: PART + 3]


def test_a_resumable_upload_goes_on_at_the_other_server(both):
    made = both[0].post("/resumable/", headers={"Upload-Complete": "?0"})
    path = urlsplit(str(made.url.join(made.headers["location"]))).path
    offset = 0
    for number, size in enumerate((MIB, PART, len(DATA))):
        piece = DATA[offset : offset + size]
        offset += len(piece)
        answer = both[number % 2].patch(
            path,
            content=piece,
            headers={
                "Content-Type": "application/partial-upload",
                "Upload-Offset": str(offset - len(piece)),
                "Upload-Complete": "?1" if offset == len(DATA) else "?0",
            },
        )
        assert answer.status_code in {204, 201}, answer.text
    assert download(both[0], answer.json()) == DATA


@pytest.mark.parametrize("chunk_size", [MIB, len(DATA)])
def test_tuspy_with_small_and_large_requests(servers, http, chunk_size):
    client = tuspy.TusClient(f"{servers[0].url}/tus/", headers=servers[0].headers())
    uploader = client.uploader(
        file_stream=io.BytesIO(DATA), chunk_size=chunk_size, metadata={"filename": "clip.mp4"},
        upload_checksum=chunk_size == MIB,
    )  # fmt: skip
    uploader.upload()
    assert http.get(uploader.url).content == DATA


TUS = {"Tus-Resumable": "1.0.0"}


def send_parts(client, *sizes):
    """Send the first bytes of DATA as uploads of those sizes; return their paths."""
    paths, at = [], 0
    for size in sizes:
        made = client.post(
            "/tus/",
            content=DATA[at : at + size],
            headers={
                **TUS,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Length": str(size),
                "Upload-Concat": "partial",
            },
        )
        assert made.status_code == 201, made.text
        paths.append(urlsplit(str(made.url.join(made.headers["location"]))).path)
        at += size
    return paths


def join(client, paths):
    named = {"Upload-Concat": f"final;{' '.join(paths)}"}
    made = client.post("/tus/", headers={**TUS, **named})
    assert made.status_code == 201, made.text
    return urlsplit(str(made.url.join(made.headers["location"]))).path


def joined(client, path):
    """Wait until the file is there; return it."""
    deadline = time.monotonic() + 120
    while (answer := client.get(path)).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("sizes", [(PART, PART + MIB, MIB, 7), (3, 2, MIB)])
def test_parts_are_joined_in_the_bucket(both, sizes):
    http, other = both
    assert "concatenation" in http.options("/tus/").headers["tus-extension"].split(",")
    paths = send_parts(http, *sizes)
    final = join(other, paths)
    for path in paths:
        assert http.delete(path, headers=TUS).status_code == 204
    assert joined(http, final) == DATA[: sum(sizes)]


def test_a_server_killed_while_it_joins_does_it_when_it_is_back(data, settings, both):
    doomed = start_beside(data, settings)
    with httpx2.Client(base_url=doomed.url, headers=doomed.headers(), timeout=60) as client:
        paths = send_parts(client, PART + 5, PART, MIB)
        final = join(client, paths)
        stop(doomed, signal.SIGKILL)
    # Nobody looks after it before the next one starts.
    back = start_beside(data, settings)
    with httpx2.Client(base_url=back.url, headers=back.headers(), timeout=60) as client:
        assert joined(client, final) == DATA[: 2 * PART + 5 + MIB]
        told = client.head(final, headers=TUS).headers
        assert told["upload-length"] == told["upload-offset"] == str(2 * PART + 5 + MIB)
    stop(back)


def test_a_killed_server_leaves_uploads_that_another_goes_on_with(data, settings, both):
    """The catalog and the bucket are all that the next server needs."""
    doomed = start_beside(data, settings)
    headers = {**doomed.headers(), "Tus-Resumable": "1.0.0"}
    made = httpx2.post(f"{doomed.url}/tus/", headers={**headers, "Upload-Length": str(len(DATA))})
    path = urlsplit(str(made.url.join(made.headers["location"]))).path
    octets = {"Content-Type": "application/offset+octet-stream"}
    with httpx2.Client(base_url=doomed.url, headers=headers, timeout=60) as client:
        first = client.patch(
            path, content=DATA[: PART + 99], headers={**octets, "Upload-Offset": "0"}
        )
        assert first.headers["upload-offset"] == str(PART + 99)

        def slowly():
            yield DATA[PART + 99 : PART + 99 + MIB]
            stop(doomed, signal.SIGKILL)
            yield DATA[PART + 99 + MIB :]

        with pytest.raises(httpx2.HTTPError):
            client.patch(
                path, content=slowly(), headers={**octets, "Upload-Offset": str(PART + 99)}
            )
    version = {"Tus-Resumable": "1.0.0"}
    offset = int(both[1].head(path, headers=version).headers["upload-offset"])
    assert offset >= PART + 99
    done = both[1].patch(
        path, content=DATA[offset:], headers={**version, **octets, "Upload-Offset": str(offset)}
    )
    assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(DATA)))
    assert both[0].get(path, headers=version).content == DATA


def test_a_bucket_is_refused_where_files_lie_in_the_directory(tmp_path, settings):
    (tmp_path / "files" / "ab").mkdir(parents=True)
    refused = subprocess.run(
        [*HAULIER, "serve", "--port", "0", "--data", tmp_path],
        capture_output=True,
        text=True,
        env={**environment(), **settings},
        cwd=tmp_path,
    )
    assert refused.returncode == 2
    assert "AWS_S3_BUCKET" in refused.stderr


async def test_archives_go_there_part_by_part_and_come_back_from_either_server(data, servers):
    """As `haulier upload --to https://server` does it; parts are not those of the bucket."""
    token = token_of(data, "ann")
    sizes = [8 * MIB + 11, 3 * MIB, 9 * MIB, 17]
    pieces = [random.Random(size).randbytes(size) for size in sizes]
    parts, offset = [], 0
    for number, piece in enumerate(pieces, 1):
        parts.append(part_of(piece, number, offset))
        offset += len(piece)
    first, second = (HaulierStore.at(server.url, token) for server in servers)
    try:
        upload_id = await first.start_upload("a/b.tar", ObjectOptions())
        sent = [await first.put_part("a/b.tar", upload_id, part) for part in parts[:2]]
        # Another process, at another server, goes on.
        assert await second.list_parts("a/b.tar", upload_id, sent=sent) == sent
        sent += [await second.put_part("a/b.tar", upload_id, part) for part in parts[2:]]
        await second.complete_upload("a/b.tar", upload_id, sent, if_none_match=True)
        for store in (first, second):
            assert await read_all(store, "a/b.tar") == b"".join(pieces)
            assert await read_all(store, "a/b.tar", start=MIB, end=MIB + 9) == pieces[0][MIB:][:9]
    finally:
        await first.aclose()
        await second.aclose()


def test_readiness_tells_whether_the_bucket_answers(tmp_path, settings):
    with ExitStack() as stack:
        proxy = FaultProxy(settings["AWS_ENDPOINT_URL"])
        with proxy:
            server = start(tmp_path, **{**settings, "AWS_ENDPOINT_URL": proxy.url})
            stack.callback(stop, server)
            ready = httpx2.get(f"{server.url}/health/ready")
            assert ready.status_code == 200
            checks = ready.json()["checks"]
            assert checks == dict.fromkeys(("catalog", "bucket", "storage"), "ok")
            assert any(one.target.endswith("/files/none") for one in proxy.seen)
        until = time.monotonic() + 60
        while (ready := httpx2.get(f"{server.url}/health/ready")).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert (ready.status_code, ready.json()["code"]) == (503, "not-ready")
        assert ready.headers["retry-after"]
        assert ready.json()["checks"]["bucket"] in {"connection-lost", "timed-out"}
