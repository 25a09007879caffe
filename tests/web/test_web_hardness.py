"""What the pages stand: hostile names and files, ten thousand files, a slow machine, any width."""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import threading
from functools import partial

import httpx2
import pytest
from playwright.sync_api import Error, expect

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import StoredFile
from haulier.core.records import new_file_id, utc_now
from prefixed_server import mounted
from web_visitors import PHONE, Visitors, sign_in

pytestmark = pytest.mark.servers

MANY = 10_000
MOST_NODES = 3000
SCRIPT = "<img src=x onerror=\"document.title='taken'\">"
HOSTILE_NAMES = [
    f"{SCRIPT}.txt",
    "<script>document.title='taken'<∕script>.txt",
    "javascript:document.title='taken'.txt",
    '"onmouseover="document.title=1.txt',
    "{{constructor.constructor('document.title=1')()}}.txt",
    "\u202egpj.exe.txt",
    "%3Cscript%3Edocument.title=1%3C%2Fscript%3E.txt",
    "__proto__",
]
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" onload="document.title='taken'">
<script>parent.document.title='taken'; document.title='taken'</script><rect width="9" height="9"/></svg>"""
HTML = b"<script>document.title='taken'; top.document.title='taken'</script><h1>here</h1>"


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers("ann")) as client:
        yield client


def upload(http, name, folder, content=b"abc", **more):
    begun = {"name": name, "size": len(content), "folder": folder, **more}
    answer = http.post("/api/files/upload/start", json=begun)
    assert answer.status_code == 201, answer.text
    if not content:
        return answer.json()["file"]["id"]
    where = f"/api/files/upload/{answer.json()['session_id']}/chunk"
    headers = {"X-Chunk-Number": "1", "Content-Type": "application/octet-stream"}
    answer = http.post(where, content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["file"]["id"]


def untouched(page):
    assert "taken" not in page.title()
    assert page.evaluate("window.name") == ""


def test_hostile_names_and_tags_are_only_text(visitors, http):
    folder = f"{SCRIPT} evil"
    said = []
    for name in HOSTILE_NAMES:
        file_id = upload(http, name, folder)
        tags = {SCRIPT: SCRIPT, "<b>": "</textarea><script>document.title='taken'"}
        http.patch(f"/api/files/{file_id}", json={"tags": tags})
    # As the server took them: it leaves out what turns the direction of text.
    found = http.get("/api/files", params={"folder": folder}).json()["items"]
    names = [one["name"] for one in found]
    assert len(names) == len(HOSTILE_NAMES)
    page = visitors.open()
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("dialog", lambda one: said.append(one.message))
    page.on("pageerror", lambda one: said.append(str(one)))
    page.goto("/")
    sign_in(page, "ann")
    page.get_by_role("row").filter(has_text="evil").click()
    for look in ("Show as grid", "Show as list"):
        for name in names:
            expect(page.get_by_text(name, exact=True).first).to_be_visible()
        page.get_by_role("button", name=look).click()
    expect(page.get_by_text(f"{SCRIPT}: {SCRIPT}").first).to_be_visible()
    page.get_by_role("button", name=f"Actions for {HOSTILE_NAMES[0]}").click()
    page.get_by_role("menuitem", name="Tags").click()
    expect(page.get_by_role("dialog").get_by_text(f"{SCRIPT}: {SCRIPT}")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Actions for {HOSTILE_NAMES[0]}").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_text("is in the trash")).to_be_visible()
    page.goto(f"/#/search?q={SCRIPT}")
    expect(page.get_by_role("heading", name="Search")).to_be_visible()
    page.goto("/#/<img src=x onerror=alert(1)>")
    expect(page.get_by_role("heading", name="There is no such page", level=1)).to_be_visible()
    page.goto("/#/constructor?size=__proto__")
    expect(page.get_by_role("heading", name="There is no such page", level=1)).to_be_visible()
    untouched(page)
    assert page.locator("img[onerror], script:not([src])").count() == 0
    assert said == []


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("evil.svg", SVG, "image/svg+xml"), ("evil.html", HTML, "text/html")],
)
def test_uploaded_pages_and_drawings_run_nothing(visitors, http, name, content, kind):
    file_id = upload(http, name, "scripts", content, mime_type=kind)
    page = visitors.signed_in(where="/#/files/scripts")
    expect(page.get_by_text(name)).to_be_visible()
    page.get_by_role("button", name="Show as grid").click()
    untouched(page)
    # What a link to it answers, opened as a page of its own, at the very address of the app.
    link = http.post(f"/api/files/{file_id}/link").json()["url"]
    alone = page.context.new_page()
    with contextlib.suppress(Error):  # "Download is starting", where it is not shown at all
        alone.goto(link)
    assert "taken" not in alone.title()
    assert page.evaluate("localStorage.length") > 0
    untouched(page)


async def fill(data):
    async with await Catalog.open(data / "catalog.db") as catalog:
        for first in range(0, MANY, 1000):
            await catalog.transaction(partial(add_files, range(first, first + 1000)))


def add_files(numbers, tx):
    owner = tx.users.by_name("ann")
    now = utc_now()
    tx.folders.make(owner.user_id, "many", now)
    for n in numbers:
        file_id = new_file_id()
        tx.stored.add(
            StoredFile(
                file_id=file_id,
                content_id=file_id,
                owner_id=owner.user_id,
                folder="many",
                name=f"file {n:05}.txt",
                size_bytes=0,
                crc64nvme="0",
                crc32="0",
                created_at=now,
                modified_at=now,
            )
        )


@pytest.mark.timeout(300)
def test_ten_thousand_files_are_scrolled_to_the_last(visitors, http, server):
    # Ten thousand requests would take longer than all the rest.
    filling = threading.Thread(target=lambda: asyncio.run(fill(server.data)))
    filling.start()
    filling.join()
    assert (
        len(http.get("/api/files", params={"folder": "many", "limit": 1000}).json()["items"])
        == 1000
    )
    page = visitors.signed_in(where="/#/files/many")
    for look in ("list", "grid"):
        expect(page.get_by_text("file 00000.txt")).to_be_visible()
        nodes, frames = [], []
        for step in range(1, 31):
            page.evaluate("(share) => scrollTo(0, document.body.scrollHeight * share)", step / 30)
            nodes.append(page.evaluate("document.querySelectorAll('*').length"))
            frames += page.evaluate(FRAMES)
        expect(page.get_by_text("file 09999.txt")).to_be_visible()
        assert max(nodes) < MOST_NODES, "only what is seen is in the page"
        slow = sorted(frames)[int(len(frames) * 0.95)]
        print(
            f"{look}: frames {statistics.median(frames):.1f} ms, 95% below {slow:.1f} ms, {max(nodes)} nodes"
        )
        page.evaluate("scrollTo(0, 0)")
        if look == "list":
            page.get_by_role("button", name="Show as grid").click()
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    expect(page.get_by_text("file 09999.txt")).to_be_visible()
    page.keyboard.press("ControlOrMeta+a")
    expect(page.get_by_role("toolbar")).to_contain_text(re.compile(r"10,000 selected"))


FRAMES = """async () => {
    const times = [];
    let before = await new Promise(requestAnimationFrame);
    for (let n = 0; n < 6; n += 1) {
        scrollBy(0, 300);
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
    }
    return times;
}"""


READY = """addEventListener("DOMContentLoaded", () => {
    const look = new MutationObserver(() => {
        if (!document.querySelector("input.files-input")) return;
        look.disconnect();
        // Usable: drawn, and the next task runs.
        requestAnimationFrame(() => setTimeout(() => { window.usableAt = performance.now() }));
    });
    look.observe(document, {childList: true, subtree: true});
})"""


def test_it_is_usable_soon_also_on_a_slow_machine(visitors):
    """The time is told, and nothing is decided by it."""
    page = visitors.signed_in()
    page.add_init_script(READY)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    told = []
    for _ in range(5):
        page.reload()
        expect(page.get_by_role("button", name="Upload")).to_be_visible()
        told.append(round(page.evaluate("window.usableAt")))
    print("usable at a fourth of the speed, ms:", told)


def test_on_a_phone_nothing_is_wider_than_the_screen(visitors, http):
    long = "a very long name without any end in sight " * 4
    http.put(f"/api/content/wide/{long}.txt", content=b"abc")
    http.put(f"/api/content/wide/{'x' * 120}.txt", content=b"abc")
    page = visitors.signed_in(where="/#/files/wide", **PHONE)
    expect(page.get_by_text("x" * 120)).to_be_visible()
    for where in ("/#/files/wide", "/#/search?q=very", "/#/shared", "/#/trash", "/#/files"):
        page.goto(where)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["viewport"]["width"], where
    bar = page.get_by_role("navigation", name="Main").bounding_box()
    assert bar["y"] + bar["height"] == PHONE["viewport"]["height"], "within the thumb's reach"
    for link in page.get_by_role("navigation", name="Main").get_by_role("link").all():
        assert link.bounding_box()["height"] >= 44


def test_below_a_path_of_another_application_it_works_as_well(browser, tmp_path):
    with mounted(tmp_path, "/media") as url:
        there = Visitors(browser, f"{url}/media/", [])
        page = there.open()
        page.goto("./")
        sign_in(page, "ann")
        page.locator("input.files-input").set_input_files(
            [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"abc"}]
        )
        expect(page.get_by_text("1 file uploaded")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="a.txt")).to_be_visible()
        with page.expect_download() as got:
            page.get_by_role("button", name="Actions for a.txt").click()
            page.get_by_role("menuitem", name="Download").click()
        assert got.value.path().read_bytes() == b"abc"
        page.context.close()
