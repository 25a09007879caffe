"""Every setting, grouped; read by faces, jobs and journeys only.

Order: flags > environment > `.env` > `haulier.toml` > default, name by name. `.env` lies in the
working directory; `haulier.toml` there, then in the user's configuration directory. The TOML file
holds the same names, at its top or in a table called like their group, and `[remotes.NAME]`
tables with other destinations. An empty variable counts as not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from haulier.settings_chats import BotSettings, ChatSettings
from haulier.settings_groups import (
    GROUPS,
    ArchiveSettings,
    GeneralSettings,
    RecordingSettings,
    RemoteSettings,
    S3Settings,
)
from haulier.settings_loading import load, names_of, secrets_of
from haulier.settings_server import ServerSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, each group on its own."""

    general: GeneralSettings
    archive: ArchiveSettings
    s3: S3Settings
    server: ServerSettings
    recordings: RecordingSettings
    chat: ChatSettings
    bot: BotSettings
    remotes: Mapping[str, RemoteSettings]

    @classmethod
    def load(cls, *, data: Path | None = None, **overrides: Any) -> Self:
        """Read the settings of this process; creates nothing.

        Args:
            data: the `--data` flag, which is HAULIER_DATA.
            overrides: settings by name (`MGMT_LOCAL_DIR=…`) that go before everything else;
                None means not given.

        Raises:
            ConfigurationError: a value that can't be, a file that can't be read, or a name that
                no setting has; says which, where it came from and what is accepted.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        if data is not None:
            given["HAULIER_DATA"] = data
        groups, remotes = load(GROUPS, RemoteSettings, given)
        return cls(**groups, remotes=remotes)

    @property
    def recordings_dir(self) -> Path:
        """Where recordings are kept: `AUDIO_STORAGE_DIR`, or a directory in `{data}`."""
        return self.recordings.audio_storage_dir or self.general.data / "recordings"

    @property
    def has_catalog_file(self) -> bool:
        """Whether the catalog is a file, and not in PostgreSQL."""
        return not str(self.catalog_url).startswith("postgres")

    @property
    def catalog_url(self) -> str | Path:
        """Where the catalog is: `DATABASE_URL`, or a file."""
        if self.general.database_url is not None:
            return self.general.database_url.get_secret_value()
        if self.archive.catalog == "completed":
            return self.archive.completed / ".metadata" / "operations.db"
        return self.general.data / "catalog.db"

    @property
    def user_catalog_url(self) -> str | None:
        """The catalog as users are shown their own: `DATABASE_USER_URL`."""
        url = self.general.database_user_url
        return None if url is None else url.get_secret_value()


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of the table in the docs."""

    name: str
    group: str
    default: str
    meaning: str
    secret: bool


def settings_table() -> list[SettingRow]:
    """Return every setting with its default, for the docs."""
    return [
        SettingRow(
            name=names[0],
            group=group,
            default=_default_text(kind, field),
            meaning=kind.model_fields[field].description or "",
            secret=names[0] in secrets_of(kind),
        )
        for group, kind in GROUPS.items()
        for field, names in names_of(kind).items()
    ]


def _default_text(kind: type[BaseModel], field: str) -> str:
    info = kind.model_fields[field]
    if isinstance(info.json_schema_extra, dict):
        return str(info.json_schema_extra["shown"])
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return "" if info.default is None else str(info.default)
