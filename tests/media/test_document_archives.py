"""Archives are listed and never opened; bombs are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile

import document_samples as samples
import pytest
import pytest_asyncio
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from haulier.errors import MediaError, MediaTooDemanding, UnreadableMedia, UnsupportedMedia
from haulier.media.archive_listing import is_unsafe
from haulier.media.documents import ArchiveLimits, list_archive
from haulier.media.isolation import Workers

PACKERS = {
    "": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    # Two frames, as tools that pack in parallel write.
    "zst": lambda data: b"".join(
        zstandard.compress(piece) for piece in (data[: len(data) // 2], data[len(data) // 2 :])
    ),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers():
    async with Workers(count=1) as pool:
        yield pool


def tar_with(*members: tarfile.TarInfo, content: bytes = b"", form=tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def write(folder, name: str, data: bytes):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
async def test_a_tar_is_listed_however_it_is_packed(tmp_path, workers, packing, form):
    long_name = "d/" + "ж" * 150
    data = tar_with(
        member("d", tarfile.DIRTYPE), member(long_name), member("d/b.zip"),
        member("d/l", tarfile.SYMTYPE, "b.zip"), member("d/h", tarfile.LNKTYPE, "d/b.zip"),
        member("d/p", tarfile.FIFOTYPE), content=b"x" * 3000, form=form,
    )  # fmt: skip
    packed = PACKERS[packing](data)
    listing = await list_archive(write(tmp_path, "a", packed), workers=workers)
    assert listing.format == (f"tar.{packing}" if packing else "tar")
    assert [(entry.name, entry.kind, entry.size_bytes) for entry in listing.entries] == [
        ("d", "directory", 0), (long_name, "file", 3000), ("d/b.zip", "file", 3000),
        ("d/l", "symlink", 0), ("d/h", "hardlink", 0), ("d/p", "other", 0),
    ]  # fmt: skip
    assert listing.total_size_bytes == 6000
    assert listing.ratio == round(6000 / len(packed), 2)
    assert listing.nested == ("d/b.zip",)
    assert not listing.unsafe_names
    assert not listing.encrypted


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("packing", [each for each in PACKERS if each])
async def test_a_single_packed_file_is_listed(tmp_path, workers, packing):
    data = b"some words\n" * 5000
    listing = await list_archive(
        write(tmp_path, f"notes.txt.{packing}", PACKERS[packing](data)), workers=workers
    )
    assert listing.format == packing
    assert [(entry.name, entry.size_bytes) for entry in listing.entries] == [
        ("notes.txt", len(data))
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_zip_is_listed(tmp_path, workers):
    data = samples.zip_with({"a/": b"", "a/b.txt": b"x" * 900, "c.tar.gz": b"y", "ж.txt": b""})
    listing = await list_archive(write(tmp_path, "a.bin", data), workers=workers)
    assert listing.format == "zip"
    assert [(entry.name, entry.kind, entry.size_bytes) for entry in listing.entries] == [
        ("a/", "directory", 0), ("a/b.txt", "file", 900), ("c.tar.gz", "file", 1), ("ж.txt", "file", 0),
    ]  # fmt: skip
    assert (listing.total_size_bytes, listing.nested, listing.encrypted) == (
        901,
        ("c.tar.gz",),
        False,
    )
    behind_a_program = write(tmp_path, "setup.exe", b"MZ" + bytes(700) + data)
    assert (await list_archive(behind_a_program, workers=workers)).entries == listing.entries


@pytest.mark.asyncio(loop_scope="module")
async def test_an_encrypted_entry_is_told(tmp_path, workers):
    data = bytearray(samples.zip_with({"a": b"x", "b": b"y"}))
    flags_at = data.rindex(b"PK\x01\x02") + 8
    data[flags_at] |= 1
    listing = await list_archive(write(tmp_path, "a.zip", data), workers=workers)
    assert listing.encrypted
    assert [entry.is_encrypted for entry in listing.entries] == [False, True]


@pytest.mark.asyncio(loop_scope="module")
async def test_names_that_lead_out_are_told(tmp_path, workers):
    names = ["../a", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "\\\\host\\x"]
    listing = await list_archive(
        write(tmp_path, "a.zip", samples.zip_with({"ok": b"", **dict.fromkeys(names, b"")})),
        workers=workers,
    )
    assert list(listing.unsafe_names) == names
    links = [
        member("good", tarfile.SYMTYPE, "d/x"), member("d/good", tarfile.SYMTYPE, "../x"),
        member("out", tarfile.SYMTYPE, "../x"), member("d/far", tarfile.SYMTYPE, "a/../../../x"),
        member("root", tarfile.SYMTYPE, "/x"), member("hard", tarfile.LNKTYPE, "../x"), member("../f"),
    ]  # fmt: skip
    listing = await list_archive(write(tmp_path, "a.tar", tar_with(*links)), workers=workers)
    assert listing.unsafe_names == ("out", "d/far", "root", "hard", "../f")


@given(st.lists(st.sampled_from(["a", "b c", "..a", "ж"]), min_size=1).map("/".join))
def test_ordinary_names_are_safe(name):
    assert not is_unsafe(name)
    assert is_unsafe("../" + name)
    assert is_unsafe(name + "/..")
    assert is_unsafe("/" + name)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("make", [samples.overlapping_zip, samples.quoting_zip])
async def test_entries_that_overlap_are_a_bomb(tmp_path, workers, make):
    data = make()
    with pytest.raises(MediaTooDemanding, match="overlap, as zip bombs do"):
        await list_archive(write(tmp_path, "a.zip", data), workers=workers)
    honest = await list_archive(
        write(tmp_path, "b.zip", make(0 if "quot" in make.__name__ else 1)), workers=workers
    )
    assert len(honest.entries) == 1


@pytest.mark.asyncio(loop_scope="module")
async def test_too_much_is_refused(tmp_path, workers):
    zeros = bytes(80 << 20)
    bomb = write(tmp_path, "bomb.zip", samples.zip_with({"zeros": zeros}))
    with pytest.raises(MediaTooDemanding, match=r"bomb\.zip would unpack to \d+ times its size"):
        await list_archive(bomb, workers=workers)
    listing = await list_archive(bomb, workers=workers, limits=ArchiveLimits(max_ratio=2000))
    assert 900 < listing.ratio < 1100
    with pytest.raises(MediaTooDemanding, match="at most 1000 are allowed"):
        await list_archive(bomb, workers=workers, limits=ArchiveLimits(max_total_bytes=1000))
    many = write(tmp_path, "many.tar", tar_with(*(member(str(n)) for n in range(11))))
    with pytest.raises(MediaTooDemanding, match="more than 10 entries"):
        await list_archive(many, workers=workers, limits=ArchiveLimits(max_members=10))
    assert (
        len(
            (
                await list_archive(many, workers=workers, limits=ArchiveLimits(max_members=11))
            ).entries
        )
        == 11
    )
    for packing in ("gz", "zst"):
        packed = write(tmp_path, f"zeros.{packing}", PACKERS[packing](b"\1" + zeros))
        with pytest.raises(MediaTooDemanding, match="times its size"):
            await list_archive(packed, workers=workers)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_tar_that_promises_too_much_is_refused_before_it_is_unpacked(tmp_path, workers):
    huge = tarfile.TarInfo("huge")
    huge.size = 1 << 50
    path = write(tmp_path, "a.tar.gz", gzip.compress(huge.tobuf() + bytes(10_000)))
    with pytest.raises(MediaTooDemanding, match="would unpack to 1125899906842624 bytes"):
        await list_archive(path, workers=workers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
async def test_a_header_that_asks_for_much_memory_is_refused(tmp_path, workers, kind):
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 3 << 30
    path = write(tmp_path, "a.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(UnreadableMedia, match="header has 3221225472 bytes"):
        await list_archive(path, workers=workers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "data",
    [
        tar_with(member("a"), member("b"), content=bytes(3000))[:4000],
        tar_with(member("a"), member("b"), content=bytes(3000))[:1500],
        gzip.compress(tar_with(member("a"), content=random.Random(1).randbytes(9000)))[:-2000],
        lzma.compress(random.Random(1).randbytes(9000))[:-200],
        zstandard.compress(random.Random(1).randbytes(9000))[:-200],
        samples.zip_with({"a": b"b"})[:-8],
        b"PK\x03\x04" + bytes(200),
        struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, 999, 0, 0),
    ],
)
async def test_an_archive_cut_short_is_unreadable(tmp_path, workers, data):
    with pytest.raises(UnreadableMedia, match=r"a\.bin is damaged or ends too early"):
        await list_archive(write(tmp_path, "a.bin", data), workers=workers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(60), "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(60), "a RAR archive"),
        (b"hello", "no archive that haulier knows"),
    ],
)
async def test_other_archives_are_told_apart(tmp_path, workers, data, words):
    with pytest.raises(UnsupportedMedia, match=words):
        await list_archive(write(tmp_path, "a.bin", data), workers=workers)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("packing", ["", "gz", "zst", "zip"])
async def test_damage_ends_in_an_error_of_ours_or_a_listing(tmp_path, workers, packing):
    tar = tar_with(member("a"), member("d/" + "b" * 200), content=bytes(700))
    data = (
        samples.zip_with({"a": b"x" * 99, "b": b""}) if packing == "zip" else PACKERS[packing](tar)
    )
    told: list[str] = []
    chance = random.Random(packing)
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[chance.randrange(len(data))] = chance.randrange(256)
        try:
            await list_archive(write(tmp_path, "a", damaged), workers=workers)
        except MediaError as error:
            told.append(error.message)
    assert told
    assert not any(str(tmp_path) in message for message in told)
