from __future__ import annotations

import hashlib
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogs import new_sqlite
from haulier.archive.parts import CutPart
from haulier.catalog.catalog import Catalog
from haulier.catalog.journal import JournalStage, PartRow, UploadJournal
from haulier.core.checksums import crc64nvme
from haulier.core.records import UploadRecord, new_operation_id, utc_now
from haulier.store.base import ObjectOptions, PartReceipt
from haulier.store.local import LocalStore
from haulier.transfer.part_upload import PartSender, combine, is_the_same, survey

MIB = 1 << 20


def row(number, *, tar=MIB, size=1000, md5=None, etag=None):
    return PartRow(
        operation_id="op", number=number, tar_start=(number - 1) * tar, tar_end=number * tar,
        offset=(number - 1) * size, size_bytes=size, md5=md5 or f"{number:032x}",
        crc64nvme=f"{number:016x}", etag=etag,
    )  # fmt: skip


def receipt(number, *, size=1000, etag=None, crc=None):
    return PartReceipt(number=number, size_bytes=size, etag=etag or f"{number:032x}", crc64nvme=crc)


@pytest.mark.parametrize(
    ("listed", "same"),
    [
        (receipt(1), True),
        (receipt(1, size=999), False),
        (receipt(1, etag="f" * 32), False),
        (receipt(1, etag="f" * 32, crc=f"{1:016x}"), True),
        (receipt(1, crc="f" * 16), False),
    ],
)
def test_a_part_is_believed_only_by_size_and_digest(listed, same):
    assert is_the_same(row(1), listed) is same


def test_a_row_without_md5_needs_a_crc():
    bare = row(1, md5=" ")
    assert not is_the_same(PartRow(**{**_values(bare), "md5": ""}), receipt(1, etag=""))


@pytest.mark.parametrize(
    ("acknowledged", "listed", "same"),
    [("e" * 32, "e" * 32, True), ("e" * 32, "f" * 32, False), (None, "e" * 32, False)],
)
def test_a_row_without_md5_is_known_by_the_etag_of_the_answer(acknowledged, listed, same):
    bare = replace(row(1, etag=acknowledged), md5="")
    assert is_the_same(bare, receipt(1, etag=listed)) is same


def _values(part):
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


@pytest.mark.parametrize(
    ("stored", "contiguous", "keep", "missing", "following"),
    [
        ({1, 2, 3}, False, [1, 2, 3], [], 4),
        ({1, 3}, False, [1, 3], [2], 4),
        (set(), False, [], [1, 2, 3], 4),
        ({1, 3}, True, [1], [], 2),
        ({2, 3}, True, [], [], 1),
        ({1, 2}, True, [1, 2], [], 3),
    ],
)
def test_what_is_still_to_be_sent(stored, contiguous, keep, missing, following):
    found = survey(
        [row(1), row(2), row(3)],
        [receipt(number) for number in stored],
        contiguous=contiguous,
        keep_until=10 * MIB,
    )
    assert [r.number for r in found.stored] == keep
    assert [r.number for r in found.missing] == missing
    assert (found.next_number, found.next_start) == (following, (following - 1) * MIB)


def test_parts_behind_a_change_are_sent_again():
    found = survey(
        [row(1), row(2), row(3)], [receipt(n) for n in (1, 2, 3)],
        contiguous=False, keep_until=2 * MIB - 1,
    )  # fmt: skip
    assert [r.number for r in found.stored] == [1]
    assert (found.next_number, found.next_start) == (2, MIB)


