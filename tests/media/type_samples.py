"""Files of every type that haulier tells by content, made by the programs that make such files.

`make_samples` writes them; a sample's name carries what it is named after, its type is what its
bytes are. What has no encoder here is written by hand and says so.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import document_samples
import image_samples
import pip
import pytest
import zstandard

OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
CLIP = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1:r=44100"]
BOTH, SOUND, PICTURE = ["-map", "0", "-map", "1"], ["-map", "1"], ["-map", "0"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
AAC = ["-c:a", "aac"]


BY_HAND = frozenset(
    {"letter.doc", "table.xls", "mail.msg", "text.7z", "text.rar", "tune.mid", "voice.amr", "layers.psd",
     "Main.class", "module.wasm", "mac.dylib", "app.apk", "lib.a", "a.deb", "macros.docm", "streamed.docx"}
)  # fmt: skip
"""Samples that no real program of their format wrote."""


@dataclass(frozen=True)
class Sample:
    """A file's name and the type of its content."""

    name: str
    mime_type: str


def _av() -> dict[str, tuple[str, list[str]]]:
    """Each file that ffmpeg writes: its type and the options of that output."""
    return {
        "h264.mp4": ("video/mp4", [*BOTH, *H264, *AAC]),
        "faststart.mp4": ("video/mp4", [*BOTH, *H264, *AAC, "-movflags", "+faststart"]),
        "pieces.mp4": ("video/mp4", [*BOTH, *H264, *AAC, "-movflags", "frag_keyframe+empty_moov"]),
        "hevc.mp4": ("video/mp4", [*PICTURE, "-c:v", "libx265", "-preset", "ultrafast",
                                   "-x265-params", "log-level=none"]),
        "silent.mp4": ("video/mp4", [*PICTURE, *H264]),
        "sound.mp4": ("audio/mp4", [*SOUND, *AAC]),
        "clip.mov": ("video/quicktime", [*BOTH, *H264, *AAC]),
        "clip.m4v": ("video/x-m4v", [*BOTH, *H264, *AAC, "-f", "ipod"]),
        "clip.3gp": ("video/3gpp", [*BOTH, *H264, *AAC]),
        "clip.3g2": ("video/3gpp2", [*BOTH, *H264, *AAC]),
        "clip.mkv": ("video/x-matroska", [*BOTH, *H264, *AAC]),
        "clip.webm": ("video/webm", [*BOTH, "-c:v", "libvpx", "-c:a", "libopus"]),
        "clip.avi": ("video/x-msvideo", [*BOTH, "-c:v", "mpeg4", "-c:a", "libmp3lame"]),
        "clip.wmv": ("video/x-ms-wmv", [*BOTH, "-c:v", "wmv2", "-c:a", "wmav2"]),
        "clip.flv": ("video/x-flv", [*BOTH, "-c:v", "flv", "-c:a", "libmp3lame"]),
        "clip.ts": ("video/mp2t", [*BOTH, "-c:v", "mpeg2video", "-c:a", "mp2"]),
        "clip.m2ts": ("video/mp2t", [*BOTH, *H264, "-c:a", "ac3", "-mpegts_m2ts_mode", "1"]),
        "clip.mpg": ("video/mpeg", [*BOTH, "-c:v", "mpeg1video", "-c:a", "mp2"]),
        "clip.vob": ("video/mpeg", [*BOTH, "-c:v", "mpeg2video", "-c:a", "mp2"]),
        "raw.m2v": ("video/mpeg", [*PICTURE, "-c:v", "mpeg2video"]),
        "raw.h264": ("video/h264", [*PICTURE, *H264]),
        "clip.ogv": ("video/ogg", [*BOTH, "-c:v", "libtheora", "-c:a", "libvorbis"]),
        "clip.mxf": ("application/mxf", [*PICTURE, "-c:v", "mpeg2video"]),
        "clip.rm": ("application/vnd.rn-realmedia", [*PICTURE, "-c:v", "rv10"]),
        "tagged.mp3": ("audio/mpeg", [*SOUND, "-c:a", "libmp3lame", "-metadata", "title=A tone"]),
        "bare.mp3": ("audio/mpeg", [*SOUND, "-c:a", "libmp3lame", "-id3v2_version", "0",
                                    "-write_xing", "0"]),
        "slow.mp3": ("audio/mpeg", [*SOUND, "-c:a", "libmp3lame", "-ar", "16000", "-ac", "1",
                                    "-id3v2_version", "0"]),
        "layer2.mp2": ("audio/mpeg", [*SOUND, "-c:a", "mp2"]),
        "tone.m4a": ("audio/mp4", [*SOUND, *AAC]),
        "lossless.m4a": ("audio/mp4", [*SOUND, "-c:a", "alac"]),
        "tone.aac": ("audio/aac", [*SOUND, *AAC]),
        "tone.wav": ("audio/wav", SOUND),
        "long.wav": ("audio/wav", [*SOUND, "-rf64", "always"]),
        "tone.flac": ("audio/flac", SOUND),
        "tone.ogg": ("audio/ogg", [*SOUND, "-c:a", "libvorbis"]),
        "tone.opus": ("audio/ogg", [*SOUND, "-c:a", "libopus"]),
        "tone.spx": ("audio/ogg", [*SOUND, "-c:a", "libspeex", "-ar", "16000"]),
        "flac.oga": ("audio/ogg", [*SOUND, "-c:a", "flac"]),
        "tone.wma": ("audio/x-ms-wma", [*SOUND, "-c:a", "wmav2"]),
        "tone.aiff": ("audio/aiff", SOUND),
        "tone.au": ("audio/basic", SOUND),
        "tone.caf": ("audio/x-caf", SOUND),
        "tone.wv": ("audio/x-wavpack", SOUND),
        "tone.tta": ("audio/x-tta", SOUND),
        "tone.mka": ("audio/x-matroska", [*SOUND, *AAC]),
        "recording.webm": ("audio/webm", [*SOUND, "-c:a", "libopus"]),
        "voice.3gp": ("audio/3gpp", [*SOUND, *AAC]),
        "frame.exr": ("image/x-exr", [*PICTURE, "-frames:v", "1"]),
        "frame.jxl": ("image/jxl", [*PICTURE, "-frames:v", "1", "-c:v", "libjxl"]),
    }  # fmt: skip


