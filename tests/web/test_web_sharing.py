"""Files given to others on the page: by links, by upload links, and to people by name."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from running_server import Server
from web_files import jpeg, put
from web_visitors import PHONE, Visitors, sign_in

pytestmark = pytest.mark.servers

SECRET = "open sesame"
HOSTILE_TITLE = "<script>document.title = 'run'</script>"


def sharing(page: Page, name: str) -> Locator:
    """Open the dialog that shares a file or folder which the page lists."""
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name="Share").click()
    return page.get_by_role("dialog", name=f"Share {name}")


def make_link(dialog: Locator) -> str:
    dialog.get_by_role("button", name="Create link").click()
    expect(dialog.get_by_label("Your link")).to_be_focused()
    return dialog.get_by_label("Your link").input_value()


def make_folder(server: Server, path: str) -> str:
    url, headers = f"{server.url}/api/folders", server.headers()
    answer = httpx2.post(url, json={"path": path}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def fetched(page: Page) -> str:
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").click()
    return Path(downloading.value.path()).read_text()


def test_a_link_with_password_and_limit_is_opened_by_a_stranger(visitors: Visitors, server):
    put(server, "links/plan.txt", "the plan", "text/plain")
    page = visitors.signed_in(where="/#/files/links")
    dialog = sharing(page, "plan.txt")
    dialog.get_by_label("Password").fill(SECRET)
    dialog.get_by_label("Most downloads").fill("1")
    url = make_link(dialog)
    expect(dialog.get_by_role("listitem").filter(has_text="0 of 1 downloads")).to_be_visible()

    stranger = visitors.open()
    stranger.goto(url)
    expect(stranger.get_by_role("heading")).to_have_text("This link has a password")
    stranger.get_by_label("Password").fill("a guess")
    stranger.get_by_role("button", name="Open").click()
    expect(stranger.get_by_role("alert")).to_have_text("That is not the password.")
    stranger.get_by_label("Password").fill(SECRET)
    stranger.keyboard.press("Enter")
    expect(stranger.get_by_role("heading")).to_have_text("plan.txt")
    expect(stranger.get_by_text("Downloads left")).to_be_visible()
    assert fetched(stranger) == "the plan"
    stranger.reload()
    expect(stranger.get_by_role("heading")).to_have_text("This link leads nowhere")

    page.keyboard.press("Escape")
    dialog = sharing(page, "plan.txt")
    expect(dialog.get_by_role("listitem").filter(has_text="1 of 1 downloads")).to_be_visible()


def test_a_link_is_copied_and_taken_back(visitors: Visitors, server):
    put(server, "taken/back.txt", "mine again", "text/plain")
    page = visitors.open()
    # As on a page that came by plain http from another machine.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.goto("/#/files/taken")
    sign_in(page, "ann")
    dialog = sharing(page, "back.txt")
    url = make_link(dialog)
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_text("Copied.")).to_be_visible()
    dialog.get_by_label("Most downloads").focus()
    dialog.get_by_label("Password").focus()
    page.keyboard.press("Control+V")
    expect(dialog.get_by_label("Password")).to_have_value(url)

    stranger = visitors.open()
    stranger.goto(url)
    assert fetched(stranger) == "mine again"
    dialog.get_by_role("button", name="Take back").click()
    expect(dialog.get_by_text("Taken back")).to_be_visible()
    stranger.reload()
    expect(stranger.get_by_role("heading")).to_have_text("This link leads nowhere")


def test_strangers_bring_files_into_a_folder(visitors: Visitors, server, tmp_path):
    folder_id = make_folder(server, "guests")
    page = visitors.signed_in()
    dialog = sharing(page, "guests")
    dialog.get_by_label("Title").fill(HOSTILE_TITLE)
    dialog.get_by_label("Most files").fill("3")
    url = make_link(dialog)
    expect(dialog.get_by_text(HOSTILE_TITLE)).to_be_visible()

    stranger = visitors.open()
    stranger.goto(url)
    expect(stranger.get_by_role("heading")).to_have_text(HOSTILE_TITLE)
    names = ["one.txt", "two.txt"]
    for name in names:
        (tmp_path / name).write_text(name)
    stranger.get_by_label("Files").set_input_files([tmp_path / name for name in names])
    stranger.get_by_role("button", name="Send").click()
    sent = stranger.get_by_role("listitem")
    for name in names:
        expect(sent.filter(has_text=name)).to_contain_text("Arrived")
    (tmp_path / "three.txt").write_text("")
    (tmp_path / "four.txt").write_text("one too many")
    for name in ("three.txt", "four.txt"):
        stranger.get_by_label("Files").set_input_files(tmp_path / name)
        stranger.get_by_role("button", name="Send").click()
    expect(sent.filter(has_text="three.txt")).to_contain_text("Arrived")
    expect(sent.filter(has_text="four.txt").locator(".failed")).not_to_be_empty()
    assert "run" not in (page.title(), stranger.title())

    query = {"folder_id": folder_id}
    found = httpx2.get(f"{server.url}/api/files", params=query, headers=server.headers()).json()
    assert sorted(one["name"] for one in found["items"]) == sorted([*names, "three.txt"])
    page.keyboard.press("Escape")
    dialog = sharing(page, "guests")
    expect(dialog.get_by_text("3 of 3 files came")).to_be_visible()


def test_a_stranger_without_script_sends_files_by_the_form(visitors: Visitors, server):
    folder_id = make_folder(server, "plain")
    url = f"{server.url}/api/folders/{folder_id}/upload-links"
    link = httpx2.post(url, json={"password": SECRET}, headers=server.headers()).json()["url"]
    stranger = visitors.open(java_script_enabled=False)
    stranger.goto(link)
    stranger.get_by_label("Password").fill(SECRET)
    stranger.keyboard.press("Enter")
    file = {"name": "plain.txt", "mimeType": "text/plain", "buffer": b"plain"}
    stranger.get_by_label("Files").set_input_files(file)
    stranger.get_by_role("button", name="Send").click()
    expect(stranger.get_by_role("definition")).to_have_text("plain.txt")


def test_what_a_stranger_sends_goes_on_after_a_cut(visitors: Visitors, server):
    folder_id = make_folder(server, "cut")
    url = f"{server.url}/api/folders/{folder_id}/upload-links"
    link = httpx2.post(url, json={}, headers=server.headers()).json()["url"]
    stranger = visitors.open()
    cuts: list[str] = []

    def cut(route: Route) -> None:
        if route.request.method == "PATCH" and len(cuts) < 2:
            cuts.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    stranger.route("**/tus/**", cut)
    stranger.goto(link)
    content = b"0123456789" * 10_000
    file = {"name": "long.txt", "mimeType": "text/plain", "buffer": content}
    stranger.get_by_label("Files").set_input_files(file)
    stranger.get_by_role("button", name="Send").click()
    expect(stranger.get_by_role("listitem")).to_contain_text("Arrived")
    # The same upload is gone on with: there is one file.
    assert len(set(cuts)) == 1
    query = {"folder_id": folder_id}
    found = httpx2.get(f"{server.url}/api/files", params=query, headers=server.headers()).json()
    assert [(one["name"], one["size"]) for one in found["items"]] == [("long.txt", len(content))]


def test_somebody_is_let_in_by_name_and_shown_out(visitors: Visitors, server):
    put(server, "people/ours.txt", "ours", "text/plain")
    page = visitors.signed_in(where="/#/files/people")
    dialog = sharing(page, "ours.txt")
    people = dialog.get_by_role("list", name="People with access")
    expect(people.get_by_role("listitem")).to_have_count(1)
    dialog.get_by_label("Name").fill("nobody such")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Name").fill("bob")
    dialog.get_by_label("They may").select_option("Change")
    dialog.get_by_label("Name").press("Enter")
    expect(people.get_by_role("listitem").filter(has_text="bob")).to_contain_text("Change")

    other = visitors.signed_in("bob", "/#/shared")
    expect(other.get_by_role("grid").get_by_text("ours.txt")).to_be_visible()
    dialog.get_by_role("button", name="Remove bob").click()
    expect(people.get_by_role("listitem")).to_have_count(1)
    expect(other.get_by_text("ours.txt")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sharing_is_accessible(visitors: Visitors, server, violations, scheme):
    put(server, "axe/picture.jpg", jpeg(), "image/jpeg")
    width = PHONE if scheme == "dark" else {}
    look = {"bypass_csp": True, "color_scheme": scheme, **width}
    page = visitors.signed_in(where="/#/files/axe", **look)
    # The stranger is shown the picture that is made for whoever looks first.
    expect(page.locator(".thumbnail img")).to_be_visible()
    dialog = sharing(page, "picture.jpg")
    dialog.get_by_label("Password").fill(SECRET)
    url = make_link(dialog)
    expect(dialog.get_by_text(re.compile("ann"))).to_be_visible()
    assert violations(page) == []
    stranger = visitors.open(**look)
    stranger.goto(url)
    assert violations(stranger) == []
    stranger.get_by_label("Password").fill(SECRET)
    stranger.keyboard.press("Enter")
    expect(stranger.locator("img")).to_have_js_property("naturalWidth", 320)
    assert violations(stranger) == []
    shown = stranger.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert max(shown) <= stranger.viewport_size["width"]
