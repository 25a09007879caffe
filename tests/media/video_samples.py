"""Video and sound made by real encoders, each when a test first asks for it.

The picture is a moving test card; `corners` shows which way up it is.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CARD = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2:sample_rate=44100")
NOISE = ("-f", "lavfi", "-i", "anoisesrc=duration=10:amplitude=0.5:seed=1:sample_rate=44100")
LONG_TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=10:sample_rate=44100")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
X265 = (
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p10le",
    "-x265-params",
    "log-level=error",
)
WIDE = ("-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_trc")
AAC = ("-c:a", "aac")
MP3 = ("-c:a", "libmp3lame")
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128)
_BOXES = ("0:0:96:64:0xdc1e1e", "96:0:96:64:0x1ec81e", "0:64:96:64:0x1e1edc")
_CORNERS = (
    "-f", "lavfi", "-i",
    "color=0x808080:s=192x128:r=10:d=4," + ",".join(f"drawbox={box}:fill" for box in _BOXES),
)  # fmt: skip
_BLACK = ("-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=2")
# White is as bright as on ordinary screens.
_TO_PQ = (
    "format=gbrp,zscale=tin=iec61966-2-1:pin=709:min=gbr:rin=full:t=smpte2084:p=2020:m=2020_ncl"
    ":r=tv:npl=203"
)
_CHAPTERS = """;FFMETADATA1
title=Chapters ж
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1000
title=One
[CHAPTER]
TIMEBASE=1/1000
START=1000
END=2000
"""
_SUBTITLES = "1\n00:00:00,000 --> 00:00:01,000\nhello\n"

TAGS = tuple(
    word
    for tag in (
        "title=Lied ж", "artist=Ada", "album=Werk", "album_artist=Alle", "composer=Carl",
        "genre=Jazz", "date=2024-05-06", "track=3/12", "disc=1/2", "comment=leise",
    )
    for word in ("-metadata", tag)
)  # fmt: skip
TAGGED = {
    "mp3": MP3, "m4a": AAC, "flac": ("-c:a", "flac"), "ogg": ("-c:a", "libvorbis"),
    "aiff": ("-write_id3v2", "1"), "mka": AAC,
}  # fmt: skip


def ebu(*stretches: tuple[int, int]) -> tuple[str, ...]:
    """A stereo tone of 1 kHz: seconds and level in dB of full scale, one after the other."""
    levels, end = "0", sum(seconds for seconds, _ in stretches)
    for seconds, level_db in reversed(stretches):
        levels = f"if(lt(t,{end}),{10 ** (level_db / 20):.6f},{levels})"
        end -= seconds
    wave = f"({levels})*sin(2*PI*1000*t)"
    duration = sum(seconds for seconds, _ in stretches)
    return ("-f", "lavfi", "-i", f"aevalsrc='{wave}|{wave}':s=48000:d={duration}")


# name: arguments of ffmpeg; {other.mp4} is another sample.
RECIPES: dict[str, tuple[str, ...]] = {
    "card.mp4": (
        *CARD, *TONE, *X264, *AAC, "-movflags", "+faststart", "-metadata", "title=Hi ж",
        "-metadata:s:a:0", "language=deu",
    ),
    "late-index.mp4": ("-i", "{card.mp4}", "-c", "copy"),
    "turned.mp4": ("-i", "{corners.mp4}", "-c", "copy", "-metadata:s:v", "rotate=90"),
    "corners.mp4": (*_CORNERS, *X264, "-g", "5"),
    "anamorphic.mp4": (*_CORNERS, *X264, "-vf", "setsar=4/3"),
    "fragmented.mp4": ("-i", "{card.mp4}", "-c", "copy", "-movflags", "+frag_keyframe+empty_moov"),
    "variable.mp4": (
        *CARD, *X264, "-vf", "select='not(between(n,10,30)*mod(n,3))'", "-vsync", "vfr",
    ),
    "hdr10.mp4": (*CARD, *X265, *WIDE, "smpte2084", "-tag:v", "hvc1"),
    "corners-hdr10.mp4": (*_CORNERS, "-vf", f"{_TO_PQ},format=yuv420p10le", *X265, *WIDE, "smpte2084"),
    "late-start.mp4": (*_BLACK, *CARD, "-filter_complex", "concat", *X264, "-g", "10"),
    "one-key-frame.mp4": (*_BLACK, *CARD, "-filter_complex", "concat", *X264, "-g", "250"),
    "blurred.mp4": (
        *CARD, *CARD, "-filter_complex", "[0]gblur=sigma=12[b];[b][1]concat", *X264, "-g", "10",
    ),
    "black.mp4": (*_BLACK, *X264),
    "hlg.mkv": (*CARD, *X265, *WIDE, "arib-std-b67"),
    "card.ts": (*CARD, *TONE, *X264, *AAC, "-f", "mpegts"),
    "card.webm": (*CARD, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "16"),
    "square.webm": (
        "-f", "lavfi", "-i", "testsrc2=size=256x256:duration=0.2", "-c:v", "libvpx",
        "-deadline", "realtime", "-cpu-used", "16",
    ),
    "bare.h264": (*CARD, *X264, "-f", "h264"),
    "chapters.mkv": (
        "-i", "{card.mp4}", "-i", "{chapters.txt}", "-i", "{words.srt}", "-map", "0", "-map", "2",
        "-map_metadata", "1", "-c", "copy", "-c:s", "srt", "-metadata:s:s:0", "language=rus",
        "-metadata:s:a:0", "title=Ton",
    ),
    "many.mkv": ("-i", "{tone.wav}", *("-map", "0") * 300, "-c", "copy", "-t", "0.05"),
    "tone.wav": (*TONE, "-c:a", "pcm_s16le"),
    "tone.flac": (*TONE, "-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"),
    "tone.ogg": (*TONE, "-c:a", "libvorbis", "-metadata", "title=Ton ж"),
    "tone.opus": (*TONE, "-c:a", "libopus", "-metadata", "title=Ton ж"),
    "tone.m4a": (*TONE, *AAC, "-metadata", "title=Ton ж"),
    "surround.m4a": (*TONE, *AAC, "-ac", "6"),
    "tone.aac": (*TONE, *AAC, "-f", "adts"),
    "tagged.mp3": (*TONE, *MP3, "-b:a", "64k"),
    "plain.mp3": (
        *LONG_TONE, *NOISE, "-filter_complex", "concat=v=0:a=1", *MP3, "-q:a", "4",
        "-write_xing", "0", "-id3v2_version", "0",
    ),
    "cover.mp3": (
        *TONE, "-f", "lavfi", "-i", "color=red:size=64x48:duration=0.04", "-map", "0", "-map", "1", *MP3,
        "-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic",
        "-metadata", "title=Song", "-metadata", "artist=Ada",
    ),
    **{f"album.{kind}": (*TONE, *TAGS, *codec) for kind, codec in TAGGED.items()},
    "cover.m4a": ("-i", "{cover.mp3}", "-map", "0", *AAC, "-c:v", "copy", "-disposition:v", "attached_pic"),
    "cover.flac": ("-i", "{cover.mp3}", "-map", "0", "-c:v", "copy", "-disposition:v", "attached_pic"),
    "half.wav": (*TONE, "-af", "volume='if(lt(t,1),0,1)':eval=frame,volume=4", "-c:a", "pcm_s16le"),
    "silence.wav": ("-f", "lavfi", "-i", "anullsrc=r=48000:d=4"),
    "blink.wav": ("-f", "lavfi", "-i", "sine=duration=0.02"),
    # EBU Tech 3341, signals 1 and 3; Tech 3342, signal 1.
    "ebu-1.wav": ebu((20, -23)),
    "ebu-3.wav": ebu((10, -36), (60, -23), (10, -36)),
    "ebu-range.wav": ebu((20, -20), (20, -30)),
    "list.m3u8": ("-i", "{card.ts}", "-c", "copy", "-f", "hls"),
}  # fmt: skip


class Samples:
    """Makes samples in a folder; calling it returns the path of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "chapters.txt").write_text(_CHAPTERS)
        (folder / "words.srt").write_text(_SUBTITLES)

    def __call__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            self._make(path, RECIPES[name])
        return path

    def _make(self, path: Path, recipe: tuple[str, ...]) -> None:
        filled = [str(self(word[1:-1])) if word[:1] == "{" else word for word in recipe]
        subprocess.run(
            ["ffmpeg", "-nostdin", "-loglevel", "error", "-threads", "1", *filled, str(path)],
            check=True, cwd=self.folder,
        )  # fmt: skip

    def cut(self, name: str, size_bytes: int) -> Path:
        """The beginning of a sample."""
        return self.altered(name, lambda data: data[:size_bytes], f"cut-{size_bytes}-{name}")

    def altered(self, name: str, change: Callable[[bytes], bytes], new_name: str) -> Path:
        path = self.folder / new_name
        path.write_bytes(change(self(name).read_bytes()))
        return path


def claiming_side(data: bytes, side: int) -> bytes:
    """`square.webm` with another number of pixels a side in its header."""
    size = b"\xb0\x82\x01\x00\xba\x82\x01\x00"
    assert data.count(size) == 1
    claim = struct.pack(">H", side)
    return data.replace(size, b"\xb0\x82" + claim + b"\xba\x82" + claim)


def lasting(data: bytes, duration: float) -> bytes:
    """A Matroska file with another duration in its header."""
    at = data.index(b"\x44\x89\x88") + 3
    return data[:at] + struct.pack(">d", duration) + data[at + 8 :]


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Samples:
    return Samples(tmp_path_factory.mktemp("samples"))
