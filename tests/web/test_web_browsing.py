"""Files in the browser: seen, chosen, renamed, moved, tagged, deleted and found; and by whom else."""

from __future__ import annotations

import io
import re
import zipfile

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import expect

from web_visitors import PHONE

pytestmark = pytest.mark.servers


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers("ann")) as client:
        yield client


@pytest.fixture
def folder(http, request):
    """A folder of the test alone, with three files and a folder in it."""
    name = re.sub(r"\W+", " ", request.node.name)[:60].strip()
    for file, size in (("apple.txt", 30), ("banana.txt", 10), ("cherry.txt", 20)):
        put(http, f"{name}/{file}", b"x" * size)
    put(http, f"{name}/inner/deep.txt")
    return name


def put(http, path, content=b"abc"):
    answer = http.put(f"/api/content/{path}", content=content)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["id"]


def picture(colour, size=(64, 48)):
    into = io.BytesIO()
    Image.new("RGB", size, colour).save(into, "PNG")
    return into.getvalue()


def names(page):
    return page.locator(".entries .row .text, .entries .tile .text").all_inner_texts()


def row(page, name):
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def at(folder):
    return "/#/files/" + folder.replace(" ", "%20")


def test_one_walks_through_folders_and_back(visitors, folder):
    page = visitors.signed_in(where=at(folder))
    expect(row(page, "banana.txt")).to_contain_text("10 B")
    row(page, "inner").click()
    expect(row(page, "deep.txt")).to_be_visible()
    expect(page.get_by_role("heading", name="inner", level=1)).to_be_visible()
    crumbs = page.get_by_role("navigation", name="Path")
    crumbs.get_by_role("link", name=folder).click()
    expect(row(page, "apple.txt")).to_be_visible()
    crumbs.get_by_role("link", name="Files").click()
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()


def test_files_are_sorted_and_shown_as_a_grid_also_the_next_time(visitors, folder):
    page = visitors.signed_in(where=at(folder))
    expect(row(page, "cherry.txt")).to_be_visible()
    assert names(page) == ["inner", "apple.txt", "banana.txt", "cherry.txt"]
    page.get_by_role("button", name="Sorted by").click()
    page.get_by_role("menuitemradio", name="Size").click()
    expect(page.locator(".entries .row .text").nth(1)).to_have_text("apple.txt")
    assert names(page) == ["inner", "apple.txt", "cherry.txt", "banana.txt"]
    page.get_by_role("button", name="Show as grid").click()
    expect(page.locator(".tile")).to_have_count(4)
    page.reload()
    expect(page.locator(".tile")).to_have_count(4)
    assert names(page) == ["inner", "apple.txt", "cherry.txt", "banana.txt"]


def test_pictures_are_seen(visitors, http, folder):
    put(http, f"{folder}/red.png", picture("red"))
    put(http, f"{folder}/tall.png", picture("blue", (60, 400)))
    page = visitors.signed_in(where=at(folder))
    shown = row(page, "red.png").locator("img")
    expect(shown).to_have_attribute("src", re.compile("^blob:"))
    assert shown.evaluate("async (one) => { await one.decode(); return one.naturalWidth }") > 0
    page.get_by_role("button", name="Show as grid").click()
    tile = page.locator(".tile")
    expect(tile.filter(has_text="tall.png").locator("img")).to_have_js_property("complete", True)
    assert len(set(tile.evaluate_all("all => all.map(one => one.offsetHeight)"))) == 1


