"""kill -9 at every named point of the journey, then `resume`: nothing lost, nothing orphaned, and
no part sent twice but those that were in flight."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from haulier.store.s3 import S3Store
from haulier.testing.seaweed import SeaweedServer
from server_stores import new_account, store_at

DRIVER = Path(__file__).with_name("crash_driver.py")
JOBS = 3
POINTS = [
    ("planned", 1), ("opened", 1), ("sending", 1), ("part-stored", 1), ("part-stored", 3),
    ("part-stored", 6), ("completing", 1), ("completed", 1), ("verified", 1), ("source-moved", 1),
    ("moved", 1),
]  # fmt: skip


class Journey:
    """One source, its directories, and the driver's environment."""

    def __init__(self, root: Path, size_bytes: int, env: dict[str, str]) -> None:
        self.local = root / "media"
        self.log = root / "stages.log"
        folder = self.local / "recordings"
        folder.mkdir(parents=True)
        dice = random.Random(7)
        left, number = size_bytes, 0
        while left > 0:
            count = min(left, 13_000_001)
            (folder / f"{number:03}.mp4").write_bytes(dice.randbytes(count))
            left, number = left - count, number + 1
        self.digests = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        }
        self.env = {
            **os.environ, "HAULIER_DATA": str(root / "data"), "MGMT_LOCAL_DIR": str(self.local), **env
        }  # fmt: skip

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(DRIVER), *map(str, arguments)],
            env=self.env, capture_output=True, text=True, timeout=900,
        )  # fmt: skip

    def stored_parts(self, verb: str) -> list[str]:
        if not self.log.exists():
            return []
        lines = [line.split(" ") for line in self.log.read_text().splitlines()]
        return [detail for kind, stage, detail in lines if (kind, stage) == (verb, "part-stored")]

    def source_is_complete(self) -> bool:
        return any(
            all((place / n).is_file() and (place / n).stat().st_size for n in self.digests)
            for place in (self.local / "recordings", self.local / "completed" / "recordings")
        )

    def check_finished(self, archive: Path) -> None:
        moved = self.local / "completed" / "recordings"
        assert not (self.local / "recordings").exists()
        for name, digest in self.digests.items():
            assert hashlib.sha256((moved / name).read_bytes()).hexdigest() == digest
        with tarfile.open(archive) as tar:
            for name, digest in self.digests.items():
                content = tar.extractfile(f"recordings/{name}").read()
                assert hashlib.sha256(content).hexdigest() == digest

    def check_nothing_sent_twice(self) -> None:
        first, second = self.stored_parts("upload"), self.stored_parts("resume")
        assert not set(first) & set(second)


@pytest.mark.parametrize(("stage", "number"), POINTS)
def test_local_store_killed_at(tmp_path, stage, number):
    journey = Journey(tmp_path, 64 << 20, {})
    killed = journey.run("upload", journey.log, stage, number)
    assert killed.returncode == -9, killed.stderr
    assert journey.source_is_complete()
    resumed = journey.run("resume", journey.log)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    store = tmp_path / "data" / "store"
    journey.check_finished(store / "recordings.tar.gz")
    journey.check_nothing_sent_twice()
    assert list((store / ".haulier" / "uploads").iterdir()) == []
    assert "recordings" not in journey.run("resume", journey.log).stdout


@pytest.mark.processes
@pytest.mark.parametrize(("stage", "number"), POINTS)
def test_server_killed_at(tmp_path, files_server, stage, number):
    _, token = new_account(files_server)
    env = {"HAULIER_TOKEN": token, "CRASH_TO": f"{files_server.url}/in/there"}
    journey = Journey(tmp_path, 64 << 20, env)
    killed = journey.run("upload", journey.log, stage, number)
    assert killed.returncode == -9, killed.stderr
    assert journey.source_is_complete()
    resumed = journey.run("resume", journey.log)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    open_uploads, kept = asyncio.run(look_at_server(files_server.url, token, tmp_path / "fetched"))
    journey.check_finished(tmp_path / "fetched")
    journey.check_nothing_sent_twice()
    assert open_uploads == []
    assert kept == ["in/there/recordings.tar.gz", "in/there/recordings.tar.gz.index.gz"]


@pytest.mark.servers
@pytest.mark.parametrize(("stage", "number"), POINTS)
def test_s3_killed_at(tmp_path, s3_server, stage, number):
    bucket = s3_server.make_bucket()
    journey = Journey(tmp_path, 64 << 20, s3_environment(s3_server, bucket))
    killed = journey.run("upload", journey.log, stage, number)
    assert killed.returncode == -9, killed.stderr
    assert journey.source_is_complete()
    resumed = journey.run("resume", journey.log)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    asyncio.run(fetch(s3_server, bucket, "recordings.tar.gz", tmp_path / "fetched.tar.gz"))
    journey.check_finished(tmp_path / "fetched.tar.gz")
    journey.check_nothing_sent_twice()
    assert asyncio.run(open_uploads(s3_server, bucket)) == []


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_s3_killed_at_fifty_random_moments(tmp_path):
    dice = random.Random(int(os.environ.get("SOAK_SEED", "1")))
    for set_number in range(5):
        # The server keeps what is deleted for long; a new one keeps the disk from filling.
        root = tmp_path / str(set_number)
        root.mkdir()
        with SeaweedServer(root / "seaweed") as server:
            for round_number in range(10):
                one_random_kill(root / str(round_number), server, dice)
                print(f"round {set_number * 10 + round_number + 1} of 50", flush=True)
        shutil.rmtree(root)


def one_random_kill(root: Path, server: SeaweedServer, dice: random.Random) -> None:
    """Upload 1 GiB, kill it at a random moment, resume it, and compare everything."""
    root.mkdir()
    bucket = server.make_bucket()
    journey = Journey(root, 1 << 30, s3_environment(server, bucket))
    process = subprocess.Popen([sys.executable, DRIVER, "upload", journey.log], env=journey.env)
    time.sleep(dice.uniform(0.3, 12.0))
    process.kill()
    process.wait()
    resumed = journey.run("resume", journey.log)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    if not (journey.local / "completed").exists():  # killed before anything was recorded
        assert journey.run("upload", journey.log).returncode == 0
    asyncio.run(fetch(server, bucket, "recordings.tar.gz", root / "fetched.tar.gz"))
    journey.check_finished(root / "fetched.tar.gz")
    journey.check_nothing_sent_twice()
    assert asyncio.run(open_uploads(server, bucket)) == []
    shutil.rmtree(root)


def s3_environment(server, bucket: str) -> dict[str, str]:
    return {
        "AWS_S3_BUCKET": bucket,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
    }


async def fetch(server, bucket: str, key: str, target: Path) -> None:
    store = S3Store(bucket, access=server.access())
    with target.open("wb") as file:
        async with store.get(key) as pieces:
            async for piece in pieces:
                file.write(piece)
    await store.aclose()


async def open_uploads(server, bucket: str) -> list[str]:
    store = S3Store(bucket, access=server.access())
    found = [upload.key async for upload in store.list_uploads("")]
    await store.aclose()
    return found


async def look_at_server(url: str, token: str, target: Path) -> tuple[list[str], list[str]]:
    """Fetch the archive; return what is under way at the server, and the keys it has."""
    store = store_at(url, token)
    try:
        with target.open("wb") as file:
            async with store.get("in/there/recordings.tar.gz") as pieces:
                async for piece in pieces:
                    file.write(piece)
        under_way = [upload.key async for upload in store.list_uploads()]
        return under_way, [info.key async for info in store.list_objects()]
    finally:
        await store.aclose()
