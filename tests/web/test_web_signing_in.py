"""Signing in and out on the page, and what becomes of a session that ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from web_visitors import PHONE, sign_in

pytestmark = pytest.mark.servers


def test_one_signs_in_stays_so_after_a_reload_and_signs_out(visitors):
    page = visitors.open()
    refused = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    page.goto("/")
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()
    page.get_by_role("button", name="ann").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert refused == [], "nothing is refused by the Content-Security-Policy"


def test_a_wrong_password_is_told_in_words(visitors):
    page = visitors.open()
    page.goto("/")
    sign_in(page, "ann", "not this one")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")


def test_a_session_that_ended_asks_for_the_password_and_keeps_the_page(visitors):
    page = visitors.signed_in(where="/#/trash")
    page.evaluate("localStorage.setItem('haulier.refresh', 'void')")
    page.reload()
    expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Trash", level=1)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [{}, PHONE], ids=["desktop", "phone"])
def test_signing_in_is_accessible(visitors, violations, scheme, width):
    page = visitors.open(bypass_csp=True, color_scheme=scheme, **width)
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations(page) == []
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()
    assert violations(page) == []
