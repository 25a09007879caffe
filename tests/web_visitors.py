"""A real server, and Debian's Chromium on its pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from people import add_people
from running_server import Server, start, stop

# A loaded machine may take its time: nothing is decided by how fast it is.
PATIENCE_MS = 45_000
PASSWORD = "correct horse battery"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server of the module with ann and bob, the admin root and the viewer eve."""
    data = tmp_path_factory.mktemp("web")
    add_people(data, password=PASSWORD)
    running = start(data, RATE_LIMIT_SIGN_IN="100000/minute", WEBHOOK_ALLOWED_HOSTS="127.0.0.0/8")
    yield running
    stop(running)


# Not of the session: its event loop would run on while tests of other modules want theirs.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "`bash tools/system.sh test` installs chromium"
    flags = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ]
    opened = playwright.chromium.launch(executable_path=path, args=flags)
    yield opened
    opened.close()


@dataclass
class Visitors:
    """Whoever opens the pages; each has a browser profile of its own."""

    browser: Browser
    url: str
    contexts: list[BrowserContext]

    def open(self, **options: Any) -> Page:
        """Return an empty page on the server's address."""
        # What is half faded in has other colours.
        still = {"base_url": self.url, "reduced_motion": "reduce"}
        context = self.browser.new_context(**{**still, **DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        return context.new_page()

    def signed_in(self, name: str = "ann", where: str = "/", **options: Any) -> Page:
        """Return a page on which somebody has signed in by the form."""
        page = self.open(**options)
        page.goto(where)
        sign_in(page, name)
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        return page


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def visitors(browser: Browser, server: Server) -> Iterator[Visitors]:
    expect.set_options(timeout=PATIENCE_MS)
    there = Visitors(browser, server.url, [])
    yield there
    for context in there.contexts:
        context.close()


AXE = Path(__file__).resolve().parents[1] / "web/node_modules/axe-core/axe.min.js"


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """What axe finds wrong with a page, whose context was opened with `bypass_csp=True`."""

    def found(page: Page) -> list[str]:
        page.add_script_tag(path=AXE)
        wrong = page.evaluate("async () => (await axe.run()).violations")
        return [
            f"{one['id']}: {one['help']}: {node['html']} {node['failureSummary']}"
            for one in wrong
            for node in one["nodes"]
        ]

    return found
