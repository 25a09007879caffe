"""The groups of settings: each with its names, its default, what it accepts and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from haulier import settings_values as accepted
from haulier.settings_chats import BotSettings, ChatSettings
from haulier.settings_fields import Folder, Group, setting
from haulier.settings_server import ServerSettings


class GeneralSettings(Group):
    """Where haulier keeps its own things."""

    data: Folder = setting(
        None,
        "HAULIER_DATA",
        meaning="haulier's own directory: catalog, embedded store",
        shown="the platform's user data directory",
    )
    environment: Literal["development", "production"] = setting(
        "development", "ENVIRONMENT", meaning="`production` refuses weak secrets"
    )
    database_url: SecretStr | None = setting(
        None,
        "DATABASE_URL",
        meaning="the catalog: a file, or `postgresql://…`",
        shown="`{data}/catalog.db`",
    )
    database_user_url: Annotated[SecretStr, accepted.url("postgresql", "postgres")] | None = (
        setting(
            None,
            "DATABASE_USER_URL",
            meaning="the same database by a role that sees a user's rows alone",
        )
    )
    redis_url: Annotated[SecretStr, accepted.url("redis", "rediss", "unix")] | None = setting(
        None, "REDIS_URL", meaning="events, limits and locks of several processes"
    )
    celery_broker_url: (
        Annotated[SecretStr, accepted.url("redis", "rediss", "unix", "amqp", "amqps", "pyamqp")]
        | None
    ) = setting(None, "CELERY_BROKER_URL", meaning="jobs", shown="`REDIS_URL`")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(accepted.upper)
    ] = setting("WARNING", "LOG_LEVEL", meaning="how much is logged")

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = platformdirs.user_data_dir("haulier", appauthor=False)
        broker = values.get("REDIS_URL")
        return {"HAULIER_DATA": home, "CELERY_BROKER_URL": broker, **values}


class ArchiveSettings(Group):
    """What is uploaded, and where it goes afterwards."""

    local_dir: Folder = setting(
        Path(), "MGMT_LOCAL_DIR", meaning="where targets and `all` are looked for"
    )
    completed_dir: Folder | None = setting(
        None,
        "MGMT_COMPLETED_DIR",
        meaning="where sources move when proven",
        shown="`{MGMT_LOCAL_DIR}/completed`",
    )
    completed_enabled: bool = setting(
        True, "MGMT_COMPLETED_ENABLED", meaning="move sources when proven"
    )
    preserve_structure: bool = setting(
        False, "MGMT_PRESERVE_STRUCTURE", meaning="keep directories below the local one"
    )
    duplicate_handling: Literal["timestamp", "subdirectory", "error"] = setting(
        "timestamp", "MGMT_DUPLICATE_HANDLING", meaning="what to do with a taken name"
    )
    compression: Literal["gzip", "zstd", "none"] = setting(
        "gzip", "MGMT_COMPRESSION", meaning="how archives are squeezed"
    )
    catalog: Literal["data", "completed"] = setting(
        "data",
        "MGMT_CATALOG",
        meaning="`completed`: the catalog lies in `{completed}/.metadata/operations.db`",
    )
    token: SecretStr | None = setting(
        None, "HAULIER_TOKEN", meaning="the token for a haulier server that archives go to"
    )

    @property
    def completed(self) -> Path:
        """The completed directory, its default resolved."""
        return self.completed_dir or self.local_dir / "completed"


class S3Settings(Group):
    """Object storage; without a bucket the embedded store is the destination."""

    bucket: Annotated[str, AfterValidator(accepted.bucket_name)] | None = setting(
        None, "AWS_S3_BUCKET", meaning="the bucket"
    )
    endpoint_url: Annotated[str, accepted.url("http", "https")] | None = setting(
        None, "AWS_ENDPOINT_URL", meaning="an S3 other than Amazon's"
    )
    region: str | None = setting(
        None, "AWS_REGION", "AWS_DEFAULT_REGION", meaning="the bucket's region"
    )
    access_key_id: str | None = setting(
        None, "AWS_ACCESS_KEY_ID", meaning="else botocore's chain of credentials"
    )
    secret_access_key: SecretStr | None = setting(
        None, "AWS_SECRET_ACCESS_KEY", meaning="the secret of that key"
    )
    session_token: SecretStr | None = setting(
        None, "AWS_SESSION_TOKEN", meaning="of temporary credentials"
    )
    prefix: Annotated[str, AfterValidator(accepted.key_prefix)] = setting(
        "", "AWS_S3_PREFIX", meaning="what every key begins with"
    )
    storage_class: str | None = setting(None, "AWS_S3_STORAGE_CLASS", meaning="e.g. STANDARD_IA")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = setting(
        None, "AWS_S3_SSE", meaning="encryption by the server"
    )
    sse_kms_key_id: str | None = setting(
        None, "AWS_S3_SSE_KMS_KEY_ID", meaning="the key for aws:kms"
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; set both")
        if self.sse_kms_key_id is not None and not (self.sse or "").startswith("aws:kms"):
            raise ValueError("AWS_S3_SSE_KMS_KEY_ID needs AWS_S3_SSE to be aws:kms")
        return self


class RecordingSettings(Group):
    """Recordings that are kept first and sent later."""

    audio_storage_dir: Folder | None = setting(
        None,
        "AUDIO_STORAGE_DIR",
        meaning="where recordings are kept",
        shown="`{data}/recordings`",
    )
    audio_user_limit_mb: Annotated[int, Field(ge=1)] = setting(
        500, "AUDIO_USER_LIMIT_MB", meaning="how much sound a user may keep, in MiB"
    )
    audio_failed_retention_days: Annotated[int, Field(ge=0)] = setting(
        7,
        "AUDIO_FAILED_RETENTION_DAYS",
        meaning="after how many days what failed goes to the trash; 0: never",
    )
    sync_to: Annotated[str, AfterValidator(accepted.sync_target)] | None = setting(
        None,
        "SYNC_TO",
        meaning="where recordings are sent: `s3://BUCKET/PREFIX` or `https://SERVER`",
        shown="the files of this server",
    )
    sync_token: SecretStr | None = setting(
        None, "SYNC_TOKEN", meaning="the token for the server that SYNC_TO names"
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


GROUPS: dict[str, type[Group]] = {
    "general": GeneralSettings,
    "archive": ArchiveSettings,
    "s3": S3Settings,
    "server": ServerSettings,
    "recordings": RecordingSettings,
    "chat": ChatSettings,
    "bot": BotSettings,
}
