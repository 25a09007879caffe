"""A process that works on a catalog; says `ready` when it has it open, then waits for a line.

worker.py write URL NAME COUNT   COUNT transactions, each announced when it is committed
worker.py claim URL OPERATION    one attempt to take the lease, its outcome printed
worker.py open URL               nothing more
"""

import asyncio
import sys
from datetime import timedelta

from haulier.catalog.catalog import Catalog
from haulier.core.records import FileRecord, OperationRecord, utc_now


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def write(catalog, name, count):
    for number in range(int(count)):
        target = f"{name}-{number}"

        def work(tx, target=target):
            tx.put_operation(
                OperationRecord(operation_type="test", target_path=target, target_name=target)
            )
            tx.put_file(FileRecord(name=target, path=target, location="local", size=1))

        await catalog.transaction(work)
        say(target)


async def claim(catalog, operation_id):
    now = utc_now()
    owner = f"owner-{id(catalog)}-{now}"
    say(
        await catalog.transaction(
            lambda tx: tx.claim_upload(operation_id, owner, now, now - timedelta(seconds=60))
        )
    )


async def main(task, url, *arguments):
    if task == "open":
        say("ready")
        sys.stdin.readline()
    async with await Catalog.open(url) as catalog:
        if task == "open":
            return
        say("ready")
        sys.stdin.readline()
        await {"write": write, "claim": claim}[task](catalog, *arguments)


asyncio.run(main(*sys.argv[1:]))
