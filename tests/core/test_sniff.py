"""Types by content, on bytes written by hand; real files are tried in tests/media/test_types.py."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.sniff import HEAD_BYTES, Certainty, FileKind, sniff

ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
BEGINNINGS = [
    b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"OggS\0\x02", b"RIFF",
    b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"ID3\x04\0\0", b"\xff\xfb",
    b"\xff\xf1", b"\x47", b"<!--", b"<?xml", b"<!DOCTYPE", b"{", b"[", b"MZ", b"BM", b"\0\0\x01\0",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), b"\xff\xfe", b"a,b\n", b"\0\0\0\x08moov",
]  # fmt: skip


def type_of(head, tail=b"", **more):
    found = sniff(head, tail, **more)
    return None if found is None else found.mime_type


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=400), st.binary(max_size=100))
def test_no_bytes_make_it_fail(beginning, middle, tail):
    sniff(beginning + middle, tail)
    sniff(middle)


def test_hostile_beginnings_take_no_time_to_speak_of():
    """Each would be slow if anything were tried again from every place."""
    for piece in (b"<!--", b"<!-->", b"<?", b"[", b'{"a":', b"PK\x03\x04", b"PK\x01\x02", b"\xae\x80",
                  b"<!DOCTYPE [", b'a,"b\n', b"P1 # \n", b"hdlr", b"moov"):  # fmt: skip
        data = piece * (HEAD_BYTES // len(piece))
        sniff(data, data)
        sniff(b"\x1a\x45\xdf\xa3" + data)


def test_nothing_known_is_none():
    assert sniff(b"") is None
    assert sniff(bytes(512)) is None
    assert sniff(random.Random(5).randbytes(4096)) is None


def test_certainty():
    assert sniff(b"%PDF-1.7").certainty is Certainty.CERTAIN
    assert sniff(b"\r\n\xe2\r\n%PDF-1.7").certainty is Certainty.LIKELY
    assert sniff(b"plain words").certainty is Certainty.GUESSED
    assert sniff(b"plain words").kind is FileKind.TEXT


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"the free ship sails", "text/plain"),
        (b"MAC addresses are six bytes long", "text/plain"),
        (b"MZ is how programs of DOS begin, and this sentence begins so too", "text/plain"),
        (b"BM are two letters", "text/plain"),
        (b"P1 and P2 are ports", "text/plain"),
        (b"ID3 is a tag", "text/plain"),
        (b"G" * 2000, "text/plain"),
        (b"070701 was a fine day", "text/plain"),
        (b"Dear Ada,\n\nthe ship sails at noon, as planned.\n", "text/plain"),
        (b"<this is no markup>", "text/plain"),
        (b"[ ] wash\n[x] dry\n", "text/plain"),
        ("Привет".encode()[:-1], "text/plain"),
        (b"a;b;c\n1;2;3\n4;5;6\n", "text/csv"),
        (b"a\tb\n1\t2\n4\t5\n", "text/tab-separated-values"),
        (b"a,b\n1,2\n3,4,5\n", "text/plain"),
        (b"word \xe9t\xe9 in an older encoding, long enough", "text/plain"),
        ("<html lang='en'>".encode("utf-16"), "text/html"),
        ("Ada und Bob".encode("utf-16-le"), "text/plain"),
        (b"<?xml version='1.0'?><svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>", "application/xhtml+xml"),
        (b"<!-- a --><!-- b --><!doctype HTML><my-page>", "text/html"),
        (b"[1, 2", "text/plain"),
    ],
)  # fmt: skip
def test_text_is_told_from_what_begins_alike(head, expected):
    assert type_of(head) == expected


def test_a_text_longer_than_what_is_read_may_be_cut_in_a_letter():
    head = ("б" * HEAD_BYTES).encode()[1:][1:HEAD_BYTES]
    assert type_of(head, b"more") == "text/plain"
    assert type_of(b'{"ship": "' + b"a" * 100, b"more") == "application/json"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"fLaC\0", "audio/flac"), (MP3_FRAME * 3, "audio/mpeg"), (b"", "audio/mpeg"),
     (b"\x89PNG\r\n\x1a\n", "audio/mpeg")],
)  # fmt: skip
def test_behind_an_id3_tag(content, expected):
    assert type_of(ID3 + content) == expected
    far = b"ID3\x04\0\0\0\x10\0\0" + bytes(HEAD_BYTES)
    assert type_of(far[:HEAD_BYTES], b"end", behind_tag=content) == expected


def test_one_frame_is_enough_only_when_it_is_all():
    assert type_of(MP3_FRAME) == "audio/mpeg"
    assert type_of(MP3_FRAME + b"x") is None
    assert type_of(MP3_FRAME * 2 + b"\xff\xf1" + MP3_FRAME) is None


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def handler(kind):
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + kind + bytes(13))))


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([b"vide", b"soun"], "video/mp4"),
        ([b"soun"], "audio/mp4"),
        ([b"vide"], "video/mp4"),
        ([b"text"], "video/mp4"),
    ],
)
def test_an_mp4_without_pictures_is_sound(tracks, expected):
    moov = box(b"moov", b"".join(map(handler, tracks)))
    assert type_of(FTYP + moov) == expected
    assert type_of(FTYP + box(b"mdat", bytes(100)), bytes(50) + moov) == expected
    # What is not all there can't show that there is no video.
    assert type_of(FTYP + moov[:-1]) == "video/mp4"


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        (b"mif1\0\0\0\0mif1heic", "image/heic"), (b"mif1\0\0\0\0avifmif1", "image/avif"),
        (b"mif1\0\0\0\0mif1miaf", "image/heif"), (b"heix\0\0\0\0mif1", "image/heic"),
        (b"avis\0\0\0\0msf1", "image/avif"), (b"M4B \0\0\0\0isom", "audio/mp4"),
        (b"3gp5\0\0\0\0isom", "video/3gpp"), (b"3g2a\0\0\0\0isom", "video/3gpp2"),
        (b"crx \0\0\0\x01crx ", "image/x-canon-cr3"), (b"zzzz\0\0\0\0zzzz", "video/mp4"),
    ],
)  # fmt: skip
def test_brands(brands, expected):
    assert type_of(box(b"ftyp", brands)) == expected
    # A brand's name in what follows is none.
    assert type_of(box(b"ftyp", brands) + box(b"free", b"heicavif")) == expected


def test_fonts_are_told_from_what_begins_alike():
    assert type_of(b"\0\1\0\0" + struct.pack(">4H", 19, 256, 4, 48)) == "font/ttf"
    assert type_of(b"\0\1\0\0" + struct.pack(">4H", 19, 0, 0, 12)) is None


def test_programs_are_told_apart():
    assert type_of(b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(40)) == "application/x-mach-binary"
    assert type_of(b"MZ" + bytes(100)) == "application/x-dosexec"


def test_a_cursor_and_an_icon_that_can_not_be():
    entry = struct.pack("<4B2H2I", 16, 16, 0, 0, 1, 32, 40, 22)
    assert type_of(b"\0\0\1\0\1\0" + entry) == "image/vnd.microsoft.icon"
    assert type_of(b"\0\0\2\0\1\0" + entry) == "image/x-win-bitmap"
    assert type_of(b"\0\0\1\0\1\0" + entry[:-4] + bytes(4)) is None
