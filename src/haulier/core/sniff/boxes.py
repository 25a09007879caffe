"""Containers of sound and pictures: ISO media (MP4 and its kin, HEIF), Matroska, Ogg, ASF, RIFF.

Each says by its first bytes what it is, and further in which tracks it holds: a container of video
without any video in it is audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF = {b"avif", b"avis"}
_BRANDS = {
    b"qt  ": "video/quicktime", b"mqt ": "video/quicktime", b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4", b"M4P ": "audio/mp4", b"f4a ": "audio/mp4", b"f4b ": "audio/mp4",
    b"M4V ": "video/x-m4v", b"M4VH": "video/x-m4v", b"M4VP": "video/x-m4v",
    b"crx ": "image/x-canon-cr3", b"jp2 ": "image/jp2", b"KDDI": "video/3gpp2",
    b"mif1": "image/heif", b"msf1": "image/heif", b"miaf": "image/heif",
}  # fmt: skip
_AUDIO_OF = {
    "video/mp4": "audio/mp4", "video/quicktime": "audio/mp4", "video/3gpp": "audio/3gpp",
    "video/3gpp2": "audio/3gpp2", "video/x-matroska": "audio/x-matroska",
    "video/webm": "audio/webm",
}  # fmt: skip
# Older QuickTime files have no `ftyp`, and pieces of streams begin with `styp` or `moof`.
_FIRST_BOXES = {
    b"moov": "video/quicktime", b"mdat": "video/quicktime", b"wide": "video/quicktime",
    b"pnot": "video/quicktime", b"styp": "video/mp4", b"moof": "video/mp4", b"sidx": "video/mp4",
}  # fmt: skip
_RIFF = {
    b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp", b"RMID": "audio/midi",
    b"CDXA": "video/mpeg", b"AIFF": "audio/aiff", b"AIFC": "audio/aiff",
}  # fmt: skip
_OGG_VIDEO = (b"\x80theora", b"\x01video", b"BBCD\0", b"OVP80", b"\x81theora")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_EBML, _SEGMENT, _TRACKS, _TRACK, _TRACK_TYPE = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0x83
_DOC_TYPE = 0x4282
_MOST_FTYP_BYTES = 4096


def by_container(head: bytes, tail: bytes) -> str | None:
    """Return the type of a container, or None when it is none of these."""
    if head[4:8] == b"ftyp":
        return _iso_media(head, tail)
    if head[4:8] in _FIRST_BOXES and head[0] < 0x10:
        return _by_tracks(_FIRST_BOXES[head[4:8]], head, tail)
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"FORM"}:
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska(head)
    if head.startswith(b"OggS\0"):
        codecs = list(_ogg_codecs(head))
        return "video/ogg" if any(c.startswith(_OGG_VIDEO) for c in codecs) else "audio/ogg"
    if head.startswith(_ASF):
        return _asf(head)
    return None


def _iso_media(head: bytes, tail: bytes) -> str:
    end = min(int.from_bytes(head[:4]), _MOST_FTYP_BYTES, len(head))
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if major in _HEIC:
        return "image/heic"
    if major in _AVIF:
        return "image/avif"
    told = _BRANDS.get(major)
    if told == "image/heif":
        # A still of any codec; the brands say which.
        return "image/avif" if brands & _AVIF else "image/heic" if brands & _HEIC else told
    if told is None:
        told = "video/mp4"
        if major.startswith((b"3gp", b"3gr", b"3gs", b"3ge", b"3gg")):
            told = "video/3gpp"
        elif major.startswith(b"3g2"):
            told = "video/3gpp2"
    return _by_tracks(told, head, tail)


def _by_tracks(mime_type: str, head: bytes, tail: bytes) -> str:
    if mime_type not in _AUDIO_OF:
        return mime_type
    for window in (head, tail):
        handlers = _handlers(window)
        if b"soun" in handlers and b"vide" not in handlers:
            return _AUDIO_OF[mime_type]
    return mime_type


def _handlers(window: bytes) -> set[bytes]:
    """Return the kinds of tracks, if all of the `moov` box lies in the window."""
    at = window.find(b"moov")
    size = int.from_bytes(window[at - 4 : at]) if at >= 4 else 0
    if size < 8 or at - 4 + size > len(window):
        return set()
    moov = window[at : at - 4 + size]
    return {found[1] for found in re.finditer(rb"hdlr.{8}(vide|soun)", moov, re.DOTALL)}


def _matroska(head: bytes) -> str | None:
    doc_type, types = b"", set()
    for path, body in _elements(head, 0, len(head), ()):
        if path == (_EBML, _DOC_TYPE):
            doc_type = body
        elif path == (_SEGMENT, _TRACKS, _TRACK, _TRACK_TYPE):
            types.add(body)
    mime_type = {b"webm": "video/webm", b"matroska": "video/x-matroska"}.get(doc_type.rstrip(b"\0"))
    if mime_type and types and b"\x01" not in types and b"\x02" in types:
        return _AUDIO_OF[mime_type]
    return mime_type


def _elements(
    data: bytes, at: int, end: int, path: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Walk the elements on the way to the kinds of tracks; clusters, where the media is, end it."""
    while at < end:
        element, at = _vint(data, at, keep_marker=True)
        size, at = _vint(data, at, keep_marker=False)
        if at > end or not element:
            return
        here = (*path, element)
        stop = min(at + size, end)
        if here[-1] in {_EBML, _SEGMENT, _TRACKS, _TRACK} and len(here) <= 3:
            yield from _elements(data, at, stop, here)
        else:
            yield here, data[at : min(stop, at + 64)]
        at += size


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    number = int.from_bytes(data[at : at + length])
    if keep_marker:
        return number, at + length
    value = number & ((1 << 7 * length) - 1)
    # All ones: the size is not known, as in what is streamed; it goes on to the end.
    return (1 << 56 if value == (1 << 7 * length) - 1 else value), at + length


def _ogg_codecs(head: bytes) -> Iterator[bytes]:
    at = 0
    while head.startswith(b"OggS", at) and len(head) > at + 27 and head[at + 5] & 2:
        segments = head[at + 26]
        body = at + 27 + segments
        yield head[body : body + 16]
        at = body + sum(head[at + 27 : body])


def _asf(head: bytes) -> str:
    header = head[: int.from_bytes(head[16:24], "little")]
    if _ASF_VIDEO in header:
        return "video/x-ms-wmv"
    return "audio/x-ms-wma" if _ASF_AUDIO in header else "video/x-ms-asf"
