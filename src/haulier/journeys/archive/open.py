"""Opening what the archive journey works with, from the settings.

This is where settings end: below, everybody is handed values.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from haulier.catalog.catalog import Catalog
from haulier.catalog.schema import refuse_network_filesystem
from haulier.core.file_names import clean_folder
from haulier.core.records import utc_now
from haulier.core.units import parse_limit
from haulier.errors import ConfigurationError, UsageError, ValidationError
from haulier.journeys.archive.context import ArchiveContext, Observe, observe_nothing
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.lease import this_process
from haulier.journeys.archive.options import UploadOptions
from haulier.net.retry import retrying
from haulier.net.throttle import Throttle
from haulier.settings import Settings
from haulier.store.base import MultipartStore, StoreChecks
from haulier.store.keys import split_url

if TYPE_CHECKING:
    from haulier.store.haulier import HaulierStore
    from haulier.transfer.sessions.s3_place import UploadStore

UNCHECKED = StoreChecks(crc64nvme=False, etag_is_md5=False, if_none_match=False)
CHECKS_VALID = timedelta(days=30)
LOCAL_CHECKS = StoreChecks(crc64nvme=True, etag_is_md5=True, if_none_match=True)
SERVER_CHECKS = StoreChecks(crc64nvme=True, etag_is_md5=False, if_none_match=True)
_CHATS = ("discord:", "max:")


@asynccontextmanager
async def open_archive(
    settings: Settings,
    *,
    to: str | None = None,
    limit_rate: str | None = None,
    probe: bool = True,
    observe: Observe = observe_nothing,
    command_args: Sequence[str] = (),
) -> AsyncIterator[ArchiveContext]:
    """Open catalog and destination, and close them at the end of the block.

    Args:
        to: `s3://bucket/prefix`, `file:///path`, `https://server/folder`, or the name of a remote
            of `haulier.toml`; None: what the settings say, else the embedded store.
        limit_rate: bytes per second as `20M`, or a timetable.
        probe: try a bucket never seen before for what it checks, which writes a small object and
            deletes it; without, it is taken to check nothing. A server never seen before is asked
            whose token it is.

    Raises:
        ConfigurationError, UsageError: a destination or rate that can't be. StoreError,
        CatalogError: one that can't be reached.
    """
    place = destination_of(settings, to)
    throttle = Throttle(parse_limit(limit_rate)) if limit_rate else None
    async with AsyncExitStack() as stack:
        catalog = await open_catalog(settings)
        stack.push_async_callback(catalog.aclose)
        opener = _Opener(settings, catalog, throttle, stack, probe=probe)
        yield ArchiveContext(
            catalog=catalog,
            destination=await opener.open(place),
            open_destination=opener.open,
            data_dir=os.path.abspath(settings.general.data),
            owner=this_process(),
            observe=observe,
            user=_user(),
            command_args=list(command_args),
        )


async def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog the settings name.

    Raises CatalogError; ConfigurationError for a catalog in a completed directory that lies on
    a network file system.
    """
    url = settings.catalog_url
    if settings.general.database_url is None and settings.archive.catalog == "completed":
        refuse_network_filesystem(Path(url))
    return await Catalog.open(url)


async def open_bucket(
    settings: Settings, catalog: Catalog, stack: AsyncExitStack
) -> tuple[UploadStore, str]:
    """Open the bucket that the settings name, closed with `stack`; return what keys begin with.

    Raises:
        ConfigurationError: the settings name none.
        StoreError: it can't be reached.
    """
    if settings.s3.bucket is None:
        raise ConfigurationError("no bucket is named", hint="Set AWS_S3_BUCKET.")
    place = destination_of(settings, None)
    opened = await _Opener(settings, catalog, None, stack, probe=True).open(place)
    return cast("UploadStore", opened.store), place.prefix  # a bucket can do all of it


