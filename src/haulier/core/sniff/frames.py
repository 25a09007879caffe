"""Streams without a header of their own: told by frames or packets that follow each other."""

from __future__ import annotations

from collections.abc import Callable

_ENOUGH_FRAMES = 3
_ENOUGH_PACKETS = 5
_PACKET_BYTES = ((188, 0), (192, 4), (204, 0))
_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def id3_bytes(head: bytes) -> int:
    """Return how long the ID3v2 tag at the beginning is; 0 when there is none."""
    if not head.startswith((b"ID3\x02", b"ID3\x03", b"ID3\x04")) or len(head) < 10:
        return 0
    if any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte
    return 10 + size + (10 if head[5] & 0x10 else 0)


def by_frames(data: bytes) -> str | None:
    """Return the type of a stream of frames or packets, or None."""
    if data[:1] == b"\xff":
        if _follow(data, _mpeg_audio_frame):
            return "audio/mpeg"
        if _follow(data, _adts_frame):
            return "audio/aac"
    if data.startswith(b"\0\0\x01\xba") and len(data) > 4:
        # The bits behind the start code differ between MPEG-1 and MPEG-2, and are fixed in each.
        return "video/mpeg" if data[4] & 0xC4 == 0x44 or data[4] & 0xF1 == 0x21 else None
    return "video/mp2t" if _is_transport_stream(data) else None


def _follow(data: bytes, frame: Callable[[bytes, int], tuple[int, object]]) -> bool:
    """Tell whether some frames of one sort follow each other, or a few fill the file exactly."""
    at, seen, sort = 0, 0, None
    while seen < _ENOUGH_FRAMES and at < len(data):
        length, found = frame(data, at)
        if length == 0 or (seen and found != sort):
            return False
        at, seen, sort = at + length, seen + 1, found
    return seen >= _ENOUGH_FRAMES or at == len(data)


def _mpeg_audio_frame(data: bytes, at: int) -> tuple[int, object]:
    header = int.from_bytes(data[at : at + 4])
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bits, rate = header >> 12 & 15, header >> 10 & 3
    if len(data) < at + 4 or header >> 21 != 0x7FF or version == 1 or layer == 4:
        return 0, None
    if bits in {0, 15} or rate == 3:
        return 0, None
    hertz = _SAMPLE_RATES[version][rate]
    bps = _KBPS[1 if version == 3 else 2, layer][bits - 1] * 1000
    padding = header >> 9 & 1
    if layer == 1:
        return (12 * bps // hertz + padding) * 4, (version, layer, rate)
    slots = 72 if layer == 3 and version != 3 else 144
    return slots * bps // hertz + padding, (version, layer, rate)


def _adts_frame(data: bytes, at: int) -> tuple[int, object]:
    header = int.from_bytes(data[at : at + 7])
    length, rate = header >> 13 & 0x1FFF, header >> 34 & 15
    is_header = header >> 44 == 0xFFF and header >> 41 & 3 == 0
    if len(data) < at + 7 or not is_header or rate > 12 or length < 7:
        return 0, None
    return length, (header >> 40, rate)


def _is_transport_stream(data: bytes) -> bool:
    for size, offset in _PACKET_BYTES:
        syncs = data[offset : offset + size * _ENOUGH_PACKETS : size]
        if syncs == b"\x47" * _ENOUGH_PACKETS:
            # The same letter again and again may be text.
            return any(byte < 9 for byte in data[: size * _ENOUGH_PACKETS])
    return False
