"""A process that begins one job, holds it for an hour and never ends it: `work_forever.py CATALOG`."""

import asyncio
import sys
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.coordination.bells import MemoryBell
from haulier.jobs.kinds import JobKind
from haulier.jobs.runner import Runner


async def main() -> None:
    async def never_end(job):
        print(job.job_id, job.attempts, flush=True)
        await asyncio.Event().wait()

    async with await Catalog.open(Path(sys.argv[1])) as catalog:
        kinds = [JobKind(name="slow", run=never_end)]
        await Runner(catalog=catalog, kinds=kinds, bell=MemoryBell(), lease_s=3600).run()


asyncio.run(main())
