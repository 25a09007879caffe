"""MIME types, endings and kinds."""

from __future__ import annotations

import pytest

from haulier.core import mime
from haulier.core.mime import FileKind, MediaType, canonical, kind_of, mime_type_of, types_of_name

# What B2 of docs/features.md promises.
VIDEO = ["mp4", "avi", "mkv", "mov", "flv", "wmv", "webm", "mpeg", "3gp", "m4v", "ogv", "ts"]
AUDIO = ["mp3", "wav", "m4a", "flac", "aac", "ogg", "wma", "opus", "aiff", "au"]
IMAGE = ["jpg", "jpeg", "png", "gif", "webp", "bmp", "tiff", "svg", "ico"]


@pytest.mark.parametrize(
    ("endings", "media_type"),
    [(VIDEO, MediaType.VIDEO), (AUDIO, MediaType.AUDIO), (IMAGE, MediaType.IMAGE)],
)
def test_every_promised_ending_stands_for_its_media_type(endings, media_type):
    for ending in endings:
        told = mime_type_of(f"holiday.{ending.upper()}")
        assert told is not None
        assert MediaType.of(kind_of(told)) is media_type, ending


@pytest.mark.parametrize("mime_type", mime._ENDINGS)
def test_each_type_goes_by_its_own_name_and_its_ending_leads_back(mime_type):
    assert canonical(mime_type) == mime_type
    ending = mime.usual_ending(mime_type)
    assert mime_type in types_of_name(f"name{ending}")


def test_other_names_lead_to_names_that_have_an_ending():
    for other, name in mime._SAME.items():
        assert other not in mime._ENDINGS
        assert name in mime._ENDINGS or name == mime.UNKNOWN_TYPE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("IMAGE/JPG; charset=binary", "image/jpeg"),
        (" audio/x-wav ", "audio/wav"),
        ("Application/X-Custom", "application/x-custom"),
    ],
)
def test_a_type_is_named_in_one_way(given, expected):
    assert canonical(given) == expected


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("application/pdf", FileKind.DOCUMENT), ("application/zip", FileKind.ARCHIVE),
        ("application/vnd.ms-cab-compressed", FileKind.ARCHIVE), ("text/x-c", FileKind.TEXT),
        ("application/vnd.ms-excel", FileKind.DOCUMENT), ("application/ld+json", FileKind.TEXT),
        ("image/svg+xml", FileKind.IMAGE), ("application/mxf", FileKind.VIDEO),
        ("application/x-executable", FileKind.UNKNOWN), ("font/woff2", FileKind.UNKNOWN),
    ],
)  # fmt: skip
def test_kinds(mime_type, kind):
    assert kind_of(mime_type) is kind


def test_a_name_may_say_several_things_or_nothing():
    assert types_of_name("a.ts") == ("video/mp2t", "text/typescript")
    assert types_of_name("a.ogg")[0] == "audio/ogg"
    assert types_of_name("README") == ()
    assert mime_type_of("a.unheard-of") is None
    assert mime.usual_ending("application/x-unheard-of") is None
