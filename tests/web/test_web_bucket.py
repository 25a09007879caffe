"""The page in front of a bucket, to which the server sends whoever downloads something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from haulier.core.accounts import Role
from people import add_people
from running_server import Server, start, stop
from web_files import HOSTILE_SVG, film, jpeg, pdf, put, sound
from web_visitors import PASSWORD

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(s3_server, tmp_path_factory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("web-bucket")
    add_people(data, {"ann": (Role.USER, None)}, password=PASSWORD)
    running = start(
        data,
        DOWNLOAD_MODE="redirect",
        AWS_S3_BUCKET=s3_server.make_bucket(),
        AWS_ENDPOINT_URL=s3_server.endpoint_url,
        AWS_ACCESS_KEY_ID=s3_server.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3_server.secret_access_key,
    )
    yield running
    stop(running)


@pytest.fixture(scope="module")
def contents(server: Server, tmp_path_factory) -> dict[str, bytes]:
    folder: Path = tmp_path_factory.mktemp("made")
    made = {
        "a.jpg": (jpeg(), "image/jpeg"),
        "b.svg": (HOSTILE_SVG.encode(), "image/svg+xml"),
        "c.webm": (film(folder), "video/webm"),
        "d.mp3": (sound(folder), "audio/mpeg"),
        "e.txt": (b"a line of text\n", "text/plain"),
        "f.pdf": (pdf(), "application/pdf"),
    }
    for name, (content, mime_type) in made.items():
        put(server, name, content, mime_type)
    return {name: content for name, (content, _) in made.items()}


def test_all_of_it_is_seen_and_played(visitors, contents):
    page = visitors.signed_in()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.get_by_role("grid").get_by_text("a.jpg", exact=True).click()
    dialog = page.get_by_role("dialog")
    # Not the small picture that stands in for what can't be shown.
    expect(dialog.get_by_role("img", name="a.jpg")).to_have_attribute("src", re.compile("/l/"))
    expect(dialog.get_by_role("img", name="a.jpg")).to_have_js_property("naturalWidth", 640)
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("img", name="b.svg")).to_have_js_property("naturalWidth", 90)
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("video")).to_have_js_property("videoWidth", 160)
    dialog.get_by_role("button", name="Next file").click()
    dialog.get_by_role("button", name="Play").click()
    expect(dialog.get_by_role("slider", name="Position")).to_have_attribute(
        "aria-valuetext", re.compile("^0:0[1-8] of 0:08$")
    )
    dialog.get_by_role("button", name="Next file").click()
    expect(dialog.get_by_role("region", name="e.txt")).to_have_text("a line of text")
    dialog.get_by_role("button", name="Next file").click()
    expect(dialog.locator("iframe")).to_have_attribute("src", re.compile("^blob:"))
    assert [one for one in said if "Content Security Policy" in one or "CORS" in one] == []


def test_what_is_saved_comes_from_the_bucket(visitors, contents, s3_server):
    page = visitors.signed_in()
    for name in ("a.jpg", "e.txt"):
        page.get_by_role("button", name=f"Actions for {name}").click()
        with page.expect_download() as downloading:
            page.get_by_role("menuitem", name="Download").click()
        assert downloading.value.suggested_filename == name
        assert downloading.value.url.startswith(s3_server.endpoint_url)
        assert Path(downloading.value.path()).read_bytes() == contents[name]
    expect(page.get_by_role("grid")).to_be_visible()