def _encode(folder: Path) -> dict[str, str]:
    outputs = _av()
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *CLIP]
    for name, (_, options) in outputs.items():
        command += [*options, "-fflags", "+bitexact", str(folder / name)]
    subprocess.run(command, check=True, timeout=60)
    subprocess.run(["espeak-ng", "-w", folder / "spoken.wav", "Good morning."], check=True)
    return {name: mime for name, (mime, _) in outputs.items()} | {"spoken.wav": "audio/wav"}


def _tagged(folder: Path) -> dict[str, str]:
    """Sound behind tags with a picture so large that the sound begins far into the file."""
    from mutagen.id3 import APIC, ID3

    for name, sound in {"cover.mp3": "bare.mp3", "cover.aac": "tone.aac"}.items():
        shutil.copy(folder / sound, folder / name)
        tags = ID3()
        tags.add(APIC(encoding=3, mime="image/jpeg", type=3, data=os.urandom(200_000)))
        tags.save(folder / name)
    return {"cover.mp3": "audio/mpeg", "cover.aac": "audio/aac"}


def _pictures() -> dict[str, tuple[str, bytes]]:
    plugins = {
        "ppm.ppm": ("image/x-portable-anymap", "PPM"), "icns.icns": ("image/x-icns", "ICNS"),
        "dds.dds": ("image/vnd.ms-dds", "DDS"), "jp2.jp2": ("image/jp2", "JPEG2000"),
        "qoi.qoi": ("image/x-qoi", "QOI"), "eps.eps": ("application/postscript", "EPS"),
        "scan.pdf": ("application/pdf", "PDF"),
    }  # fmt: skip
    made = {}
    for name, (mime_type, plugin) in plugins.items():
        buffer = io.BytesIO()
        image_samples.upright((64, 64)).save(buffer, plugin)
        made[name] = (mime_type, buffer.getvalue())
    buffer = io.BytesIO()
    image_samples.upright().save(buffer, "TIFF", big_tiff=True)
    made["big.tif"] = ("image/tiff", buffer.getvalue())
    for name, data in image_samples.every_format().items():
        mime_type = "image/" + Path(name).suffix[1:].replace("jpg", "jpeg").replace("tif", "tiff")
        made[name] = ({"image/ico": "image/vnd.microsoft.icon"}.get(mime_type, mime_type), data)
    return made


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def _texts() -> dict[str, tuple[str, bytes]]:
    doctype = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" [ <!ENTITY a "<b>"> ]>\n'
    return {
        "plain.svg": ("image/svg+xml", SVG),
        "prolog.svg": ("image/svg+xml", XML + b"<!-- drawn <html> by hand -->\n" + doctype + SVG),
        "comment.svg": ("image/svg+xml", b"<!-- " + b"a long licence " * 900 + b"-->\n" + SVG),
        "bom.svg": ("image/svg+xml", b"\xef\xbb\xbf" + XML + SVG),
        "utf16.svg": ("image/svg+xml", (XML + SVG).decode().encode("utf-16")),
        "letter.txt": ("text/plain", b"Dear Ada,\n\nthe ship sails at noon, as planned.\n"),
        "cyrillic.txt": ("text/plain", "Сегодня\n".encode()),
        "cp1251.txt": ("text/plain", "Сегодня мы идём в гавань, и корабли ждут.\n".encode("cp1251")),
        "utf16.txt": ("text/plain", "The ship sails at noon.\n".encode("utf-16")),
        "ship.json": ("application/json", json.dumps({"ship": "Argo", "crew": [1, 2]}).encode()),
        "large.json": ("application/json", json.dumps([{"n": n} for n in range(20_000)]).encode()),
        "events.ndjson": ("application/x-ndjson", b'{"n": 1}\n{"n": 2}\n{"n": 3}\n'),
        "note.xml": ("application/xml", XML + b"<note><to>Ada</to></note>"),
        "feed.rss": ("application/rss+xml", XML + b'<rss version="2.0"><channel/></rss>'),
        "page.html": ("text/html", b"\n<!DOCTYPE html>\n<html><body>hello</body></html>"),
        "comment.html": ("text/html", b"<!-- saved -->\n<html><body>hello</body></html>"),
        "crew.csv": ("text/csv", b'name,age\nAda,36\n"Lovelace, A",37\nBob,20\n'),
        "notes.md": ("text/plain", b"# Notes\n\nThe *ship* sails at [noon](noon.html).\n"),
        "list.m3u8": ("application/vnd.apple.mpegurl", b"#EXTM3U\n#EXTINF:9,\nhttp://[::1]/a.ts\n"),
        "words.vtt": ("text/vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n"),
        "words.srt": ("application/x-subrip", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"),
        "run.sh": ("text/x-shellscript", b"#!/bin/sh\necho hello\n"),
        "run.py": ("text/x-python", b"#!/usr/bin/env python3\nprint('hello')\n"),
        "letter.rtf": ("application/rtf", b"{\\rtf1\\ansi hello}"),
    }  # fmt: skip


def _zip(*names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(name, os.urandom(100))
    return buffer.getvalue()


def _streamed_zip(*names: str) -> bytes:
    """As written into a pipe: sizes stand behind each member."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, os.urandom(70_000))
    return bytes(pipe.data)


def _epub() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", "<container/>")
    return buffer.getvalue()


def _ole(stream: str) -> bytes:
    """By hand: an OLE file's header, and a directory with the root and one stream."""
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<5H", 62, 3, 0xFFFE, 9, 6)
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2) + bytes(62)
        for name in ("Root Entry", stream)
    )
    return header.ljust(512, b"\0") + bytes(1024) + entries


