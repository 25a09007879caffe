"""A session engine on a real catalog and a real directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from haulier.catalog.catalog import Catalog
from haulier.coordination.locks import MemoryLocks
from haulier.core.jobs import new_job
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Order
from haulier.errors import QuotaExceeded
from haulier.transfer.sessions.engine import NewUpload, SessionEngine
from haulier.transfer.sessions.finishing import Finisher, accept_all
from haulier.transfer.sessions.frames import KeyRing
from haulier.transfer.sessions.joining import Joiner
from haulier.transfer.sessions.order import HashesInOrder
from haulier.transfer.sessions.sealed_stage import SealedStage
from haulier.transfer.sessions.stage import DirectoryStage, Durability, LocalStage
from haulier.transfer.sessions.staging import Stage
from haulier.transfer.sessions.sweeping import Sweeper

KEY = b"k" * 32


@dataclass
class Clock:
    moment: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **delta) -> None:
        self.moment += timedelta(**delta)


@dataclass
class Ledger:
    """Hooks that count what is reserved, as an owner's quota would."""

    quota: int = 1 << 40
    reserved: dict[str, int] = field(default_factory=dict)
    strict: bool = True
    files: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)

    def started(self, tx, session):
        if sum(self.reserved.values()) + (session.size_bytes or 0) > self.quota:
            raise QuotaExceeded("over quota")
        self.reserved[session.session_id] = session.size_bytes or 0

    def grew(self, tx, session, size_bytes):
        self.reserved[session.session_id] += size_bytes
        if sum(self.reserved.values()) > self.quota:
            self.reserved[session.session_id] -= size_bytes
            raise QuotaExceeded("over quota")

    def advanced(self, tx, session, received_bytes):
        self.received[session.session_id] = received_bytes

    def verifying(self, tx, session):
        tx.jobs.enqueue(new_job("verify", utc_now(), subject=session.file_id))

    def completed(self, tx, session, whole):
        assert session.file_id not in self.files
        self.files[session.file_id] = (session.name, whole.size_bytes, whole.crc64nvme)
        if self.strict:
            assert self.reserved[session.session_id] == whole.size_bytes
        self._release(session)

    def ended(self, tx, session):
        self._release(session)

    def _release(self, session):
        if self.strict:
            del self.reserved[session.session_id]


@dataclass
class Receiving:
    engine: SessionEngine
    finisher: Finisher
    joiner: Joiner
    sweeper: Sweeper
    stage: Stage
    catalog: Catalog
    ledger: Ledger
    clock: Clock
    hashes: HashesInOrder
    unit: int = 1

    def long(self, data: bytes) -> bytes:
        """Return `data` with each byte as often as the unit says: S3's parts have 5 MiB."""
        return data if self.unit == 1 else b"".join(bytes([one]) * self.unit for one in data)

    def body(self, *pieces: bytes):
        return body_of(*(self.long(piece) for piece in pieces))

    async def start(self, size=10, *, order=Order.CHUNKED, owner="u1", **more):
        new = NewUpload(
            owner_id=owner,
            name="clip.mp4",
            size_bytes=None if size is None else size * self.unit,
            order=order,
            **{name: self._scaled(name, value) for name, value in more.items()},
        )
        return await self.engine.start(new)

    async def put_chunk(self, session_id, number, body, **more):
        scaled = {name: self._scaled(name, value) for name, value in more.items()}
        return await self.engine.put_chunk(session_id, number, body, **scaled)

    async def append(self, session_id, offset, body, **more):
        scaled = {name: self._scaled(name, value) for name, value in more.items()}
        return await self.engine.append(session_id, offset * self.unit, body, **scaled)

    async def offset(self, session_id) -> int:
        return (await self.engine.get(session_id)).offset / self.unit

    async def set_size(self, session_id, size):
        return await self.engine.set_size(session_id, size * self.unit)

    def _scaled(self, name, value):
        is_count = name in {"chunk_size", "length", "size_bytes"} and value is not None
        return value * self.unit if is_count else value

    async def leftovers(self) -> list[str]:
        """Return what lies where unfinished uploads do."""
        if isinstance(self.stage, DirectoryStage):
            return await self.stage.session_ids()
        place = self.stage._place
        uploads = [one.key async for one in place.store.list_uploads(place.prefix)]
        return uploads + [one.key async for one in place.store.list_objects(place.tails_key())]

    async def bytes_of(self, session) -> bytes:
        async with self.stage.read(session.file_id, Span(0, session.size_bytes)) as pieces:
            return b"".join([bytes(piece) async for piece in pieces])


def build(
    root,
    catalog,
    *,
    ledger=None,
    clock=None,
    stage=None,
    durability=Durability.CHUNK,
    now_from_system=False,
    unit=1,
    inspect=accept_all,
    locks=None,
    **more,
):
    """Put the engine together; `now_from_system` where sessions outlive the process."""
    if now_from_system:
        ledger, clock = Ledger(strict=False), utc_now
    ledger, clock = ledger or Ledger(), clock or Clock()
    locks, hashes = locks or MemoryLocks(patience_s=2), HashesInOrder()
    stage = stage or LocalStage(root / "uploads", root / "files", durability=durability)
    shared = {"catalog": catalog, "stage": stage, "locks": locks, "now": clock}
    finisher = Finisher(hashes=hashes, hooks=ledger, inspect=inspect, **shared)
    engine = SessionEngine(finisher=finisher, hashes=hashes, hooks=ledger, **shared, **more)
    joiner = Joiner(finisher=finisher, hooks=ledger, **shared)
    sweeper = Sweeper(finisher=finisher, joiner=joiner, **shared)
    return Receiving(engine, finisher, joiner, sweeper, stage, catalog, ledger, clock, hashes, unit)


def sealed_stage(root, catalog, *, keys=None, durability=Durability.CHUNK):
    return SealedStage(
        root / "uploads",
        root / "files",
        root / "tails",
        catalog=catalog,
        keys=keys or KeyRing.of(KEY),
        durability=durability,
    )


async def body_of(*pieces: bytes):
    for piece in pieces:
        yield piece
