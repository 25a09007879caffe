"""Archives on their way to a haulier server, through a network that fails, and what a server refuses."""

from __future__ import annotations

import os

import httpx2
import pytest

from haulier.core.checksums import crc64nvme
from haulier.core.records import OperationStatus
from haulier.errors import AccessDenied, ConfigurationError, UsageError
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.doctor import examine
from haulier.journeys.archive.open import SERVER_CHECKS, destination_of, open_archive
from haulier.journeys.archive.upload import retry, upload
from haulier.settings import Settings, settings_table
from haulier.store.wrappers import Retrying
from haulier.testing.faults import Fault, FaultProxy
from server_stores import new_account, store_at

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("at_once")]

MIB = 1 << 20
PART = "^/tus/[0-9a-z]+$"


class Way:
    """An account of a server behind a network that fails on cue."""

    def __init__(self, yard, server, proxy, **account):
        self.yard, self.server, self.proxy = yard, server, proxy
        self.name, self.token = new_account(server, **account)

    async def go(self, work, *, attempts=6):
        bare = store_at(self.proxy.url, self.token)
        store = Retrying(bare, attempts=attempts)
        try:
            async with self.yard.open(store=store) as ctx:
                place = OpenDestination(Destination(root=self.proxy.url), store, SERVER_CHECKS)
                ctx.destination = place

                async def open_destination(_):
                    return place

                ctx.open_destination = open_destination
                return await work(ctx)
        finally:
            await bare.aclose()

    async def upload(self, *names, attempts=6, **options):
        given = self.yard.options(**options)
        return await self.go(lambda ctx: upload(ctx, names, given), attempts=attempts)

    async def retry(self, record):
        (again,) = await self.go(lambda ctx: retry(ctx, [record.operation_id]))
        return again

    def file(self, key="big.bin.tar.gz"):
        (found,) = [one for one in self.ask("/api/files") if one["name"] == key]
        return found

    def ask(self, path):
        return httpx2.get(self.server.url + path, headers=self.headers).json()["items"]

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def bytes_of(self, key="big.bin.tar.gz"):
        url = f"{self.server.url}/api/files/{self.file(key)['id']}/download"
        return httpx2.get(url, headers=self.headers).content

    def taken(self):
        """How many bytes of parts the server has said that it has."""
        return sum(
            one.body_bytes for one in self.proxy.seen if (one.method, one.status) == ("PATCH", 204)
        )


@pytest.fixture
def proxy(files_server):
    with FaultProxy(files_server.url) as made:
        yield made


@pytest.fixture
def way(yard, files_server, proxy):
    return Way(yard, files_server, proxy)


def make(yard, size=20 * MIB, name="big.bin"):
    path = yard.local / name
    path.write_bytes(os.urandom(size))
    return path


def check_whole(way, record):
    assert record.status is OperationStatus.SUCCESS, record.error_message
    content = way.bytes_of(record.s3_object_key)
    assert record.checksum_compressed == f"crc64nvme:{crc64nvme(content):016x}"
    assert record.compressed_size == len(content)
    assert record.metadata["checks"] == ["size", "crc64nvme"]
    assert way.ask("/api/files/upload") == []
    assert (way.yard.completed / record.target_name).exists()


async def test_cut_ten_times(way):
    make(way.yard)
    way.proxy.faults += [
        Fault(method="PATCH", pattern=PART, cut_after=cut)
        for cut in (0, 1, 100_000, 5 * MIB, 8 * MIB - 1, 3, 70_000, MIB, 2 * MIB, 4 * MIB)
    ]
    (record,) = await way.upload("big.bin", attempts=12)
    check_whole(way, record)
    assert not any(fault.times for fault in way.proxy.faults)
    assert way.taken() == record.compressed_size, "each part was taken once"


@pytest.mark.parametrize("skip", [0, 1, 3], ids=["the first part", "a part", "the end"])
async def test_a_lost_answer_costs_no_part(way, skip):
    make(way.yard)
    way.proxy.faults.append(Fault(method="PATCH", pattern=PART, lose_answer=True, skip=skip))
    (record,) = await way.upload("big.bin")
    check_whole(way, record)
    sent = [one.body_bytes for one in way.proxy.seen if one.method == "PATCH" and one.body_bytes]
    assert len(sent) == record.metadata["parts"] == 3


async def test_an_altered_byte_is_noticed_and_the_part_sent_again(way):
    make(way.yard)
    way.proxy.faults.append(Fault(method="PATCH", pattern=PART, corrupt_at=4 * MIB, skip=1))
    (record,) = await way.upload("big.bin")
    check_whole(way, record)
    assert [one.status for one in way.proxy.seen if one.method == "PATCH"].count(460) == 1


async def test_a_busy_server_is_asked_again_when_it_says(way):
    make(way.yard, 1000)
    way.proxy.faults += [
        Fault(method="POST", pattern="^/tus/", status=503, retry_after_s=1),
        Fault(method="PATCH", pattern=PART, status=429, retry_after_s=1),
        Fault(method="HEAD", pattern=PART, status=423),
    ]
    (record,) = await way.upload("big.bin")
    check_whole(way, record)


async def stopped_after(way, parts, size=20 * MIB):
    """Begin an upload that fails for good behind its first `parts` parts."""
    path = make(way.yard, size)
    fault = Fault(method="PATCH", pattern=PART, status=400, skip=parts)
    way.proxy.faults.append(fault)
    (record,) = await way.upload("big.bin", attempts=1, jobs=1)
    assert record.status is OperationStatus.FAILED
    way.proxy.faults.clear()
    return path, record


