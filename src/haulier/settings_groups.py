"""The groups of settings: each with its names, its default, what it accepts and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from haulier import settings_values as accepted

Folder = Annotated[Path, AfterValidator(accepted.expanded)]


def _setting(default: Any, *names: str, meaning: str, shown: str | None = None) -> Any:
    """Describe a setting: its names, the first being the one we speak of; `shown` is the
    default as the docs tell it."""
    return Field(
        default,
        validation_alias=AliasChoices(*names),
        description=meaning,
        json_schema_extra=None if shown is None else {"shown": shown},
    )


class _Group(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the base class names it so
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The loader asks the sources one by one, to tell where a value came from.
        return (init_settings,)


class GeneralSettings(_Group):
    """Where haulier keeps its own things."""

    data: Folder = _setting(
        None,
        "HAULIER_DATA",
        meaning="haulier's own directory: catalog, embedded store",
        shown="the platform's user data directory",
    )
    environment: Literal["development", "production"] = _setting(
        "development", "ENVIRONMENT", meaning="`production` refuses weak secrets"
    )
    database_url: SecretStr | None = _setting(
        None,
        "DATABASE_URL",
        meaning="the catalog: a file, or `postgresql://…`",
        shown="`{data}/catalog.db`",
    )
    database_user_url: Annotated[SecretStr, accepted.url("postgresql", "postgres")] | None = (
        _setting(
            None,
            "DATABASE_USER_URL",
            meaning="the same database by a role that sees a user's rows alone",
        )
    )
    redis_url: Annotated[SecretStr, accepted.url("redis", "rediss", "unix")] | None = _setting(
        None, "REDIS_URL", meaning="events, limits and locks of several processes"
    )
    celery_broker_url: (
        Annotated[SecretStr, accepted.url("redis", "rediss", "unix", "amqp", "amqps", "pyamqp")]
        | None
    ) = _setting(None, "CELERY_BROKER_URL", meaning="jobs", shown="`REDIS_URL`")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(accepted.upper)
    ] = _setting("WARNING", "LOG_LEVEL", meaning="how much is logged")

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = platformdirs.user_data_dir("haulier", appauthor=False)
        broker = values.get("REDIS_URL")
        return {"HAULIER_DATA": home, "CELERY_BROKER_URL": broker, **values}


class ArchiveSettings(_Group):
    """What is uploaded, and where it goes afterwards."""

    local_dir: Folder = _setting(
        Path(), "MGMT_LOCAL_DIR", meaning="where targets and `all` are looked for"
    )
    completed_dir: Folder | None = _setting(
        None,
        "MGMT_COMPLETED_DIR",
        meaning="where sources move when proven",
        shown="`{MGMT_LOCAL_DIR}/completed`",
    )
    completed_enabled: bool = _setting(
        True, "MGMT_COMPLETED_ENABLED", meaning="move sources when proven"
    )
    preserve_structure: bool = _setting(
        False, "MGMT_PRESERVE_STRUCTURE", meaning="keep directories below the local one"
    )
    duplicate_handling: Literal["timestamp", "subdirectory", "error"] = _setting(
        "timestamp", "MGMT_DUPLICATE_HANDLING", meaning="what to do with a taken name"
    )
    compression: Literal["gzip", "zstd", "none"] = _setting(
        "gzip", "MGMT_COMPRESSION", meaning="how archives are squeezed"
    )
    catalog: Literal["data", "completed"] = _setting(
        "data",
        "MGMT_CATALOG",
        meaning="`completed`: the catalog lies in `{completed}/.metadata/operations.db`",
    )
    token: SecretStr | None = _setting(
        None, "HAULIER_TOKEN", meaning="the token for a haulier server that archives go to"
    )

    @property
    def completed(self) -> Path:
        """The completed directory, its default resolved."""
        return self.completed_dir or self.local_dir / "completed"


class S3Settings(_Group):
    """Object storage; without a bucket the embedded store is the destination."""

    bucket: Annotated[str, AfterValidator(accepted.bucket_name)] | None = _setting(
        None, "AWS_S3_BUCKET", meaning="the bucket"
    )
    endpoint_url: Annotated[str, accepted.url("http", "https")] | None = _setting(
        None, "AWS_ENDPOINT_URL", meaning="an S3 other than Amazon's"
    )
    region: str | None = _setting(
        None, "AWS_REGION", "AWS_DEFAULT_REGION", meaning="the bucket's region"
    )
    access_key_id: str | None = _setting(
        None, "AWS_ACCESS_KEY_ID", meaning="else botocore's chain of credentials"
    )
    secret_access_key: SecretStr | None = _setting(
        None, "AWS_SECRET_ACCESS_KEY", meaning="the secret of that key"
    )
    session_token: SecretStr | None = _setting(
        None, "AWS_SESSION_TOKEN", meaning="of temporary credentials"
    )
    prefix: Annotated[str, AfterValidator(accepted.key_prefix)] = _setting(
        "", "AWS_S3_PREFIX", meaning="what every key begins with"
    )
    storage_class: str | None = _setting(None, "AWS_S3_STORAGE_CLASS", meaning="e.g. STANDARD_IA")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = _setting(
        None, "AWS_S3_SSE", meaning="encryption by the server"
    )
    sse_kms_key_id: str | None = _setting(
        None, "AWS_S3_SSE_KMS_KEY_ID", meaning="the key for aws:kms"
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; set both")
        if self.sse_kms_key_id is not None and not (self.sse or "").startswith("aws:kms"):
            raise ValueError("AWS_S3_SSE_KMS_KEY_ID needs AWS_S3_SSE to be aws:kms")
        return self


class ServerSettings(_Group):
    """The file server."""

    jwt_secret_key: SecretStr | None = _setting(
        None,
        "JWT_SECRET_KEY",
        meaning="signs tokens; at least 32 characters",
        shown="made and kept in `{data}`, except in production",
    )
    upload_max_file_mb: Annotated[int, Field(ge=1)] = _setting(
        100, "UPLOAD_MAX_FILE_MB", meaning="the largest file of the JSON files API, in MiB"
    )
    max_upload_size_mb: Annotated[int, Field(ge=1)] = _setting(
        50, "MAX_UPLOAD_SIZE_MB", meaning="the largest recording sent to the server, in MiB"
    )
    max_file_size: Annotated[int, BeforeValidator(accepted.size)] | None = _setting(
        None, "HAULIER_MAX_FILE_SIZE", meaning="the largest upload", shown="what the disk holds"
    )
    jwt_jwks_url: Annotated[str, accepted.url("https", "http")] | None = _setting(
        None, "JWT_JWKS_URL", meaning="keys of an outside issuer whose tokens are accepted"
    )
    jwt_audience: str | None = _setting(
        None, "JWT_AUDIENCE", meaning="whom an outside issuer's tokens must be meant for"
    )
    jwt_issuer: str | None = _setting(
        None, "JWT_ISSUER", meaning="the outside issuer, as its tokens name it"
    )
    cors_origins: Annotated[str, AfterValidator(accepted.origins)] = _setting(
        "",
        "CORS_ORIGINS",
        meaning="pages that may use the server, apart by commas: https://app.example",
    )
    trusted_proxies: Annotated[str, AfterValidator(accepted.networks)] = _setting(
        "",
        "TRUSTED_PROXIES",
        meaning="addresses and networks, apart by commas, whose X-Forwarded-For is believed",
    )
    rate_limit_api: Annotated[str, AfterValidator(accepted.rate)] = _setting(
        "600/minute", "RATE_LIMIT_API", meaning="requests of each user; chunks are not counted"
    )
    rate_limit_sign_in: Annotated[str, AfterValidator(accepted.rate)] = _setting(
        "10/minute", "RATE_LIMIT_SIGN_IN", meaning="tries to sign in, for each address"
    )
    upload_allowed_types: Annotated[str, AfterValidator(accepted.types)] = _setting(
        "",
        "UPLOAD_ALLOWED_TYPES",
        meaning="which files are taken, by content too, apart by commas: image/*,video/mp4",
        shown="all",
    )
    upload_session_ttl_hours: Annotated[int, Field(ge=1, le=24 * 365)] = _setting(
        24, "UPLOAD_SESSION_TTL_HOURS", meaning="how long an upload may rest without bytes"
    )
    trash_retention_days: Annotated[int, Field(ge=0, le=36500)] = _setting(
        30, "TRASH_RETENTION_DAYS", meaning="how long deleted files can be taken back; 0: for ever"
    )
    durability: Literal["none", "chunk", "complete"] = _setting(
        "chunk", "DURABILITY", meaning="what an answer promises when the power fails"
    )
    clamd_url: Annotated[str, accepted.url("unix", "tcp")] | None = _setting(
        None, "CLAMD_URL", meaning="ClamAV's daemon: `unix:/PATH` or `tcp://HOST:PORT`"
    )
    clamd_max_file_mb: Annotated[int, Field(ge=1, le=4096)] = _setting(
        25,
        "CLAMD_MAX_FILE_MB",
        meaning="the least of its MaxFileSize, MaxScanSize and StreamMaxLength, in MiB",
    )
    scan_policy: Literal["block", "allow"] | None = _setting(
        None,
        "SCAN_POLICY",
        meaning="whether files are served before they were scanned",
        shown="`block` with CLAMD_URL, else `allow`",
    )
    scan_on_error: Literal["block", "allow"] = _setting(
        "block", "SCAN_ON_ERROR", meaning="whether files are served that could not be scanned"
    )
    download_mode: Literal["proxy", "redirect"] = _setting(
        "proxy",
        "DOWNLOAD_MODE",
        meaning="`redirect`: files in a bucket are fetched from there, by short-lived links",
    )
    x_accel_prefix: Annotated[str, AfterValidator(accepted.location)] | None = _setting(
        None,
        "X_ACCEL_PREFIX",
        meaning="nginx's internal location of `{data}/files`, which then sends the files",
    )
    web_app: bool = _setting(
        True, "WEB_APP", meaning="whether the server shows its pages at `/`, or is an API alone"
    )
    encryption_key: SecretStr | None = _setting(
        None,
        "ENCRYPTION_KEY",
        meaning="seals stored files: a key's file, `keyring:NAME`, or its 64 hex digits",
    )
    encryption_old_keys: SecretStr | None = _setting(
        None,
        "ENCRYPTION_OLD_KEYS",
        meaning="keys that files are sealed with still, apart by commas; see `haulier rotate-keys`",
    )
    webhook_allowed_hosts: Annotated[str, AfterValidator(accepted.hosts)] = _setting(
        "",
        "WEBHOOK_ALLOWED_HOSTS",
        meaning="hosts and networks, apart by commas, that webhooks may reach though not public",
    )
    webhook_timeout_s: Annotated[int, Field(ge=1, le=60)] = _setting(
        15, "WEBHOOK_TIMEOUT_S", meaning="how long a webhook may take to answer, in seconds"
    )
    pre_create_hook_url: Annotated[str, accepted.url("https", "http")] | None = _setting(
        None, "PRE_CREATE_HOOK_URL", meaning="who is asked before an upload begins"
    )
    pre_create_hook_secret: SecretStr | None = _setting(
        None, "PRE_CREATE_HOOK_SECRET", meaning="what these questions are signed with: `whsec_…`"
    )
    pre_create_hook_timeout_s: Annotated[int, Field(ge=1, le=60)] = _setting(
        5, "PRE_CREATE_HOOK_TIMEOUT_S", meaning="how long is waited for its answer, in seconds"
    )
    pre_create_hook_on_error: Literal["block", "allow"] = _setting(
        "block", "PRE_CREATE_HOOK_ON_ERROR", meaning="whether uploads begin when it can't be asked"
    )

    @property
    def allowed_types(self) -> tuple[str, ...]:
        """The types of files that are taken; none where all are."""
        return accepted.listed(self.upload_allowed_types)

    @model_validator(mode="after")
    def _name_the_issuer(self) -> Self:
        named = self.jwt_audience is not None and self.jwt_issuer is not None
        if self.jwt_jwks_url is not None and not named:
            raise ValueError(
                "JWT_JWKS_URL goes with JWT_AUDIENCE and JWT_ISSUER: without them tokens that the "
                "issuer made for others would be taken"
            )
        return self


class RecordingSettings(_Group):
    """Recordings that are kept first and sent later."""

    audio_storage_dir: Folder | None = _setting(
        None,
        "AUDIO_STORAGE_DIR",
        meaning="where recordings are kept",
        shown="`{data}/recordings`",
    )
    audio_user_limit_mb: Annotated[int, Field(ge=1)] = _setting(
        500, "AUDIO_USER_LIMIT_MB", meaning="how much sound a user may keep, in MiB"
    )
    audio_failed_retention_days: Annotated[int, Field(ge=0)] = _setting(
        7,
        "AUDIO_FAILED_RETENTION_DAYS",
        meaning="after how many days what failed goes to the trash; 0: never",
    )
    sync_to: Annotated[str, AfterValidator(accepted.sync_target)] | None = _setting(
        None,
        "SYNC_TO",
        meaning="where recordings are sent: `s3://BUCKET/PREFIX` or `https://SERVER`",
        shown="the files of this server",
    )
    sync_token: SecretStr | None = _setting(
        None, "SYNC_TOKEN", meaning="the token for the server that SYNC_TO names"
    )


class ChatSettings(_Group):
    """What goes into chats, and how files are made to fit there."""

    upload_batch_size_mb: Annotated[int, Field(ge=1)] = _setting(
        20, "UPLOAD_BATCH_SIZE_MB", meaning="up to which messages are filled, in MiB"
    )
    upload_max_files_per_batch: Annotated[int, Field(ge=1, le=10)] = _setting(
        10, "UPLOAD_MAX_FILES_PER_BATCH", meaning="how many files a message has at most"
    )
    upload_enable_progress_updates: bool = _setting(
        True, "UPLOAD_ENABLE_PROGRESS_UPDATES", meaning="a message tells how far a delivery is"
    )
    upload_cleanup_after_success: bool = _setting(
        True, "UPLOAD_CLEANUP_AFTER_SUCCESS", meaning="downloads that were delivered are removed"
    )
    upload_keep_failed_hours: Annotated[int, Field(ge=0)] = _setting(
        24, "UPLOAD_KEEP_FAILED_HOURS", meaning="how long downloads stay that were not delivered"
    )
    upload_link_to: Annotated[str, AfterValidator(accepted.sync_target)] | None = _setting(
        None,
        "UPLOAD_LINK_TO",
        meaning="where that goes which no message can hold, for people to fetch by a link: "
        "`s3://BUCKET/PREFIX`, or `https://SERVER` with HAULIER_TOKEN",
        shown="the bucket of AWS_S3_BUCKET, else no links",
    )
    upload_link_hours: Annotated[int, Field(ge=1, le=168)] = _setting(
        72,
        "UPLOAD_LINK_HOURS",
        meaning="how long these links are good; then what they lead to is removed",
    )
    compression_max_concurrent: Annotated[int, Field(ge=1, le=64)] = _setting(
        2, "COMPRESSION_MAX_CONCURRENT", meaning="how many files are made smaller at once"
    )
    compression_ffmpeg_preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
        "veryslow",
    ] = _setting(
        "medium", "COMPRESSION_FFMPEG_PRESET", meaning="what the preset `balanced` is to x264"
    )  # fmt: skip
    compression_max_upload_size_mb: Annotated[int, Field(ge=1)] = _setting(
        50, "COMPRESSION_MAX_UPLOAD_SIZE_MB", meaning="what files are made to fit, in MiB"
    )
    discord_token: SecretStr | None = _setting(
        None, "DISCORD_TOKEN", meaning="of the bot of Discord"
    )
    discord_limit_mb: Annotated[int, Field(ge=1)] | None = _setting(
        None,
        "DISCORD_LIMIT_MB",
        meaning="the largest file that Discord takes, in MiB",
        shown="what Discord tells of the place, else 20",
    )
    max_token: SecretStr | None = _setting(None, "MAX_TOKEN", meaning="of the bot of MAX")
    max_api_url: Annotated[str, accepted.url("http", "https")] | None = _setting(
        None,
        "MAX_API_URL",
        meaning="where the API of MAX is",
        shown="`https://platform-api2.max.ru`",
    )
    max_ca_file: Folder | None = _setting(
        None,
        "MAX_CA_FILE",
        meaning="certificates (PEM) to trust besides the system's, for the API of MAX alone",
    )


class BotSettings(_Group):
    """What a bot fetches for people, and for whom."""

    download_max_mb: Annotated[int, Field(ge=1)] = _setting(
        500, "DOWNLOAD_MAX_MB", meaning="what one link may lead to altogether, in MiB"
    )
    download_max_files: Annotated[int, Field(ge=1, le=100)] = _setting(
        10, "DOWNLOAD_MAX_FILES", meaning="how many files are taken of a list"
    )
    download_max_minutes: Annotated[int, Field(ge=1)] = _setting(
        180, "DOWNLOAD_MAX_MINUTES", meaning="longer videos and sound are left out"
    )
    download_timeout_minutes: Annotated[int, Field(ge=1)] = _setting(
        30, "DOWNLOAD_TIMEOUT_MINUTES", meaning="how long fetching may take"
    )
    download_limit_rate: Annotated[str, AfterValidator(accepted.limit)] | None = _setting(
        None,
        "DOWNLOAD_LIMIT_RATE",
        meaning="bytes per second of all downloads together: 20M, or 08:00,2M 23:00,off",
    )
    download_cookies_file: Folder | None = _setting(
        None,
        "DOWNLOAD_COOKIES_FILE",
        meaning="cookies, in Netscape's format, for sites with a sign-in",
    )
    download_allow: Annotated[str, AfterValidator(accepted.hosts)] = _setting(
        "",
        "DOWNLOAD_ALLOW",
        meaning="private hosts and networks, apart by commas, that links may lead to",
    )
    bot_at_once: Annotated[int, Field(ge=1, le=32)] = _setting(
        2, "BOT_AT_ONCE", meaning="requests that are worked on at once, one of each person"
    )
    bot_cooldown_seconds: Annotated[int, Field(ge=0)] = _setting(
        0, "BOT_COOLDOWN_SECONDS", meaning="between two requests of one person"
    )
    bot_daily_requests: Annotated[int, Field(ge=1)] = _setting(
        50, "BOT_DAILY_REQUESTS", meaning="of one person in 24 hours"
    )
    bot_off_peak: Annotated[str, AfterValidator(accepted.hours)] = _setting(
        "01:00-07:00", "BOT_OFF_PEAK", meaning="the hours in which requests for later begin"
    )
    discord_guilds: Annotated[str, AfterValidator(accepted.numbers)] = _setting(
        "", "DISCORD_GUILDS", meaning="ids of the servers that the bot serves", shown="all"
    )
    discord_channels: Annotated[str, AfterValidator(accepted.numbers)] = _setting(
        "", "DISCORD_CHANNELS", meaning="ids of the channels that it serves", shown="all"
    )
    discord_roles: Annotated[str, AfterValidator(accepted.numbers)] = _setting(
        "", "DISCORD_ROLES", meaning="ids of roles, one of which who asks needs", shown="nobody"
    )
    discord_priority_roles: Annotated[str, AfterValidator(accepted.numbers)] = _setting(
        "", "DISCORD_PRIORITY_ROLES", meaning="ids of roles whose requests go first"
    )
    max_users: Annotated[str, AfterValidator(accepted.numbers_or_all)] = _setting(
        "", "MAX_USERS", meaning="ids of those who may use the bot of MAX; `*`: all", shown="nobody"
    )


class RemoteSettings(BaseModel):
    """A named destination of `haulier.toml`; what it leaves out is as in the S3 settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, accepted.url("s3", "file", "https", "http")]
    endpoint_url: Annotated[str, accepted.url("http", "https")] | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    token: SecretStr | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together; give both")
        return self


GROUPS: dict[str, type[_Group]] = {
    "general": GeneralSettings,
    "archive": ArchiveSettings,
    "s3": S3Settings,
    "server": ServerSettings,
    "recordings": RecordingSettings,
    "chat": ChatSettings,
    "bot": BotSettings,
}
