"""What links of people lead to, fetched by real yt-dlp and gallery-dl from a site on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import subprocess
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from haulier import errors
from haulier.transfer.site_tools import GalleryDl, SiteLimits
from haulier.transfer.sites import SiteDownloader

pytestmark = pytest.mark.processes

MIB = 1 << 20
LIMITS = SiteLimits(max_bytes=20 * MIB, max_files=3, max_duration_s=600, timeout_s=90)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=1"]
    subprocess.run(["ffmpeg", "-v", "error", *source, path], check=True)
    return path.read_bytes()


class Site:
    def __init__(self) -> None:
        self.url = ""
        self.seen: list[web.BaseRequest] = []
        self.pages: dict[str, web.Response | str] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self.stalled = asyncio.Event()
        self.sent_bytes = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        path = request.path
        if path in {"/endless.mp4", "/stall.mp4", "/huge.mp4"}:
            return await self._endless(request)
        if path == "/bomb":
            page = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
            return web.Response(body=self.files["/bomb.gz"][0], headers=page)
        if path in self.files:
            content, mime = self.files[path]
            return web.Response(body=content, content_type=mime)
        if path.startswith("/moved/"):
            raise web.HTTPFound(f"http://127.0.0.2:{request.url.port}/secret.mp4")
        page = self.pages.get(path)
        if page is None:
            raise web.HTTPNotFound
        return web.Response(text=str(page), content_type="text/html")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        if request.path == "/huge.mp4":
            response.content_length = 100 << 30
        await response.prepare(request)
        while True:
            await response.write(os.urandom(MIB))
            self.sent_bytes += MIB
            if request.path == "/stall.mp4":
                self.stalled.set()
                await asyncio.sleep(3600)


@pytest.fixture
async def site(clip: bytes) -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    site.files["/clip.mp4"] = (clip, "video/mp4")
    site.files["/secret.mp4"] = (clip, "video/mp4")
    yield site
    await runner.cleanup()


def video_page(*sources: str) -> str:
    videos = "".join(f'<video src="{source}"></video>' for source in sources)
    return f"<html><head><title>A day out</title></head><body>{videos}</body></html>"


def downloader(limits: SiteLimits = LIMITS, **more: object) -> SiteDownloader:
    return SiteDownloader(limits, allow=["127.0.0.1"], **more)  # type: ignore[arg-type]


def digests(paths: object) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}  # type: ignore[attr-defined]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


async def test_a_link_to_a_file_needs_no_program(site: Site, clip: bytes, tmp_path: Path) -> None:
    fetched = await downloader(tools=[]).fetch(f"{site.url}/clip.mp4", tmp_path / "1")
    assert fetched.strategy == "http"
    assert digests(fetched.files) == {hashlib.sha256(clip).hexdigest()}
    assert left_in(tmp_path / "1") == ["clip.mp4"]
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o700


async def test_a_page_with_a_video_goes_to_yt_dlp(site: Site, clip: bytes, tmp_path: Path) -> None:
    site.pages["/post"] = video_page("/clip.mp4")
    fetched = await downloader().fetch(f"{site.url}/post", tmp_path)
    assert fetched.strategy == "yt-dlp"
    assert digests(fetched.files) == {hashlib.sha256(clip).hexdigest()}
    assert left_in(tmp_path) == [path.name for path in fetched.files]


async def test_nothing_is_found_behind_a_page_of_text(site: Site, tmp_path: Path) -> None:
    site.pages["/text"] = "<html><body><p>only words</p></body></html>"
    with pytest.raises(errors.UnsupportedMedia):
        await downloader().fetch(f"{site.url}/text", tmp_path)
    assert left_in(tmp_path) == []


async def test_a_page_that_is_not_there_says_so(site: Site, tmp_path: Path) -> None:
    with pytest.raises(errors.NoSuchObject):
        await downloader().fetch(f"{site.url}/gone", tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://192.168.0.1/x.mp4",
        "file:///etc/passwd",
        "ftp://example.org/x.mp4",
        "-o/tmp/x",
    ],
)
async def test_links_into_the_network_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(errors.AddressRefused):
        await downloader().fetch(url, tmp_path)


@pytest.mark.parametrize("link", ["/post", "/moved/clip.mp4"])
async def test_a_video_that_redirects_into_the_network_is_refused(
    site: Site, tmp_path: Path, link: str
) -> None:
    site.pages["/post"] = video_page("/moved/clip.mp4")
    with pytest.raises(errors.AddressRefused, match=r"127\.0\.0\.2"):
        await downloader().fetch(f"{site.url}{link}", tmp_path)
    assert not any(request.path == "/secret.mp4" for request in site.seen)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("page", [True, False])
async def test_an_endless_stream_ends_at_the_limit(site: Site, tmp_path: Path, page: bool) -> None:
    site.pages["/post"] = video_page("/endless.mp4")
    limits = SiteLimits(max_bytes=8 * MIB, timeout_s=90)
    with pytest.raises(errors.FileSizeError):
        await downloader(limits).fetch(f"{site.url}/{'post' if page else 'endless.mp4'}", tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("page", [True, False])
async def test_what_is_announced_as_too_large_is_not_even_begun(
    site: Site, tmp_path: Path, page: bool
) -> None:
    site.pages["/post"] = video_page("/huge.mp4")
    with pytest.raises((errors.FileSizeError, errors.UnsupportedMedia)):
        await downloader().fetch(f"{site.url}/{'post' if page else 'huge.mp4'}", tmp_path)
    # Some is on its way before the connection is given up.
    assert site.sent_bytes < LIMITS.max_bytes
    assert left_in(tmp_path) == []


async def test_of_a_list_of_ten_thousand_the_first_come(
    site: Site, clip: bytes, tmp_path: Path
) -> None:
    names = [f"/clip{number}.mp4" for number in range(10_000)]
    site.files |= {name: (clip + name.encode(), "video/mp4") for name in names}
    site.pages["/list"] = video_page(*names)
    fetched = await downloader().fetch(f"{site.url}/list", tmp_path)
    wanted = {hashlib.sha256(site.files[name][0]).hexdigest() for name in names[:3]}
    assert digests(fetched.files) == wanted
    assert fetched.is_cut
    asked = {request.path for request in site.seen if request.path != "/list"}
    assert asked == set(names[:3])


async def test_a_page_that_unpacks_without_end_takes_no_memory(site: Site, tmp_path: Path) -> None:
    pump = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [pump.compress(b"<html>"), *(pump.compress(bytes(64 * MIB)) for _ in range(24))]
    site.files["/bomb.gz"] = (b"".join([*packed, pump.flush()]), "")
    limits = SiteLimits(max_bytes=20 * MIB, timeout_s=90, max_memory_bytes=400 * MIB)
    with pytest.raises(errors.HaulierError):
        await downloader(limits).fetch(f"{site.url}/bomb", tmp_path)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 900 << 10


@pytest.mark.parametrize("link", ["/post", "/stall.mp4"])
async def test_a_site_that_takes_too_long_is_left(site: Site, tmp_path: Path, link: str) -> None:
    site.pages["/post"] = video_page("/stall.mp4")
    limits = SiteLimits(max_bytes=8 * MIB, timeout_s=4)
    with pytest.raises(errors.TimedOut, match="longer than 4 s"):
        await downloader(limits).fetch(f"{site.url}{link}", tmp_path)
    assert not any(path.suffix == ".mp4" for path in tmp_path.rglob("*"))


def running() -> str:
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True).stdout


async def test_cancelled_nothing_is_left_running(site: Site, tmp_path: Path) -> None:
    site.pages["/post"] = video_page("/stall.mp4")
    fetching = asyncio.create_task(downloader().fetch(f"{site.url}/post", tmp_path))
    await asyncio.wait_for(site.stalled.wait(), 60)
    told = running()
    assert f"{site.url}/post" in told
    assert "haulier:" not in told, "the proxy's password is nobody's business"
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert left_in(tmp_path) == []
    assert f"{site.url}/post" not in running()


async def test_cookies_reach_the_site_and_stay_as_they_are(
    site: Site, clip: bytes, tmp_path: Path
) -> None:
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tsession\tabc\n"
    cookies.write_text(text)
    site.pages["/post"] = video_page("/clip.mp4")
    await downloader(cookies=cookies).fetch(f"{site.url}/post", tmp_path / "1")
    assert any(request.cookies.get("session") == "abc" for request in site.seen)
    assert cookies.read_text() == text


class Gallery:
    """Stands for gallery-dl, of which none of the sites that it knows can be had here."""

    name = "gallery-dl"

    def command(
        self, url: str, folder: Path, limits: SiteLimits, cookies: Path | None
    ) -> list[str]:
        # The form of a link that is told apart by its ending alone.
        return GalleryDl().command(url.replace("/album", "/one.jpg"), folder, limits, cookies)

    def error(self, code: int, said: str) -> errors.HaulierError | None:
        return GalleryDl().error(code, said)


async def test_gallery_dl_fetches_through_the_proxy_too(site: Site, tmp_path: Path) -> None:
    site.files["/one.jpg"] = (b"\xff\xd8\xff\xe0" + bytes(3000), "image/jpeg")
    site.pages["/album"] = "<html></html>"
    fetched = await downloader(tools=[Gallery()]).fetch(f"{site.url}/album", tmp_path)
    assert fetched.strategy == "gallery-dl"
    [path] = fetched.files
    assert path.read_bytes() == site.files["/one.jpg"][0]


class Board(Gallery):
    """Has gallery-dl take the site for one of a software that it knows, whatever its address."""

    def command(
        self, url: str, folder: Path, limits: SiteLimits, cookies: Path | None
    ) -> list[str]:
        # This form is no link of the web, so none that people post is taken for it.
        return GalleryDl().command(f"vichan:{url}", folder, limits, cookies)


async def test_gallery_dl_fetches_the_first_pictures_of_a_gallery(
    site: Site, tmp_path: Path
) -> None:
    posts = [
        {"no": n, "time": n, "tim": str(n), "filename": f"p{n}", "ext": ".jpg", "com": "Trip"}
        for n in range(5)
    ]
    site.pages["/b/res/1.html"] = "<html></html>"
    site.files["/b/res/1.json"] = (json.dumps({"posts": posts}).encode(), "application/json")
    site.files |= {
        f"/b/src/{n}.jpg": (b"\xff\xd8\xff\xe0" + bytes([n] * 3000), "image/jpeg") for n in range(5)
    }
    fetched = await downloader(tools=[Board()]).fetch(f"{site.url}/b/res/1.html", tmp_path)
    assert fetched.strategy == "gallery-dl"
    wanted = [site.files[f"/b/src/{n}.jpg"][0] for n in range(3)]
    assert digests(fetched.files) == {hashlib.sha256(each).hexdigest() for each in wanted}
    assert fetched.is_cut
    assert left_in(tmp_path) == sorted(path.name for path in fetched.files)


async def test_gallery_dl_reaches_no_private_address(site: Site, tmp_path: Path) -> None:
    site.pages["/album"] = "<html></html>"
    port = site.url.rpartition(":")[2]

    class Elsewhere(Gallery):
        def command(self, url, folder, limits, cookies):  # type: ignore[no-untyped-def]
            return super().command(f"http://127.0.0.2:{port}/one.jpg", folder, limits, cookies)

    with pytest.raises(errors.AddressRefused):
        await downloader(tools=[Elsewhere()]).fetch(f"{site.url}/album", tmp_path)


async def test_without_the_programs_a_page_can_not_be_fetched(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulier.transfer.site_tools.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    site.pages["/post"] = video_page("/clip.mp4")
    with pytest.raises(errors.MissingProgram, match="yt-dlp"):
        await downloader().fetch(f"{site.url}/post", tmp_path)
