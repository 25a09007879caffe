from __future__ import annotations

import pytest

from haulier.core.records import OperationStatus
from haulier.errors import ObjectArchived
from haulier.journeys.archive.contents import list_members
from haulier.journeys.archive.restore import restore
from haulier.store.s3 import S3Store
from journeys.archives import Recording, Site
from journeys.frozen import glacier_before

pytestmark = pytest.mark.servers


class _Place:
    def __init__(self, store):
        self.store = store


@pytest.fixture(params=[True, False], ids=["class told", "class not told"])
async def frozen(request, yard, s3_server):
    """A site whose one archive rests in Glacier; HEAD tells, or only the refused GET does."""
    bucket = s3_server.make_bucket()
    async with glacier_before(s3_server.endpoint_url, tells_class=request.param) as glacier:
        store = S3Store(bucket, access=s3_server.access(glacier.url))
        checks = await store.probe()
        site = Site(yard, _Place(Recording(store.with_checks(checks))), checks)
        (yard.local / "beach.mp4").write_bytes(b"waves" * 1000)
        await site.upload("beach.mp4")
        glacier.frozen = "beach.mp4.tar.gz"
        yield site, glacier
        await store.aclose()


@pytest.mark.parametrize("member", [None, "beach.mp4"])
async def test_retrieval_is_requested_then_waited_for_then_done(frozen, tmp_path, member):
    site, glacier = frozen
    out = tmp_path / "out"
    async with site.open() as ctx:
        with pytest.raises(ObjectArchived, match="retrieval was requested now") as caught:
            await restore(ctx, "beach.mp4.tar.gz", out=out, member=member)
        assert "Run the same command again" in caught.value.hint
        assert len(glacier.requested) == 1
        assert b"<Days>7</Days>" in glacier.requested[0]
        # The index is no archive: it can be read meanwhile.
        assert len(await list_members(ctx, "beach.mp4.tar.gz")) == 1
        if glacier.tells_class:
            with pytest.raises(ObjectArchived, match="still in progress"):
                await restore(ctx, "beach.mp4.tar.gz", out=out, member=member)
            assert len(glacier.requested) == 1
        glacier.thawed = True
        record = await restore(ctx, "beach.mp4.tar.gz", out=out, member=member)
    assert record.status is OperationStatus.SUCCESS
    assert (out / "beach.mp4").read_bytes() == b"waves" * 1000
