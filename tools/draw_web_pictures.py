"""Draws docs/pictures/web-*.png: the pages of the web app, on a desk and on a phone.

Usage: python tools/draw_web_pictures.py [--only PART,…] [DIRECTORY]

A real `haulier serve` is filled with files of somebody who travels, and Debian's Chromium looks at
it. `--only` takes those alone in whose name a PART occurs. Nothing is retouched but the server's
address in a link.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from web_sample_files import PACKING, SCENES, film, itinerary, photo, sound, speech, tickets

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pictures"
HAULIER = [sys.executable, "-m", "haulier.cli.main"]
PASSWORD = "correct horse battery"  # noqa: S105 - of accounts that live for a minute
PEOPLE = {"ann": "user", "maria": "user", "jonas": "user", "li": "viewer", "robin": "admin"}
TRIP = "Norway"
_PATIENCE_MS = 30_000
_COMMON = 64
_SLOW_BPS = 180_000


@dataclass(frozen=True, kw_only=True)
class Look:
    """On what the pages are seen: `name` ends the names of the pictures."""

    name: str
    options: dict[str, Any]


DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
LOOKS = (
    Look(name="", options=DESK),
    Look(name="-dark", options={**DESK, "color_scheme": "dark"}),
    Look(name="-phone", options=PHONE),
    Look(name="-phone-dark", options={**PHONE, "color_scheme": "dark"}),
)
DARK = {"files", "record", "admin"}
DARK_PHONE = {"sign-in"}


class Server:
    """A `haulier serve` of its own, and what its users do without a browser."""

    def __init__(self, data: Path) -> None:
        for name, role in PEOPLE.items():
            quota = ["--quota", "60M"] if role == "user" else []
            words = ["user", "add", name, "--role", role, "--password-stdin", *quota]
            self._run(data, *words, given=PASSWORD)
        self._tokens = {name: self._run(data, "token", "create", name).strip() for name in PEOPLE}
        command = [*HAULIER, "serve", "--port", "0", "--data", str(data)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=data)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    @staticmethod
    def _run(data: Path, *words: str, given: str = "") -> str:
        command = [*HAULIER, *words, "--data", str(data)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
        return done.stdout

    def ask(self, who: str, method: str, path: str, **more: Any) -> Any:
        """Ask as one of the users; return the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self._tokens[who]}", **more.pop("headers", {})}
        answer = httpx2.request(method, self.url + path, headers=headers, timeout=60, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def put(self, who: str, path: str, content: bytes | str, kind: str) -> dict[str, Any]:
        """Store a file; return what is known of it."""
        headers = {"Content-Type": kind}
        return self.ask(who, "PUT", f"/api/content/{path}", content=content, headers=headers)

    def wait_for(self, who: str, path: str) -> None:
        """Wait until a picture or waveform is made."""
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        while httpx2.get(self.url + path, headers=headers, timeout=60).status_code == 202:
            time.sleep(0.5)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)


