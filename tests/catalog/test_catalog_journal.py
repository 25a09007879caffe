import dataclasses
from datetime import timedelta

import pytest
from samples_catalog import NOON, operation

from haulier.catalog.journal import JournalStage, PartRow, UploadJournal
from haulier.errors import CatalogError

ID = operation().operation_id
MINUTE = timedelta(minutes=1)


def journal(number=0, **changes):
    fields = {
        "operation_id": operation(number).operation_id,
        "stage": JournalStage.PLANNED,
        "destination": "s3://media/caf\udce9",
        "key": "clip\n.tar.gz",
        "tar_size": 5 << 40,
        "part_bytes": 1 << 33,
        "options": {"sse": None, "metadata": {"a": "\udcff"}},
        "created_at": NOON + number * MINUTE,
    }
    return UploadJournal(**fields | changes)


def part(number, **changes):
    fields = {
        "operation_id": ID,
        "number": number,
        "tar_start": number << 40,
        "tar_end": number + 1 << 40,
        "offset": number << 39,
        "size_bytes": 1 << 39,
        "md5": "0" * 32,
        "crc64nvme": "f" * 16,
        "segments": bytes(range(256)),
        "digests": {"a\udcffb": "sha256:00"},
    }
    return PartRow(**fields | changes)


@pytest.fixture
async def started(catalog):
    def begin(tx):
        for number in range(3):
            tx.put_operation(operation(number))
            tx.put_upload(journal(number))

    await catalog.transaction(begin)
    return catalog


async def test_a_journal_comes_back_and_changes(started):
    assert await started.read(lambda tx: tx.get_upload(ID)) == journal()
    later = journal(stage=JournalStage.SENDING, upload_id="u", options={})
    await started.transaction(lambda tx: tx.put_upload(later))
    assert await started.read(lambda tx: tx.get_upload(ID)) == later
    assert await started.read(lambda tx: tx.get_upload("nothing")) is None


async def test_journals_are_listed_by_stage_oldest_first(started):
    sending = journal(1, stage=JournalStage.SENDING)
    await started.transaction(lambda tx: tx.put_upload(sending))

    def listed(stages):
        return started.read(lambda tx: tx.list_uploads(stages))

    assert await listed(None) == [journal(0), sending, journal(2)]
    assert await listed([JournalStage.SENDING, JournalStage.MOVED]) == [sending]
    assert await listed({JournalStage.PLANNED}) == [journal(0), journal(2)]
    assert await listed([]) == []


async def test_a_journal_needs_its_operation(catalog):
    with pytest.raises(CatalogError):
        await catalog.transaction(lambda tx: tx.put_upload(journal()))
    assert await catalog.read(lambda tx: tx.list_uploads()) == []


async def test_the_operation_may_follow_within_the_transaction(catalog):
    def reversed_order(tx):
        tx.put_part(part(1))
        tx.put_plan(ID, b"plan")
        tx.put_upload(journal())
        tx.put_operation(operation())

    await catalog.transaction(reversed_order)
    assert await catalog.read(lambda tx: tx.get_parts(ID)) == [part(1)]


async def test_parts(started):
    def put(tx):
        for number in (3, 1, 2, 10):
            tx.put_part(part(number))

    def parts():
        return started.read(lambda tx: tx.get_parts(ID))

    await started.transaction(put)
    assert await parts() == [part(1), part(2), part(3), part(10)]
    await started.transaction(lambda tx: tx.mark_part_stored(ID, 2, "etag"))
    await started.transaction(lambda tx: tx.put_part(part(3, size_bytes=9)))
    assert await parts() == [part(1), part(2, etag="etag"), part(3, size_bytes=9), part(10)]
    await started.transaction(lambda tx: tx.delete_parts(ID, from_number=3))
    assert await parts() == [part(1), part(2, etag="etag")]
    await started.transaction(lambda tx: tx.delete_parts(ID))
    assert await parts() == []


async def test_deleting_a_journal_takes_all_but_the_index(started):
    other = operation(1).operation_id

    def put(tx):
        for operation_id in (ID, other):
            tx.put_plan(operation_id, b"plan\0")
            tx.put_index(operation_id, b"index\0")
            tx.put_part(part(1, operation_id=operation_id))
        tx.put_plan(ID, b"another plan")

    await started.transaction(put)
    assert await started.read(lambda tx: tx.get_plan(ID)) == b"another plan"
    await started.transaction(lambda tx: tx.delete_upload(ID))

    def left(operation_id):
        return started.read(
            lambda tx: (
                tx.get_upload(operation_id) is not None,
                tx.get_plan(operation_id),
                len(tx.get_parts(operation_id)),
                tx.get_index(operation_id),
            )
        )

    assert await left(ID) == (False, None, 0, b"index\0")
    assert await left(other) == (True, b"plan\0", 1, b"index\0")


async def test_the_lease(started):
    def claim(owner, now, stale_before):
        return started.transaction(lambda tx: tx.claim_upload(ID, owner, now, stale_before))

    def beat(owner, now):
        return started.transaction(lambda tx: tx.heartbeat(ID, owner, now))

    long_ago = NOON - MINUTE
    assert await claim("ann", NOON, long_ago)
    assert not await claim("bob", NOON, long_ago)
    assert not await claim("bob", NOON, NOON)  # not older than
    assert await claim("ann", NOON, long_ago)
    assert not await beat("bob", NOON + MINUTE)
    assert await beat("ann", NOON + MINUTE)
    assert not await claim("bob", NOON + MINUTE, NOON + MINUTE / 2)
    assert await claim("bob", NOON + 3 * MINUTE, NOON + 2 * MINUTE)
    assert not await beat("ann", NOON + 3 * MINUTE)
    await started.transaction(lambda tx: tx.release_upload(ID, "ann"))
    assert not await claim("ann", NOON + 3 * MINUTE, NOON + 2 * MINUTE)
    await started.transaction(lambda tx: tx.release_upload(ID, "bob"))
    assert await claim("ann", NOON, long_ago)
    assert not await started.transaction(
        lambda tx: tx.claim_upload("nothing", "ann", NOON, long_ago)
    )


async def test_writing_the_journal_leaves_the_lease_alone(started):
    await started.transaction(lambda tx: tx.claim_upload(ID, "ann", NOON, NOON - MINUTE))
    await started.transaction(lambda tx: tx.put_upload(journal(stage=JournalStage.SENDING)))
    assert await started.read(lambda tx: tx.get_upload(ID)) == journal(
        stage=JournalStage.SENDING, owner="ann", heartbeat_at=NOON
    )


async def test_a_new_journal_may_come_with_its_lease(catalog):
    leased = dataclasses.replace(journal(), owner="ann", heartbeat_at=NOON)

    def begin(tx):
        tx.put_operation(operation())
        tx.put_upload(leased)

    await catalog.transaction(begin)
    assert await catalog.read(lambda tx: tx.get_upload(ID)) == leased


async def test_what_an_endpoint_checks_is_remembered_for_a_while(catalog):
    checks = {"crc64nvme": True, "etag_is_md5": False, "if_none_match": True}
    await catalog.transaction(lambda tx: tx.put_checks("http://s3", {}, NOON - MINUTE))
    await catalog.transaction(lambda tx: tx.put_checks("http://s3", checks, NOON))
    assert await catalog.read(lambda tx: tx.get_checks("http://s3", NOON - MINUTE)) == checks
    assert await catalog.read(lambda tx: tx.get_checks("http://s3", NOON)) is None
    assert await catalog.read(lambda tx: tx.get_checks("http://other", NOON - MINUTE)) is None
