"""Where the values of settings come from, and what is said when one can't be.

Which settings there are is handed in: this module knows the sources and their order only.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from haulier.errors import ConfigurationError

CONFIG_FILE = "haulier.toml"
ENV_FILE = ".env"
_REMOTES = "remotes"
_SEE_TABLE = "See the table of settings in the documentation."

GroupT = TypeVar("GroupT", bound=BaseSettings)
RemoteT = TypeVar("RemoteT", bound=BaseModel)
Groups = Mapping[str, type[GroupT]]
_Source = tuple[str, Mapping[str, Any]]
"""What people call it, and the values it gives by name."""


def load(
    groups: Groups[GroupT], remote: type[RemoteT], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, RemoteT]]:
    """Read every group and the named remotes.

    Args:
        groups: the models of the groups by name, which is also their table's in TOML.
        remote: the model of a remote.
        given: values by name that go before all others.

    Raises:
        ConfigurationError: see `Settings.load`.
    """
    _require_known(given, _all_names(groups), "the call", groups)
    files = [(str(path), _read_toml(path, groups)) for path in _toml_places()]
    loaded = {
        name: _load_group(kind, [("a flag", given), *_surroundings(kind), *files])
        for name, kind in groups.items()
    }
    return loaded, _load_remotes(remote, files)


def names_of(kind: type[BaseModel]) -> dict[str, list[str]]:
    """Return the names of each field, the one we speak of first."""
    return {
        field: [str(name) for name in info.validation_alias.choices]
        if isinstance(info.validation_alias, AliasChoices)
        else [field]
        for field, info in kind.model_fields.items()
    }


def secrets_of(kind: type[BaseModel]) -> set[str]:
    """Return the names of the fields whose values are never shown."""
    return {
        names[0]
        for field, names in names_of(kind).items()
        if "SecretStr" in str(kind.model_fields[field].annotation)
    }


def _all_names(groups: Groups[GroupT]) -> set[str]:
    return {n for kind in groups.values() for names in names_of(kind).values() for n in names}


def _load_group(kind: type[BaseSettings], sources: Iterable[_Source]) -> Any:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for label, source in sources:
        for names in names_of(kind).values():
            found = next((name for name in names if name in source), None)
            if found is not None and names[0] not in values:
                values[names[0]] = source[found]
                origin[names[0]] = f"{found} from {label}"
    try:
        return kind(**values)
    except ValidationError as error:
        raise _refusal(error.errors()[0], values, origin, secrets_of(kind)) from None


def _refusal(
    detail: ErrorDetails, values: Mapping[str, Any], origin: Mapping[str, str], secrets: set[str]
) -> ConfigurationError:
    accepted = _accepted(detail)
    if not detail["loc"]:
        return ConfigurationError(accepted, hint=_SEE_TABLE)
    name = str(detail["loc"][0])
    shown = "" if name in secrets else f": {_shown(values.get(name))}"
    return ConfigurationError(
        f"{origin.get(name, name)} can't be used{shown}", hint=f"Accepted: {accepted}."
    )


def _accepted(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return str(context["expected"])
        case "bool_parsing" | "bool_type":
            return "true or false, 1 or 0, yes or no, on or off"
        case "string_type" | "path_type":
            return "text"
        case _:
            return detail["msg"]


def _shown(value: Any) -> str:
    """Return the value for a message; credentials in a URL are masked."""
    return re.sub(r"(?<=//)[^/@]*@", "***@", repr(value))


def _surroundings(kind: type[BaseSettings]) -> list[_Source]:
    try:
        dotenv = DotEnvSettingsSource(kind, env_file=ENV_FILE, env_file_encoding="utf-8")()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{ENV_FILE} can't be read: {error}") from error
    return [("the environment", EnvSettingsSource(kind)()), (ENV_FILE, dotenv)]


def _toml_places() -> tuple[Path, ...]:
    of_user = platformdirs.user_config_dir("haulier", appauthor=False)
    return Path(CONFIG_FILE), Path(of_user) / CONFIG_FILE


def _read_toml(path: Path, groups: Groups[GroupT]) -> dict[str, Any]:
    """Return the settings of one file by name, and its remotes under `remotes`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"{path} can't be read: {error}", hint="Correct the file, or move it away."
        ) from error
    values = {_REMOTES: document.pop(_REMOTES, {})}
    for group, kind in groups.items():
        table = document.pop(group, {})
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{group} in {path} is not a table", hint=f"Write [{group}] above its settings."
            )
        _require_known(table, _all_names({group: kind}), f"[{group}] in {path}", groups)
        values.update(table)
    _require_known(document, _all_names(groups), str(path), groups)
    for name in document.keys() & values.keys():
        raise ConfigurationError(f"{path} sets {name} twice", hint="Keep one of them.")
    return {name: value for name, value in (values | document).items() if value != ""}


def _require_known(
    given: Iterable[str], known: set[str], where: str, groups: Groups[GroupT]
) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"{where} has a setting that does not exist there: {name}",
                hint=_near(name, {*_all_names(groups), *groups, _REMOTES}),
            )


def _near(name: str, known: Iterable[str]) -> str:
    spellings = {candidate.upper(): candidate for candidate in known}
    near = difflib.get_close_matches(name.upper(), spellings, n=1)
    return f"Did you mean {spellings[near[0]]}?" if near else _SEE_TABLE


def _load_remotes(kind: type[RemoteT], files: Iterable[_Source]) -> dict[str, RemoteT]:
    remotes: dict[str, RemoteT] = {}
    for path, values in files:
        tables = values.get(_REMOTES, {})
        if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
            raise ConfigurationError(
                f"remotes in {path} is not a set of tables",
                hint='Write [remotes.NAME] and below it url = "s3://bucket/prefix".',
            )
        for name, table in tables.items():
            remotes.setdefault(name, _load_remote(kind, name, table, path))
    return remotes


def _load_remote(kind: type[RemoteT], name: str, table: dict[str, Any], path: str) -> RemoteT:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        detail = error.errors()[0]
    where = f"[{_REMOTES}.{name}] in {path}"
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        raise ConfigurationError(
            f"{where} has a setting that does not exist there: {key}",
            hint=_near(key, kind.model_fields),
        )
    if detail["type"] == "missing":
        raise ConfigurationError(f"{where} has no {key}", hint=f"Add {key} to it.")
    raise _refusal(detail, table, {key: f"{key} from {where}"}, secrets_of(kind))
