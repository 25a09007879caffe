"""Pictures and waveforms over HTTP: in the size asked for, made when they are, kept by browsers."""

from __future__ import annotations

import io
import time

import httpx2
import pytest
from PIL import Image

from recordings import wav

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def http(server):
    with httpx2.Client(base_url=server.url, headers=server.headers()) as client:
        yield client


def put(http, name, content):
    return http.put(f"/api/content/{name}", content=content).json()["id"]


def image(width=1600, height=800, colour="teal"):
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG")
    return out.getvalue()


def wait_for(http, place, **params):
    """The answer, once it is not any more that one should come again."""
    while (answer := http.get(place, params=params)).status_code == 202:
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert told["status"] == "pending"
        assert http.get(f"/api/jobs/{told['job_id']}").status_code == 200
        time.sleep(0.2)
    return answer


def test_a_picture_in_every_size(http):
    place = f"/api/files/{put(http, 'sizes.jpg', image())}/thumbnail"
    for asked, side in ((None, 320), (1, 160), (160, 160), (321, 640), (1280, 1280), (4096, 1280)):
        answer = wait_for(http, place, **({} if asked is None else {"size": asked}))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert Image.open(io.BytesIO(answer.content)).size == (side, side // 2), asked
    assert http.get(place, params={"size": 0}).status_code == 422


def test_browsers_keep_it(http):
    file_id = put(http, "kept.jpg", image())
    place = f"/api/files/{file_id}/thumbnail"
    first = wait_for(http, place)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in first.headers["content-security-policy"]
    again = http.get(place, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert put(http, "kept.jpg", image(colour="red")) == file_id
    other = wait_for(http, place)
    assert other.headers["etag"] != first.headers["etag"]
    of_version = wait_for(http, place, version=1)
    assert of_version.headers["etag"] == first.headers["etag"]
    assert "immutable" in of_version.headers["cache-control"]


def test_a_waveform_as_data_and_as_a_picture(http):
    file_id = put(http, "tone.wav", wav(seconds=1))
    answer = wait_for(http, f"/api/files/{file_id}/waveform")
    assert answer.headers["content-type"] == "application/json"
    levels = answer.json()
    assert len(levels["lows"]) == len(levels["highs"]) == len(levels["means"]) == 800
    assert all(
        -1 <= low <= high <= 1 for low, high in zip(levels["lows"], levels["highs"], strict=True)
    )
    drawn = wait_for(http, f"/api/files/{file_id}/thumbnail", size=640)
    assert Image.open(io.BytesIO(drawn.content)).size == (640, 160)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("notes.txt", b"no picture", "thumbnail"),
        ("notes.txt", b"no picture", "waveform"),
        ("broken.jpg", b"no image at all", "thumbnail"),
        ("silent.jpg", image(9, 9), "waveform"),
    ],
)
def test_of_other_files_there_is_none(http, name, content, what):
    answer = wait_for(http, f"/api/files/{put(http, name, content)}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "file-not-found")
    assert name in answer.json()["detail"]
