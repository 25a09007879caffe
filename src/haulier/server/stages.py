"""Where the server keeps files: a directory, or a bucket when the settings name one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.errors import ConfigurationError
from haulier.journeys.archive.open import open_bucket
from haulier.server.configured import key_ring_of
from haulier.settings import Settings
from haulier.store.base import ObjectOptions
from haulier.transfer.sessions.s3_place import S3Place
from haulier.transfer.sessions.s3_stage import S3Stage
from haulier.transfer.sessions.sealed_stage import SealedStage, require_keys
from haulier.transfer.sessions.stage import Durability, LocalStage
from haulier.transfer.sessions.staging import Stage


@asynccontextmanager
async def open_stage(settings: Settings, catalog: Catalog) -> AsyncIterator[Stage]:
    """Open the place of files while the block runs: the bucket `AWS_S3_BUCKET`, else `{data}`.

    Raises:
        ConfigurationError: a bucket is named, and files lie in the directory already; or a key is
            needed that is not here.
    """
    data = settings.general.data
    async with AsyncExitStack() as stack:
        stage: Stage
        keys, durability = key_ring_of(settings), Durability(settings.server.durability)
        await require_keys(catalog, keys)
        if keys is not None:
            stage = SealedStage(
                data / "uploads",
                data / "files",
                data / "tails",
                catalog=catalog,
                keys=keys,
                durability=durability,
            )
        elif settings.s3.bucket is None:
            stage = LocalStage(data / "uploads", data / "files", durability=durability)
        else:
            _refuse_files_left_behind(data / "files", settings.s3.bucket)
            store, prefix = await open_bucket(settings, catalog, stack)
            s3 = settings.s3
            options = ObjectOptions(
                storage_class=s3.storage_class, sse=s3.sse, sse_kms_key_id=s3.sse_kms_key_id
            )
            place = S3Place(store=store, prefix=f"{prefix}server/", options=options)
            stage = S3Stage(place, catalog)
        stack.push_async_callback(stage.aclose)
        yield stage


def _refuse_files_left_behind(files: Path, bucket: str) -> None:
    if files.is_dir() and any(files.iterdir()):
        raise ConfigurationError(
            f"AWS_S3_BUCKET names {bucket}, but this server's files lie in {files.name}/",
            hint="Unset AWS_S3_BUCKET, or begin with another HAULIER_DATA and catalog.",
        )
