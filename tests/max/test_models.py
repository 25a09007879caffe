"""Models: what MAX tells, what it leaves out, and what nobody knows yet."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.max.models import Attachment, Message, Update, VideoDetails

NAMES = (
    "update_type", "timestamp", "message", "body", "recipient", "sender", "link", "mid", "text",
    "attachments", "payload", "token", "url", "urls", "thumbnail", "type", "chat_id", "user",
)  # fmt: skip

VALUES = st.recursive(
    st.sampled_from([None, True, 0, -5, "x", [], [3], {}]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)

FORWARDED: dict[str, Any] = {
    "update_type": "message_created",
    "timestamp": 1775025604499,
    "user_locale": "ru",
    "new_field": {"x": [1]},
    "message": {
        "sender": {"user_id": 1, "first_name": "Ann", "is_bot": False, "avatar": "x"},
        "recipient": {"chat_id": -70812345678901, "chat_type": "chat"},
        "timestamp": 1775053255737,
        "link": {
            "type": "forward",
            "message": {
                "mid": "mid.2",
                "seq": 116327994376978687,
                "attachments": [
                    {
                        "type": "audio",
                        "payload": {"url": "u", "token": "t"},
                        "transcription": "hello",
                    },
                    {"type": "hologram", "payload": {"depth": 3}},
                ],
            },
        },
        "body": {"mid": "mid.1", "seq": 116327994376978688, "text": None},
    },
}


def test_a_forwarded_message_brings_its_attachments() -> None:
    update = Update.of(FORWARDED)
    message = update.message
    assert message is not None
    assert (update.type, update.chat_id) == ("message_created", -70812345678901)
    assert (message.mid, message.text, message.linked_mid) == ("mid.1", None, "mid.2")
    assert message.sender is not None
    assert message.sender.first_name == "Ann"
    audio, unknown = message.attachments
    assert (audio.type, audio.token, audio.transcription) == ("audio", "t", "hello")
    assert (unknown.type, unknown.token) == ("hologram", None)
    assert unknown.raw["payload"] == {"depth": 3}
    assert update.raw["new_field"] == {"x": [1]}


def test_a_reply_does_not() -> None:
    told = {**FORWARDED["message"], "link": {**FORWARDED["message"]["link"], "type": "reply"}}
    assert Message.of(told).attachments == ()


def test_an_update_of_an_unknown_type() -> None:
    update = Update.of({"update_type": "teleported", "timestamp": 5, "chat_id": -3})
    assert (update.type, update.chat_id, update.message) == ("teleported", -3, None)


def test_attachments_as_told() -> None:
    file = Attachment.of(
        {"type": "file", "payload": {"url": "u", "token": "t"}, "filename": "a.pdf", "size": 7}
    )
    assert (file.filename, file.size_bytes) == ("a.pdf", 7)
    video = Attachment.of(
        {
            "type": "video",
            "payload": {"url": "u", "token": "t"},
            "thumbnail": {"url": "p"},
            "width": 0,
        }
    )
    assert (video.thumbnail_url, video.width, video.duration) == ("p", 0, None)


@pytest.mark.parametrize("urls", [None, {}, {"mp4_720": None, "hls": None}, {"mp4_9000": "x"}, 5])
def test_a_video_without_a_rendition(urls: Any) -> None:
    details = VideoDetails.of({"token": "t", "urls": urls, "width": 0, "height": 0}, "t")
    assert details.rendition() is None
    assert details.streaming_url is None
    assert (details.width, details.height, details.duration) == (None, None, None)


def test_renditions_by_quality() -> None:
    urls = {"mp4_1080": "a", "mp4_480": "b", "mp4_240": "c", "mp4_720": None}
    details = VideoDetails.of({"urls": urls, "thumbnail": {"url": "p"}, "duration": 79619}, "t")
    assert details.token == "t"
    assert details.rendition() == "a"
    assert details.rendition(720) == "b"
    assert details.rendition(480) == "b"
    assert details.rendition(100) == "c"
    assert details.streaming_url == "a"
    assert VideoDetails.of({"urls": {**urls, "hls": "h"}}, "t").streaming_url == "h"
    assert (details.thumbnail_url, details.duration) == ("p", 79619)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_whatever_comes_is_read(values: dict[str, Any]) -> None:
    Update.of(values)
    Message.of(values)
    Attachment.of(values)
    VideoDetails.of(values, "t")
