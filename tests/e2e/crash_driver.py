"""A program that walks the archive journey and ends itself, without a word, at a named point.

    crash_driver.py upload|resume LOG [STAGE NUMBER]

Appends each stage it reaches to LOG, and dies by SIGKILL when STAGE is reached for the
NUMBERth time. Settings come from the environment, and from CRASH_TO where archives go.
"""

import asyncio
import os
import signal
import sys

from haulier.journeys.archive.open import open_archive, upload_options
from haulier.journeys.archive.upload import resume, upload
from haulier.settings import Settings


async def main() -> int:
    verb, log = sys.argv[1:3]
    stage, number = (sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else (None, 0)
    seen = 0
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def observe(event):
        nonlocal seen
        os.write(descriptor, f"{verb} {event.stage} {event.detail}\n".encode())
        seen += event.stage == stage
        if seen == number and event.stage == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings.load()
    async with open_archive(settings, to=os.environ.get("CRASH_TO"), observe=observe) as ctx:
        if verb == "upload":
            records = await upload(ctx, ["all"], upload_options(settings, jobs=3))
        else:
            records = await resume(ctx)
    for record in records:
        print(record.status, record.target_name, record.error_message or "")
    return 0 if all(record.status == "success" for record in records) else 1


raise SystemExit(asyncio.run(main()))
