"""What the doctor sees: each trouble by its own finding, with a way out."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from haulier.catalog.catalog import Catalog
from haulier.core.records import utc_now
from haulier.journeys.archive import doctor
from haulier.journeys.archive.api import upload
from haulier.journeys.archive.doctor import examine
from haulier.journeys.recording.manager import OfflineAudioManager
from haulier.journeys.recording.sending import Bucket
from haulier.journeys.recording.syncing import Syncing
from haulier.settings import Settings
from haulier.store.local import LocalStore
from recordings import SetClock, new_id, wav


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Settings of a tidy place; nothing of the environment's own."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MGMT_", "HAULIER_", "DATABASE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()

    def load(**changes):
        values = {"HAULIER_DATA": tmp_path / "data", "MGMT_LOCAL_DIR": tmp_path / "media"}
        return Settings.load(**{**values, **changes})

    load.root = tmp_path
    return load


async def found(settings, **options):
    return {finding.name: finding for finding in await examine(settings, **options)}


async def test_a_tidy_place(place):
    findings = await found(place())
    assert {finding.state for finding in findings.values()} == {"ok"}
    assert "Python 3." in findings["version"].detail
    assert "0 operations" in findings["catalog"].detail
    assert "CRC-64/NVME" in findings["destination"].detail
    assert findings["uploads"].detail == "0 running, 0 interrupted, 0 failed"


async def test_recordings_that_lie_in_the_trash_alone_are_named(place):
    settings, clock = place(), SetClock()
    lost, copied, kept = new_id(), new_id(), new_id()
    async with OfflineAudioManager(settings.recordings_dir, now=clock) as manager:
        for one in (lost, copied, kept):
            await manager.save_recording("ann", one, wav(), "recap")
        await manager.mark_uploaded("ann", copied, location="s3://bucket/key")
        shelf = await manager.shelf_of("ann")
        for one in (lost, copied):
            shelf.set_failed(one, "no luck")
        assert (await found(settings))["recordings"].state == "ok"
        clock.pass_days(8)
        assert await manager.cleanup_old_failed("ann") == 2
    told = (await found(settings))["recordings"]
    assert told.state == "warning"
    assert f"ann/{lost}" in told.detail
    assert copied not in told.detail
    assert "30 days" in told.fix
    # As it says: moved back and synced it is kept.
    home = settings.recordings_dir / "ann"
    for path in list((home / "trash").glob(f"{lost}.*")):
        path.rename(home / "recordings" / path.name)
    async with OfflineAudioManager(settings.recordings_dir, now=clock) as manager:
        async with Syncing(manager, Bucket(LocalStore(str(place.root / "there")), "")) as syncing:
            begun = syncing.begin("ann", await syncing.queue_everything("ann"))
            assert [(await task).error for task in begun.values()] == [None, None]
        assert await manager.cleanup_old_failed("ann") == 0
    assert (await found(settings))["recordings"].state == "ok"


async def test_damaged_metadata_of_recordings_is_named_and_left_alone(place):
    settings, one = place(), new_id()
    async with OfflineAudioManager(settings.recordings_dir) as manager:
        await manager.save_recording("ann", one, wav(), "recap")
    path = settings.recordings_dir / "ann" / "recordings" / f"{one}.json"
    path.write_text("{ half")
    told = (await found(settings))["recordings"]
    assert (told.state, f"ann/{one}.json" in told.detail) == ("warning", True)
    assert path.read_text() == "{ half"


async def test_directories_that_can_not_be_used(place):
    (place.root / "file").write_text("in the way")
    findings = await found(
        place(
            HAULIER_DATA=place.root / "file" / "data",
            MGMT_COMPLETED_DIR=place.root / "file" / "completed",
            MGMT_LOCAL_DIR=place.root / "missing",
        )
    )
    for name, setting in (
        ("data directory", "HAULIER_DATA"),
        ("completed directory", "MGMT_COMPLETED_DIR"),
        ("local directory", "MGMT_LOCAL_DIR"),
    ):
        assert findings[name].state == "problem"
        assert setting in findings[name].fix
    assert findings["catalog"].state == "problem"
    assert (findings["destination"].state, findings["destination"].detail) == (
        "warning",
        "was not looked at",
    )


async def test_the_completed_directory_may_be_off_or_elsewhere(place, small_disk):
    findings = await found(place(MGMT_COMPLETED_ENABLED=False))
    assert findings["completed directory"].detail.startswith("off")
    elsewhere = small_disk.path / "not" / "made" / "yet"
    findings = await found(place(MGMT_COMPLETED_DIR=elsewhere))
    assert "another file system" in findings["completed directory"].detail
    assert not elsewhere.parent.exists()


async def test_a_catalog_that_is_none(place):
    (place.root / "data").mkdir()
    (place.root / "data" / "catalog.db").write_bytes(b"something else" * 500)
    findings = await found(place())
    assert findings["catalog"].state == "problem"
    assert "catalog.db" in findings["catalog"].detail
    assert findings["catalog"].fix


async def test_a_catalog_on_a_network_file_system(place):
    settings = place(HAULIER_DATA="/proc/haulier")
    assert (await found(settings))["catalog"].state == "problem"


async def test_little_space_is_a_warning(place, monkeypatch):
    monkeypatch.setattr(doctor, "_LOW_SPACE_BYTES", 1 << 62)
    finding = (await found(place()))["data directory"]
    assert (finding.state, finding.fix) == ("warning", "Free some space.")


async def test_a_missing_extra_names_what_it_is_for(place, monkeypatch):
    extras = {"psycopg": ("a catalog in PostgreSQL", "postgres"), "no_such": ("magic", "wand")}
    monkeypatch.setattr(doctor, "_EXTRAS", extras)
    finding = (await found(place()))["extra wand"]
    assert finding.state == "warning"
    assert "haulier[wand]" in finding.fix


async def test_interrupted_and_failed_uploads_name_the_command(place):
    settings = place()
    for name in ("a.txt", "b.txt", "c.txt"):
        (place.root / "media" / name).write_text(name)
    (place.root / "media" / "completed").write_text("in the way")
    await upload("a.txt", settings=settings)
    running = asyncio.create_task(upload("b.txt", settings=settings, limit_rate="1K"))
    async with await Catalog.open(settings.catalog_url) as catalog:
        while len(await catalog.read(lambda tx: tx.list_uploads())) < 2:
            await asyncio.sleep(0.01)
        finding = (await found(settings))["uploads"]
        assert finding.detail.startswith("1 running, 0 interrupted, 1 failed")
        assert finding.fix == "Run `haulier retry --failed`."
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finding = (await found(settings))["uploads"]
    assert (finding.state, finding.detail) == ("warning", "0 running, 1 interrupted, 1 failed")
    assert finding.fix == "Run `haulier resume` and `haulier retry --failed`."


async def test_orphans_are_counted(place):
    settings = place()
    path = place.root / "data" / ".haulier-partial-x"
    path.parent.mkdir()
    path.write_text("left behind")
    long_ago = (utc_now() - timedelta(days=2)).timestamp()
    os.utime(path, (long_ago, long_ago))
    finding = (await found(settings))["orphans"]
    assert finding.state == "warning"
    assert finding.detail == "1 older than a day, 0 of them of unknown origin"


async def test_a_destination_that_is_none(place):
    finding = (await found(place(), to="nowhere"))["destination"]
    assert finding.state == "problem"
    assert "nowhere" in finding.detail
    assert "haulier.toml" in finding.fix


@pytest.mark.servers
async def test_a_bucket_answers_and_tells_its_clock(place, s3_server, monkeypatch):
    settings = place(
        AWS_S3_BUCKET=s3_server.make_bucket(), AWS_ENDPOINT_URL=s3_server.endpoint_url,
        AWS_ACCESS_KEY_ID=s3_server.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3_server.secret_access_key,
    )  # fmt: skip
    finding = (await found(settings))["bucket"]
    assert finding.state == "ok"
    assert "clocks differ by" in finding.detail
    monkeypatch.setattr(doctor, "_NOTABLE_SKEW", timedelta(0))
    assert (await found(settings))["bucket"].state == "warning"
    monkeypatch.setattr(doctor, "_REFUSED_SKEW", timedelta(0))
    finding = (await found(settings))["bucket"]
    assert finding.state == "problem"
    assert "NTP" in finding.fix
