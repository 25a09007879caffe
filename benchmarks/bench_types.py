"""Types by content: haulier beside python-magic, puremagic, magika and filetype.

    python benchmarks/bench_types.py [--rounds 5] [--all]

Everybody is given the same files, by path, one at a time in a warm process. An answer is right when
it is the type or another name of it; wider when it is a more general or closely related type, such as
zip for a docx or video for a container with sound alone; unknown when none was given; else wrong. The
files are those of the tests (tests/media/type_samples.py) that real programs wrote; haulier's tables
were made with them in view, the others' were not.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "media"))

from haulier.core.mime import UNKNOWN_TYPE, canonical

Ask = Callable[[Path], str | None]

# Other names of the same types.
_SAME = {
    "application/excel": "application/vnd.ms-excel", "application/java": "application/java-vm",
    "application/x-executable-elf": "application/x-executable", "audio/x-au": "audio/basic",
    "application/x-dosexec": "application/vnd.microsoft.portable-executable",
    "image/x-portable-pixmap": "image/x-portable-anymap", "video/dvd": "video/mpeg",
    "image/jpx": "image/jp2", "application/x-mach-o": "application/x-mach-binary",
    "audio/x-m4b": "audio/mp4", "image/x-dds": "image/vnd.ms-dds", "image/jpeg2000": "image/jp2",
    "application/x-deb": "application/vnd.debian.binary-package",
    "application/x-unix-archive": "application/x-archive", "text/srt": "application/x-subrip",
}  # fmt: skip
# Wider words for a type, or a closely related one.
_WIDER = {
    "video/x-ms-wmv": {"video/x-ms-asf", "application/vnd.ms-asf"},
    "audio/x-ms-wma": {"video/x-ms-asf", "application/vnd.ms-asf", "video/x-ms-wmv"},
    "video/mp2t": {"video/mpeg"}, "audio/ogg": {"application/ogg", "video/ogg"},
    "video/ogg": {"application/ogg", "audio/ogg"}, "audio/mp4": {"video/mp4"},
    "audio/3gpp": {"video/3gpp", "video/mp4"}, "audio/webm": {"video/webm"},
    "audio/x-matroska": {"video/x-matroska"}, "video/x-m4v": {"video/mp4"}, "video/3gpp": {"video/mp4", "video/3gpp2"},
    "video/3gpp2": {"video/mp4", "video/3gpp"},
    "image/heic": {"image/heif"}, "image/svg+xml": {"application/xml"},
    "application/rss+xml": {"application/xml"}, "application/java-archive": {"application/zip"},
    "application/vnd.android.package-archive": {"application/zip", "application/java-archive"},
    "application/epub+zip": {"application/zip"}, "text/csv": {"text/plain"},
    "text/x-python": {"text/plain"}, "text/x-shellscript": {"text/plain"},
    "text/vtt": {"text/plain"}, "application/x-subrip": {"text/plain"},
    "application/x-ndjson": {"application/json", "text/plain"}, "text/plain": {"text/markdown"},
    "application/vnd.apple.mpegurl": {"text/plain"}, "video/h264": {"video/mpeg"},
    "application/msword": {"application/x-ole-storage"},
    "application/vnd.ms-excel": {"application/x-ole-storage"},
    "application/vnd.debian.binary-package": {"application/x-archive"},
}  # fmt: skip


def contenders() -> dict[str, tuple[Ask, float]]:
    """Return each detector that is installed, and the milliseconds of CPU that loading it took."""
    makers = {
        "haulier": _haulier, "python-magic": _python_magic, "puremagic": _puremagic,
        "filetype": _filetype, "magika": _magika,
    }  # fmt: skip
    found = {}
    for name, make in makers.items():
        began = time.process_time()
        try:
            ask = make()
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        found[name] = (ask, (time.process_time() - began) * 1000)
    return found


def _haulier() -> Ask:
    from haulier.core.sniff import sniff
    from haulier.media.detect import read_sample

    def ask(path: Path) -> str | None:
        sample = read_sample(path)
        found = sniff(sample.head, sample.tail, behind_tag=sample.behind_tag)
        return None if found is None else found.mime_type

    return ask


def _python_magic() -> Ask:
    import magic

    asked = magic.Magic(mime=True)
    return lambda path: asked.from_file(str(path))


def _puremagic() -> Ask:
    import puremagic

    def ask(path: Path) -> str | None:
        try:
            return puremagic.from_file(str(path), mime=True) or None
        except (puremagic.PureError, ValueError):
            return None

    return ask


def _filetype() -> Ask:
    import filetype

    def ask(path: Path) -> str | None:
        kind = filetype.guess(str(path))
        return None if kind is None else kind.mime

    return ask


def _magika() -> Ask:
    logging.getLogger("magika").setLevel(logging.ERROR)
    from magika import Magika

    asked = Magika()
    return lambda path: asked.identify_path(path).output.mime_type


def verdict(expected: str, told: str | None) -> str:
    """Return `right`, `wider`, `wrong` or `unknown`."""
    if told is None:
        return "unknown"
    plain = _named(told)
    if plain == _named(expected):
        return "right"
    if plain in {UNKNOWN_TYPE, "application/undefined"}:
        return "unknown"
    wider = _WIDER.get(expected, set())
    is_office = expected.startswith(
        ("application/vnd.openxml", "application/vnd.oasis", "application/vnd.ms-word")
    )
    return "wider" if plain in wider or (is_office and plain == "application/zip") else "wrong"


def _named(mime_type: str) -> str:
    plain = canonical(mime_type)
    return _SAME.get(plain, plain)


def microseconds(ask: Ask, paths: list[Path], rounds: int) -> float:
    """Return the median over the rounds of the mean CPU time per file, all threads together."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        for path in paths:
            ask(path)
        took.append((time.process_time() - began) / len(paths))
    return statistics.median(took) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all", action="store_true", help="show every answer that is not right")
    arguments = parser.parse_args()
    from type_samples import BY_HAND, make_samples

    with tempfile.TemporaryDirectory() as folder:
        samples = [each for each in make_samples(Path(folder)) if each.name not in BY_HAND]
        paths = [Path(folder) / sample.name for sample in samples]
        print(f"\nTypes of {len(samples)} files, warm, load average {os.getloadavg()[0]:.2f}\n")
        print("| | right | wider | wrong | unknown | CPU us per file | CPU ms to load |")
        print("|---|---|---|---|---|---|---|")
        told: dict[str, list[str | None]] = {}
        for name, (ask, load_ms) in contenders().items():
            told[name] = [ask(path) for path in paths]
            counts = Counter(map(verdict, [s.mime_type for s in samples], told[name]))
            figures = " | ".join(
                str(counts[each]) for each in ("right", "wider", "wrong", "unknown")
            )
            print(
                f"| {name} | {figures} | {microseconds(ask, paths, arguments.rounds):.0f} | {load_ms:.0f} |"
            )
    if arguments.all:
        for name, answers in told.items():
            print(f"\n{name}")
            for sample, answer in zip(samples, answers, strict=True):
                if (judged := verdict(sample.mime_type, answer)) != "right":
                    print(f"  {judged:8} {sample.name:16} {sample.mime_type}  ->  {answer}")


if __name__ == "__main__":
    main()