@given(st.integers(0, 30), st.sets(st.integers(1, 30)), st.booleans(), st.integers(0, 31 * MIB))
def test_stored_missing_and_following_cover_the_stream_once(count, have, contiguous, keep_until):
    rows = [row(number) for number in range(1, count + 1)]
    listed = [receipt(number) for number in have]
    found = survey(rows, listed, contiguous=contiguous, keep_until=keep_until)
    numbers = sorted(r.number for r in (*found.stored, *found.missing))
    assert numbers == list(range(1, found.next_number))
    assert found.next_start == (found.next_number - 1) * MIB
    assert {r.number for r in found.stored} <= have


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=8))
def test_the_whole_follows_from_the_parts(parts):
    rows = [
        PartRow(
            operation_id="op", number=number, tar_start=0, tar_end=0, offset=0,
            size_bytes=len(data), md5=hashlib.md5(data).hexdigest(),
            crc64nvme=f"{crc64nvme(data):016x}",
        )
        for number, data in enumerate(parts, 1)
    ]  # fmt: skip
    whole = combine(rows)
    joined = b"".join(parts)
    assert whole.crc64nvme == f"{crc64nvme(joined):016x}"
    assert whole.size_bytes == len(joined)
    md5s = b"".join(hashlib.md5(data).digest() for data in parts)
    assert whole.etag_of_md5s == f"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"


def test_etags_stand_in_for_md5s_that_were_not_taken():
    rows = [row(1), replace(row(2, etag=f"{2:032x}"), md5="")]
    assert combine(rows).etag_of_md5s == combine([row(1), row(2)]).etag_of_md5s
    assert combine([rows[0], replace(rows[1], etag="c" * 16)]).etag_of_md5s is None
    assert combine([rows[0], replace(rows[1], etag=None)]).etag_of_md5s is None


class Bytes(bytearray):
    """A buffer that tells when nobody holds it any more."""


class CountedSource:
    """Cuts parts of one buffer each, and refuses to while as many are alive as may be held."""

    def __init__(self, parts, *, may_be_held):
        self.left = list(range(1, parts + 1))
        self.may_be_held = may_be_held
        self.alive = self.cut = self.sent = 0

    def is_below(self, most):
        """Tell whether fewer are alive, once threads that are just done have let go of theirs."""
        until = time.monotonic() + 5
        while self.alive >= most and time.monotonic() < until:
            time.sleep(0.001)
        return self.alive < most

    def next_part(self):
        if not self.left:
            return None
        assert self.cut - self.sent < self.may_be_held
        assert self.is_below(self.may_be_held)
        self.cut += 1
        number = self.left.pop(0)
        data = Bytes(number.to_bytes(1, "big") * 1000)
        self.alive += 1
        weakref.finalize(data, self._gone)
        return CutPart(
            number=number, tar_start=(number - 1) * MIB, tar_end=number * MIB, buffers=[data],
            size_bytes=1000, crc64nvme=crc64nvme(data), segments=b"", digests={},
        )  # fmt: skip

    def _gone(self):
        self.alive -= 1


def begin(operation_id):
    record = UploadRecord(
        operation_id=operation_id, operation_type="upload", target_path="/x", target_name="x",
        started_at=utc_now(),
    )  # fmt: skip
    journal = UploadJournal(
        operation_id=operation_id, stage=JournalStage.SENDING, destination="x", key="k",
        tar_size=12 * MIB, part_bytes=1000, created_at=utc_now(),
    )  # fmt: skip

    def write(tx):
        tx.put_operation(record)
        tx.put_upload(journal)

    return write


class Plain:
    """Seals nothing and holds nothing."""

    def sealed_size(self, plain_bytes):
        return plain_bytes

    def seal_part(self, number, buffers, *, last):
        return [bytes(buffer) for buffer in buffers]


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("seal", [None, Plain()])
async def test_no_more_parts_are_held_than_are_allowed(tmp_path, jobs, seal):
    source = CountedSource(12, may_be_held=jobs)
    store = LocalStore(tmp_path / "store")
    catalog = await Catalog.open(new_sqlite(tmp_path / "catalog.db"))

    async def stored(row):
        source.sent += 1
        if seal is not None:
            assert source.is_below(jobs)  # what was sealed is dropped before it is sent

    try:
        operation_id = new_operation_id()
        await catalog.transaction(begin(operation_id))
        with ThreadPoolExecutor(2) as pool:
            sender = PartSender(
                catalog=catalog, store=store, operation_id=operation_id, key="k",
                upload_id=await store.start_upload("k", ObjectOptions()), tar_size=12 * MIB,
                jobs=jobs, pool=pool, seal=seal, on_stored=stored,
            )  # fmt: skip
            assert await sender.send_all(source, offset=0) == 12_000
    finally:
        await catalog.aclose()
    assert source.sent == 12
