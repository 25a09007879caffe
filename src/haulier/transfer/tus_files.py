"""A file sent to a tus server by one call: `upload_tus`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from haulier.core.file_names import clean_name
from haulier.core.progress import Meter
from haulier.core.units import RateLimit
from haulier.errors import UsageError
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.threads import in_thread
from haulier.net.throttle import Throttle
from haulier.net.tus import TusClient
from haulier.transfer.source_file import SourceFile
from haulier.transfer.tus_upload import TusUpload, Uploaded
from haulier.transfer.upload_journal import UploadJournal


async def upload_tus(
    path: str | os.PathLike[str],
    endpoint: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    state_folder: Path | None = None,
    allow: Collection[str] = (),
    limit_rate: RateLimit | None = None,
    meter: Meter | None = None,
) -> Uploaded:
    """Send a file to a server that speaks tus 1.0, and go on with it after whatever came between.

    Args:
        path: the file.
        endpoint: where uploads are made, `https://host/tus/`.
        token: sent as `Authorization: Bearer …`, to that host alone.
        headers: more that is sent to that host alone.
        name: what the file is called there; its own name when left out.
        metadata: more that the server is told of it.
        state_folder: where unfinished uploads are kept, so that the next call for the same file
            goes on with them, in whichever process; None: in memory alone.
        allow: private hosts, addresses and networks that may be asked besides the endpoint's own,
            where a server names its uploads elsewhere.
        limit_rate: bytes per second, as `core.units.parse_limit` reads them.
        meter: told size and bytes; ending it is the caller's affair.

    Returns:
        Where the file is there, its size, and the CRC-64/NVME of what was sent.

    Raises:
        UsageError: this is no endpoint.
        SourceChanged: the file was written to meanwhile; nothing mixed was sent.
        OperationBusy: another process sends the same file.
        TargetMissing, TargetUnreadable: the file can't be read.
        Others: as `TusUpload.run`.
    """
    host = urlsplit(endpoint).hostname
    if not endpoint.startswith(("https://", "http://")) or host is None:
        raise UsageError(f"{endpoint!r} is no tus endpoint", hint="Give https://host/tus/.")
    proof = {} if token is None else {"Authorization": f"Bearer {token}"}
    file = Path(path)
    called = clean_name(file.name if name is None else name)
    key = json.dumps([endpoint, called, str(file.absolute())])
    async with HttpClient(guard=AddressGuard([host, *allow])) as http:
        client = TusClient(http, endpoint, headers={**(headers or {}), **proof})
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(await in_thread(lambda _: SourceFile(file)))
            if meter is not None:
                meter.set_total(source.size_bytes)
            journal = await in_thread(lambda _: UploadJournal(state_folder, key, source.size_bytes))
            stack.callback(journal.close)
            uploaded = await TusUpload(
                client,
                source,
                name=called,
                metadata=metadata,
                journal=journal,
                meter=meter,
                pace=None if limit_rate is None else Throttle(limit_rate).take,
            ).run()
            await in_thread(lambda _: journal.discard())
            return uploaded