async def open_destination(
    settings: Settings, catalog: Catalog, stack: AsyncExitStack, to: str | Destination | None
) -> OpenDestination:
    """Open the store that `to` is or names, or the settings where it is None; closed with `stack`.

    Raises:
        ConfigurationError, UsageError: a destination that can't be. StoreError: it can't be
            reached.
    """
    opener = _Opener(settings, catalog, None, stack, probe=True)
    return await opener.open(to if isinstance(to, Destination) else destination_of(settings, to))


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def upload_options(
    settings: Settings, to: str | Destination | None = None, **flags: Any
) -> UploadOptions:
    """Return the options of an upload to `to`: what the flags say, else the settings.

    `complete` False leaves sources where they are; `keep_archive` True keeps a copy of the
    archive in the local directory. A flag that is None was not given.

    Raises:
        UsageError: `to` can't be, or has none of the storage classes that a flag names.
        ConfigurationError: there is no remote called `to`.
    """
    archive = settings.archive
    given = {name: value for name, value in flags.items() if value is not None}
    place = to if isinstance(to, Destination) else destination_of(settings, to)
    if "storage_class" in given and not place.is_bucket:
        raise UsageError(
            f"{place.root} has no storage classes", hint="Leave --storage-class out: it is for S3."
        )
    complete = given.pop("complete", True) and archive.completed_enabled
    keep = given.pop("keep_archive", False)
    local_dir = os.path.abspath(archive.local_dir)
    return UploadOptions(
        **{
            "compression": archive.compression,
            **(_of_buckets(settings) if place.is_bucket else {}),
            "local_dir": local_dir,
            "completed_dir": os.path.abspath(archive.completed) if complete else None,
            "preserve_structure": archive.preserve_structure,
            "duplicate_handling": archive.duplicate_handling,
            "keep_archive_dir": local_dir if keep else None,
            **given,
        }
    )


def _of_buckets(settings: Settings) -> dict[str, str | None]:
    s3 = settings.s3
    return {
        "storage_class": s3.storage_class,
        "sse": s3.sse,
        "sse_kms_key_id": s3.sse_kms_key_id,
    }


def destination_of(settings: Settings, to: str | None) -> Destination:
    """Return the destination that `to` names, or the one the settings name.

    Raises UsageError for chats and unknown schemes, ConfigurationError for an unknown remote.
    """
    s3 = settings.s3
    if to is None:
        if s3.bucket is None:
            return Destination(root=(settings.general.data.absolute() / "store").as_uri())
        return Destination(
            root=f"s3://{s3.bucket}",
            prefix=_prefix(s3.prefix),
            endpoint_url=s3.endpoint_url,
            region=s3.region,
        )
    if to.startswith(_CHATS):
        raise UsageError(
            f"{to} is a chat; `upload` archives to stores",
            hint=f"Send files to a chat with `haulier send FILES --to {to}`.",
        )
    if "://" not in to:
        return _remote(settings, to)
    return _of_url(to, s3.endpoint_url, s3.region, remote=None)


def _remote(settings: Settings, name: str) -> Destination:
    remote = settings.remotes.get(name)
    if remote is None:
        known = ", ".join(sorted(settings.remotes)) or "none"
        raise ConfigurationError(
            f"there is no remote called {name!r} in haulier.toml (known: {known})",
            hint="Use s3://bucket/prefix, https://server/folder, file:///path, "
            "or add [remotes.NAME] to haulier.toml.",
        )
    return _of_url(remote.url, remote.endpoint_url, remote.region, remote=name)


def _of_url(url: str, endpoint: str | None, region: str | None, remote: str | None) -> Destination:
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return Destination(
            root=f"s3://{parts.netloc}",
            prefix=_prefix(unquote(parts.path)),
            endpoint_url=endpoint,
            region=region,
            remote=remote,
        )
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return Destination(root=Path(unquote(parts.path)).as_uri(), remote=remote)
    if parts.scheme in {"https", "http"} and parts.hostname:
        return _of_server(url, remote)
    raise UsageError(
        f"{url} is not a destination",
        hint="Use s3://bucket/prefix, https://server/folder, file:///path or a remote.",
    )


def _of_server(url: str, remote: str | None) -> Destination:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"{parts.scheme}://{parts.hostname} is to be named with a folder and nothing else",
            hint="Give https://server/folder, and the token in HAULIER_TOKEN.",
        )
    root, folder = split_url(url)
    try:
        return Destination(root=root, prefix=_prefix(clean_folder(folder)), remote=remote)
    except ValidationError as exc:
        raise UsageError(f"{url}: {exc.message}", hint="Name another folder.") from exc


