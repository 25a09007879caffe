"""Uploads in the browser: chosen and dropped, interrupted in every way, and refused in words."""

from __future__ import annotations

import hashlib
import re
import time

import httpx2
import pytest
from playwright.sync_api import expect

from haulier.core.accounts import Role
from people import add_people
from running_server import start, stop
from weak_line import WeakLine
from web_visitors import PASSWORD, PATIENCE_MS, PHONE, Visitors, sign_in

pytestmark = pytest.mark.servers

SLOW_BPS = 300_000


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers("ann")) as client:
        yield client


@pytest.fixture
def folder(http, request):
    name = re.sub(r"\W+", " ", request.node.name)[:60].strip()
    assert http.post("/api/folders", json={"path": name}).status_code == 201
    return name


@pytest.fixture
def line(server):
    """The line between the browser and the server."""
    with WeakLine(server.url) as opened:
        yield opened


@pytest.fixture
def afar(browser, line):
    """Visitors who come over the line."""
    expect.set_options(timeout=PATIENCE_MS)
    there = Visitors(browser, line.url, [])
    yield there
    for context in there.contexts:
        context.close()


@pytest.fixture
def large(tmp_path):
    """A file that takes a while on a slow network."""
    path = tmp_path / "large.bin"
    path.write_bytes(hashlib.shake_256(b"large").digest(3_000_000))
    return path


def at(folder):
    return "/#/files/" + folder.replace(" ", "%20")


def choose(page, *paths):
    page.locator("input.files-input").set_input_files([str(path) for path in paths])


def entry(page, name):
    return page.get_by_role("region", name="Uploads").get_by_role("listitem", name=name)


def wait_until_some_was_sent(page):
    """Wait until the browser has sent some of an upload, part of which may still be in the line."""
    enough = re.compile(r"([5-9]\d\d KiB|[1-9]\d?(\.\d)? MiB) of")
    expect(page.get_by_role("region", name="Uploads")).to_contain_text(enough)


