"""A whole journey in a directory of its own: sources, completed directory, store, catalog."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catalogs import catalog_url, migrated_postgres, new_sqlite  # noqa: F401 - fixtures by name
from haulier.catalog.catalog import Catalog
from haulier.journeys.archive.context import ArchiveContext, StageReached
from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.lease import this_process
from haulier.journeys.archive.open import LOCAL_CHECKS
from haulier.journeys.archive.options import UploadOptions
from haulier.journeys.archive.upload import upload
from haulier.store.local import LocalStore
from journeys.sites import bucket_site, local_site, site  # noqa: F401 - fixtures by name
from server_stores import files_server  # noqa: F401 - a fixture


@dataclass
class Yard:
    """Where one test's journey takes place."""

    root: Path
    stages: list[StageReached] = field(default_factory=list)

    def __post_init__(self):
        self.local = self.root / "media"
        self.completed = self.local / "completed"
        self.data = self.root / "data"
        self.store_dir = self.root / "store"
        self.local.mkdir()
        self.data.mkdir()

    def options(self, **changes) -> UploadOptions:
        values = {"local_dir": str(self.local), "completed_dir": str(self.completed), **changes}
        return UploadOptions(**values)

    @asynccontextmanager
    async def open(self, *, store=None, observe=None, **changes):
        store = store or LocalStore(self.store_dir)
        catalog = await Catalog.open(new_sqlite(self.data / "catalog.db"))
        place = OpenDestination(Destination(root=store.url), store, LOCAL_CHECKS)

        async def open_destination(wanted):
            return OpenDestination(wanted, store, LOCAL_CHECKS)

        def note(event):
            self.stages.append(event)
            if observe is not None:
                observe(event)

        try:
            yield ArchiveContext(
                catalog=catalog,
                destination=place,
                open_destination=open_destination,
                data_dir=str(self.data),
                owner=this_process(),
                observe=note,
                user="tester",
                **changes,
            )
        finally:
            await catalog.aclose()

    async def upload(self, *names, dry_run=False, observe=None, **options):
        async with self.open(observe=observe) as ctx:
            return await upload(ctx, names, self.options(**options), dry_run=dry_run)


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path)
