"""Programs that know how sites hide their media: yt-dlp and gallery-dl, run apart from us.

They are started as `python -m …` of the interpreter that runs haulier, or by their names on the
path; never imported: gallery-dl's licence (GPL-2.0) and its global state stay on the other side of
a process, which can be killed. Both find haulier's proxy in their environment, where other users of
the machine can't read its password, and are told to use no configuration, cache or plug-in of the
user's.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from haulier import errors

_PLAYABLE = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"
# What players inside chats know best comes first; the whole is H.264 in MP4 where there is one.
_FORMATS = f"bv*{_PLAYABLE}+ba{_PLAYABLE}/b{_PLAYABLE}"
MEDIA_HINT = "Link to the file itself, or to a page that shows a video, sound or pictures."
_GALLERY_UNSUPPORTED = 64
_GALLERY_SIGN_IN = 16
_GALLERY_NOT_FOUND = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLimits:
    """What one link may lead to.

    Attributes:
        max_bytes: of all its files together.
        max_files: those behind it are left out: a link may be one to a list.
        max_duration_s: longer videos and sound are left out, and so is what has no end; None:
            whatever the length.
        timeout_s: seconds that fetching may take.
        max_memory_bytes: what a program may take of it that reads pages; on Linux only.
    """

    max_bytes: int
    max_files: int = 10
    max_duration_s: float | None = None
    timeout_s: float = 1800.0
    max_memory_bytes: int = 2 << 30


class SiteTool(Protocol):
    """Fetches what a page shows."""

    @property
    def name(self) -> str:
        """What the program is called."""
        ...

    def command(
        self, url: str, folder: Path, limits: SiteLimits, cookies: Path | None
    ) -> list[str]:
        """Return the program with its arguments; raises MissingProgram."""
        ...

    def error(self, code: int, said: str) -> errors.HaulierError | None:
        """Return what an exit code and the last words mean; None when it went well."""
        ...


class YtDlp:
    """Video and sound of the sites that yt-dlp knows."""

    name = "yt-dlp"

    def command(
        self, url: str, folder: Path, limits: SiteLimits, cookies: Path | None
    ) -> list[str]:
        """Return the program with its arguments; see `SiteTool`."""
        wanted = "!is_live & live_status!=?is_upcoming"
        if limits.max_duration_s is not None:
            wanted += f" & duration<=?{limits.max_duration_s:g}"
        arguments = [
            "--ignore-config", "--no-plugin-dirs", "--no-cache-dir", "--no-color", "--no-progress",
            "--no-warnings", "--no-mtime", "--no-playlist",
            "--playlist-items", f"1:{limits.max_files}",
            "--max-filesize", str(limits.max_bytes),
            "--match-filters", wanted,
            "--socket-timeout", "20", "--retries", "3", "--extractor-retries", "2",
            "--format", _FORMATS, "--format-sort", "vcodec:h264,acodec:aac,res:1080",
            "--merge-output-format", "mp4/mkv", "--downloader", "m3u8,dash:native",
            "--paths", f"home:{folder}", "--paths", f"temp:{folder}",
            "--output", "%(title).80B [%(id).40B].%(ext)s", "--restrict-filenames",
        ]  # fmt: skip
        if cookies is not None:
            arguments += ["--cookies", str(cookies)]
        return [*_program("yt_dlp", "yt-dlp"), *arguments, "--", url]

    def error(self, code: int, said: str) -> errors.HaulierError | None:
        """Return what an exit code and the last words mean."""
        if code == 0:
            return None
        if re.search(r"Unsupported URL|is not a valid URL|No video could be found", said):
            return errors.UnsupportedMedia(
                "no video or sound was found behind this link", hint=MEDIA_HINT
            )
        if re.search(r"[Ss]ign in|log ?in|[Pp]rivate|members|cookies", said):
            return errors.AccessDenied(
                "the site shows this only to who is signed in",
                hint="Give cookies of a browser that is signed in (DOWNLOAD_COOKIES_FILE).",
            )
        if re.search(
            r"HTTP Error 40[34]|HTTP Error 410|not available|removed|does not exist", said
        ):
            return errors.NoSuchObject(
                "what the link leads to is not there, or not to be had from here",
                hint="Open the link in a browser.",
            )
        return errors.ServiceFault(f"yt-dlp could not fetch it: {_last_words(said)}")


class GalleryDl:
    """Pictures and albums of the sites that gallery-dl knows."""

    name = "gallery-dl"

    def command(
        self, url: str, folder: Path, limits: SiteLimits, cookies: Path | None
    ) -> list[str]:
        """Return the program with its arguments; see `SiteTool`."""
        arguments = [
            "--config-ignore", "--no-input", "--no-colors", "--no-mtime",
            "--directory", str(folder),
            "--range", f"1-{limits.max_files}", "--filesize-max", str(limits.max_bytes),
            "--http-timeout", "20", "--retries", "3",
            "--option", "cache.file=:memory:", "--option", "extractor.parent-skip=true",
        ]  # fmt: skip
        if cookies is not None:
            arguments += ["--cookies", str(cookies)]
        return [*_program("gallery_dl", "gallery-dl"), *arguments, "--", url]

    def error(self, code: int, said: str) -> errors.HaulierError | None:
        """Return what an exit code, a mask of bits, and the last words mean."""
        if code == 0:
            return None
        if code > 0 and code & _GALLERY_UNSUPPORTED:
            return errors.UnsupportedMedia(
                "no pictures were found behind this link", hint=MEDIA_HINT
            )
        if code > 0 and code & _GALLERY_SIGN_IN:
            return errors.AccessDenied(
                "the site shows this only to who is signed in",
                hint="Give cookies of a browser that is signed in (DOWNLOAD_COOKIES_FILE).",
            )
        if code > 0 and code & _GALLERY_NOT_FOUND:
            return errors.NoSuchObject(
                "what the link leads to is not there, or not to be had from here",
                hint="Open the link in a browser.",
            )
        return errors.ServiceFault(f"gallery-dl could not fetch it: {_last_words(said)}")


def _program(module: str, name: str) -> Sequence[str]:
    if find_spec(module) is not None:
        return [sys.executable, "-P", "-m", module]
    found = shutil.which(name)
    if found is None:
        raise errors.MissingProgram(
            f"{name} is not installed", hint=f"Install it: pip install {name}"
        )
    return [found]


def _last_words(said: str) -> str:
    """Return the last line of what a program said, without paths of this machine."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    return re.sub(r"(?<![:/\w])/[^\s'\"]*/", "", last.removeprefix("ERROR: "))[:200]
