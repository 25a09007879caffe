"""What a group of settings is made of: its fields, and where their values come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from haulier import settings_values as accepted

Folder = Annotated[Path, AfterValidator(accepted.expanded)]


def setting(default: Any, *names: str, meaning: str, shown: str | None = None) -> Any:
    """Describe a setting: its names, the first being the one we speak of; `shown` is the
    default as the docs tell it."""
    return Field(
        default,
        validation_alias=AliasChoices(*names),
        description=meaning,
        json_schema_extra=None if shown is None else {"shown": shown},
    )


class Group(BaseSettings):
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