def fill(server: Server) -> dict[str, Any]:
    """Let people have files, tags, links, and things in the trash; return what is named later."""
    files: dict[str, Any] = {}
    for name in SCENES:
        files[name] = server.put("ann", f"{TRIP}/{name}", photo(name), "image/jpeg")
    for name, content, kind in (
        ("Crossing.webm", film(), "video/webm"),
        ("Waves at night.mp3", sound(), "audio/mpeg"),
        ("Itinerary.pdf", itinerary(), "application/pdf"),
        ("Tickets.zip", tickets(), "application/zip"),
    ):
        files[name] = server.put("ann", f"{TRIP}/{name}", content, kind)
    server.wait_for("ann", f"/api/files/{files['Waves at night.mp3']['id']}/waveform")
    server.wait_for("ann", f"/api/files/{files['Crossing.webm']['id']}/thumbnail")
    for times in (1, 2, 3):
        text = PACKING + "- one more thing\n" * times
        files["Packing.txt"] = server.put("ann", f"{TRIP}/Packing.txt", text, "text/plain")
    server.put("ann", "Originals/Summer.zip", tickets() + bytes(21 << 20), "application/zip")
    tags = {"trip": "norway", "season": "summer", "print": ""}
    for name in ("First light.jpg", "Midnight sun.jpg", "Northern lights.jpg", "Last ridge.jpg"):
        server.ask("ann", "PATCH", f"/api/files/{files[name]['id']}", json={"tags": tags})
    for path in (f"{TRIP}/Maps", f"{TRIP}/For the album", "Invoices", "Film club", "Concerts"):
        server.ask("ann", "POST", "/api/folders", json={"path": path})
    for name in ("Blurred.jpg", "Thumb on the lens.jpg", "Untitled 3.jpg", "Untitled 4.jpg"):
        gone = server.put("ann", f"{TRIP}/{name}", photo("Rain coming in.jpg"), "image/jpeg")
        server.ask("ann", "DELETE", f"/api/files/{gone['id']}")
    for name in ("First light.jpg", "Pine woods.jpg"):
        server.put("maria", f"Team photos/{name}", photo(name), "image/jpeg")
    (team,) = server.ask("maria", "GET", "/api/folders")["items"]
    given = {"user": "ann", "permission": "write"}
    server.ask("maria", "PUT", f"/api/folders/{team['id']}/permissions", json=given)
    shared = files["Northern lights.jpg"]["id"]
    link = server.ask("ann", "POST", f"/api/files/{shared}/shares", json={"max_downloads": 5})
    files["link"] = link["url"]
    given = {"user": "jonas", "permission": "read"}
    ridge = files["Last ridge.jpg"]["id"]
    server.ask("ann", "PUT", f"/api/files/{ridge}/permissions", json=given)
    hook = {"url": "https://hooks.example.org/haulier", "events": ["queue.alert", "queue.cleared"]}
    server.ask("robin", "POST", "/api/webhooks", json=hook)
    return files


