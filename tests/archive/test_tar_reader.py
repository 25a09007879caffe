from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.tars import member, tar_of
from haulier.archive.entry import Entry, EntryType
from haulier.archive.layout import header
from haulier.archive.reader import open_tar_stream
from haulier.archive.tar_reader import TarReader, mtime_ns, require_agreement
from haulier.errors import CorruptArchive, UnsafeArchive

END = bytes(1024)
NANO = 1_000_000_000


def entries(data):
    reader = TarReader(open_tar_stream(io.BytesIO(data), "none"))
    return [(info, b"".join(reader.content(info)) if info.isreg() else b"") for info in reader]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    "name",
    ["plain.txt", "n" * 300, "d/" * 150 + "deep", "ünï/日本.mp4", "caf\udce9\udcff", "a\nb", "-x"],
)
def test_names_of_any_kind_and_length_come_back(form, name):
    target = "t" * 200 + "\udce9"
    data = tar_of(
        member(name, content=b"content"),
        member("link", kind=tarfile.SYMTYPE, link=target),
        form=form,
    )
    (file, content), (link, _) = entries(data)
    assert (file.name, content) == (name, b"content")
    assert link.linkname == target


@given(st.lists(st.tuples(st.text("ab/\udce9é", min_size=1), st.binary(max_size=1500)), max_size=4))
def test_content_may_be_read_or_left(files):
    files = [(name.strip("/") or "x", content) for name, content in files]
    data = tar_of(*(member(name, content=content) for name, content in files))
    assert [(info.name, content) for info, content in entries(data)] == files
    skimmed = TarReader(open_tar_stream(io.BytesIO(data), "none"))
    assert [info.name for info in skimmed] == [name for name, _ in files]


GOOD = tar_of(member("a", content=b"x" * 700), member("b" * 200, content=b"y" * 3))


@given(st.integers(1, len(GOOD.rstrip(b"\0")) + 511))
def test_a_tar_that_ends_too_early_is_corrupt(at):
    with pytest.raises(CorruptArchive):
        entries(GOOD[:at].rstrip(b"\0") if at % 512 == 0 else GOOD[:at])


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_damaged_first_header_is_corrupt_or_says_the_same(at, change):
    data = bytearray(tar_of(member("a", content=b"x")))
    data[at] ^= change
    try:
        found = entries(bytes(data))
    except (CorruptArchive, UnsafeArchive):
        return
    # Bytes that count for nothing (padding) may differ; the checksum covers all others.
    assert [(info.name, content) for info, content in found] == [("a", b"x")]


def test_rubbish_in_the_middle_does_not_pass_for_the_end():
    first = tar_of(member("a", content=b"x"))[:1024]
    with pytest.raises(CorruptArchive):
        entries(first + b"\xff" * 512 + tar_of(member("b")))


def test_what_follows_the_end_is_read_so_that_damage_there_is_noticed():
    stream = open_tar_stream(io.BytesIO(GOOD + bytes(50_000)), "none", max_bytes=len(GOOD) + 49_999)
    with pytest.raises(CorruptArchive, match="more than"):
        list(TarReader(stream))


@pytest.mark.parametrize(
    "record",
    [
        {"size": "-5"},
        {"size": "99999999999999"},
        {"size": "many"},
        {"mtime": "inf"},
        {"mtime": "nan"},
        {"mtime": "1e300"},
        {"mtime": "-1e300"},
        {"mtime": "99999999999999999999"},
        {"mtime": "-99999999999999999999.5"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"},
    ],
)
def test_hostile_pax_records(record):
    with pytest.raises((CorruptArchive, UnsafeArchive)):
        [mtime_ns(info) for info, _ in entries(pax(record) + tar_of(member("a", content=b"x")))]


def pax(record):
    """Return a pax header of any records, right or not."""
    body = b""
    for name, value in record.items():
        text = f" {name}={value}\n".encode()
        length = len(text) + len(str(len(text)))
        body += f"{length + (len(str(length)) - len(str(len(text))))}".encode() + text
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)


def test_a_header_made_to_exhaust_memory_is_refused():
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(CorruptArchive, match="header of"):
        entries(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", 1_700_000_000 * NANO),
        ("1700000000.000000001", 1_700_000_000 * NANO + 1),
        ("1700000000.5", 1_700_000_000 * NANO + NANO // 2),
        ("1.0000000019", NANO + 1),
        ("-1.25", -NANO - NANO // 4),
        ("-0.000000001", -1),
    ],
)
def test_times_are_exact(text, expected):
    ((info, _),) = entries(tar_of(member("a", mtime=text)))
    assert mtime_ns(info) == expected


KINDS = {
    EntryType.FILE: {"size": 5},
    EntryType.DIRECTORY: {},
    EntryType.SYMLINK: {"link_target": "elsewhere\udce9"},
    EntryType.HARDLINK: {"link_target": "d/other"},
}


@given(
    kind=st.sampled_from(list(KINDS)),
    path=st.text("ab/é\udce9 \n", min_size=1, max_size=300).map(lambda t: "d" + t.rstrip("/")),
    mode=st.integers(0, 0o7777),
    mtime=st.integers(-(10**18), 4 * 10**18),
)
def test_our_headers_say_what_the_index_says(kind, path, mode, mtime):
    entry = Entry(path=path, type=kind, mode=mode, mtime_ns=mtime, **KINDS[kind])
    data = header(entry) + b"12345".ljust(512, b"\0") * (kind is EntryType.FILE) + END
    ((info, _),) = entries(data)
    require_agreement(info, entry)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "b"},
        {"mode": 0o600},
        {"mtime_ns": 1},
        {"size": 2},
        {"type": EntryType.DIRECTORY},
        {"link_target": "x"},
    ],
)
def test_a_member_that_is_not_what_the_index_says(change):
    values = {"path": "a", "type": EntryType.FILE, "mode": 0o644, "size": 1}
    values["mtime_ns"] = 1_700_000_000 * NANO
    ((info, _),) = entries(tar_of(member("a", content=b"x")))
    require_agreement(info, Entry(**values))
    with pytest.raises(CorruptArchive, match="'a'"):
        require_agreement(info, Entry(**(values | change)))
