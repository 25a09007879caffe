"""Archives for the tests: in a directory and in a real bucket, ours and other people's."""

from __future__ import annotations

import io
import tarfile
from contextlib import asynccontextmanager
from pathlib import Path

from haulier.journeys.archive.destination import Destination, OpenDestination
from haulier.journeys.archive.upload import upload
from haulier.store.base import ObjectOptions, Part
from haulier.store.local import LocalStore
from haulier.store.s3 import S3Store
from server_stores import new_account, store_at


class Recording:
    """A store that notes what is asked of it and counts the bytes it hands out."""

    def __init__(self, inner):
        self._inner = inner
        self.asked = []
        self.bytes_out = 0

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def head(self, key):
        self.asked.append(("head", key))
        return await self._inner.head(key)

    @asynccontextmanager
    async def get(self, key, **bounds):
        self.asked.append(("get", key))
        async with self._inner.get(key, **bounds) as pieces:
            yield self._counted(pieces)

    async def _counted(self, pieces):
        async for piece in pieces:
            self.bytes_out += len(piece)
            yield piece

    def downloaded(self):
        """Return the keys that were read, without the indexes."""
        return [key for verb, key in self.asked if verb == "get" and not key.endswith(".index.gz")]


class LocalPlace:
    """A directory as the destination of a yard."""

    def __init__(self, yard, _server):
        self.yard = yard
        self.store = Recording(LocalStore(yard.store_dir))

    @property
    def url(self):
        return self.store.url

    async def aclose(self):
        await self.store.aclose()


class BucketPlace(LocalPlace):
    """A bucket of a real S3 server as the destination of a yard."""

    def __init__(self, yard, server):
        self.yard = yard
        self.store = Recording(S3Store(server.make_bucket(), access=server.access()))


class ServerPlace(LocalPlace):
    """An account of a running server as the destination of a yard."""

    def __init__(self, yard, server):
        self.yard = yard
        self.store = Recording(store_at(server.url, new_account(server)[1]))


class Site:
    """A yard whose uploads go to a place; contexts see the store through `Recording`."""

    def __init__(self, yard, place, checks):
        self.yard = yard
        self.place = place
        self.store = place.store
        self.checks = checks
        self.prefix = ""

    @asynccontextmanager
    async def open(self, **changes):
        async with self.yard.open(store=self.store, **changes) as ctx:
            here = Destination(root=self.store.url, prefix=self.prefix)
            ctx.destination = OpenDestination(here, self.store, self.checks)
            yield ctx

    async def upload(self, *names, **options):
        async with self.open() as ctx:
            return await upload(ctx, names, self.yard.options(**options))

    async def put_foreign(self, key, files, *, mode="w:gz"):
        """Store a tar that plain tools made: no index, no record."""
        await self.store.put(key, foreign_tar(files, mode=mode))

    async def damage(self, key, *, at=None):
        """Flip one byte of the object, as a bad disk does; size and store's word stay."""
        path = Path(self.store.local_path(key))
        status = path.stat()
        content = bytearray(path.read_bytes())
        at = len(content) // 2 if at is None else at
        content[at] ^= 0xFF
        with path.open("r+b") as file:
            file.write(content)
        import os

        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    async def keys(self):
        return [info.key async for info in self.store.list_objects()]


def foreign_tar(files, *, mode="w:gz"):
    """Return an archive of `files` (path -> content, None for a directory)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.mtime = 1_600_000_000
            if content is None:
                info.type = tarfile.DIRTYPE
                info.mode = 0o755
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def leave_upload_open(store, key):
    """Begin a multipart upload, send a part, and walk away; returns its id."""
    import hashlib

    from haulier.core.checksums import crc64nvme

    upload_id = await store.start_upload(key, ObjectOptions())
    body = b"left behind" * 100
    part = Part(
        number=1,
        offset=0,
        buffers=[body],
        size_bytes=len(body),
        md5=hashlib.md5(body).hexdigest(),
        crc64nvme=f"{crc64nvme(body):016x}",
    )
    await store.put_part(key, upload_id, part)
    return upload_id