def _prefix(text: str) -> str:
    stripped = text.strip("/")
    return f"{stripped}/" if stripped else ""


class _Opener:
    """Opens destinations, each once, and closes them with the command."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        throttle: Throttle | None,
        stack: AsyncExitStack,
        *,
        probe: bool,
    ) -> None:
        self._probe = probe
        self._settings = settings
        self._catalog = catalog
        self._throttle = throttle
        self._stack = stack
        self._stores: dict[tuple[str, str | None], tuple[MultipartStore, StoreChecks]] = {}

    async def open(self, place: Destination) -> OpenDestination:
        known = (place.identity, place.remote)
        if known not in self._stores:
            self._stores[known] = await self._open_store(place)
        store, checks = self._stores[known]
        return OpenDestination(place, store, checks)

    async def _open_store(self, place: Destination) -> tuple[MultipartStore, StoreChecks]:
        from haulier.store.wrappers import Retrying, Throttled

        store: MultipartStore
        if place.root.startswith("file://"):
            from haulier.store.local import LocalStore

            store, checks = LocalStore(unquote(urlsplit(place.root).path)), LOCAL_CHECKS
        elif not place.root.startswith("s3://"):
            store, checks = await self._open_server(place), SERVER_CHECKS
        else:
            store, checks = await self._open_s3(place)
        store = Retrying(store)
        return (Throttled(store, self._throttle) if self._throttle else store), checks

    async def _open_s3(self, place: Destination) -> tuple[MultipartStore, StoreChecks]:
        from haulier.store.s3 import S3Store
        from haulier.store.s3_credentials import S3Access

        store = S3Store(
            place.root.removeprefix("s3://"), access=S3Access(**self._access_values(place))
        )
        self._stack.push_async_callback(store.aclose)
        found = await self._catalog.read(
            lambda tx: tx.get_checks(place.identity, utc_now() - CHECKS_VALID)
        )
        if found is not None:
            checks = StoreChecks(**found)
        elif not self._probe:
            checks = UNCHECKED
        else:
            checks = await retrying(lambda: store.probe(place.prefix))
            await self._catalog.transaction(
                lambda tx: tx.put_checks(place.identity, asdict(checks), utc_now())
            )
        if (self._settings.s3.sse or "").startswith("aws:kms"):
            checks = replace(checks, etag_is_md5=False)  # KMS makes ETags of its own
        return store.with_checks(checks), checks

    async def _open_server(self, place: Destination) -> HaulierStore:
        from haulier.store.haulier import HaulierStore

        remote = self._settings.remotes.get(place.remote or "")
        token = (remote and remote.token) or self._settings.archive.token
        if token is None:
            raise ConfigurationError(
                f"there is no token for {place.root}",
                hint="Set HAULIER_TOKEN to what `haulier token create NAME` prints on the server.",
            )
        store = HaulierStore.at(place.root, token.get_secret_value())
        self._stack.push_async_callback(store.aclose)
        known = await self._catalog.read(
            lambda tx: tx.get_checks(place.identity, utc_now() - CHECKS_VALID)
        )
        if known is None and self._probe:
            await retrying(store.check_account)
            await self._catalog.transaction(
                lambda tx: tx.put_checks(place.identity, asdict(SERVER_CHECKS), utc_now())
            )
        return store

    def _access_values(self, place: Destination) -> dict[str, Any]:
        s3 = self._settings.s3
        remote = self._settings.remotes.get(place.remote or "")
        own = remote is not None and remote.access_key_id is not None
        key_id = remote.access_key_id if remote is not None and own else s3.access_key_id
        secret = remote.secret_access_key if remote is not None and own else s3.secret_access_key
        token = None if own else s3.session_token
        values = {
            "endpoint_url": place.endpoint_url,
            "region": place.region,
            "access_key_id": key_id,
            "secret_access_key": secret and secret.get_secret_value(),
            "session_token": token and token.get_secret_value(),
        }
        return {name: value for name, value in values.items() if value is not None}
