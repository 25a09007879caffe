"""The trash, the settings and the admin's pages."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from running_server import Server
from web_files import put
from web_visitors import PASSWORD, PHONE, Visitors, sign_in

pytestmark = pytest.mark.servers

NEW_PASSWORD = "a battery of horses"


def trashed(server: Server, *names: str, owner: str = "ann") -> list[str]:
    """Put files of these names into the trash; return their ids."""
    ids = [put(server, name, name, "text/plain", owner)["id"] for name in names]
    for one in ids:
        url = f"{server.url}/api/files/{one}"
        assert httpx2.delete(url, headers=server.headers(owner)).status_code == 204
    return ids


def in_trash(server: Server, owner: str = "ann") -> set[str]:
    answer = httpx2.get(f"{server.url}/api/trash", headers=server.headers(owner))
    return {one["name"] for one in answer.json()["items"]}


def row(page: Page, name: str):
    return page.get_by_role("listitem").filter(has_text=name)


def test_what_was_deleted_is_brought_back_or_removed_for_good(visitors: Visitors, server):
    trashed(server, "back.txt", "one.txt", "two.txt", "three.txt")
    page = visitors.signed_in(where="/#/trash")
    page.get_by_role("button", name="Restore back.txt").click()
    expect(row(page, "back.txt")).to_have_count(0)
    assert in_trash(server) == {"one.txt", "two.txt", "three.txt"}

    page.get_by_role("checkbox", name="one.txt").check()
    page.get_by_role("checkbox", name="two.txt").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Delete for good", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row(page, "one.txt")).to_be_visible()
    page.get_by_role("button", name="Delete for good", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("2 files are gone.")).to_be_visible()
    assert in_trash(server) == {"three.txt"}

    # What is deleted elsewhere meanwhile is seen at once.
    trashed(server, "four.txt")
    expect(row(page, "four.txt")).to_be_visible()
    page.get_by_role("button", name="Empty trash").click()
    page.get_by_role("dialog").get_by_role("button", name="Empty trash").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert in_trash(server) == set()


def test_a_new_password_signs_out_everybody_else(visitors: Visitors, server):
    elsewhere = visitors.signed_in("bob", "/#/trash")
    page = visitors.signed_in("bob", "/#/settings")
    given = {
        "Password now": "not this one",
        "New password (10": NEW_PASSWORD,
        "New password again": NEW_PASSWORD + "!",
    }
    for label, value in given.items():
        page.get_by_label(label).fill(value)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The new passwords are not the same.")
    page.get_by_label("New password again").fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The old password is wrong.")
    page.get_by_label("Password now").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()

    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(elsewhere, "bob", NEW_PASSWORD)
    expect(elsewhere.get_by_role("heading", name="Trash", level=1)).to_be_visible()

    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_theme_that_is_chosen_stays(visitors: Visitors):
    page = visitors.signed_in(where="/#/settings", color_scheme="light")
    light, dark = "rgb(245, 246, 248)", "rgb(16, 18, 21)"
    expect(page.locator("body")).to_have_css("background-color", light)
    page.get_by_label("Dark").check()
    expect(page.locator("body")).to_have_css("background-color", dark)
    page.reload()
    expect(page.get_by_label("Dark")).to_be_checked()
    expect(page.locator("body")).to_have_css("background-color", dark)
    page.get_by_label("As the system").check()
    expect(page.locator("body")).to_have_css("background-color", light)


def test_an_admin_makes_changes_and_disables_accounts(visitors: Visitors):
    page = visitors.signed_in("root", "/#/admin/users")
    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    dialog.get_by_label("Name").fill("carl")
    dialog.get_by_label("Role").select_option("Viewer")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    carl = page.get_by_role("row").filter(has_text="carl")
    expect(carl).to_contain_text("Viewer")

    page.get_by_role("button", name="Actions for carl").click()
    page.get_by_role("menuitem", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change carl")
    dialog.get_by_label("Role").select_option("User")
    dialog.get_by_label("Most storage").fill("64")
    page.keyboard.press("Enter")
    expect(carl).to_contain_text("0 B of 64 MiB used")

    other = visitors.signed_in("carl", "/#/admin")
    expect(other.get_by_text("This page is for admins.")).to_be_visible()
    expect(other.get_by_role("link", name="Admin")).to_have_count(0)
    other.goto("/#/settings")
    expect(other.get_by_text("0 B of 64 MiB used").last).to_be_visible()
    other.goto("/#/trash")

    page.get_by_role("button", name="Actions for carl").click()
    page.get_by_role("menuitem", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(carl).to_contain_text("Disabled")
    other.reload()
    sign_in(other, "carl")
    expect(other.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="Actions for carl").click()
    page.get_by_role("menuitem", name="Enable").click()
    expect(carl).to_contain_text("Active")


def test_an_admin_sees_how_the_server_is_and_what_was_done(visitors: Visitors, server):
    hostile = "<img src=x onerror=document.title='run'>"
    for n in range(60):
        httpx2.delete(f"{server.url}/api/files/{n:026}", headers=server.headers("eve"))
    credentials = {"username": hostile, "password": "x"}
    httpx2.post(f"{server.url}/auth/token", json=credentials)
    page = visitors.signed_in("root", "/#/admin")
    expect(page.get_by_text("All well")).to_be_visible()
    expect(page.get_by_text("catalog")).to_be_visible()

    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("row").filter(has_text="root").first).to_be_visible()
    page.get_by_label("Who").fill("eve")
    page.get_by_label("What").fill("DELETE /api/files/{file_id}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(51)
    expect(page.get_by_role("row").filter(has_text="root")).to_have_count(0)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("row")).to_have_count(61)
    assert "run" not in page.title()


def test_an_admin_has_another_program_told(visitors: Visitors):
    page = visitors.signed_in("root", "/#/admin/webhooks")
    expect(page.get_by_role("heading", name="Nobody is told")).to_be_visible()
    page.get_by_role("button", name="New webhook").click()
    page.get_by_role("dialog").get_by_label("Address").fill("https://example.org/in")
    page.get_by_role("dialog").get_by_label("Events").fill("file.created")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("whsec_")).to_be_visible()
    page.keyboard.press("Escape")
    hook = page.get_by_role("row").filter(has_text="example.org")
    expect(hook).to_contain_text("file.created")
    page.get_by_role("button", name="Actions for https://example.org/in").click()
    page.get_by_role("menuitem", name="Disable").click()
    expect(hook.get_by_text("Active")).to_have_count(0)
    page.get_by_role("button", name="Actions for https://example.org/in").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Nobody is told")).to_be_visible()


def test_an_admin_sees_what_became_of_messages_and_has_one_sent_again(visitors: Visitors, server):
    url, headers = f"{server.url}/api/webhooks", server.headers("root")
    # Nobody listens there.
    hook = httpx2.post(url, headers=headers, json={"url": "https://127.0.0.1:1/in"}).json()
    put(server, "told.txt", "told", "text/plain")
    page = visitors.signed_in("root", "/#/admin/webhooks")

    def messages() -> Locator:
        page.get_by_role("button", name="Actions for https://127.0.0.1:1/in").click()
        page.get_by_role("menuitem", name="Messages").click()
        dialog = page.get_by_role("dialog", name="Messages to https://127.0.0.1:1/in")
        return dialog.get_by_role("listitem").filter(has_text="file.created")

    expect(messages()).to_be_visible()
    page.keyboard.press("Escape")
    with closing(sqlite3.connect(server.data / "catalog.db")) as catalog, catalog:
        given_up = "UPDATE jobs SET state = 'failed', last_error = 'nobody there' WHERE subject = ?"
        catalog.execute(given_up, [hook["id"]])
    message = messages()
    expect(message).to_contain_text("Failed")
    expect(message).to_contain_text("nobody there")
    page.get_by_role("dialog").get_by_label("State").select_option("Failed")
    message.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("It is sent again.")).to_be_visible()
    expect(message).to_have_count(0)
    assert httpx2.delete(f"{url}/{hook['id']}", headers=headers).status_code == 204


def test_one_sees_all_links_that_one_made_and_takes_them_back(visitors: Visitors, server):
    api, headers = f"{server.url}/api", server.headers()
    file_id = put(server, "given.txt", "given", "text/plain")["id"]
    folder = httpx2.post(f"{api}/folders", json={"path": "box"}, headers=headers).json()
    limits = {"max_downloads": 3}
    made = httpx2.post(f"{api}/files/{file_id}/shares", json=limits, headers=headers).json()
    where = f"{api}/folders/{folder['id']}/upload-links"
    httpx2.post(where, json={"title": "Photos"}, headers=headers).raise_for_status()
    page = visitors.signed_in(where="/#/settings")
    file_link = page.get_by_role("list", name="Links", exact=True).get_by_role("listitem")
    expect(file_link).to_contain_text("given.txt")
    expect(file_link).to_contain_text("0 of 3 downloads")
    folder_link = page.get_by_role("list", name="Upload links").get_by_role("listitem")
    expect(folder_link).to_contain_text("Photos · box")
    assert httpx2.get(made["url"]).status_code == 200
    file_link.get_by_role("button", name="Take back").click()
    expect(file_link).to_contain_text("Taken back")
    assert httpx2.get(made["url"]).status_code == 404
    folder_link.get_by_role("button", name="Take back").click()
    expect(folder_link).to_contain_text("Taken back")


PAGES = ["trash", "settings", "admin", "admin/users", "admin/audit"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible(visitors: Visitors, server, violations, scheme):
    trashed(server, f"{scheme}.txt", owner="root")
    file_id = put(server, "given.txt", "given", "text/plain", "root")["id"]
    url = f"{server.url}/api/files/{file_id}/shares"
    httpx2.post(url, json={}, headers=server.headers("root")).raise_for_status()
    width = PHONE if scheme == "dark" else {}
    page = visitors.signed_in("root", bypass_csp=True, color_scheme=scheme, **width)
    for where in PAGES:
        page.goto(f"/#/{where}")
        expect(page.locator("main .skeleton")).to_have_count(0)
        assert violations(page) == [], where
        # A page that is too wide makes phones show it smaller, and their `innerWidth` larger.
        shown = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert max(shown) <= page.viewport_size["width"], where