def _tar(**options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        member = tarfile.TarInfo("a/letter.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return buffer.getvalue()


def _packed() -> dict[str, tuple[str, bytes]]:
    text = b"The ship sails at noon. " * 40
    distlib = Path(pip.__file__).parent / "_vendor" / "distlib"
    return {
        "word.docx": (OFFICE + "wordprocessingml.document", document_samples.office("word")),
        "sheet.xlsx": (OFFICE + "spreadsheetml.sheet", document_samples.office("xl")),
        "slides.pptx": (OFFICE + "presentationml.presentation", document_samples.office("ppt")),
        "streamed.docx": (OFFICE + "wordprocessingml.document",
                          _streamed_zip("[Content_Types].xml", "_rels/.rels", "word/document.xml")),
        "macros.docm": ("application/vnd.ms-word.document.macroEnabled.12",
                        _zip("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin")),
        "letter.odt": (OPEN_DOCUMENT + "text", document_samples.open_document()),
        "book.epub": ("application/epub+zip", _epub()),
        "letter.doc": ("application/msword", _ole("WordDocument")),
        "table.xls": ("application/vnd.ms-excel", _ole("Workbook")),
        "mail.msg": ("application/x-ole-storage", _ole("__substg1.0_0037001F")),
        "files.zip": ("application/zip", _zip("a.txt", "b/c.txt")),
        "streamed.zip": ("application/zip", _streamed_zip("a.txt", "b/c.txt")),
        "empty.zip": ("application/zip", _zip()),
        "lib.a": ("application/x-archive", _ar(("member.txt/", b"hello\n"))),
        "a.deb": ("application/vnd.debian.binary-package", _ar(("debian-binary", b"2.0\n"))),
        "app.apk": ("application/vnd.android.package-archive",
                    _zip("AndroidManifest.xml", "classes.dex", "META-INF/MANIFEST.MF")),
        "text.gz": ("application/gzip", gzip.compress(text)),
        "text.bz2": ("application/x-bzip2", bz2.compress(text)),
        "text.xz": ("application/x-xz", lzma.compress(text)),
        "text.zst": ("application/zstd", zstandard.compress(text)),
        "pax.tar": ("application/x-tar", _tar(format=tarfile.PAX_FORMAT)),
        "gnu.tar": ("application/x-tar", _tar(format=tarfile.GNU_FORMAT)),
        "files.tar.gz": ("application/gzip", gzip.compress(_tar())),
        "text.7z": ("application/x-7z-compressed", b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(24)),
        "text.rar": ("application/vnd.rar", b"Rar!\x1a\x07\x01\0" + bytes(24)),
        "tune.mid": ("audio/midi", b"MThd" + struct.pack(">I3H", 6, 0, 1, 96) + b"MTrk" + bytes(8)),
        "voice.amr": ("audio/amr", b"#!AMR\n" + (b"\x3c" + bytes(31)) * 9),
        "layers.psd": ("image/vnd.adobe.photoshop",
                       b"8BPS\0\x01" + bytes(6) + struct.pack(">H2I2H", 3, 1, 1, 8, 3) + bytes(26)),
        "stub.exe": ("application/vnd.microsoft.portable-executable",
                     (distlib / "t64.exe").read_bytes()),
        "Main.class": ("application/java-vm", bytes.fromhex("cafebabe00000034") + bytes(40)),
        "program": ("application/x-executable", Path(sys.executable).read_bytes()[:200_000]),
        "module.wasm": ("application/wasm", b"\0asm\x01\0\0\0"),
        "mac.dylib": ("application/x-mach-binary", bytes.fromhex("cffaedfe07000001") + bytes(40)),
    }  # fmt: skip


def _ar(*members: tuple[str, bytes]) -> bytes:
    """By hand: an archive as of `ar`, which Debian's packages are too."""
    packed = (b"%-16s0           0     0     100644  %-10d`\n" % (name.encode(), len(data)) + data
              for name, data in members)  # fmt: skip
    return b"!<arch>\n" + b"".join(packed)


def _by_libraries(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "ships.db") as database:
        database.execute("CREATE TABLE ship (name TEXT)")
    database.close()
    with zipfile.ZipFile(folder / "a.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        archive.writestr("Main.class", b"\xca\xfe\xba\xbe")
    return {"ships.db": "application/vnd.sqlite3", "a.jar": "application/java-archive"}


def make_samples(folder: Path) -> list[Sample]:
    """Write every sample into `folder`; about a hundred files, 3 MB together."""
    made = _encode(folder)
    made |= _tagged(folder)
    made |= _by_libraries(folder)
    for name, (mime_type, data) in (_pictures() | _texts() | _packed()).items():
        (folder / name).write_bytes(data)
        made[name] = mime_type
    return [Sample(name, mime_type) for name, mime_type in sorted(made.items())]


@dataclass(frozen=True)
class Samples:
    folder: Path
    of: dict[str, str]


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Samples:
    """A directory with one file of each type."""
    folder = tmp_path_factory.mktemp("types")
    return Samples(folder, {sample.name: sample.mime_type for sample in make_samples(folder)})
