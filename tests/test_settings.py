"""Settings: where values come from, what is accepted, what is said otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import platformdirs
import pytest

from haulier.errors import ConfigurationError
from haulier.settings import Settings, settings_table
from haulier.settings_groups import GROUPS
from haulier.settings_loading import names_of

SECRET = "s3cr3t-value"
NAMES = [name for kind in GROUPS.values() for names in names_of(kind).values() for name in names]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no settings in the environment, a home of our own."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def user_file(text: str) -> Path:
    path = Path(platformdirs.user_config_dir("haulier", appauthor=False)) / "haulier.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def refused(match: str, **overrides: object) -> str:
    """Load, expect a refusal, and return its hint."""
    with pytest.raises(ConfigurationError, match=match) as caught:
        Settings.load(**overrides)
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    return caught.value.hint


# --- the settings


def test_defaults(tmp_path: Path) -> None:
    settings = Settings.load()
    assert settings.general.data.is_relative_to(tmp_path / "home")
    assert settings.general.data.name == "haulier"
    assert settings.general.environment == "development"
    assert settings.general.redis_url is None
    assert settings.general.celery_broker_url is None
    assert settings.catalog_url == settings.general.data / "catalog.db"
    archive = settings.archive
    assert (archive.local_dir, archive.completed) == (Path(), Path("completed"))
    assert (archive.completed_enabled, archive.preserve_structure) == (True, False)
    assert (archive.duplicate_handling, archive.compression) == ("timestamp", "gzip")
    assert archive.catalog == "data"
    assert settings.s3.bucket is None
    assert settings.s3.prefix == ""
    chat = settings.chat
    assert (chat.upload_batch_size_mb, chat.upload_max_files_per_batch) == (20, 10)
    assert (chat.upload_enable_progress_updates, chat.upload_cleanup_after_success) == (True, True)
    assert (chat.upload_keep_failed_hours, chat.discord_limit_mb) == (24, None)
    assert settings.chat.compression_max_concurrent == 2
    assert settings.chat.compression_ffmpeg_preset == "medium"
    assert settings.chat.compression_max_upload_size_mb == 50
    assert settings.remotes == {}
    assert not settings.general.data.exists(), "loading creates nothing"


def test_every_setting_of_the_groups_is_there() -> None:
    assert {row.name: row.group for row in settings_table()} == {
        **dict.fromkeys(
            [
                "HAULIER_DATA",
                "ENVIRONMENT",
                "DATABASE_URL",
                "DATABASE_USER_URL",
                "REDIS_URL",
                "CELERY_BROKER_URL",
                "LOG_LEVEL",
            ],
            "general",
        ),
        **dict.fromkeys(
            [
                "MGMT_LOCAL_DIR",
                "MGMT_COMPLETED_DIR",
                "MGMT_COMPLETED_ENABLED",
                "MGMT_PRESERVE_STRUCTURE",
                "MGMT_DUPLICATE_HANDLING",
                "MGMT_COMPRESSION",
                "MGMT_CATALOG",
                "HAULIER_TOKEN",
            ],
            "archive",
        ),
        **dict.fromkeys(
            [
                "AWS_S3_BUCKET",
                "AWS_ENDPOINT_URL",
                "AWS_REGION",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_S3_PREFIX",
                "AWS_S3_STORAGE_CLASS",
                "AWS_S3_SSE",
                "AWS_S3_SSE_KMS_KEY_ID",
            ],
            "s3",
        ),
        **dict.fromkeys(
            [
                "JWT_SECRET_KEY",
                "JWT_JWKS_URL",
                "JWT_AUDIENCE",
                "JWT_ISSUER",
                "CORS_ORIGINS",
                "TRUSTED_PROXIES",
                "RATE_LIMIT_API",
                "UPLOAD_MAX_FILE_MB",
                "MAX_UPLOAD_SIZE_MB",
                "HAULIER_MAX_FILE_SIZE",
                "UPLOAD_ALLOWED_TYPES",
                "UPLOAD_SESSION_TTL_HOURS",
                "TRASH_RETENTION_DAYS",
                "DURABILITY",
                "DOWNLOAD_MODE",
                "X_ACCEL_PREFIX",
                "WEB_APP",
                "COMPRESS_AT_REST",
                "RATE_LIMIT_SIGN_IN",
                "CLAMD_URL",
                "CLAMD_MAX_FILE_MB",
                "SCAN_POLICY",
                "SCAN_ON_ERROR",
                "ENCRYPTION_KEY",
                "ENCRYPTION_OLD_KEYS",
                "WEBHOOK_ALLOWED_HOSTS",
                "WEBHOOK_TIMEOUT_S",
                "PRE_CREATE_HOOK_URL",
                "PRE_CREATE_HOOK_SECRET",
                "ENCRYPTION_KEY",
                "ENCRYPTION_OLD_KEYS",
                "PRE_CREATE_HOOK_TIMEOUT_S",
                "PRE_CREATE_HOOK_ON_ERROR",
            ],
            "server",
        ),
        **dict.fromkeys(
            [
                "AUDIO_STORAGE_DIR",
                "AUDIO_USER_LIMIT_MB",
                "AUDIO_FAILED_RETENTION_DAYS",
                "SYNC_TO",
                "SYNC_TOKEN",
            ],
            "recordings",
        ),
        **dict.fromkeys(
            [
                "COMPRESSION_MAX_CONCURRENT",
                "COMPRESSION_FFMPEG_PRESET",
                "COMPRESSION_MAX_UPLOAD_SIZE_MB",
                "UPLOAD_BATCH_SIZE_MB",
                "UPLOAD_MAX_FILES_PER_BATCH",
                "UPLOAD_ENABLE_PROGRESS_UPDATES",
                "UPLOAD_CLEANUP_AFTER_SUCCESS",
                "UPLOAD_KEEP_FAILED_HOURS",
                "UPLOAD_LINK_HOURS",
                "UPLOAD_LINK_TO",
                "DISCORD_TOKEN",
                "DISCORD_LIMIT_MB",
                "MAX_TOKEN",
                "MAX_API_URL",
                "MAX_CA_FILE",
            ],
            "chat",
        ),
        **dict.fromkeys(
            [
                "DOWNLOAD_MAX_MB",
                "DOWNLOAD_MAX_FILES",
                "DOWNLOAD_MAX_MINUTES",
                "DOWNLOAD_TIMEOUT_MINUTES",
                "DOWNLOAD_LIMIT_RATE",
                "DOWNLOAD_COOKIES_FILE",
                "DOWNLOAD_ALLOW",
                "BOT_AT_ONCE",
                "BOT_COOLDOWN_SECONDS",
                "BOT_DAILY_REQUESTS",
                "BOT_OFF_PEAK",
                "DISCORD_GUILDS",
                "DISCORD_CHANNELS",
                "DISCORD_ROLES",
                "DISCORD_PRIORITY_ROLES",
                "MAX_USERS",
            ],
            "bot",
        ),
    }


def test_the_table_tells_meaning_default_and_secrecy() -> None:
    rows = {row.name: row for row in settings_table()}
    assert all(row.meaning for row in rows.values())
    assert {name for name, row in rows.items() if row.secret} == {
        "DATABASE_URL", "DATABASE_USER_URL", "REDIS_URL", "CELERY_BROKER_URL", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "JWT_SECRET_KEY", "MAX_TOKEN", "SYNC_TOKEN", "DISCORD_TOKEN", "PRE_CREATE_HOOK_SECRET",
        "ENCRYPTION_KEY", "ENCRYPTION_OLD_KEYS",
        "HAULIER_TOKEN",
    }  # fmt: skip
    assert rows["MGMT_COMPLETED_ENABLED"].default == "true"
    assert rows["MGMT_LOCAL_DIR"].default == "."
    assert rows["MGMT_COMPLETED_DIR"].default == "`{MGMT_LOCAL_DIR}/completed`"
    assert rows["DATABASE_URL"].default == "`{data}/catalog.db`"
    assert rows["AWS_S3_BUCKET"].default == ""


def test_derived_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MGMT_LOCAL_DIR", "/media")
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    settings = Settings.load(data=tmp_path / "d")
    assert settings.archive.completed == Path("/media/completed")
    assert settings.catalog_url == tmp_path / "d" / "catalog.db"
    assert settings.general.celery_broker_url == settings.general.redis_url
    monkeypatch.setenv("MGMT_CATALOG", "completed")
    assert Settings.load().catalog_url == Path("/media/completed/.metadata/operations.db")
    monkeypatch.setenv("MGMT_COMPLETED_DIR", "~/done")
    assert Settings.load().archive.completed == tmp_path / "home" / "done"
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@host/db")
    assert Settings.load().catalog_url == "postgresql://u:p@host/db"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "1", "yes", "on", "TRUE", "Yes")),
        *((text, False) for text in ("false", "0", "no", "off", "OFF")),
    ],
)
def test_booleans(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("MGMT_COMPLETED_ENABLED", text)
    assert Settings.load().archive.completed_enabled is value


def test_a_directory_whose_name_is_not_text_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGMT_LOCAL_DIR", "/media/\udcff")
    assert Settings.load().archive.local_dir == Path("/media/\udcff")


# --- where values come from


def test_each_source_goes_before_the_next(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [Settings.load().s3.region]
    user_file('AWS_REGION = "user"\nAWS_S3_STORAGE_CLASS = "GLACIER"')
    seen.append(Settings.load().s3.region)
    (here / "haulier.toml").write_text('[s3]\nAWS_REGION = "toml"')
    seen.append(Settings.load().s3.region)
    (here / ".env").write_text("AWS_REGION=dotenv\nSOMETHING_ELSE=1\n")
    seen.append(Settings.load().s3.region)
    monkeypatch.setenv("AWS_REGION", "environment")
    seen.append(Settings.load().s3.region)
    seen.append(Settings.load(AWS_REGION="flag").s3.region)
    assert seen == [None, "user", "toml", "dotenv", "environment", "flag"]
    assert Settings.load(AWS_REGION=None).s3.region == "environment", "None is not given"
    assert Settings.load().s3.storage_class == "GLACIER", "files are taken name by name"


def test_the_name_of_an_earlier_source_stands_over_a_better_name_of_a_later_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".env").write_text("AWS_REGION=dotenv\n")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "environment")
    assert Settings.load().s3.region == "environment"


def test_empty_counts_as_not_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "haulier.toml").write_text('AWS_S3_BUCKET = "toml"\nAWS_S3_SSE = ""')
    (here / ".env").write_text("AWS_S3_BUCKET=\n")
    monkeypatch.setenv("AWS_S3_BUCKET", "")
    assert Settings.load().s3.bucket == "toml"
    assert Settings.load().s3.sse is None


def test_toml_takes_names_at_the_top_and_in_their_table(here: Path) -> None:
    (here / "haulier.toml").write_text(
        'MGMT_COMPRESSION = "zstd"\n[archive]\nMGMT_PRESERVE_STRUCTURE = true\n'
    )
    assert Settings.load().archive.compression == "zstd"
    assert Settings.load().archive.preserve_structure is True


# --- what can't be


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("ENVIRONMENT", "staging", "'development' or 'production'"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("MGMT_COMPLETED_ENABLED", "maybe", "true or false, 1 or 0, yes or no, on or off"),
        ("MGMT_DUPLICATE_HANDLING", "overwrite", "'timestamp', 'subdirectory' or 'error'"),
        ("MGMT_COMPRESSION", "brotli", "'gzip', 'zstd' or 'none'"),
        ("MGMT_CATALOG", "elsewhere", "'data' or 'completed'"),
        ("MGMT_LOCAL_DIR", "~no-such-user/x", "a path"),
        ("AWS_S3_BUCKET", "s3://bucket/prefix", "the bucket's name alone"),
        ("AWS_ENDPOINT_URL", "localhost:8333", "http://, https://"),
        ("AWS_ENDPOINT_URL", "http://localhost:port", "http://, https://"),
        ("AWS_S3_PREFIX", "a/../b", "without .."),
        ("AWS_S3_PREFIX", "a\nb", "control characters"),
        ("AWS_S3_PREFIX", "p" * 513, "512 bytes"),
        ("AWS_S3_SSE", "rot13", "'AES256', 'aws:kms' or 'aws:kms:dsse'"),
    ],
)
def test_a_value_that_can_not_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, accepted: str
) -> None:
    monkeypatch.setenv(name, value)
    shown = re.escape(repr(value))
    assert accepted in refused(f"{name} from the environment can't be used: {shown}")


@pytest.mark.parametrize("source", ["a flag", "the environment", ".env", "haulier.toml"])
def test_the_source_of_a_bad_value_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    overrides = {}
    if source == "a flag":
        overrides["MGMT_CATALOG"] = "x"
    elif source == "the environment":
        monkeypatch.setenv("MGMT_CATALOG", "x")
    elif source == ".env":
        (here / ".env").write_text("MGMT_CATALOG=x")
    else:
        (here / "haulier.toml").write_text('MGMT_CATALOG = "x"')
    refused(f"MGMT_CATALOG from {source} can't be used: 'x'", **overrides)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", f"http://:{SECRET}@host"),
        ("REDIS_URL", f"redis://[{SECRET}"),
        ("CELERY_BROKER_URL", f"{SECRET}"),
    ],
)
def test_a_bad_secret_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert "redis://" in refused(f"{name} from the environment can't be used$")


def test_credentials_in_a_bad_url_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"ftp://user:{SECRET}@host")
    refused(r"AWS_ENDPOINT_URL .* 'ftp://\*\*\*@host'")


def test_secrets_are_in_no_repr(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "haulier.toml").write_text(
        f'[remotes.nas]\nurl = "s3://b"\naccess_key_id = "id"\nsecret_access_key = "{SECRET}"\n'
    )
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@host/db")
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@host")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    settings = Settings.load()
    assert SECRET not in f"{settings!r} {settings}"
    assert settings.s3.secret_access_key is not None
    assert settings.s3.secret_access_key.get_secret_value() == SECRET
    assert settings.remotes["nas"].secret_access_key == settings.s3.secret_access_key


def test_a_wrong_type_in_toml_is_named_without_a_secret(here: Path) -> None:
    (here / "haulier.toml").write_text("AWS_S3_STORAGE_CLASS = 5")
    assert "text" in refused("AWS_S3_STORAGE_CLASS from haulier.toml can't be used: 5")
    (here / "haulier.toml").write_text(f'AWS_SECRET_ACCESS_KEY = ["{SECRET}"]')
    refused("AWS_SECRET_ACCESS_KEY from haulier.toml can't be used$")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_credentials(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    refused("go together")


def test_a_kms_key_needs_kms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_SSE_KMS_KEY_ID", "key")
    refused("aws:kms")
    monkeypatch.setenv("AWS_S3_SSE", "aws:kms")
    assert Settings.load().s3.sse_kms_key_id == "key"


# --- names nobody knows


@pytest.mark.parametrize(
    ("text", "named", "near"),
    [
        ("MGMT_COMPRESION = 'gzip'", "MGMT_COMPRESION", "MGMT_COMPRESSION"),
        ("mgmt_compression = 'gzip'", "mgmt_compression", "MGMT_COMPRESSION"),
        ("[archive]\nMGMT_LOCALDIR = '.'", "MGMT_LOCALDIR", "MGMT_LOCAL_DIR"),
        ("[s3]\nMGMT_LOCAL_DIR = '.'", "MGMT_LOCAL_DIR", "MGMT_LOCAL_DIR"),
        ("[remote.nas]\nurl = 's3://b'", "remote", "remotes"),
        ("XYZZY = 1", "XYZZY", "table of settings"),
    ],
)
def test_an_unknown_name_in_toml(here: Path, text: str, named: str, near: str) -> None:
    (here / "haulier.toml").write_text(text)
    assert near in refused(rf"haulier\.toml has a setting that does not exist there: {named}")


def test_an_unknown_override() -> None:
    assert "AWS_S3_BUCKET" in refused("does not exist there: AWS_S3_BUKET", AWS_S3_BUKET="b")


def test_a_name_given_twice_in_one_file(here: Path) -> None:
    (here / "haulier.toml").write_text('AWS_REGION = "a"\n[s3]\nAWS_REGION = "b"')
    refused("AWS_REGION twice")


@pytest.mark.parametrize("text", ["archive = 5", "remotes = 5", "remotes.nas = 's3://b'"])
def test_a_value_where_a_table_belongs(here: Path, text: str) -> None:
    (here / "haulier.toml").write_text(text)
    assert "Write [" in refused("table")


@pytest.mark.parametrize("content", [b"MGMT = = 1", b"\xff\xfe"])
def test_a_file_that_can_not_be_read(here: Path, content: bytes) -> None:
    (here / "haulier.toml").write_bytes(content)
    refused("haulier.toml can't be read")


def test_places_that_are_no_files(here: Path) -> None:
    (here / "haulier.toml").mkdir()
    refused("haulier.toml can't be read")
    (here / "haulier.toml").rmdir()
    (here / ".env").write_bytes(b"A=\xff\xff")
    refused(".env can't be read")


# --- remotes


def test_remotes_of_both_files(here: Path) -> None:
    user_file('[remotes.nas]\nurl = "s3://user"\n[remotes.usb]\nurl = "file:///mnt/usb"')
    (here / "haulier.toml").write_text(
        '[remotes.nas]\nurl = "s3://here/prefix"\nendpoint_url = "http://nas:9000"\nregion = "eu"'
    )
    remotes = Settings.load().remotes
    assert set(remotes) == {"nas", "usb"}
    nas = remotes["nas"]
    assert (nas.url, nas.endpoint_url, nas.region) == ("s3://here/prefix", "http://nas:9000", "eu")
    assert nas.access_key_id is None


@pytest.mark.parametrize(
    ("table", "match", "hint"),
    [
        ("", "has no url", "Add url"),
        ('url = "b/prefix"', "url from .*remotes.nas.* can't be used", "s3://"),
        ('url = "s3://b"\nendpoint = "http://x"', "not exist there: endpoint", "endpoint_url"),
        ('url = "s3://b"\nendpoint_url = "x"', "endpoint_url from", "http://"),
        (f'url = "s3://b"\nsecret_access_key = "{SECRET}"', "go together", "table"),
        (f'url = "s3://b"\nsecret_access_key = ["{SECRET}"]', "can't be used$", "text"),
    ],
)
def test_a_remote_that_can_not_be(here: Path, table: str, match: str, hint: str) -> None:
    (here / "haulier.toml").write_text(f"[remotes.nas]\n{table}")
    assert hint in refused(match)


def test_the_largest_file_is_a_size(monkeypatch) -> None:
    monkeypatch.setenv("HAULIER_MAX_FILE_SIZE", "20G")
    assert Settings.load().server.max_file_size == 20 << 30
    monkeypatch.setenv("HAULIER_MAX_FILE_SIZE", "huge")
    with pytest.raises(ConfigurationError, match="HAULIER_MAX_FILE_SIZE"):
        Settings.load()