def until_stored(http, folder, path):
    """Wait until a file is there, and compare it."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    # Its last bytes may still have been in the line when the page asked how far it is.
    while (found := content(http, folder, path.name)) is None:
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    assert found == path.read_bytes()


def uploads_begun(page):
    """Return the list of the uploads that are begun from now on."""
    begun = []

    def note(request):
        if request.method == "POST" and "/tus" in request.url:
            begun.append(request.url)

    page.on("request", note)
    return begun


def content(http, folder, name):
    found = http.get("/api/files", params={"folder": folder, "name": name}).json()["items"]
    return http.get(f"/api/files/{found[0]['id']}/download").content if found else None


def uploaded(page, n):
    text = f"{n} file uploaded" if n == 1 else f"{n} files uploaded"
    expect(page.get_by_role("region", name="Uploads").get_by_role("status")).to_have_text(text)


def drop(page, tree):
    """Drop files, as names and contents, and folders, as names and what lies in them."""
    page.evaluate(
        """(tree) => {
            const entry = (name, node, path) => typeof node === "string"
                ? {isDirectory: false, fullPath: path, file: (done) => done(new File([node], name))}
                : {isDirectory: true, fullPath: path, createReader: () => {
                    let left = Object.entries(node).map(([key, one]) => entry(key, one, `${path}/${key}`));
                    return {readEntries: (done) => { done(left.slice(0, 2)); left = left.slice(2); }};
                }};
            const items = Object.entries(tree).map(([name, node]) => ({
                kind: "file",
                webkitGetAsEntry: () => entry(name, node, `/${name}`),
                getAsFile: () => typeof node === "string" ? new File([node], name) : null,
            }));
            const dataTransfer = {items, types: ["Files"]};
            for (const kind of ["dragenter", "dragover", "drop"]) {
                const event = new Event(kind, {bubbles: true, cancelable: true});
                Object.defineProperty(event, "dataTransfer", {value: dataTransfer});
                document.body.dispatchEvent(event);
            }
        }""",
        tree,
    )


def test_several_files_are_chosen_and_arrive_whole(visitors, http, folder, tmp_path):
    paths = [tmp_path / f"{n}.bin" for n in range(6)]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]) * (n * 300_000))
    page = visitors.signed_in(where=at(folder))
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Upload").click()
        page.get_by_role("menuitem", name="Choose files").click()
    asked.value.set_files([str(path) for path in paths])
    uploaded(page, 6)
    for path in paths:
        assert content(http, folder, path.name) == path.read_bytes()
        expect(page.get_by_role("row").filter(has_text=path.name)).to_be_visible()


def test_folders_that_are_dropped_keep_what_lies_in_what(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    tree = {
        "trip": {"a.txt": "a", "b.txt": "b", "c.txt": "c", "deep": {"d.txt": "d"}, "none": {}},
        "e.txt": "e",
    }
    drop(page, tree)
    uploaded(page, 5)
    assert content(http, folder, "e.txt") == b"e"
    assert content(http, f"{folder}/trip", "c.txt") == b"c"
    assert content(http, f"{folder}/trip/deep", "d.txt") == b"d"
    within = http.get("/api/folders", params={"parent": f"{folder}/trip"}).json()["items"]
    assert {one["name"] for one in within} == {"deep", "none"}
    expect(page.get_by_role("row").filter(has_text="trip")).to_be_visible()


def test_a_folder_that_is_chosen_keeps_what_lies_in_it(visitors, http, folder, tmp_path):
    (tmp_path / "set/inner").mkdir(parents=True)
    (tmp_path / "set/one.txt").write_text("one")
    (tmp_path / "set/inner/two.txt").write_text("two")
    page = visitors.signed_in(where=at(folder))
    page.locator("input.folder-input").set_input_files(str(tmp_path / "set"))
    uploaded(page, 2)
    assert content(http, f"{folder}/set/inner", "two.txt") == b"two"


def test_one_pauses_and_goes_on(afar, line, http, folder, large):
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    entry(page, "large.bin").get_by_role("button", name="Pause").click()
    expect(entry(page, "large.bin")).to_contain_text("Paused")
    line.mend()
    begun = uploads_begun(page)
    entry(page, "large.bin").get_by_role("button", name="Resume").click()
    uploaded(page, 1)
    until_stored(http, folder, large)
    assert begun == []


def test_what_is_cancelled_is_gone(afar, line, http, folder, large):
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        entry(page, "large.bin").get_by_role("button", name="Cancel").click()
    assert deleted.value.status == 204
    expect(entry(page, "large.bin")).to_have_count(0)
    assert content(http, folder, "large.bin") is None
    page.reload()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    expect(page.get_by_role("region", name="Uploads")).to_have_count(0)


def test_it_goes_on_after_a_reload(afar, line, http, folder, large):
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    begun = uploads_begun(page)
    page.reload()
    line.mend()
    uploaded(page, 1)
    assert content(http, folder, "large.bin") == large.read_bytes()
    assert begun == []


def test_what_is_too_large_to_be_kept_is_chosen_again_after_a_reload(
    afar, line, http, folder, tmp_path
):
    huge = tmp_path / "huge.bin"
    huge.write_bytes(hashlib.shake_256(b"huge").digest(1 << 20) * 33)
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, huge)
    wait_until_some_was_sent(page)
    page.reload()
    line.mend()
    expect(entry(page, "huge.bin")).to_contain_text("Choose the file again")
    other = tmp_path / "other.bin"
    other.write_bytes(b"other")
    again = entry(page, "huge.bin").locator("input")
    again.set_input_files(str(other))
    expect(page.get_by_text("That is another file")).to_be_visible()
    begun = uploads_begun(page)
    again.set_input_files(str(huge))
    uploaded(page, 1)
    assert begun == []
    assert content(http, folder, "huge.bin") == huge.read_bytes()


def test_it_goes_on_by_itself_when_the_network_is_back(afar, line, http, folder, large):
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    line.cut()
    expect(entry(page, "large.bin")).to_contain_text("No network. It goes on by itself.")
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline")).to_be_visible()
    line.mend()
    page.context.set_offline(False)
    uploaded(page, 1)
    assert content(http, folder, "large.bin") == large.read_bytes()
    expect(page.get_by_text("You are offline")).to_have_count(0)


def test_a_token_that_ends_in_between_is_renewed(afar, line, http, folder, large):
    page = afar.signed_in(where=at(folder))
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    # The server refuses the token once, as it does when it has ended.
    refused = []

    def refuse_once(route):
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(status=401, json={"status": 401, "code": "not-signed-in", "detail": "ended"})

    line.cut()
    expect(entry(page, "large.bin")).to_contain_text("No network")
    page.route(re.compile("/tus/"), refuse_once)
    line.mend()
    uploaded(page, 1)
    assert refused
    assert content(http, folder, "large.bin") == large.read_bytes()


def test_when_the_session_ends_it_waits_until_one_has_signed_in(afar, line, server, large):
    page = afar.signed_in("bob", where="/")
    line.slow(SLOW_BPS)
    choose(page, large)
    wait_until_some_was_sent(page)
    line.cut()
    expect(entry(page, "large.bin")).to_contain_text("No network")
    # Signing out everywhere makes the tokens of all browsers void.
    answer = httpx2.post(f"{server.url}/auth/logout", headers=server.headers("bob"))
    assert answer.status_code == 204
    line.mend()
    expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
    sign_in(page, "bob")
    uploaded(page, 1)
    fresh = {"Authorization": f"Bearer {server.run('token', 'create', 'bob').strip()}"}
    with httpx2.Client(base_url=server.url, headers=fresh) as again:
        assert content(again, "", "large.bin") == large.read_bytes()


def test_a_file_of_the_same_name_is_asked_about(visitors, http, folder, tmp_path):
    one = tmp_path / "same.txt"
    one.write_text("first")
    page = visitors.signed_in(where=at(folder))
    choose(page, one)
    uploaded(page, 1)
    one.write_text("second")
    choose(page, one)
    asked = page.get_by_role("listitem", name="same.txt").filter(
        has_text="There is a file of this name"
    )
    asked.get_by_role("button", name="Keep both").click()
    uploaded(page, 2)
    assert content(http, folder, "same (2).txt") == b"second"
    assert content(http, folder, "same.txt") == b"first"
    one.write_text("third")
    choose(page, one)
    asked.get_by_role("button", name="Add as new version").click()
    uploaded(page, 3)
    assert content(http, folder, "same.txt") == b"third"


def test_what_does_not_fit_and_what_is_not_taken_is_told_in_words(tmp_path_factory, browser):
    data = tmp_path_factory.mktemp("narrow")
    add_people(data, {"ann": (Role.USER, 1 << 20)}, password=PASSWORD)
    narrow = start(data, UPLOAD_ALLOWED_TYPES="image/*,text/plain")
    there = Visitors(browser, narrow.url, [])
    try:
        page = there.signed_in()
        page.locator("input.files-input").set_input_files(
            [
                {"name": "big.txt", "mimeType": "text/plain", "buffer": b"x" * 1_500_000},
                {"name": "tool.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"},
            ]
        )
        expect(entry(page, "big.txt")).to_contain_text("not enough room")
        expect(entry(page, "tool.exe")).to_contain_text("Files of this type are not taken")
        expect(page.get_by_text("2 uploads need you")).to_be_visible()
    finally:
        for context in there.contexts:
            context.close()
        stop(narrow)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [{}, PHONE], ids=["desktop", "phone"])
def test_the_panel_is_accessible(afar, line, violations, http, folder, large, scheme, width):
    page = afar.signed_in(where=at(folder), bypass_csp=True, color_scheme=scheme, **width)
    line.slow(SLOW_BPS)
    choose(page, large)
    expect(entry(page, "large.bin")).to_contain_text("of 2.9 MiB")
    assert violations(page) == []
    entry(page, "large.bin").get_by_role("button", name="Pause").click()
    expect(entry(page, "large.bin")).to_contain_text("Paused")
    assert violations(page) == []