async def test_what_the_server_has_is_not_sent_again(way):
    _, record = await stopped_after(way, 2)
    done = await way.retry(record)
    check_whole(way, done)
    assert way.taken() == done.compressed_size


async def test_an_upload_that_expired_is_begun_anew(way):
    _, record = await stopped_after(way, 2)
    (under_way,) = way.ask("/api/files/upload")
    headers = {**way.headers, "Tus-Resumable": "1.0.0"}
    httpx2.delete(f"{way.server.url}/tus/{under_way['session_id']}", headers=headers)
    check_whole(way, await way.retry(record))


async def test_a_source_that_changed_behind_what_was_sent_goes_on(way):
    path, record = await stopped_after(way, 1)
    with path.open("ab") as file:
        file.write(b"more")
    done = await way.retry(record)
    check_whole(way, done)


async def test_a_source_that_changed_before_is_sent_anew(way):
    path, record = await stopped_after(way, 2)
    path.write_bytes(os.urandom(20 * MIB))
    done = await way.retry(record)
    check_whole(way, done)


async def test_a_name_taken_meanwhile_is_not_overwritten(way):
    _, record = await stopped_after(way, 3)
    url = f"{way.server.url}/api/content/big.bin.tar.gz"
    assert httpx2.put(url, content=b"theirs", headers=way.headers).status_code == 201
    done = await way.retry(record)
    check_whole(way, done)
    assert done.s3_object_key != "big.bin.tar.gz"
    assert way.bytes_of() == b"theirs"


async def test_a_full_quota_is_told_and_what_is_there_kept(yard, files_server, proxy):
    way = Way(yard, files_server, proxy, quota=12 * MIB)
    make(yard)
    (record,) = await way.upload("big.bin")
    assert record.status is OperationStatus.FAILED
    assert "quota" in record.error_message
    assert (yard.local / "big.bin").exists()
    users = httpx2.get(
        f"{files_server.url}/api/admin/users?limit=1000", headers=files_server.headers("root")
    ).json()["items"]
    (user_id,) = [one["id"] for one in users if one["name"] == way.name]
    httpx2.patch(
        f"{files_server.url}/api/admin/users/{user_id}",
        json={"quota": 100 * MIB},
        headers=files_server.headers("root"),
    ).raise_for_status()
    done = await way.retry(record)
    check_whole(way, done)
    assert way.taken() == done.compressed_size


async def test_a_name_the_server_would_change_is_refused(way):
    make(way.yard, 100, name="back\\slash")
    (record,) = await way.upload("back\\slash")
    assert record.status is OperationStatus.FAILED
    assert "another name" in record.error_message


# --- whose token


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in settings_table():
        monkeypatch.delenv(row.name, raising=False)
    return lambda **flags: Settings.load(data=tmp_path / "data", **flags)


async def refused(settings, to, kind):
    with pytest.raises(kind) as caught:
        async with open_archive(settings, to=to):
            pass
    return f"{caught.value.message} {caught.value.hint}"


async def test_a_token_is_needed_and_must_be_right(files_server, settings):
    told = await refused(settings(), files_server.url, ConfigurationError)
    assert "HAULIER_TOKEN" in told
    told = await refused(settings(HAULIER_TOKEN="s3cret-t0ken"), files_server.url, AccessDenied)
    assert "HAULIER_TOKEN" in told
    assert "s3cret-t0ken" not in told
    _, viewer = new_account(files_server, role="viewer")
    told = await refused(settings(HAULIER_TOKEN=viewer), files_server.url, AccessDenied)
    assert "role" in told


async def test_a_remote_has_a_token_of_its_own(files_server, settings, tmp_path):
    _, token = new_account(files_server)
    (tmp_path / "haulier.toml").write_text(
        f'[remotes.home]\nurl = "{files_server.url}/a/b"\ntoken = "{token}"\n'
    )
    async with open_archive(settings(HAULIER_TOKEN="another"), to="home") as ctx:
        assert ctx.destination.destination.prefix == "a/b/"


@pytest.mark.parametrize(
    ("to", "root", "prefix"),
    [
        ("https://Files.example", "https://files.example", ""),
        ("https://files.example/", "https://files.example", ""),
        ("http://[::1]:8000/a%20b/c/", "http://[::1]:8000", "a b/c/"),
    ],
)
def test_servers_as_destinations(settings, to, root, prefix):
    place = destination_of(settings(), to)
    assert (place.root, place.prefix) == (root, prefix)


@pytest.mark.parametrize(
    "to", ["https://ann:s3cret@host/x", "https://host/x?token=s3cret", "https://host/a/../b"]
)
def test_what_is_no_servers_folder(settings, to):
    with pytest.raises(UsageError) as caught:
        destination_of(settings(), to)
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"


async def test_the_doctor_tells_whose_files_they_are(files_server, settings):
    name, token = new_account(files_server, quota=10 * MIB)
    found = await examine(settings(HAULIER_TOKEN=token), to=files_server.url)
    (server,) = [finding for finding in found if finding.name == "server"]
    assert (server.state, server.detail) == ("ok", f"{name} keeps 0 B of 10 MiB there")
    wrong = await examine(settings(HAULIER_TOKEN="another"), to=files_server.url)
    assert [one.state for one in wrong if one.name == "server"] == ["problem"]
