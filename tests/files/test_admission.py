"""Files of some types alone, told by what they are."""

from __future__ import annotations

import io
import zipfile

import pytest

from catalogs import new_sqlite
from haulier.catalog.catalog import Catalog
from haulier.coordination.events import MemoryEventBus
from haulier.core.accounts import Role
from haulier.core.sessions.session import Order, SessionStatus
from haulier.errors import ContentRefused
from haulier.files.accounts import Accounts
from haulier.files.admission import Admission
from haulier.files.events import FileEvents
from haulier.files.reception import Reception
from haulier.media.isolation import Workers
from haulier.transfer.sessions.engine import NewUpload
from haulier.transfer.sessions.stage import Durability, LocalStage
from sessions_engine import body_of, build

pytestmark = pytest.mark.processes  # archives are looked into by workers

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0" + b"\0" * 40
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
PROGRAM = b"\x7fELF\2\1\1" + b"\0" * 200
ALLOWED = ("image/*", "application/pdf", "application/zip", "text/csv", "application/x-hdf")


@pytest.fixture
async def taking(tmp_path):
    """Return a function that uploads bytes under a name, to a server that takes some types."""
    stage = LocalStage(tmp_path / "uploads", tmp_path / "files", durability=Durability.NONE)
    async with (
        await Catalog.open(new_sqlite(tmp_path / "catalog.db")) as catalog,
        Workers() as workers,
    ):
        ann = await Accounts(catalog).add("ann", Role.USER)
        admission = Admission(ALLOWED, stage=stage, workers=workers)
        parts = build(
            tmp_path,
            catalog,
            stage=stage,
            ledger=Reception(FileEvents(MemoryEventBus()), admit=admission.check_claims),
            inspect=admission.check_content,
        )

        async def take(name, data, declared=None):
            session = await parts.engine.start(
                NewUpload(
                    owner_id=ann.user_id,
                    name=name,
                    size_bytes=len(data),
                    order=Order.SEQUENTIAL,
                    mime_type=declared,
                )
            )
            if data:
                session = await parts.engine.append(session.session_id, 0, body_of(data))
            return await parts.engine.complete(session.session_id)

        take.parts, take.ann = parts, ann
        yield take
        await stage.aclose()


def zip_of(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "declared"),
    [
        ("a.png", PNG, "image/png"),
        ("a", PNG, None),
        ("a.bin", PNG, "application/octet-stream"),
        ("a.pdf", PDF, None),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.hdf", b"\0\1\2\3" * 9, None),
        ("empty.png", b"", None),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
async def test_what_is_of_an_allowed_type_is_taken(taking, name, data, declared):
    session = await taking(name, data, declared)
    assert session.status is SessionStatus.COMPLETED


@pytest.mark.parametrize(
    ("name", "declared", "why"),
    [
        ("a.exe", None, "by its name"),
        ("a.png", "application/x-msdownload", "was declared as"),
        ("page.html", "image/png", "text/html by its name"),
        ("a.mp4", None, "video/mp4 by its name"),
    ],
)
async def test_what_claims_another_type_is_refused_before_its_bytes(taking, name, declared, why):
    with pytest.raises(ContentRefused, match=why) as refused:
        await taking(name, PNG, declared)
    assert "image/*" in refused.value.hint
    assert await taking.parts.stage.session_ids() == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", PROGRAM),
        ("a", PROGRAM),
        ("a.png", b"<html><script>alert(1)</script></html>"),
        ("a.png", b"\0\1\2\3" * 9),
        ("a.unknown", b"\0\1\2\3" * 9),
        ("a.csv", b"<!DOCTYPE html><html><body>x</body></html>"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
async def test_what_is_of_another_type_is_refused_and_removed(taking, name, data):
    with pytest.raises(ContentRefused, match=r"is not taken here|not what it claims"):
        await taking(name, data)
    stored = await taking.parts.catalog.read(
        lambda tx: tx.stored.by_owner(taking.ann.user_id, None, 9)
    )
    assert stored == []
    user = await taking.parts.catalog.read(lambda tx: tx.users.get(taking.ann.user_id))
    assert (user.reserved_bytes, user.used_bytes) == (0, 0)
    assert list(taking.parts.stage.path_of("x" * 26).parent.parent.rglob("*.*")) == []


async def test_a_bomb_is_refused_and_an_archive_taken(taking):
    assert (await taking("a.zip", zip_of(one=b"text", two=PNG))).status is SessionStatus.COMPLETED
    bomb = zip_of(**{f"member{number}": b"\0" * (16 << 20) for number in range(5)})
    assert len(bomb) < 1 << 20
    with pytest.raises(ContentRefused, match="decompression bombs"):
        await taking("b.zip", bomb)
    assert (await taking("c.zip", b"PK\5\6" + b"\0" * 18)).status is SessionStatus.COMPLETED


async def test_a_crash_before_the_look_is_made_good_by_the_sweeper(taking):
    """The file lies at its place and nobody looked at it yet."""
    seen = []

    async def crash(session):
        seen.append(session.file_id)
        raise ZeroDivisionError

    finisher = taking.parts.finisher
    inspect, finisher._inspect = finisher._inspect, crash
    with pytest.raises(ZeroDivisionError):
        await taking("a.png", PROGRAM)
    finisher._inspect = inspect
    assert taking.parts.stage.path_of(seen[0]).exists()
    await taking.parts.sweeper.sweep()
    assert not taking.parts.stage.path_of(seen[0]).exists()