class Camera:
    """Takes pictures of pages as they are looked at in one way."""

    def __init__(
        self, browser: Browser, url: str, look: Look, only: list[str], target: Path
    ) -> None:
        self._browser, self._url, self.look, self._only = browser, url, look, only
        self._target = target
        self._signed_in: dict[str | None, Any] = {}

    def wants(self, name: str) -> bool:
        """Tell whether there is such a picture in this look, and it is asked for."""
        looks = {"-dark": DARK, "-phone-dark": DARK_PHONE}.get(self.look.name)
        return (looks is None or name in looks) and any(part in name for part in self._only)

    @contextmanager
    def page(self, who: str | None = "ann", where: str = "/") -> Iterator[Page]:
        """Give a page on which somebody is signed in; None: nobody."""
        options = {"base_url": self._url, "locale": "en-GB", **self.look.options}
        if who in self._signed_in:
            options["storage_state"] = self._signed_in[who]
        context = self._browser.new_context(**options, reduced_motion="reduce")
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.goto(where)
        if who is not None:
            if who not in self._signed_in:
                page.get_by_label("Name", exact=True).fill(who)
                page.get_by_label("Password", exact=True).fill(PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                expect(page.locator("nav.side")).to_be_visible()
                self._signed_in[who] = context.storage_state()
            expect(page.locator("nav.side")).to_be_visible()
        try:
            yield page
        finally:
            context.close()

    def take(self, page: Page, name: str) -> None:
        """Write what is on the screen, with few colours."""
        page.mouse.move(0, 0)
        expect(page.locator(".skeleton")).to_have_count(0)
        page.wait_for_timeout(400)  # pictures fade in
        few = with_few_colours(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        path = self._target / f"web-{name}{self.look.name}.png"
        few.save(path, optimize=True)
        print(f"{path.stat().st_size / 1000:6.1f} kB  {path.name}")


def with_few_colours(taken: Image.Image) -> Image.Image:
    """Return a picture with 256 colours: those of most of the page as they are."""
    found = taken.getcolors(taken.width * taken.height) or []
    common = [colour for _, colour in sorted(found, reverse=True)[:_COMMON]]
    kept = set(common)
    rest = [pixel for pixel in taken.get_flattened_data() if pixel not in kept]
    palette = [level for colour in common for level in colour]
    if rest:
        others = Image.new("RGB", (len(rest), 1))
        others.putdata(rest)
        few = others.quantize(256 - len(common), Image.Quantize.MEDIANCUT, kmeans=1)
        palette += few.getpalette() or []
    colours = Image.new("P", (1, 1))
    colours.putpalette(palette[: 3 * 256])
    return taken.quantize(palette=colours, dither=Image.Dither.NONE)


Files = dict[str, Any]
Draw = Callable[[Camera, Files, str], None]


def at_trip(camera: Camera, how: str) -> Any:
    return camera.page(where=f"/#/{how}/{TRIP}")


def seen(page: Page, pictures: int) -> None:
    """Wait until so many small pictures are there."""
    expect(page.locator(".entries img.loaded, .entries img")).to_have_count(pictures)


def sign_in(camera: Camera, _: Files, name: str) -> None:
    with camera.page(None) as page:
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        page.get_by_label("Name", exact=True).fill("ann")
        camera.take(page, name)


def files(camera: Camera, _: Files, name: str) -> None:
    with at_trip(camera, "files") as page:
        expect(page.get_by_text("Blue hour.jpg")).to_be_visible()
        as_grid(page)
        camera.take(page, name)


def files_list(camera: Camera, _: Files, name: str) -> None:
    with at_trip(camera, "files") as page:
        expect(page.get_by_text("Blue hour.jpg")).to_be_visible()
        camera.take(page, name)


def as_grid(page: Page) -> None:
    page.get_by_role("button", name="Show as grid").click()
    expect(page.locator(".tile").first).to_be_visible()
    page.wait_for_load_state("networkidle")


def search(camera: Camera, _: Files, name: str) -> None:
    with camera.page(where="/#/search?q=*light*&kind=image&tag=trip%3Dnorway") as page:
        expect(page.get_by_text("First light.jpg")).to_be_visible()
        camera.take(page, name)


def preview(file: str, details: bool = False) -> Draw:
    def draw(camera: Camera, _: Files, name: str) -> None:
        with at_trip(camera, "files") as page:
            page.get_by_role("grid").get_by_text(file, exact=True).click()
            dialog = page.get_by_role("dialog", name=file)
            expect(dialog).to_be_visible()
            if details and "phone" not in camera.look.name:
                page.keyboard.press("i")
                expect(dialog.get_by_role("heading", name="Details")).to_be_visible()
            for kind, second in (("video", 4), ("audio", 19)):
                if (playing := page.locator(f".preview {kind}")).count():
                    expect(playing).not_to_have_js_property("readyState", 0)
                    playing.evaluate(f"one => {{ one.currentTime = {second} }}")
                    expect(playing).to_have_js_property("seeking", value=False)
            if page.locator("iframe").count():
                page.wait_for_timeout(4000)  # nobody tells when the browser's reader is done
            page.wait_for_timeout(1500)
            camera.take(page, name)

    return draw


def uploads(camera: Camera, _: Files, name: str) -> None:
    """Two files selected, and others on their way over a slow line."""
    with at_trip(camera, "files") as page, tempfile.TemporaryDirectory() as place:
        expect(page.get_by_text("Blue hour.jpg")).to_be_visible()
        as_grid(page)
        if "phone" not in camera.look.name:  # where a long press selects
            for one in ("First light.jpg", "Last ridge.jpg"):
                page.get_by_role("checkbox", name=f"Select {one}").click()
        going = {"Beach at two.mov": 9, "Reine from above.jpg": 4, "Tent.jpg": 3, "Boat.mov": 8}
        for one, mib in going.items():
            Path(place, one).write_bytes(bytes(mib << 20))
        line = page.context.new_cdp_session(page)
        limits = {"offline": False, "latency": 5, "downloadThroughput": -1}
        line.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": _SLOW_BPS})
        paths = [str(Path(place, one)) for one in going]
        page.locator("input.files-input").set_input_files(paths)
        panel = page.get_by_role("region", name="Uploads")
        expect(panel).to_contain_text(re.compile(r"[1-9](\.\d)? MiB of"))
        panel.get_by_role("button", name="Pause Tent.jpg").click()
        camera.take(page, name)
        for one in going:
            panel.get_by_role("button", name=f"Cancel {one}").click()


def share(camera: Camera, _: Files, name: str) -> None:
    with at_trip(camera, "files") as page:
        page.get_by_role("button", name="Actions for Last ridge.jpg").click()
        page.get_by_role("menuitem", name="Share").click()
        dialog = page.get_by_role("dialog", name="Share Last ridge.jpg")
        dialog.get_by_label("Most downloads").fill("3")
        dialog.get_by_role("button", name="Create link").click()
        made = dialog.get_by_label("Your link")
        expect(made).to_be_visible()
        made.evaluate("one => { one.value = one.value.replace(origin, 'https://files.example') }")
        dialog.get_by_role("button", name="Copy").focus()
        camera.take(page, name)


def link(camera: Camera, files: Files, name: str) -> None:
    with camera.page(None, files["link"]) as page:
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        camera.take(page, name)


def versions(camera: Camera, _: Files, name: str) -> None:
    with at_trip(camera, "files") as page:
        page.get_by_role("button", name="Actions for Packing.txt").click()
        page.get_by_role("menuitem", name="Versions").click()
        expect(page.get_by_text("Version 1", exact=True)).to_be_visible()
        camera.take(page, name)


def trash(camera: Camera, _: Files, name: str) -> None:
    with camera.page(where="/#/trash") as page:
        page.get_by_role("checkbox", name="Blurred.jpg").check()
        camera.take(page, name)


def record(camera: Camera, _: Files, name: str) -> None:
    """One recording was sent, two wait for the network, and one is being made."""
    with camera.page(where="/#/record") as page:
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        page.get_by_label("Keep a copy here").check()
        made(page, "Skipper on the weather", 3000)
        sent = page.get_by_role("listitem", name="Skipper on the weather")
        expect(sent).to_contain_text("Sent")
        page.context.set_offline(True)
        made(page, "Waves below the lighthouse", 5000)
        made(page, "Note about the ridge", 2000)
        begin(page, "Evening by the boats", 6000)
        page.locator("h1").focus()
        page.evaluate("scrollTo(0, 190)")
        camera.take(page, name)


def begin(page: Page, name: str, length_ms: int) -> None:
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_label("Name").fill(name)
    page.wait_for_timeout(length_ms)


def made(page: Page, name: str, length_ms: int) -> None:
    begin(page, name, length_ms)
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("listitem", name=name)).to_be_visible()


def opened(where: str, text: str, who: str = "ann") -> Draw:
    """Draw a page as it opens, once it shows that text."""

    def draw(camera: Camera, _: Files, name: str) -> None:
        with camera.page(who, f"/#/{where}") as page:
            expect(page.get_by_text(text).first).to_be_visible()
            camera.take(page, name)

    return draw


PICTURES: dict[str, Draw] = {
    "sign-in": sign_in,
    "files": files,
    "files-list": files_list,
    "search": search,
    "image": preview("Midnight sun.jpg", details=True),
    "video": preview("Crossing.webm"),
    "audio": preview("Waves at night.mp3"),
    "pdf": preview("Itinerary.pdf"),
    "uploads": uploads,
    "share": share,
    "link": link,
    "versions": versions,
    "shared": opened("shared", "Team photos"),
    "trash": trash,
    "record": record,
    "settings": opened("settings", "Appearance"),
    "admin": opened("admin", "All well", "robin"),
    "admin-users": opened("admin/users", "maria", "robin"),
    "admin-audit": opened("admin/audit", "ann", "robin"),
    "admin-webhooks": opened("admin/webhooks", "hooks.example.org", "robin"),
}


def draw_all(server: Server, only: list[str], target: Path, place: str) -> None:
    """Take all pictures, in all looks."""
    path = shutil.which("chromium")
    assert path is not None, "`bash tools/system.sh test` installs chromium"
    known = fill(server)
    missing: list[str] = []
    heard = Path(place, "heard.wav")
    speech(heard)
    flags = [
        *("--no-sandbox", "--lang=en-GB"),
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-audio-capture={heard}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        expect.set_options(timeout=_PATIENCE_MS)
        for look in LOOKS:
            camera = Camera(browser, server.url, look, only, target)
            for name, draw in PICTURES.items():
                if camera.wants(name):
                    try:
                        draw(camera, known, name)
                    except (Error, AssertionError) as exc:
                        missing.append(f"{name}{look.name}: {exc}")
        browser.close()
    if missing:
        sys.exit("not taken: " + "\n".join(missing))


def main() -> None:
    """Draw the pictures."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("directory", nargs="?", type=Path, default=TARGET)
    told.add_argument("--only", default="", metavar="PART,…")
    given = told.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as place:
        server = Server(Path(data))
        try:
            draw_all(server, given.only.split(","), given.directory, place)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
