"""Types by content and by claims, and the warnings when they disagree."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import document_samples
import image_samples
import pytest
import type_samples
from type_samples import samples  # noqa: F401 - pytest finds fixtures by name

from haulier.core.sniff import HEAD_BYTES, Certainty, FileKind
from haulier.errors import TargetMissing, TargetUnreadable
from haulier.media.detect import Means, Sample, detect_type, read_sample
from haulier.media.isolation import Workers

JPEG, PDF = image_samples.jpeg(), document_samples.pdf()
ZIP = document_samples.zip_with({"a.txt": b"hello"})
DICOM = bytes(128) + b"DICM" + b"\x02\0\0\0UL"
UNKNOWN = bytes(range(256)) * 4


async def test_no_sample_is_suspected(samples):  # noqa: F811
    """Real files under their own names give no warning, by path and by bytes alike."""
    warned = {}
    for name, mime_type in samples.of.items():
        path = samples.folder / name
        detected = await detect_type(path)
        assert detected == await detect_type(path.read_bytes(), name=name)
        assert (detected.means, name) == (Means.CONTENT, name)
        if detected.mime_type != mime_type:
            assert (name, detected.mime_type) in {
                ("notes.md", "text/markdown"), ("events.ndjson", mime_type),
            }  # fmt: skip
        if detected.warnings:
            warned[name] = detected.warnings
    assert warned == {}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jpg", b"<!doctype html><html><body>hello", "its name says image/jpeg, its content is text/html"),
        ("a.mp4", b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n",
         "its name says video/mp4, its content is application/vnd.apple.mpegurl"),
        ("a.png", JPEG, "its name says image/png, its content is image/jpeg"),
        ("a.txt", b"<html><script src=a.js></script>", "its name says text/plain, its content is text/html"),
        ("a.docx", ZIP, f"its name says {type_samples.OFFICE}wordprocessingml.document, its content is application/zip"),
        ("a.gif", b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)", "it also holds JavaScript"),
        ("a.jpg", JPEG + PDF, "it is a PDF too: one is appended"),
        ("a.jpg", JPEG[:20] + b"%PDF-1.4" + JPEG[20:], "it is a PDF too: one begins in it"),
        ("a.png", image_samples.png() + ZIP, "it is a zip archive too: one is appended"),
        ("a.png", image_samples.png() + b"Rar!\x1a\x07\x01\0", "it also holds a RAR archive"),
        ("a.jpg", JPEG[:2] + b"\xff\xfe\0\x14<?php echo(1);?>" + JPEG[2:], "it also holds PHP code"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
         "it holds scripts or handlers that run when it is opened"),
        ("a.bin", b"", "it is empty"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_together_is_told(name, data, expected):
    assert (await detect_type(data, name=name)).warnings == (expected,)


async def test_a_zip_far_behind_a_large_picture_is_seen():
    large = JPEG + os.urandom(300_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hello")
        archive.comment = b"c" * 60_000
    detected = await detect_type(large + buffer.getvalue(), name="a.jpg")
    assert detected.warnings == ("it is a zip archive too: one is appended",)
    # The bare mark of a zip's end, without one, is chance.
    assert (await detect_type(large + b"PK\x05\x06" + bytes(18), name="a.jpg")).warnings == ()


@pytest.mark.parametrize(
    ("name", "sample"),
    [("a.ts", "clip.ts"), ("a.mov", "h264.mp4"), ("a.tgz", "files.tar.gz"), ("a.cbz", "files.zip"),
     ("a.heif", "heic.heic"), ("a", "clip.mkv"), ("a.mp4", "sound.mp4"), ("a.md", "comment.html"),
     ("a.unheard-of", "png.png"), ("a.ts", "letter.txt"), ("a.war", "a.jar"), ("a.ai", "scan.pdf")],
)  # fmt: skip
async def test_what_is_called_so_by_custom_is_not_suspected(samples, name, sample):  # noqa: F811
    detected = await detect_type(samples.folder / sample, name=name)
    assert detected.warnings == ()


@pytest.mark.parametrize(
    ("data", "name", "declared", "expected"),
    [
        (b"*bold*", "a.md", None, "text/markdown"),
        (b"*bold*", "a.jpg", "text/markdown", "text/markdown"),
        (b"a = 1\n", "a.toml", None, "application/toml"),
        (b"<?xml version='1.0'?><kml/>", "a", None, "application/vnd.google-earth.kml+xml"),
        (b"<?xml version='1.0'?><a/>", "a", "application/x-dashboard+xml", "application/x-dashboard+xml"),
        (b"plain", "a.html", "application/octet-stream", "text/html"),
        (b"plain", None, None, "text/plain"),
    ],
)  # fmt: skip
async def test_text_is_named_more_closely_by_its_name_or_sender(data, name, declared, expected):
    detected = await detect_type(data, name=name, declared_type=declared)
    assert (detected.mime_type, detected.means) == (expected, Means.CONTENT)
    assert detected.kind is FileKind.TEXT


async def test_a_declared_type_is_checked():
    detected = await detect_type(JPEG, declared_type="image/png; charset=binary")
    assert detected.warnings == ("it was declared as image/png, its content is image/jpeg",)
    assert (await detect_type(JPEG, declared_type="IMAGE/JPG")).warnings == ()


async def test_claims_count_only_where_the_content_is_silent():
    named = await detect_type(UNKNOWN, name="a.mp4", declared_type="video/webm")
    assert (named.mime_type, named.kind, named.means) == ("video/mp4", FileKind.VIDEO, Means.NAME)
    assert named.certainty is None
    assert named.warnings == ("nothing in it says that it is video/mp4, as its name does",)
    declared = await detect_type(UNKNOWN, name="a", declared_type="video/webm")
    assert (declared.mime_type, declared.means) == ("video/webm", Means.DECLARED)
    # Text would have been seen.
    page = await detect_type(UNKNOWN, name="a.html")
    assert (page.mime_type, page.kind) == ("application/octet-stream", FileKind.UNKNOWN)
    assert len(page.warnings) == 1
    silent = await detect_type(UNKNOWN, declared_type="application/octet-stream")
    assert (silent.means, silent.warnings) == (Means.NOTHING, ())


async def test_others_are_asked_when_the_own_tables_know_nothing():
    """`filetype` knows DICOM, libmagic the files of Blender."""
    dicom = await detect_type(DICOM)
    assert (dicom.mime_type, dicom.means) == ("application/dicom", Means.FILETYPE)
    blend = b"BLENDER-v300RENDH" + bytes(60)
    assert (await detect_type(blend)).means is Means.NOTHING
    async with Workers(count=1) as workers:
        detected = await detect_type(blend, name="a.blend", workers=workers)
        assert (detected.mime_type, detected.means) == ("application/x-blender", Means.LIBMAGIC)
        assert (await detect_type(bytes(9), workers=workers)).means is Means.NOTHING


async def test_others_are_not_believed_in_what_the_own_tables_know():
    """To `filetype` any five bytes make a font."""
    assert (await detect_type(b"\0\1\0\0\0" + bytes(20))).means is Means.NOTHING


async def test_certainty_is_told():
    assert (await detect_type(JPEG)).certainty is Certainty.CERTAIN
    assert (await detect_type(b"words")).certainty is Certainty.GUESSED


@pytest.mark.parametrize("size", [0, 10, HEAD_BYTES, HEAD_BYTES + 1, 200_000])
def test_a_sample_of_a_file_is_that_of_its_bytes(tmp_path, size):
    data = b"ID3\x04\0\0\0\x08\0\0" + os.urandom(size) if size else b""
    (tmp_path / "file").write_bytes(data)
    sample = read_sample(tmp_path / "file")
    assert sample == Sample.of(data)
    assert len(sample.head) + len(sample.tail) + len(sample.behind_tag) <= 140 << 10


async def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(TargetMissing, match="gone"):
        await detect_type(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TargetUnreadable, match="pipe is no regular file"):
        await detect_type(tmp_path / "pipe")
    with pytest.raises(TargetUnreadable):
        await detect_type(tmp_path)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(TargetUnreadable):
        read_sample(tmp_path / "link", follow_links=False)
    with pytest.raises(TargetUnreadable):
        await detect_type(Path("/dev/zero"))