def test_a_file_is_renamed_by_its_menu(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    row(page, "apple.txt").get_by_role("button", name="Actions for apple.txt").click()
    page.get_by_role("menuitem", name="Rename").click()
    field = page.get_by_label("New name")
    expect(field).to_be_focused()
    # What is before the ending is selected.
    page.keyboard.type("cherry")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cherry.txt already")
    field.fill("apricot.txt")
    page.keyboard.press("Enter")
    expect(row(page, "apricot.txt")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    found = http.get("/api/files", params={"folder": folder}).json()["items"]
    assert {one["name"] for one in found} == {"apricot.txt", "banana.txt", "cherry.txt"}


def test_a_folder_is_made_renamed_and_deleted_and_comes_back(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    page.get_by_role("button", name="New folder").click()
    page.get_by_label("Name of the folder").fill("plans")
    page.get_by_role("button", name="Create").click()
    row(page, "plans").get_by_role("button", name="Actions for plans").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_label("New name").fill("ideas")
    page.keyboard.press("Enter")
    expect(row(page, "ideas")).to_be_visible()
    row(page, "inner").get_by_role("button", name="Actions for inner").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(row(page, "inner")).to_have_count(0)
    assert [one["name"] for one in http.get("/api/trash").json()["items"]].count("deep.txt") == 1
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "inner")).to_be_visible()
    row(page, "inner").click()
    expect(row(page, "deep.txt")).to_be_visible()


def test_many_are_chosen_by_mouse_and_deleted_and_come_back(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    row(page, "apple.txt").get_by_role("checkbox").click()
    row(page, "cherry.txt").click(modifiers=["Shift"])
    expect(page.get_by_role("toolbar")).to_contain_text("3 selected")
    row(page, "banana.txt").click(modifiers=["ControlOrMeta"])
    expect(page.get_by_role("toolbar")).to_contain_text("2 selected")
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    for name in ("apple.txt", "cherry.txt"):
        expect(row(page, name)).to_have_count(0)
    expect(row(page, "banana.txt")).to_be_visible()
    assert len(http.get("/api/files", params={"folder": folder}).json()["items"]) == 1
    page.get_by_role("button", name="Undo").click()
    for name in ("apple.txt", "cherry.txt"):
        expect(row(page, name)).to_be_visible()
    assert len(http.get("/api/files", params={"folder": folder}).json()["items"]) == 3


def test_many_are_tagged(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    row(page, "apple.txt").get_by_role("checkbox").click()
    row(page, "banana.txt").get_by_role("checkbox").click()
    page.get_by_role("toolbar").get_by_role("button", name="Tags").click()
    page.get_by_label("Add a tag").fill("trip=north")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Add a tag").fill("best")
    page.get_by_role("button", name="Save").click()
    for name in ("apple.txt", "banana.txt"):
        expect(row(page, name)).to_contain_text("trip: north")
    found = http.get("/api/files/search", params={"folder": folder, "tag": "trip=north"}).json()
    assert {one["name"] for one in found["items"]} == {"apple.txt", "banana.txt"}
    assert {"trip": "north", "best": ""} in [one["tags"] for one in found["items"]]


def test_many_are_moved_into_a_folder_that_is_made_for_them(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    row(page, "apple.txt").get_by_role("checkbox").click()
    row(page, "banana.txt").get_by_role("checkbox").click()
    page.get_by_role("toolbar").get_by_role("button", name="Move").click()
    dialog = page.get_by_role("dialog", name="Move 2 items to")
    dialog.get_by_role("button", name=folder).click()
    dialog.get_by_role("button", name="New folder").click()
    page.get_by_label("Name of the folder").fill("fruit")
    page.get_by_role("button", name="Create").click()
    dialog.get_by_role("button", name="fruit").click()
    dialog.get_by_role("button", name="Move here").click()
    for name in ("apple.txt", "banana.txt"):
        expect(row(page, name)).to_have_count(0)
    expect(row(page, "fruit")).to_be_visible()
    found = http.get("/api/files", params={"folder": f"{folder}/fruit"}).json()["items"]
    assert {one["name"] for one in found} == {"apple.txt", "banana.txt"}


def test_one_is_downloaded_as_it_is_and_many_as_a_zip(visitors, folder):
    page = visitors.signed_in(where=at(folder))
    with page.expect_download() as one:
        row(page, "apple.txt").get_by_role("button", name="Actions for apple.txt").click()
        page.get_by_role("menuitem", name="Download").click()
    assert one.value.suggested_filename == "apple.txt"
    assert one.value.path().read_bytes() == b"x" * 30
    row(page, "apple.txt").get_by_role("checkbox").click()
    row(page, "inner").get_by_role("checkbox").click()
    with page.expect_download() as many:
        page.get_by_role("toolbar").get_by_role("button", name="Download").click()
    with zipfile.ZipFile(many.value.path()) as read:
        assert {name.rpartition("/")[2] for name in read.namelist()} == {"apple.txt", "deep.txt"}


def test_all_of_it_is_done_by_the_keyboard_alone(visitors, http, folder):
    page = visitors.signed_in(where=at(folder))
    expect(row(page, "apple.txt")).to_be_visible()
    grid = page.get_by_role("grid")
    for _ in range(30):
        if grid.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(grid).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_role("toolbar")).to_contain_text("2 selected")
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_have_count(0)
    page.keyboard.press("ControlOrMeta+a")
    expect(page.get_by_role("toolbar")).to_contain_text("4 selected")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.keyboard.press("F2")
    page.keyboard.type("currant")
    page.keyboard.press("Enter")
    expect(row(page, "currant.txt")).to_be_visible()
    expect(grid).to_be_focused()
    page.keyboard.press("Delete")
    expect(row(page, "currant.txt")).to_have_count(0)
    page.keyboard.press("Home")
    page.keyboard.press("ContextMenu")
    expect(page.get_by_role("menuitem", name="Open")).to_be_focused()
    page.keyboard.press("Escape")
    grid.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(row(page, "deep.txt")).to_be_visible()
    assert len(http.get("/api/files", params={"folder": folder}).json()["items"]) == 2


def test_what_is_typed_at_once_is_typed_into_the_dialog(visitors, folder):
    page = visitors.signed_in(where=at(folder))
    expect(row(page, "apple.txt")).to_be_visible()
    focused = page.get_by_role("grid").evaluate("""async grid => {
        grid.focus();
        grid.dispatchEvent(new KeyboardEvent("keydown", {key: "End", bubbles: true}));
        for (let n = 0; n < 20; n += 1) await null;
        grid.dispatchEvent(new KeyboardEvent("keydown", {key: "F2", bubbles: true}));
        for (let n = 0; n < 20; n += 1) await null;
        return [document.activeElement.tagName, document.activeElement.value];
    }""")
    assert focused == ["INPUT", "cherry.txt"]


def test_a_long_press_selects_and_taps_go_on(visitors, folder):
    page = visitors.signed_in(where=at(folder), **PHONE)
    expect(row(page, "apple.txt")).to_be_visible()
    touch = page.context.new_cdp_session(page)
    box = row(page, "apple.txt").bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(page.get_by_role("toolbar")).to_contain_text("1 selected")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    row(page, "cherry.txt").tap()
    expect(page.get_by_role("toolbar")).to_contain_text("2 selected")
    row(page, "cherry.txt").tap()
    expect(page.get_by_role("toolbar")).to_contain_text("1 selected")


def test_two_browsers_see_what_the_other_does(visitors, http, folder):
    one, other = visitors.signed_in(where=at(folder)), visitors.signed_in(where=at(folder))
    expect(row(other, "apple.txt")).to_be_visible()
    row(one, "apple.txt").get_by_role("button", name="Actions for apple.txt").click()
    one.get_by_role("menuitem", name="Rename").click()
    one.get_by_label("New name").fill("avocado.txt")
    one.keyboard.press("Enter")
    expect(row(other, "avocado.txt")).to_be_visible()
    row(other, "banana.txt").get_by_role("button", name="Actions for banana.txt").click()
    other.get_by_role("menuitem", name="Delete").click()
    expect(row(one, "banana.txt")).to_have_count(0)
    put(http, f"{folder}/new/within.txt")
    expect(row(one, "new")).to_be_visible()
    put(http, f"{folder}/blueberry.txt")
    expect(row(one, "blueberry.txt")).to_be_visible()
    assert names(one) == ["inner", "new", "avocado.txt", "blueberry.txt", "cherry.txt"]


def test_empty_folders_are_seen_to_come_move_and_go(visitors, http, folder):
    ids = {}

    def make(path):
        ids[path] = http.post("/api/folders", json={"path": f"{folder}/{path}"}).json()["id"]

    def change(path, **change):
        answer = http.patch(f"/api/folders/{ids[path]}", json=change)
        assert answer.status_code == 200, answer.text

    make("room")
    top = next(one for one in http.get("/api/folders").json()["items"] if one["name"] == folder)
    given = {"user": "bob", "permission": "read"}
    http.put(f"/api/folders/{top['id']}/permissions", json=given).raise_for_status()
    own = visitors.signed_in(where=at(folder))
    other = visitors.signed_in("bob", where=f"/#/shared/{top['id']}")
    inside = visitors.signed_in(where=f"{at(folder)}/room")
    pages = (own, other)
    expect(inside.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    for page in pages:
        expect(row(page, "room")).to_be_visible()
    make("plans")
    for page in pages:
        expect(row(page, "plans")).to_be_visible()
    change("plans", name="ideas")
    for page in pages:
        expect(row(page, "ideas")).to_be_visible()
        expect(row(page, "plans")).to_have_count(0)
    change("plans", parent=f"{folder}/room")
    for page in pages:
        expect(row(page, "ideas")).to_have_count(0)
    expect(row(inside, "ideas")).to_be_visible()
    http.delete(f"/api/folders/{ids['room']}").raise_for_status()
    for page in pages:
        expect(row(page, "room")).to_have_count(0)
    expect(inside.get_by_role("heading", name="This folder is not here any more")).to_be_visible()
    http.delete(f"/api/folders/{top['id']}").raise_for_status()
    for page in pages:
        expect(page.get_by_role("heading", name="This folder is not here any more")).to_be_visible()


def test_the_storage_used_is_told_and_kept_right(visitors, http):
    page = visitors.signed_in()
    told = page.locator(".storage p")
    expect(told).to_contain_text("of 200 MiB used")
    before = told.inner_text()
    put(http, "large.bin", b"x" * 3_000_000)
    expect(told).not_to_have_text(before)


def test_files_are_searched_with_filters_that_are_in_the_address(visitors, http, folder):
    put(http, f"{folder}/zebra one.png", picture("blue"))
    put(http, f"{folder}/zebra two.txt", b"x" * 2_000_000)
    page = visitors.signed_in()
    page.get_by_role("searchbox", name="Search files").fill("zebra")
    page.keyboard.press("Enter")
    expect(row(page, "zebra one.png")).to_be_visible()
    expect(row(page, "zebra two.txt")).to_be_visible()
    page.get_by_label("Size").select_option("1 to 100 MiB")
    expect(row(page, "zebra one.png")).to_have_count(0)
    expect(row(page, "zebra two.txt")).to_be_visible()
    page.reload()
    expect(row(page, "zebra two.txt")).to_be_visible()
    expect(row(page, "zebra one.png")).to_have_count(0)
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, "zebra one.png")).to_be_visible()
    page.get_by_label("Added from").fill("2199-01-01")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Tag").fill("no=such")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("In folder").fill(folder)
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 files")).to_be_visible()


def test_what_is_typed_into_a_filter_outlives_what_others_do(visitors, http, folder):
    put(http, f"{folder}/quagga.txt")
    page = visitors.signed_in(where="/#/search?q=quagga")
    expect(row(page, "quagga.txt")).to_be_visible()
    page.get_by_label("Tag").fill("half a w")
    put(http, f"{folder}/quagga two.txt")
    expect(row(page, "quagga two.txt")).to_be_visible()
    expect(page.get_by_label("Tag")).to_have_value("half a w")


def test_what_others_shared_is_seen_and_no_more(visitors, server, http, folder):
    found = http.get("/api/folders").json()["items"]
    folder_id = next(one["id"] for one in found if one["name"] == folder)
    given = {"user": "bob", "permission": "read"}
    answer = http.put(f"/api/folders/{folder_id}/permissions", json=given)
    assert answer.status_code in {200, 201}, answer.text
    page = visitors.signed_in("bob", where="/#/shared")
    row(page, folder).click()
    expect(row(page, "apple.txt")).to_be_visible()
    row(page, "inner").click()
    expect(row(page, "deep.txt")).to_be_visible()


def test_who_only_looks_is_offered_nothing_else(visitors):
    page = visitors.signed_in("eve")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).to_have_count(0)
    expect(page.get_by_role("button", name="New folder")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [{}, PHONE], ids=["desktop", "phone"])
def test_the_pages_are_accessible(visitors, violations, http, folder, scheme, width):
    put(http, f"{folder}/red.png", picture("red"))
    page = visitors.signed_in(where=at(folder), bypass_csp=True, color_scheme=scheme, **width)
    row(page, "apple.txt").get_by_role("checkbox").click()
    assert violations(page) == []
    page.get_by_role("button", name="Show as grid").click()
    expect(page.locator(".tile")).to_have_count(5)
    assert violations(page) == []
    page.get_by_role("toolbar").get_by_role("button", name="Tags").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.goto("/#/search?q=apple")
    expect(page.get_by_label("In folder")).to_be_visible()
    assert violations(page) == []
