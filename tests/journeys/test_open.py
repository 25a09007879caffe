from __future__ import annotations

import pytest

from haulier.errors import ConfigurationError, UsageError
from haulier.journeys.archive.open import destination_of, upload_options
from haulier.settings import Settings, settings_table


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in settings_table():
        monkeypatch.delenv(row.name, raising=False)
    (tmp_path / "haulier.toml").write_text(
        '[remotes.nas]\nurl = "s3://nas/media"\nendpoint_url = "http://nas:9000"\n'
    )
    return lambda **flags: Settings.load(data=tmp_path / "data", **flags)


def test_the_embedded_store_is_the_default(settings, tmp_path):
    place = destination_of(settings(), None)
    assert place.root == (tmp_path / "data" / "store").as_uri()


def test_a_bucket_of_the_settings(settings):
    place = destination_of(settings(AWS_S3_BUCKET="b", AWS_S3_PREFIX="/a/b/"), None)
    assert (place.root, place.prefix) == ("s3://b", "a/b/")


@pytest.mark.parametrize(
    ("to", "root", "prefix"),
    [
        ("s3://bucket", "s3://bucket", ""),
        ("s3://bucket/2026/may/", "s3://bucket", "2026/may/"),
        ("file:///mnt/a%20b", "file:///mnt/a%20b", ""),
        ("nas", "s3://nas", "media/"),
    ],
)
def test_destinations(settings, to, root, prefix):
    place = destination_of(settings(), to)
    assert (place.root, place.prefix) == (root, prefix)


def test_a_remote_has_its_own_endpoint(settings):
    assert destination_of(settings(), "nas").endpoint_url == "http://nas:9000"


@pytest.mark.parametrize("to", ["discord:1", "max:2", "ftp://x/y", "s3://", "file://host/x"])
def test_what_is_no_store(settings, to):
    with pytest.raises(UsageError):
        destination_of(settings(), to)


def test_an_unknown_remote_names_those_there_are(settings):
    with pytest.raises(ConfigurationError, match="nas"):
        destination_of(settings(), "nsa")


def test_flags_go_before_settings(settings):
    found = settings(MGMT_COMPRESSION="zstd", AWS_S3_STORAGE_CLASS="STANDARD_IA")
    assert upload_options(found).compression == "zstd"
    assert upload_options(found, "s3://bucket").storage_class == "STANDARD_IA"
    assert upload_options(found, compression="none").compression == "none"
    assert upload_options(found, complete=False).completed_dir is None
    assert upload_options(settings(MGMT_COMPLETED_ENABLED=False)).completed_dir is None
