"""tus 1.0 headers: what is read, what is refused, what is answered."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.core.sessions import tus
from haulier.core.sessions.session import Order, UploadSession
from haulier.errors import ValidationError

SESSION = UploadSession(
    session_id="0" * 32,
    owner_id="u",
    name="a",
    size_bytes=10,
    chunk_size=4,
    order=Order.SEQUENTIAL,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    expires_at=datetime(2026, 3, 2, tzinfo=UTC),
)


@pytest.mark.parametrize(
    "value", ["-1", "+1", "1.0", "1e3", "", " 1", "0x10", "٣", "9" * 19, "1,2"]
)
def test_numbers_are_plain(value):
    with pytest.raises(ValidationError):
        tus.read_number({"upload-offset": value}, "upload-offset")


def test_numbers_are_read():
    assert tus.read_number({"upload-offset": "0"}, "upload-offset") == 0
    assert tus.read_number({"upload-offset": "9" * 18}, "upload-offset") == int("9" * 18)
    assert tus.read_number({}, "upload-offset") is None


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"upload-length": "7"}, 7),
        ({"upload-length": "0"}, 0),
        ({"upload-defer-length": "1"}, None),
    ],
)
def test_creations_are_read(headers, size):
    assert tus.read_creation(headers).size_bytes == size


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload-length": "7", "upload-defer-length": "1"},
        {"upload-defer-length": "2"},
        {"upload-defer-length": "0"},
        {"upload-length": "-7"},
        {"upload-length": "7", "upload-concat": "part"},
        {"upload-concat": "partial"},
        {"upload-concat": "final;/a"},
        {"upload-length": "7", "upload-metadata": "name !!!"},
    ],
)
def test_creations_that_make_no_sense_are_refused(headers):
    with pytest.raises(ValidationError):
        tus.read_creation(headers)


@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyzABC-_./0123456789", min_size=1, max_size=10),
        st.text(max_size=20),
        max_size=5,
    )
)
def test_metadata_comes_back(pairs):
    text = ",".join(
        f"{key} {base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}"
        for key, value in pairs.items()
    )
    found = tus.parse_metadata(text)
    assert list(found) == list(pairs)
    for key, value in pairs.items():
        assert found[key] == value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["", "  ", "is_confidential", "a ,b"])
def test_values_may_be_absent(text):
    assert set(tus.parse_metadata(text).values()) <= {""}


@pytest.mark.parametrize("text", ["a YQ==,a Yg==", " ,a YQ==", "a Y*==", "x" * 9000])
def test_metadata_that_can_not_be_is_refused(text):
    with pytest.raises(ValidationError):
        tus.parse_metadata(text)


def test_checksums_are_read():
    assert tus.read_checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=") == (
        "sha1:2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"
    )
    for wrong in ("SHA1 YQ==", "sha1 ***", "rot13 YQ==", ""):
        with pytest.raises(ValidationError):
            tus.read_checksum(wrong)


def test_a_state_names_what_is_known():
    assert tus.state_headers(SESSION) == {
        "Cache-Control": "no-store",
        "Upload-Offset": "0",
        "Upload-Length": "10",
    }
    deferred = replace(SESSION, size_bytes=None, details={"metadata": "a YQ=="}, offset=3)
    assert tus.state_headers(deferred) == {
        "Cache-Control": "no-store",
        "Upload-Offset": "3",
        "Upload-Defer-Length": "1",
        "Upload-Metadata": "a YQ==",
    }


def test_the_offer_lists_what_is_built():
    assert tus.offer_headers(None)["Tus-Version"] == "1.0.0"
    assert "Tus-Max-Size" not in tus.offer_headers(None)
    assert tus.offer_headers(5)["Tus-Max-Size"] == "5"
    assert "sha1" in tus.offer_headers(5)["Tus-Checksum-Algorithm"].split(",")
    assert tus.expires_header(SESSION.expires_at) == {
        "Upload-Expires": "Mon, 02 Mar 2026 00:00:00 GMT"
    }
