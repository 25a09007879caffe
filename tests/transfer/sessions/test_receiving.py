"""How often what arrived is recorded while more of it comes."""

from __future__ import annotations

from haulier.coordination.locks import MemoryLocks
from haulier.core.records import utc_now
from haulier.core.sessions.session import Order, UploadSession
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.receiving import Receiver
from haulier.transfer.sessions.stage import LocalStage

MIB = 1 << 20


async def recorded(tmp_path, *, mib, mib_per_s):
    """Receive so many MiB at that pace; return at which MiB the catalog was told."""
    offsets, now = [], 0.0

    async def publish(session, settled, _fence):
        current = session.appended(settled.extent, tail=settled.tail)
        offsets.append(current.offset // MIB)
        return current

    async def body():
        nonlocal now
        for _ in range(mib):
            now += 1 / mib_per_s
            yield bytes(MIB)

    session = UploadSession(
        session_id="5e551000", owner_id="u", name="a.bin", size_bytes=mib * MIB, chunk_size=0,
        order=Order.SEQUENTIAL, created_at=utc_now(), expires_at=utc_now(),
    )  # fmt: skip
    stage = LocalStage(tmp_path / "uploads", tmp_path / "files")
    await stage.reserve(session)
    receiver = Receiver(stage, HashesInOrder(), publish, clock=lambda: now)
    async with MemoryLocks().hold("upload") as hold:
        await receiver.receive_run(session, body(), (), hold, None)
    await stage.aclose()
    return offsets


async def test_a_slow_run_is_recorded_every_8_mib(tmp_path):
    assert await recorded(tmp_path, mib=20, mib_per_s=10) == [8, 16, 20]


async def test_a_fast_run_is_recorded_four_times_a_second(tmp_path):
    assert await recorded(tmp_path, mib=150, mib_per_s=256) == [64, 128, 150]
