import pytest

from haulier.core.http_head import get_request, parse_chunk_size, parse_head
from haulier.errors import UsageError

OK = b"HTTP/1.1 200 OK"


def test_a_request_asks_for_exactly_the_link() -> None:
    asked = get_request("http://Example.org:80/a%2Fb?x=%2b&y#frag", {"Range": "bytes=0-9"})
    assert asked == (
        b"GET /a%2Fb?x=%2b&y HTTP/1.1\r\nHost: Example.org\r\nRange: bytes=0-9\r\n\r\n"
    )
    assert get_request("http://[::1]:8080", {}) == b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"
    assert get_request("http://a/", {"host": "b"}) == b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "b\r\nX-C: d"), ("X-A", "b\nc"), ("X-A", "b\0"), ("X A", "b"), ("", "b"), ("X:", "b")],
)
def test_a_header_that_would_be_another_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match="can't be sent"):
        get_request("http://a/", {name: value})


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "open_"),
    [
        ([OK, b"Content-Length: 12"], 12, False, True),
        ([OK, b"content-length:12 ", b"Content-Length: 12"], 12, False, True),
        ([OK], None, False, True),
        ([b"HTTP/1.0 200", b"Content-Length: 1"], 1, False, False),
        ([OK, b"Content-Length: 1", b"Connection: Close"], 1, False, False),
        ([OK, b"Transfer-Encoding: Chunked"], None, True, True),
        ([OK, b"Transfer-Encoding: chunked", b"Content-Length: 5"], None, True, False),
        ([b"HTTP/1.1 304 Not Modified", b"Content-Length: 5"], 0, False, True),
        ([b"HTTP/1.1 204 "], 0, False, True),
    ],
)
def test_where_a_body_ends(
    lines: list[bytes], length: int | None, chunked: bool, open_: bool
) -> None:
    head = parse_head(lines)
    assert head is not None
    assert (head.length_bytes, head.is_chunked, head.stays_open) == (length, chunked, open_)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"SSH-2.0-OpenSSH"],
        [b"HTTP/2 200"],
        [b"HTTP/1.1 0200 OK"],
        [b"HTTP/1.1 2x0 OK"],
        [OK, b"Content-Length: 5", b"Content-Length: 6"],
        [OK, b"Content-Length: -5"],
        [OK, b"Content-Length: 5, 6"],
        [OK, "Content-Length: ٣".encode()],
        [OK, b"Content-Length: " + b"9" * 5000],
        [OK, b"Content-Length : 5"],
        [OK, b"X-A: b", b" folded: c"],
        [OK, b"no colon"],
        [OK, b"Transfer-Encoding: gzip, chunked"],
        [OK, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    ],
)
def test_what_could_be_read_in_two_ways_is_not_read(lines: list[bytes]) -> None:
    assert parse_head(lines) is None


def test_headers_are_found_in_any_case_and_any_bytes() -> None:
    head = parse_head([OK, b'ETag: "1"', b"X-Name: caf\xe9", b"x-name: second"])
    assert head is not None
    assert head.headers["etag"] == head.headers["ETAG"] == '"1"'
    assert head.headers["X-Name"].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert head.headers.get("X-None") is None
    assert set(head.headers) == {"etag", "x-name"}


def test_sizes_of_chunks() -> None:
    sizes = [parse_chunk_size(line) for line in (b"0", b"1aF", b"10 ; name=value", b"00000005")]
    assert sizes == [0, 0x1AF, 16, 5]
    bad = (b"", b"-1", b"0x10", b"1 0", b"g", b"+5", b"1_0", b"f" * 16)
    assert [parse_chunk_size(line) for line in bad] == [None] * len(bad)
