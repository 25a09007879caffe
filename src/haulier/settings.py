"""Every setting, grouped; read by faces, jobs and journeys only.

Order: what a flag says > environment > `.env` > `haulier.toml` > default. The TOML file holds the
same names, flat or in tables, and `[remotes.NAME]` tables with other destinations.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from haulier.errors import ConfigurationError

CONFIG_FILE = "haulier.toml"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=False, extra="forbid")


class GeneralSettings(_Group):
    """Where haulier keeps its own things."""

    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("haulier", appauthor=False)),
        alias="HAULIER_DATA",
        description="haulier's own directory: catalog, embedded store",
    )
    environment: Literal["development", "production"] = Field(
        "development", alias="ENVIRONMENT", description="`production` refuses weak secrets"
    )
    database_url: SecretStr | None = Field(
        None, alias="DATABASE_URL", description="the catalog; default `{data}/catalog.db`"
    )
    redis_url: SecretStr | None = Field(
        None, alias="REDIS_URL", description="events, limits and locks of several processes"
    )
    celery_broker_url: SecretStr | None = Field(
        None, alias="CELERY_BROKER_URL", description="jobs; default `REDIS_URL`"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING", alias="LOG_LEVEL", description="how much is logged"
    )


class ArchiveSettings(_Group):
    """What is uploaded, and where it goes afterwards."""

    local_dir: Path = Field(
        Path(), alias="MGMT_LOCAL_DIR", description="where targets and `all` are looked for"
    )
    completed_dir: Path | None = Field(
        None,
        alias="MGMT_COMPLETED_DIR",
        description="where sources move when proven; default `{MGMT_LOCAL_DIR}/completed`",
    )
    completed_enabled: bool = Field(
        True, alias="MGMT_COMPLETED_ENABLED", description="move sources when proven"
    )
    preserve_structure: bool = Field(
        False, alias="MGMT_PRESERVE_STRUCTURE", description="keep directories below the local one"
    )
    duplicate_handling: Literal["timestamp", "subdirectory", "error"] = Field(
        "timestamp", alias="MGMT_DUPLICATE_HANDLING", description="what to do with a taken name"
    )
    compression: Literal["gzip", "zstd", "none"] = Field(
        "gzip", alias="MGMT_COMPRESSION", description="how archives are squeezed"
    )
    catalog: Literal["data", "completed"] = Field(
        "data",
        alias="MGMT_CATALOG",
        description="`completed`: the catalog lies in `{completed}/.metadata/operations.db`",
    )

    @property
    def completed(self) -> Path:
        """The completed directory, its default resolved."""
        return self.completed_dir or self.local_dir / "completed"


class S3Settings(_Group):
    """Object storage; without a bucket the embedded store is the destination."""

    bucket: str | None = Field(None, alias="AWS_S3_BUCKET", description="the bucket")
    endpoint_url: str | None = Field(
        None, alias="AWS_ENDPOINT_URL", description="an S3 other than Amazon's"
    )
    region: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="the bucket's region",
    )
    access_key_id: str | None = Field(
        None, alias="AWS_ACCESS_KEY_ID", description="else botocore's chain of credentials"
    )
    secret_access_key: SecretStr | None = Field(
        None, alias="AWS_SECRET_ACCESS_KEY", description="the secret of that key"
    )
    session_token: SecretStr | None = Field(
        None, alias="AWS_SESSION_TOKEN", description="of temporary credentials"
    )
    prefix: str = Field("", alias="AWS_S3_PREFIX", description="what every key begins with")
    storage_class: str | None = Field(
        None, alias="AWS_S3_STORAGE_CLASS", description="e.g. STANDARD_IA"
    )
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, alias="AWS_S3_SSE", description="encryption by the server"
    )
    sse_kms_key_id: str | None = Field(
        None, alias="AWS_S3_SSE_KMS_KEY_ID", description="the key for aws:kms"
    )


class RemoteSettings(BaseModel):
    """A named destination of `haulier.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the table in the docs."""

    name: str
    group: str
    default: str
    meaning: str
    secret: bool


GROUPS: dict[str, type[_Group]] = {
    "general": GeneralSettings,
    "archive": ArchiveSettings,
    "s3": S3Settings,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, each group on its own."""

    general: GeneralSettings
    archive: ArchiveSettings
    s3: S3Settings
    remotes: Mapping[str, RemoteSettings]

    @classmethod
    def load(cls, *, data: Path | None = None, **flags: Any) -> Self:
        """Read the settings of this process.

        Args:
            data: the `--data` flag.
            flags: settings by name (`MGMT_LOCAL_DIR=…`) that go before everything else;
                None means not given.

        Raises:
            ConfigurationError: a value that can't be, or a name in `haulier.toml` that no
                setting has; says which, where it came from and what is accepted.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        if data is not None:
            given["HAULIER_DATA"] = data
        document, path = _read_toml()
        remotes = document.pop("remotes", {})
        sources = [
            ("the command line", given),
            ("the environment", {k: v for k, v in os.environ.items() if v != ""}),
            (".env", _read_dotenv()),
            (str(path), _flattened(document, path)),
        ]
        groups = {name: _load_group(kind, sources) for name, kind in GROUPS.items()}
        return cls(**groups, remotes=_load_remotes(remotes, path))

    @property
    def catalog_url(self) -> str | Path:
        """Where the catalog is: `DATABASE_URL`, or a file."""
        if self.general.database_url is not None:
            return self.general.database_url.get_secret_value()
        if self.archive.catalog == "completed":
            return self.archive.completed / ".metadata" / "operations.db"
        return self.general.data / "catalog.db"


def _names_of(kind: type[BaseModel]) -> dict[str, list[str]]:
    names = {}
    for field, info in kind.model_fields.items():
        alias = info.validation_alias
        names[field] = (
            [str(choice) for choice in alias.choices]
            if isinstance(alias, AliasChoices)
            else [str(alias)]
        )
    return names


def _load_group(kind: type[_Group], sources: list[tuple[str, Mapping[str, Any]]]) -> Any:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for names in _names_of(kind).values():
        for label, source in sources:
            found = next((name for name in names if name in source), None)
            if found is not None:
                values[names[0]] = source[found]
                origin[names[0]] = f"{found} in {label}"
                break
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        shown = "" if _is_secret(kind, name) else f": {values.get(name)!r}"
        raise ConfigurationError(
            f"{origin.get(name, name)} can't be used{shown}", hint=f"{first['msg']}."
        ) from None


def _is_secret(kind: type[BaseModel], alias: str) -> bool:
    return any(
        alias in names and "SecretStr" in str(kind.model_fields[field].annotation)
        for field, names in _names_of(kind).items()
    )


def _load_remotes(tables: Any, path: Path) -> dict[str, RemoteSettings]:
    if not isinstance(tables, dict):
        raise ConfigurationError(f"remotes in {path} is not a table")
    remotes = {}
    for name, values in tables.items():
        try:
            remotes[name] = RemoteSettings.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"[remotes.{name}] {where} in {path} can't be used", hint=f"{first['msg']}."
            ) from None
    return remotes


def _read_toml() -> tuple[dict[str, Any], Path]:
    places = [
        Path(CONFIG_FILE),
        Path(platformdirs.user_config_dir("haulier", appauthor=False)) / CONFIG_FILE,
    ]
    for path in places:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8")), path
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path} can't be read: {error}") from error
    return {}, places[0]


def _flattened(document: dict[str, Any], path: Path) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    known = {
        name for kind in GROUPS.values() for names in _names_of(kind).values() for name in names
    }
    for name in flat:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"{path} has a setting that does not exist: {name}",
                hint=f"Did you mean {near[0]}?" if near else "See the table of settings.",
            )
    return flat


def _read_dotenv() -> dict[str, str]:
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(".env").items() if value}


def settings_table() -> list[SettingRow]:
    """Return every setting with its default, for the docs."""
    rows = []
    for group, kind in GROUPS.items():
        for field, names in _names_of(kind).items():
            info = kind.model_fields[field]
            default = info.default
            if info.default_factory is not None:
                default = "the platform's user data directory"
            rows.append(
                SettingRow(
                    name=names[0],
                    group=group,
                    default=""
                    if default is None
                    else str(default).lower()
                    if isinstance(default, bool)
                    else str(default),
                    meaning=info.description or "",
                    secret=_is_secret(kind, names[0]),
                )
            )
    return rows
