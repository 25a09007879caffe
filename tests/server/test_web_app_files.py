"""How the web app is served: its headers, caching, compression, and whether it is in the package."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from haulier.server.app import create_app
from haulier.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / "src/haulier/server/web"
MOST_SCRIPT_BYTES = 100 * 1024


def visitor(app: FastAPI, base: str = "http://haulier.test") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=base)


def assets(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)


async def test_the_page_and_what_it_names_are_there():
    async with visitor(create_app(Settings.load())) as http:
        page = await http.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for name in [*assets(page.text), "manifest.webmanifest", "sw.js", "icons/icon.svg"]:
            assert (await http.get(f"/{name}")).status_code == 200, name
        for one in (await http.get("/manifest.webmanifest")).json()["icons"]:
            assert (await http.get(f"/{one['src']}")).status_code == 200, one


async def test_no_script_of_others_may_run():
    async with visitor(create_app(Settings.load())) as http:
        page = await http.get("/")
    rules = dict(
        one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|style=", page.text) == []


async def test_assets_are_kept_for_good_and_the_page_is_asked_for_again():
    async with visitor(create_app(Settings.load())) as http:
        page = await http.get("/")
        assert page.headers["cache-control"] == "no-cache"
        same = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        asset = await http.get("/" + assets(page.text)[0])
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_files_are_compressed_for_who_takes_it():
    async with visitor(create_app(Settings.load())) as http:
        name = "/" + assets((await http.get("/")).text)[0]
        packed = await http.get(name, headers={"Accept-Encoding": "gzip"})
        plain = await http.get(name, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e", "%2e%2e%2findex.html", "a%00.js"])
async def test_nothing_else_is_served(name):
    async with visitor(create_app(Settings.load())) as http:
        assert (await http.get(f"/assets/{name}")).status_code == 404


async def test_below_a_path_of_another_application_all_addresses_hold():
    around = FastAPI()
    around.mount("/media", create_app(Settings.load()))
    async with visitor(around, "http://haulier.test/media/") as http:
        page = await http.get("")
        assert page.status_code == 200
        for name in assets(page.text):
            assert (await http.get(name)).status_code == 200
    assert not re.search(r'(?:src|href)="/', page.text), "no address begins at the top"


async def test_it_can_be_left_out(monkeypatch):
    monkeypatch.setenv("WEB_APP", "false")
    async with visitor(create_app(Settings.load())) as http:
        assert (await http.get("/")).status_code == 404
        assert (await http.get("/health/live")).status_code == 200


def test_the_first_load_is_small():
    first = assets((BUILT / "index.html").read_text("utf-8"))
    scripts = [BUILT / one for one in first if one.endswith(".js")]
    assert scripts
    size = sum(len(gzip.compress(one.read_bytes(), 9)) for one in [*scripts, *imported_by(scripts)])
    assert size < MOST_SCRIPT_BYTES


def imported_by(scripts: list[Path]) -> set[Path]:
    """What the scripts import at once, and not later by `import()`."""
    found: set[Path] = set()
    for script in scripts:
        names = re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', script.read_text("utf-8"))
        new = {script.parent / name for name in names} - found
        found |= new | imported_by(sorted(new))
    return found - set(scripts)


def test_nothing_in_it_names_an_address_elsewhere():
    # The name of a format, and an example in a field: neither is asked for.
    allowed = {"http://www.w3.org/", "https://example.org/"}
    for path in BUILT.rglob("*.*"):
        if path.suffix in {".js", ".html", ".css", ".webmanifest"}:
            named = re.findall(r"https?://[\w.-]+/?", path.read_text("utf-8"))
            assert {one for one in named if one not in allowed} == set(), path.name


@pytest.mark.processes
def test_a_wheel_contains_it(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {Path(one).name for one in zipfile.ZipFile(wheel).namelist() if "/server/web/" in one}
    assert packed == {path.name for path in BUILT.rglob("*") if path.is_file()}


@pytest.mark.processes
def test_what_is_committed_is_a_fresh_build_of_the_sources(tmp_path):
    built = tmp_path / "web"
    subprocess.run(
        ["npm", "run", "--silent", "build"],
        cwd=REPOSITORY / "web",
        env={**os.environ, "HAULIER_WEB_OUT": str(built)},
        check=True,
        capture_output=True,
    )
    assert contents(built) == contents(BUILT), "run `make web` and commit what it built"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
