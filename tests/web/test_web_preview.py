"""Files looked at on the page: pictures, films, sound, PDFs and text; their tags and versions."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, Route, expect

from running_server import Server
from web_files import HOSTILE_NAME, HOSTILE_PAGE, HOSTILE_SVG, film, jpeg, pdf, put, sound
from web_visitors import PHONE

pytestmark = pytest.mark.servers

# By name, as the page lists them.
NAMES = [
    *("a.jpg", "b.mp3", "c.webm", "d.pdf"),
    *("e.svg", "f.html", "g.txt", "h.bin"),
]


@pytest.fixture(scope="module")
def files(server: Server, tmp_path_factory) -> dict[str, dict]:
    folder: Path = tmp_path_factory.mktemp("made")
    contents = [
        (jpeg(), "image/jpeg"),
        (sound(folder), "audio/mpeg"),
        (film(folder), "video/webm"),
        (pdf(), "application/pdf"),
        (HOSTILE_SVG, "image/svg+xml"),
        (HOSTILE_PAGE, "text/html"),
        ("a line of text\n" * 30_000, "text/plain"),
        (b"\x00\x01\x02" * 100, "application/octet-stream"),
    ]
    return {
        name: put(server, name, content, mime_type)
        for name, (content, mime_type) in zip(NAMES, contents, strict=True)
    }


def opened(visitors, name: str, **options) -> Page:
    page = visitors.signed_in(**options)
    page.get_by_role("grid").get_by_text(name, exact=True).click()
    expect(page.get_by_role("dialog", name=name)).to_be_visible()
    return page


def shown_width(page: Page) -> int:
    return page.locator(".preview img").evaluate("image => image.naturalWidth && image.width")


def test_one_goes_through_all_kinds_of_files_by_arrow_keys(visitors, files):
    page = opened(visitors, "a.jpg")
    alerts: list[str] = []
    page.on("dialog", lambda one: alerts.append(one.message))
    dialog = page.get_by_role("dialog")

    expect(dialog.get_by_role("img", name="a.jpg")).to_have_js_property("naturalWidth", 640)
    assert re.search("/l/[^/]+$", dialog.get_by_role("img").get_attribute("src") or "")
    expect(dialog.get_by_role("button", name="Previous file")).to_have_count(0)

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="b.mp3")).to_be_visible()
    expect(dialog.get_by_role("slider", name="Position")).to_have_attribute("max", re.compile("^8"))

    # On the slider arrow keys go on in the sound.
    dialog.get_by_role("button", name="Next file").click()
    expect(page.get_by_role("dialog", name="c.webm")).to_be_visible()
    expect(dialog.locator("video")).to_have_js_property("videoWidth", 160)

    dialog.get_by_role("heading", name="c.webm").click()
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("iframe")).to_have_attribute("src", re.compile("^blob:"))
    dialog.get_by_role("button", name="Next file").click()

    expect(dialog.get_by_role("img", name="e.svg")).to_have_js_property("naturalWidth", 90)
    assert (dialog.get_by_role("img").get_attribute("src") or "").startswith("data:image/svg+xml")
    dialog.get_by_role("button", name="Next file").click()

    expect(dialog.get_by_role("region", name="f.html")).to_have_text(HOSTILE_PAGE)
    dialog.get_by_role("button", name="Next file").click()

    expect(dialog.get_by_text("This is the first 256 KiB")).to_be_attached()
    assert len(dialog.locator("pre").inner_text()) == 256 << 10
    dialog.get_by_role("button", name="Next file").click()

    expect(dialog.get_by_text("There is no preview")).to_be_visible()
    with page.expect_download() as downloading:
        dialog.get_by_role("button", name="Download").last.click()
    assert downloading.value.suggested_filename == "h.bin"
    expect(dialog.get_by_role("button", name="Next file")).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog", name="g.txt")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert alerts == []
    assert "run" not in page.title()


def test_a_picture_is_fitted_and_made_larger(visitors, files):
    page = opened(visitors, "a.jpg", **PHONE)
    expect(page.get_by_role("img", name="a.jpg")).to_have_class("loaded")
    fitted = shown_width(page)
    assert 0 < fitted <= 390
    page.get_by_role("button", name="Larger").click()
    expect(page.get_by_role("button", name="150%")).to_be_visible()
    assert shown_width(page) == pytest.approx(1.5 * fitted, abs=1)
    page.get_by_role("button", name="150%").click()
    assert shown_width(page) == fitted


def test_a_finger_goes_on_to_the_next_file(visitors, files):
    page = opened(visitors, "e.svg", **PHONE)
    touches = page.context.new_cdp_session(page)
    expect(page.get_by_role("img", name="e.svg")).to_be_visible()
    for kind, x in (("touchStart", 300), ("touchMove", 200), ("touchMove", 80), ("touchEnd", None)):
        points = [] if x is None else [{"x": x, "y": 400}]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.get_by_role("dialog", name="f.html")).to_be_visible()


def test_sound_is_played_and_gone_on_with_elsewhere(visitors, files):
    page = opened(visitors, "b.mp3")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    slider = page.get_by_role("slider", name="Position")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^0:0[1-8] of 0:08$"))
    page.get_by_role("button", name="Pause").click()
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^0:0[6-8] of 0:08$"))
    expect(page.get_by_role("dialog", name="b.mp3")).to_be_visible()
    assert page.locator("audio").evaluate("audio => audio.currentTime") > 5
    drawn = page.locator("canvas").evaluate(
        "one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(Boolean)"
    )
    assert drawn


def test_tags_are_edited_and_a_change_by_somebody_else_is_not_undone(visitors, server, files):
    file_id = files["h.bin"]["id"]
    page = opened(visitors, "h.bin")
    page.get_by_role("button", name="Details").click()
    details = page.get_by_role("complementary", name="Details")
    expect(details.get_by_text("300 bytes")).to_be_visible()
    expect(details.get_by_text(files["h.bin"]["crc32"].removeprefix("crc32:"))).to_be_visible()
    hostile = "<img src=x onerror=document.title='run'>"
    details.get_by_label("Add a tag").first.fill(hostile)
    page.keyboard.press("Enter")
    expect(details.get_by_role("listitem").filter(has_text="<img src")).to_be_visible()
    assert "run" not in page.title()

    # The page hears nothing of what happens elsewhere for a moment.
    sent: list[str] = []

    def deaf(route: Route) -> None:
        sent.append(route.request.method)
        if "PATCH" in sent:
            route.continue_()
        else:
            route.abort()

    page.route(f"**/api/files/{file_id}", deaf)
    url = f"{server.url}/api/files/{file_id}"
    httpx2.patch(url, json={"tags": {"theirs": ""}}, headers=server.headers())
    details.get_by_label("Add a tag").first.fill("trip=north")
    page.keyboard.press("Enter")
    expect(details.get_by_role("alert")).to_contain_text("Somebody changed this file")
    expect(details.get_by_text("theirs")).to_be_visible()
    page.keyboard.press("Enter")
    expect(details.get_by_text("trip: north")).to_be_visible()
    tags = httpx2.get(url, headers=server.headers()).json()["tags"]
    assert tags == {"theirs": "", "trip": "north"}


def test_earlier_versions_are_fetched_and_brought_back(visitors, server, files):
    put(server, "versions/draft.txt", "one", "text/plain")
    now = put(server, "versions/draft.txt", "two", "text/plain")
    page = visitors.signed_in(where="/#/files/versions")
    page.get_by_role("button", name="Actions for draft.txt").click()
    page.get_by_role("menuitem", name="Versions").click()
    dialog = page.get_by_role("dialog", name="Versions of draft.txt")
    with page.expect_download() as downloading:
        dialog.get_by_role("button", name="Download version 1").click()
    assert Path(downloading.value.path()).read_text() == "one"
    dialog.get_by_role("button", name="Restore version 1").click()
    expect(dialog.get_by_text("Version 3")).to_be_visible()
    url = f"{server.url}/api/files/{now['id']}/download"
    assert httpx2.get(url, headers=server.headers()).text == "one"


def test_a_hostile_name_is_shown_and_never_run(visitors, server):
    started = {"name": HOSTILE_NAME, "size": 0, "folder": "hostile"}
    url = f"{server.url}/api/files/upload/start"
    assert httpx2.post(url, json=started, headers=server.headers()).status_code == 201
    page = visitors.signed_in(where="/#/files/hostile")
    page.get_by_role("grid").get_by_text("onerror").click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_contain_text("onerror")
    assert "run" not in page.title()


@pytest.mark.parametrize("width", [{}, PHONE], ids=["desktop", "phone"])
def test_looking_at_files_is_accessible(visitors, files, violations, width):
    page = opened(visitors, "a.jpg", bypass_csp=True, **width)
    expect(page.get_by_role("img", name="a.jpg")).to_have_class("loaded")
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_text("Version 1")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("i")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("slider", name="Position")).to_be_visible()
    assert violations(page) == []
