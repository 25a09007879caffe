"""The app is installed, opens without network, and goes over to new versions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import haulier
from haulier.core.accounts import Role
from people import add_people
from running_server import Server, start, stop
from web_visitors import PASSWORD, Visitors

pytestmark = pytest.mark.servers

READY = "navigator.serviceWorker.ready.then(() => null)"


def test_browsers_offer_to_install_it(visitors):
    page = visitors.signed_in("ann")
    page.evaluate(READY)
    devtools = page.context.new_cdp_session(page)
    errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # Contexts of tests are private windows, from which nothing is installed.
    assert [one["errorId"] for one in errors if one["errorId"] != "in-incognito"] == []
    told = devtools.send("Page.getAppManifest")
    assert told["errors"] == []
    assert told["url"] == f"{visitors.url}/manifest.webmanifest"


def test_the_icons_are_as_large_as_is_said(visitors):
    with httpx2.Client(base_url=visitors.url) as client:
        manifest = client.get("/manifest.webmanifest").json()
        shortcut_icons = [icon for one in manifest["shortcuts"] for icon in one["icons"]]
        for icon in [*manifest["icons"], *shortcut_icons]:
            answer = client.get(f"/{icon['src']}")
            assert answer.headers["content-type"] == icon["type"]
            if icon["type"] == "image/png":
                width, height = Image.open(BytesIO(answer.content)).size
                assert f"{width}x{height}" == icon["sizes"]
    assert {icon.get("purpose") for icon in manifest["icons"]} == {"any", "maskable"}


def test_it_opens_without_network_and_keeps_no_answers(visitors):
    page = visitors.signed_in("ann")
    page.evaluate(READY)
    kept = page.evaluate(
        """async () => {
            const urls = [];
            for (const name of await caches.keys())
                for (const one of await (await caches.open(name)).keys()) urls.push(one.url);
            return urls;
        }"""
    )
    allowed = re.compile(r"/(assets/[^/]+|icons/[^/]+|manifest\.webmanifest)?$")
    assert [url for url in kept if not allowed.fullmatch(url.removeprefix(visitors.url))] == []
    page.context.set_offline(True)
    page.goto("/")
    expect(page.get_by_text("You are offline")).to_be_visible()
    page.get_by_role("link", name="Record").click()
    expect(page.get_by_role("heading", name="Record", level=1)).to_be_visible()


def test_who_is_signed_out_and_offline_can_record(visitors):
    page = visitors.open()
    page.goto("/")
    page.evaluate(READY)
    page.context.set_offline(True)
    page.goto("/#/record")
    page.reload()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Recording")).to_be_visible()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"0:0[1-9]"))
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_text("Kept here", exact=True)).to_be_visible()


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package, whose pages may be changed."""
    source = Path(haulier.__file__).parent
    shutil.copytree(source, tmp_path / "haulier", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def running(tmp_path, package) -> Iterator[list[Server]]:
    """A server of that copy."""
    data = tmp_path / "data"
    data.mkdir()
    add_people(data, {"ann": (Role.USER, None)}, password=PASSWORD)
    begun = [start(data, PYTHONPATH=str(package))]
    yield begun
    stop(begun[-1])


def publish(running: list[Server], package: Path) -> None:
    """Put another version of the app in the place of the one that is served."""
    web = package / "haulier" / "server" / "web"
    for name, before, after in (
        ("sw.js", "haulier-app-", "haulier-app-2-"),
        ("index.html", "<title>", '<meta name="version" content="2"><title>'),
    ):
        content = (web / name).read_text()
        assert before in content
        (web / name).write_text(content.replace(before, after))
    port = int(running[-1].url.rpartition(":")[2])
    stop(running[-1])
    running.append(start(running[-1].data, port=port, PYTHONPATH=str(package)))


def is_new(page: Page) -> bool:
    return page.locator("meta[name=version]").count() == 1


def test_a_new_version_is_told_and_waits_for_a_recording(visitors, running, package):
    there = Visitors(visitors.browser, running[0].url, visitors.contexts)
    page = there.signed_in("ann", "/#/record")
    page.evaluate(READY)
    page.reload()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Recording")).to_be_visible()
    publish(running, package)
    page.evaluate("navigator.serviceWorker.ready.then((one) => one.update()).then(() => null)")
    expect(page.get_by_text("for when the recording has ended")).to_be_visible()
    expect(page.get_by_role("button", name="Reload")).to_be_hidden()
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Reload").click()
    expect(other.get_by_text("for when the recording has ended")).to_be_visible()
    assert not is_new(other)
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("meta[name=version]")).to_have_count(1)
    expect(page.get_by_role("heading", name="Record", level=1)).to_be_visible()
