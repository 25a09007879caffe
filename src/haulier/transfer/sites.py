"""Whatever a link leads to, into a directory: a file by HTTP, a page by the program that knows it.

A link is asked once to see what it is. A picture, a video or sound is fetched by the
`DownloadManager`; of a page the hosts that show pictures go to gallery-dl first and all others to
yt-dlp, and to the other one when the first finds nothing. Both reach the network through
`FilteringProxy` alone, are watched for what they write, and are killed with everything they started
when they take too much or too long.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from haulier import errors
from haulier.core.mime import MediaType, kind_of
from haulier.core.units import RateLimit, format_size
from haulier.media.finding import walk_files
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.links import printable
from haulier.net.proxy import FilteringProxy
from haulier.net.throttle import Throttle
from haulier.transfer.download_manager import DownloadManager
from haulier.transfer.site_tools import MEDIA_HINT, GalleryDl, SiteLimits, SiteTool, YtDlp

_WATCH_INTERVAL_S = 0.5
_TAIL_BYTES = 16 << 10
# Protocols add to what files hold: heads, TLS, what is asked twice.
_PROXY_SLACK = 1.2
_PROXY_SLACK_BYTES = 16 << 20
_KEPT_VARIABLES = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_OF_PICTURES = frozenset(
    {
        "twitter.com", "x.com", "reddit.com", "instagram.com", "imgur.com", "tumblr.com",
        "flickr.com", "deviantart.com", "artstation.com", "pixiv.net", "bsky.app", "pinterest.com",
        "threads.net", "500px.com", "wallhaven.cc", "danbooru.donmai.us",
    }
)  # fmt: skip
_UNTOLD = frozenset({"application/octet-stream", "binary/octet-stream"})
# Answers to a program that is no browser; what knows the site may do better.
_ASK_A_TOOL = (errors.AccessDenied, errors.RequestRejected, errors.RateLimited)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedLink:
    """What a link came to.

    Attributes:
        url: the link.
        strategy: what fetched it: http, yt-dlp or gallery-dl.
        files: in the directory, by their names.
        is_cut: as many came as are taken of one link, so there may have been more.
    """

    url: str
    strategy: str
    files: tuple[Path, ...]
    is_cut: bool = False


class SiteDownloader:
    """Fetches links that people post.

    Args:
        limits: what one link may lead to.
        allow: hosts and networks that may be asked although they are not public.
        cookies: a file of cookies (Netscape's format) for sites that want a sign-in. The programs
            get a copy: they write into it.
        limit_rate: bytes per second of all links together, perhaps by time of day.
        tools: asked in turn, the first first where no picture host is known.
    """

    def __init__(
        self,
        limits: SiteLimits,
        *,
        allow: Iterable[str] = (),
        cookies: Path | None = None,
        limit_rate: RateLimit | None = None,
        tools: Sequence[SiteTool] | None = None,
    ) -> None:
        self._limits = limits
        self._allow = tuple(allow)
        self._guard = AddressGuard(self._allow)
        self._cookies = cookies
        self._throttle = None if limit_rate is None else Throttle(limit_rate)
        self._tools: list[SiteTool] = [YtDlp(), GalleryDl()] if tools is None else list(tools)

    async def fetch(self, url: str, folder: Path) -> FetchedLink:
        """Fetch what `url` leads to into `folder`, which is made when missing.

        Files of theirs that are not whole are removed when it fails or is cancelled.

        Raises:
            AddressRefused: it leads to an address that may not be asked.
            UnsupportedMedia: nothing was found behind it.
            FileSizeError: more than `max_bytes`. TimedOut: it took too long.
            AccessDenied, NoSuchObject: the site says so. MissingProgram: neither program is there.
            Transient: the site fails. StorageFull, UsageError: as their names say.
        """
        self._guard.check_url(url)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._fetched(url, folder)
        except TimeoutError:
            raise errors.TimedOut(
                f"the site took longer than {self._limits.timeout_s:g} s"
            ) from None

    async def _fetched(self, url: str, folder: Path) -> FetchedLink:
        if await self._is_file(url):
            async with DownloadManager(
                allow=self._allow,
                max_bytes=self._limits.max_bytes,
                parallel=1,
                throttle=self._throttle,
            ) as manager:
                done = await manager.download(url, folder, if_exists="rename")
            return FetchedLink(url=url, strategy="http", files=(done.path,))
        tools = self._tools
        if _is_of_pictures(url):
            tools = sorted(tools, key=lambda tool: tool.name != GalleryDl.name)
        problem: errors.HaulierError | None = None
        for tool in tools:
            try:
                files = await self._by_tool(tool, url, folder)
            except (errors.UnsupportedMedia, errors.MissingProgram) as error:
                # What was found and refused says more than what was not found.
                problem = problem or error
                continue
            is_cut = len(files) >= self._limits.max_files
            return FetchedLink(url=url, strategy=tool.name, files=tuple(files), is_cut=is_cut)
        raise problem or errors.UnsupportedMedia(
            "nothing was found behind this link", hint=MEDIA_HINT
        )

    async def _is_file(self, url: str) -> bool:
        """Whether the link leads to media by itself, not to a page about it."""
        async with HttpClient(guard=self._guard) as client:
            try:
                async with client.open("GET", url, headers={"Range": "bytes=0-0"}) as answer:
                    mime = (answer.headers.get("Content-Type") or "").partition(";")[0].strip()
                    named = "attachment" in (answer.headers.get("Content-Disposition") or "")
            except _ASK_A_TOOL:
                return False
        kind = MediaType.of(kind_of(mime.lower()))
        return kind is not MediaType.UNKNOWN or named or mime.lower() in _UNTOLD

    async def _by_tool(self, tool: SiteTool, url: str, folder: Path) -> list[Path]:
        """Have a program fetch into a room of its own, and take over what is whole."""
        most_bytes = int(self._limits.max_bytes * _PROXY_SLACK) + _PROXY_SLACK_BYTES
        with tempfile.TemporaryDirectory(prefix=".haulier-site-", dir=folder) as name:
            room = Path(name)
            media = room / "media"
            media.mkdir()
            cookies = self._copied_cookies(room)
            pace = None if self._throttle is None else self._throttle.take
            async with FilteringProxy(self._guard, max_bytes=most_bytes, pace=pace) as proxy:
                code, said = await self._run(
                    tool.command(url, media, self._limits, cookies),
                    room,
                    {**proxy.environment(), "HOME": name, "XDG_CONFIG_HOME": name, "TMPDIR": name},
                )
                if proxy.is_exhausted:
                    raise self._too_large(url)
                problem = tool.error(code, said)
                files = _whole_files(media)
                if not files and proxy.refused:
                    raise proxy.refused[0]
            if problem is not None and not files:
                raise problem
            if not files:
                raise errors.UnsupportedMedia(
                    f"{tool.name} found nothing there that may be fetched",
                    hint="It may be live, too long or too large.",
                )
            return _take(files, folder)

    def _copied_cookies(self, room: Path) -> Path | None:
        if self._cookies is None:
            return None
        copy = room / "cookies.txt"
        try:
            shutil.copyfile(self._cookies, copy)
            copy.chmod(0o600)
        except OSError as error:
            raise errors.ConfigurationError(
                f"the cookies can't be read: {error.strerror}", hint="See DOWNLOAD_COOKIES_FILE."
            ) from error
        return copy

    def _too_large(self, url: str) -> errors.FileSizeError:
        most = format_size(self._limits.max_bytes)
        return errors.FileSizeError(f"{printable(url)} leads to more than {most}")

    async def _run(
        self, command: Sequence[str], room: Path, variables: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run a program to its end; return its exit code and its last words."""
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=room,
            env={**kept, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        _bound_memory(process.pid, self._limits.max_memory_bytes)
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(room / "media"))
                said = await _tail_of(process.stderr)
                code = await process.wait()
                watching.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await _end(process)
        return code, said

    async def _watch(self, folder: Path) -> None:
        """Raise FileSizeError once more is written than allowed."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if _written(folder) > self._limits.max_bytes:
                raise errors.FileSizeError(
                    f"more than {format_size(self._limits.max_bytes)} came from the site"
                )


def _is_of_pictures(url: str) -> bool:
    host = (urlsplit(url).hostname or "").casefold()
    return any(host == known or host.endswith(f".{known}") for known in _OF_PICTURES)


def _written(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # renamed meanwhile
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _whole_files(folder: Path) -> list[Path]:
    """Return the regular files below, which is what a program leaves when it has ended."""
    found = [path for path, problem in walk_files(folder) if problem is None]
    return sorted(path for path in found if path.suffix not in {".part", ".ytdl", ".tmp"})


def _take(files: Sequence[Path], folder: Path) -> list[Path]:
    """Move files up into `folder`, under names that are free."""
    taken = []
    for path in files:
        target, number = folder / path.name, 2
        while target.exists():
            target, number = folder / f"{path.stem}-{number}{path.suffix}", number + 1
        taken.append(path.rename(target))
    return taken


def _bound_memory(pid: int, most_bytes: int) -> None:
    """Let a program fail that wants more: a page may unpack to any size."""
    if sys.platform == "linux":
        with suppress(ProcessLookupError, PermissionError):  # ended, or bound closer already
            resource.prlimit(pid, resource.RLIMIT_DATA, (most_bytes, most_bytes))


async def _tail_of(stream: asyncio.StreamReader) -> str:
    tail = b""
    while data := await stream.read(1 << 16):
        tail = (tail + data)[-_TAIL_BYTES:]
    return tail.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    # Also when it has ended: what it started, such as ffmpeg, may live on.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.communicate())
