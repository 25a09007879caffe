"""Types that a few bytes at a fixed place tell."""

from __future__ import annotations

import re

# At the very beginning; what is longer stands before what it begins with.
_AT_START = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    (b"8BPS\0\x02", "image/vnd.adobe.photoshop"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51\0", "image/jp2"),
    (b"gimp xcf ", "image/x-xcf"),
    (b"DDS |\0\0\0", "image/vnd.ms-dds"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
    (b"qoif\0\0", "image/x-qoi"),
    (b"icns\0", "image/x-icns"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"\0\0\0\x01\x67", "video/h264"),
    (b"\0\0\0\x01\x27", "video/h264"),
    (b"\0\0\0\x01\x40\x01", "video/h265"),
    (b".RMF\0\0\0", "application/vnd.rn-realmedia"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "application/mxf"),
    (b"fLaC\0", "audio/flac"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr-wb"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b".snd\0\0\0", "audio/basic"),
    (b"caff\0\x01", "audio/x-caf"),
    (b"wvpk", "audio/x-wavpack"),
    (b"MP+\x07", "audio/x-musepack"),
    (b"MP+\x17", "audio/x-musepack"),
    (b"MPCK", "audio/x-musepack"),
    (b"TTA1\x01\0", "audio/x-tta"),
    (b"DSD \x1c\0\0\0", "audio/x-dsf"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (b"AT&TFORM", "image/vnd.djvu"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"LZIP\x01", "application/x-lzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package"),
    (b"!<arch>\n", "application/x-archive"),
    (b"\xed\xab\xee\xdb", "application/x-rpm"),
    (b"\x7fELF", "application/x-executable"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\0asm\x01\0\0\0", "application/wasm"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OTTO\0", "font/otf"),
)
_ELSEWHERE = (
    (40, b" EMF", "image/emf"),
    (32_769, b"CD001", "application/x-iso9660-image"),
)

_BY_FIRST_BYTE: dict[int, list[tuple[bytes, str]]] = {}
for _signature, _type in _AT_START:
    _BY_FIRST_BYTE.setdefault(_signature[0], []).append((_signature, _type))

_BITMAP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_JAVA_MAJOR = 45
# Letters and digits that a text may begin with too, and what follows them in these formats only.
_PATTERNS = (
    (re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s|P7\nWIDTH "), "image/x-portable-anymap"),
    (re.compile(rb"MAC [\0-\xff][\x0b-\x10]", re.DOTALL), "audio/x-ape"),
    (re.compile(rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}"), "application/x-cpio"),
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


def by_signature(head: bytes) -> str | None:
    """Return the type of a file by its first bytes, or None."""
    for signature, mime_type in _BY_FIRST_BYTE.get(head[0], ()):
        if head.startswith(signature):
            return mime_type
    for offset, signature, mime_type in _ELSEWHERE:
        if head.startswith(signature, offset):
            return mime_type
    return None


def by_short_signature(head: bytes) -> str | None:
    """Return the type told by two or three bytes and by fields that agree with them."""
    if head.startswith(b"\xff\xd8\xff") and len(head) > 3 and head[3] >= 0xC0:
        return "image/jpeg"
    if head.startswith(b"BM") and _little(head, 14, 4) in _BITMAP_HEADERS:
        return "image/bmp"
    if head.startswith((b"\0\0\x01\0", b"\0\0\x02\0")) and _is_icon(head):
        return "image/vnd.microsoft.icon" if head[2] == 1 else "image/x-win-bitmap"
    for pattern, mime_type in _PATTERNS:
        if pattern.match(head):
            return mime_type
    if head.startswith(b"BZh") and head[4:10] in _BZIP2_BLOCKS:
        return "application/x-bzip2"
    if head.startswith(b"MZ"):
        return _dos_program(head)
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # Java's class files and fat programs of macOS begin alike.
        is_java = int.from_bytes(head[4:8]) >= _JAVA_MAJOR
        return "application/java-vm" if is_java else "application/x-mach-binary"
    if head.startswith(b"\0\x01\0\0") and _is_font(head):
        return "font/ttf"
    if head.startswith(b"\xff\x0a") and head[2:3] != b"\0":
        return "image/jxl"
    return None


def is_tar(head: bytes) -> bool:
    """Tell whether the first block is a tar header, by its checksum."""
    block = head[:512]
    if len(block) < 512 or block[0] == 0:
        return False
    try:
        told = int(block[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    return told == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _is_icon(head: bytes) -> bool:
    count, size_bytes, offset = _little(head, 4, 2), _little(head, 14, 4), _little(head, 18, 4)
    return (
        count > 0 and head[9:10] in {b"\0", b"\xff"} and size_bytes > 0 and offset >= 6 + 16 * count
    )


def _is_font(head: bytes) -> bool:
    tables, search_range = int.from_bytes(head[4:6]), int.from_bytes(head[6:8])
    # The largest power of two of table entries, 16 bytes each.
    return tables > 0 and search_range == 16 << (tables.bit_length() - 1)


def _dos_program(head: bytes) -> str | None:
    at = _little(head, 60, 4)
    if head.startswith(b"PE\0\0", at):
        return "application/vnd.microsoft.portable-executable"
    # Two letters alone may begin a sentence.
    return "application/x-dosexec" if len(head) > 64 and 0 in head[2:28] else None


def _little(head: bytes, at: int, size: int) -> int:
    return int.from_bytes(head[at : at + size], "little")
