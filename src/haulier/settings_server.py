"""The settings of the file server."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from haulier import settings_values as accepted
from haulier.settings_fields import Group, setting


class ServerSettings(Group):
    """The file server."""

    jwt_secret_key: SecretStr | None = setting(
        None,
        "JWT_SECRET_KEY",
        meaning="signs tokens; at least 32 characters",
        shown="made and kept in `{data}`, except in production",
    )
    upload_max_file_mb: Annotated[int, Field(ge=1)] = setting(
        100, "UPLOAD_MAX_FILE_MB", meaning="the largest file of the JSON files API, in MiB"
    )
    max_upload_size_mb: Annotated[int, Field(ge=1)] = setting(
        50, "MAX_UPLOAD_SIZE_MB", meaning="the largest recording sent to the server, in MiB"
    )
    max_file_size: Annotated[int, BeforeValidator(accepted.size)] | None = setting(
        None, "HAULIER_MAX_FILE_SIZE", meaning="the largest upload", shown="what the disk holds"
    )
    jwt_jwks_url: Annotated[str, accepted.url("https", "http")] | None = setting(
        None, "JWT_JWKS_URL", meaning="keys of an outside issuer whose tokens are accepted"
    )
    jwt_audience: str | None = setting(
        None, "JWT_AUDIENCE", meaning="whom an outside issuer's tokens must be meant for"
    )
    jwt_issuer: str | None = setting(
        None, "JWT_ISSUER", meaning="the outside issuer, as its tokens name it"
    )
    cors_origins: Annotated[str, AfterValidator(accepted.origins)] = setting(
        "",
        "CORS_ORIGINS",
        meaning="pages that may use the server, apart by commas: https://app.example",
    )
    trusted_proxies: Annotated[str, AfterValidator(accepted.networks)] = setting(
        "",
        "TRUSTED_PROXIES",
        meaning="addresses and networks, apart by commas, whose X-Forwarded-For is believed",
    )
    rate_limit_api: Annotated[str, AfterValidator(accepted.rate)] = setting(
        "600/minute", "RATE_LIMIT_API", meaning="requests of each user; chunks are not counted"
    )
    rate_limit_sign_in: Annotated[str, AfterValidator(accepted.rate)] = setting(
        "10/minute", "RATE_LIMIT_SIGN_IN", meaning="tries to sign in, for each address"
    )
    upload_allowed_types: Annotated[str, AfterValidator(accepted.types)] = setting(
        "",
        "UPLOAD_ALLOWED_TYPES",
        meaning="which files are taken, by content too, apart by commas: image/*,video/mp4",
        shown="all",
    )
    upload_session_ttl_hours: Annotated[int, Field(ge=1, le=24 * 365)] = setting(
        24, "UPLOAD_SESSION_TTL_HOURS", meaning="how long an upload may rest without bytes"
    )
    trash_retention_days: Annotated[int, Field(ge=0, le=36500)] = setting(
        30, "TRASH_RETENTION_DAYS", meaning="how long deleted files can be taken back; 0: for ever"
    )
    durability: Literal["none", "chunk", "complete"] = setting(
        "chunk", "DURABILITY", meaning="what an answer promises when the power fails"
    )
    clamd_url: Annotated[str, accepted.url("unix", "tcp")] | None = setting(
        None, "CLAMD_URL", meaning="ClamAV's daemon: `unix:/PATH` or `tcp://HOST:PORT`"
    )
    clamd_max_file_mb: Annotated[int, Field(ge=1, le=4096)] = setting(
        25,
        "CLAMD_MAX_FILE_MB",
        meaning="the least of its MaxFileSize, MaxScanSize and StreamMaxLength, in MiB",
    )
    scan_policy: Literal["block", "allow"] | None = setting(
        None,
        "SCAN_POLICY",
        meaning="whether files are served before they were scanned",
        shown="`block` with CLAMD_URL, else `allow`",
    )
    scan_on_error: Literal["block", "allow"] = setting(
        "block", "SCAN_ON_ERROR", meaning="whether files are served that could not be scanned"
    )
    download_mode: Literal["proxy", "redirect"] = setting(
        "proxy",
        "DOWNLOAD_MODE",
        meaning="`redirect`: files in a bucket are fetched from there, by short-lived links",
    )
    x_accel_prefix: Annotated[str, AfterValidator(accepted.location)] | None = setting(
        None,
        "X_ACCEL_PREFIX",
        meaning="nginx's internal location of `{data}/files`, which then sends the files",
    )
    web_app: bool = setting(
        True, "WEB_APP", meaning="whether the server shows its pages at `/`, or is an API alone"
    )
    compress_at_rest: bool = setting(
        False,
        "COMPRESS_AT_REST",
        meaning="keep files in the data directory compressed (zstd) where that saves a tenth",
    )
    encryption_key: SecretStr | None = setting(
        None,
        "ENCRYPTION_KEY",
        meaning="seals stored files: a key's file, `keyring:NAME`, or its 64 hex digits",
    )
    encryption_old_keys: SecretStr | None = setting(
        None,
        "ENCRYPTION_OLD_KEYS",
        meaning="keys that files are sealed with still, apart by commas; see `haulier rotate-keys`",
    )
    webhook_allowed_hosts: Annotated[str, AfterValidator(accepted.hosts)] = setting(
        "",
        "WEBHOOK_ALLOWED_HOSTS",
        meaning="hosts and networks, apart by commas, that webhooks may reach though not public",
    )
    webhook_timeout_s: Annotated[int, Field(ge=1, le=60)] = setting(
        15, "WEBHOOK_TIMEOUT_S", meaning="how long a webhook may take to answer, in seconds"
    )
    pre_create_hook_url: Annotated[str, accepted.url("https", "http")] | None = setting(
        None, "PRE_CREATE_HOOK_URL", meaning="who is asked before an upload begins"
    )
    pre_create_hook_secret: SecretStr | None = setting(
        None, "PRE_CREATE_HOOK_SECRET", meaning="what these questions are signed with: `whsec_…`"
    )
    pre_create_hook_timeout_s: Annotated[int, Field(ge=1, le=60)] = setting(
        5, "PRE_CREATE_HOOK_TIMEOUT_S", meaning="how long is waited for its answer, in seconds"
    )
    pre_create_hook_on_error: Literal["block", "allow"] = setting(
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
