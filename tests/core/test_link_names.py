"""Names of downloads, as servers really write them."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.link_names import MAX_NAME_BYTES, disposition_name, link_name, safe_name

CYRILLIC = "Отчёт за год.pdf"
TWICE = quote(quote(CYRILLIC))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename=clip.mp4", "clip.mp4"),
        ('attachment; filename="my clip.mp4"', "my clip.mp4"),
        ('attachment; filename="a \\"b\\".mp4"', 'a "b".mp4'),
        ('attachment; filename="C:\\dir\\a.txt"', "C:\\dir\\a.txt"),
        ("ATTACHMENT ; FileName = clip.mp4 ; size=3", "clip.mp4"),
        ("attachment; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ("attachment; filename=\"x.txt\"; filename*=UTF-8''%E2%82%AC.txt", "€.txt"),
        ("attachment; filename*=UTF-8''%E2%82%AC.txt; filename=x.txt", "€.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("attachment; filename=x.txt; filename*=UTF-8''%ff%fe", "x.txt"),
        ("attachment; filename=x.txt; filename*=KOI8-R''%C1", "x.txt"),
        ("attachment; filename=x.txt; filename*=nonsense", "x.txt"),
        ('attachment; filename="a;b.txt"; x=y', "a;b.txt"),
        (f'attachment; filename="{quote(CYRILLIC)}"', CYRILLIC),
        (f"attachment; filename={quote(CYRILLIC)}", CYRILLIC),
        (f"attachment; filename=\"{quote(CYRILLIC)}\"; filename*=utf-8''{TWICE}", CYRILLIC),
        (f"attachment; filename={TWICE}", CYRILLIC),
        ('attachment; filename="100% sure.txt"', "100% sure.txt"),
        ('attachment; filename="50%zz.txt"', "50%zz.txt"),
        ('attachment; filename="%ff%fe.txt"', "%ff%fe.txt"),
        (os.fsdecode('attachment; filename="né.txt"'.encode()), "né.txt"),
        (os.fsdecode('attachment; filename="né.txt"'.encode("latin-1")), "né.txt"),
        ("attachment", None),
        ("attachment; filename=", None),
        ("inline; name=x", None),
        (None, None),
    ],
)
def test_headers_are_read_as_they_were_meant(header, name):
    assert (disposition_name(header) or None) == name


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..%2f..%2fetc%2fpasswd", "passwd"),
        ("%252e%252e%252fpasswd", "passwd"),
        ("/etc/cron.d/x", "x"),
        ("C:\\Windows\\a.exe", "a.exe"),
        (".bashrc", "bashrc"),
        ("...", None),
        ("-rf", "rf"),
        ("a\x00b\r\nc\x1b[2J", "abc[2J"),
        ("\u202egpj.exe", "gpj.exe"),
        ("name. . ", "name"),
        ("dir/", "dir"),
        ("", None),
        (".haulier-x.part", "haulier-x.part"),
    ],
)
def test_hostile_names_do_no_harm(told, name):
    assert safe_name(disposition_name(f'x; filename="{told}"') or "") == name


def test_a_long_name_keeps_its_ending():
    name = safe_name("ж" * 500 + ".tar")
    assert name is not None
    assert name.endswith(".tar")
    assert len(name.encode()) <= MAX_NAME_BYTES


@pytest.mark.parametrize(
    ("url", "mime_type", "name"),
    [
        ("https://x/a/clip.mp4?sig=1#t", None, "clip.mp4"),
        ("https://x/a/%D0%90.txt", None, "А.txt"),
        ("https://x/a/%25D0%2590.txt", None, "А.txt"),
        ("https://x/a/..%2f..%2fb", None, "b"),
        ("https://x/", None, "download"),
        ("https://x", "text/html; charset=utf-8", "download.html"),
        ("https://x/i?r=abc", "image/webp", "i.webp"),
        ("https://x/i?r=abc", "application/x-unheard-of", "i"),
        ("https://x/clip.mp4", "application/octet-stream", "clip.mp4"),
        ("https://[x", None, "download"),
    ],
)
def test_a_link_gives_the_name_when_the_server_does_not(url, mime_type, name):
    assert link_name(url, None, mime_type) == name


@given(st.text(), st.text())
def test_any_header_and_link_give_a_usable_name(header, path):
    name = link_name(f"https://x/{path}", f'attachment; filename="{header}"')
    assert name == os.path.basename(name)
    assert name.isprintable() or not any(ord(char) < 32 for char in name)
    assert not name.startswith((".", "-"))
    assert 0 < len(name.encode()) <= 255
