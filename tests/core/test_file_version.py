import pytest

from haulier.core.file_version import AnswerHead, Version, parse_content_range

OLD = "Thu, 01 Jan 2026 00:00:00 GMT"
LATER = "Thu, 01 Jan 2026 00:01:00 GMT"
SOON = "Thu, 01 Jan 2026 00:00:59 GMT"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("bytes 0-99/100", (0, 100, 100)),
        (" bytes  5-5/* ", (5, 6, None)),
        ("bytes */100", (None, None, 100)),
        ("bytes */*", (None, None, None)),
        ("bytes 0-99", (None, None, None)),
        ("items 0-99/100", (None, None, None)),
        ("bytes -1-99/100", (None, None, None)),
        ("bytes 0-٣/100", (None, None, None)),
        ("", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_content_range(value: str | None, read: tuple[int | None, ...]) -> None:
    assert parse_content_range(value) == read


@pytest.mark.parametrize(
    ("head", "etag", "modified"),
    [
        ({"etag": '"a"'}, '"a"', None),
        ({"etag": 'W/"a"'}, None, None),
        ({"etag": "a"}, None, None),
        ({"etag": '""'}, None, None),
        ({"last_modified": OLD, "date": LATER}, None, OLD),
        ({"last_modified": OLD, "date": SOON}, None, None),
        ({"last_modified": OLD}, None, None),
        ({"last_modified": "yesterday", "date": LATER}, None, None),
        ({"etag": 'W/"a"', "last_modified": OLD, "date": LATER}, None, OLD),
    ],
)
def test_only_strong_validators_prove_a_version(
    head: dict[str, str], etag: str | None, modified: str | None
) -> None:
    version = Version.of(AnswerHead(status=200, **head))
    assert (version.etag, version.last_modified) == (etag, modified)
    assert version.is_proven == bool(etag or modified)
