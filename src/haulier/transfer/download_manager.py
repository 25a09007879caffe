"""Any link into a directory: named by the server, resumed, checked, kept for the next time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from haulier import errors
from haulier.core.link_names import link_name, safe_name
from haulier.core.progress import Meter, ProgressBoard
from haulier.core.units import RateLimit
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient
from haulier.net.throttle import Throttle
from haulier.transfer.batches import Batch, BatchItem, BatchReport
from haulier.transfer.cached_source import CachedSource
from haulier.transfer.control_file import file_errors
from haulier.transfer.download import ATTEMPTS, CONNECTIONS, DownloadReceipt, download
from haulier.transfer.download_requests import (
    DownloadedFile,
    DownloadRequest,
    IfExists,
    Place,
    batch_items,
)
from haulier.transfer.file_cache import CachedFile, FileCache
from haulier.transfer.link_source import LinkFacts, LinkSource, Refresh
from haulier.transfer.ticker import Listener, Ticker

PARALLEL = 3
_GO_ON = "Ask for it again later: what came is kept, and it goes on from there."
_log = logging.getLogger(__name__)


class DownloadManager:
    """Fetches files from any web server, several at once; interrupted ones go on.

    Use it with `async with`, or call `aclose`. `haulier.sync.DownloadManager` is its blocking
    twin. Only public addresses are asked unless they are allowed, at each redirect anew.

    Args:
        parallel: how many files are fetched at once.
        connections: how many for one file, where the server takes ranges.
        limit_rate: bytes per second of all together, perhaps by time of day.
        throttle: shared with others, in place of one made from `limit_rate`.
        allow: hosts and networks that may be asked although they are not public.
        hosts: when given, only these hosts and those below them are asked.
        max_bytes: larger files are refused.
        cache: keeps what was fetched, for requests with a key or a SHA-256.
        board: counts what is under way; sample it, or give `progress`.
        progress: told each event, ten times a second; then the board is the manager's to
            sample.
        attempts: failures in a row, without one byte in between, before a file fails.
        client: sends the requests, in place of one made from `allow` and `hosts`; its
            owner closes it.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        *,
        parallel: int = PARALLEL,
        connections: int = CONNECTIONS,
        limit_rate: RateLimit | None = None,
        throttle: Throttle | None = None,
        allow: Iterable[str] = (),
        hosts: Iterable[str] | None = None,
        max_bytes: int | None = None,
        cache: FileCache | None = None,
        board: ProgressBoard | None = None,
        progress: Listener | None = None,
        attempts: int = ATTEMPTS,
        client: HttpClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if parallel < 1 or connections < 1:
            raise errors.UsageError("at least one file has to be fetched at a time")
        self.board = board or ProgressBoard()
        self._listener = progress
        self._is_shown = False
        self._is_board_own = board is None and progress is None
        self._guard = AddressGuard(allow, only=hosts)
        self._given_client = client
        self._client: HttpClient | None = client
        self._throttle = throttle
        if throttle is None and limit_rate is not None:
            self._throttle = Throttle(limit_rate)
        self._parallel = parallel
        self._turns = asyncio.Semaphore(parallel)
        self._connections = connections
        self._max_bytes = max_bytes
        self._cache = cache
        self._attempts = attempts
        self._sleep = sleep
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections and end progress; a later call opens them again."""
        self._client, self._is_shown = self._given_client, False
        await self._stack.aclose()

    async def download(
        self,
        url: str,
        directory: str | Path,
        *,
        name: str | None = None,
        key: str | None = None,
        checksum: str | None = None,
        size_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
        refresh: Refresh | None = None,
        if_exists: IfExists = "refuse",
    ) -> DownloadedFile:
        """Fetch one file into `directory`, which is made when missing.

        Args:
            url: see `DownloadRequest`, as for the others.
            directory: where the file goes, and gathers until it is whole.
            name: what to call it.
            key: recognises the file.
            checksum: what it must have.
            size_bytes: what it must have.
            headers: sent along.
            refresh: returns a fresh link.
            if_exists: what to do about a file of that name.

        Raises:
            DuplicateName: a file of that name exists.
            AddressRefused: the link leads to where it must not.
            VerificationFailed: not the size or checksum expected; nothing is kept.
            FileSizeError: larger than allowed; nothing is kept.
            OperationBusy: another process fetches it into that directory.
            AccessDenied, NoSuchObject: the server refuses, and no fresh link helps.
            Transient: attempts are used up; the next call goes on from there.
            StorageFull, ObjectChanged, RequestRejected, UsageError: as their names say.
        """
        request = DownloadRequest(
            url=url,
            name=name,
            key=key,
            checksum=checksum,
            size_bytes=size_bytes,
            headers=headers or {},
            refresh=refresh,
        )
        await self._open()
        shown = name or link_name(url)
        meter = self.board.start(uuid4().hex, shown, size_bytes)
        try:
            async with self._turns:
                done = await self._fetch(request, Path(directory), if_exists, meter)
        except errors.HaulierError as error:
            meter.fail(error.message)
            raise
        except BaseException:
            meter.fail("interrupted")
            raise
        finally:
            meter.finish()
            if self._is_board_own:
                self.board.sample()  # nobody else does, and what has ended would pile up
        return done

    async def download_many(
        self,
        requests: Iterable[DownloadRequest],
        directory: str | Path,
        *,
        if_exists: IfExists = "refuse",
        starts_per_s: float | None = None,
        state: Path | None = None,
    ) -> BatchReport:
        """Fetch many files; one that fails does not stop the others.

        Args:
            requests: taken one after another, as there is room; each has its own key or link.
            directory: where the files go.
            if_exists: what to do about files of the same names.
            starts_per_s: how many may begin in a second.
            state: a file that remembers outcomes: a later call with the same requests fetches
                only what was not fetched, or is not there any more. It is the caller's to remove.

        Returns:
            The outcome of each request; `result` holds the fields of `DownloadedFile`.

        Raises:
            UsageError: two requests have the same key or link.
            OperationBusy: another process works on the same state file.
        """
        await self._open()
        batch = self.batch(directory, if_exists=if_exists, starts_per_s=starts_per_s, state=state)
        return await batch.run(batch_items(requests))

    def batch(
        self,
        directory: str | Path,
        *,
        if_exists: IfExists = "refuse",
        starts_per_s: float | None = None,
        state: Path | None = None,
    ) -> Batch:
        """Return a batch to run, and to `retry_failed`, with items made by `batch_items`."""

        async def work(item: BatchItem, meter: Meter) -> dict[str, Any]:
            await self._open()
            async with self._turns:
                done = await self._fetch(item.data, Path(directory), if_exists, meter)
            return done.to_json()

        return Batch(
            work,
            parallel=self._parallel,
            starts_per_s=starts_per_s,
            state=state,
            still_done=lambda outcome: Path(outcome.result["path"]).is_file(),
            board=None if self._is_board_own else self.board,
        )

    async def _open(self) -> HttpClient:
        if self._client is None:
            self._client = await self._stack.enter_async_context(HttpClient(guard=self._guard))
        if self._listener is not None and not self._is_shown:
            self._is_shown = True
            await self._stack.enter_async_context(Ticker(self.board, [self._listener]))
        return self._client

    async def _fetch(
        self, request: DownloadRequest, directory: Path, if_exists: IfExists, meter: Meter
    ) -> DownloadedFile:
        meter.set_stage("downloading")
        name = None if request.name is None else safe_name(request.name)
        if request.name is not None and name is None:
            raise errors.ValidationError(f"{request.name!r} can't be the name of a file")
        with file_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
        place = Place(directory, name, if_exists)
        place.check(name)
        async with self._cached(request) as cached:
            if cached is not None:
                try:
                    return await self._take(request, cached, place, meter)
                except errors.VerificationFailed:
                    _log.warning("a damaged file was removed from the cache")
                    await self._forget(request, cached)
        try:
            return await self._receive(request, place, meter)
        except errors.Transient as error:
            raise type(error)(
                error.message, hint=_GO_ON, retry_after_s=error.retry_after_s
            ) from error

    async def _receive(
        self, request: DownloadRequest, place: Place, meter: Meter
    ) -> DownloadedFile:
        source = LinkSource(
            request.url,
            await self._open(),
            headers=request.headers,
            key=request.key,
            refresh=request.refresh,
            on_facts=place.learn,
        )

        async def names() -> Iterator[Path]:
            return place.names((await source.facts()).name)

        receipt = await download(
            source,
            place.gathering(source.name),
            connections=self._connections,
            expected_checksum=request.checksum,
            expected_bytes=request.size_bytes,
            max_bytes=self._max_bytes,
            names=names,
            meter=meter,
            pace=None if self._throttle is None else self._throttle.take,
            overwrite=place.if_exists == "overwrite",
            attempts=self._attempts,
            sleep=self._sleep,
        )
        facts = await source.facts()
        await self._keep(request, receipt, facts)
        return DownloadedFile.of(receipt, facts.mime_type, request.checksum, from_cache=False)

    async def _take(
        self, request: DownloadRequest, cached: CachedFile, place: Place, meter: Meter
    ) -> DownloadedFile:
        """Copy what is in the cache, checking that it is what it should be."""
        name = cached.about.get("name") or link_name(request.url)
        place.check(place.name or name)

        async def names() -> Iterator[Path]:
            return place.names(name)

        receipt = await download(
            CachedSource(cached),
            place.gathering(f"cache:{cached.sha256}"),
            connections=1,
            expected_checksum=f"sha256:{cached.sha256}",
            expected_bytes=request.size_bytes,
            max_bytes=self._max_bytes,
            names=names,
            meter=meter,
            overwrite=place.if_exists == "overwrite",
        )
        mime_type = cached.about.get("mime_type")
        return DownloadedFile.of(receipt, mime_type, request.checksum, from_cache=True)

    @asynccontextmanager
    async def _cached(self, request: DownloadRequest) -> AsyncIterator[CachedFile | None]:
        """Find the file in the cache; what it can't tell is as if it were not there."""
        found = None
        if self._cache is not None:
            key = request.cache_key
            try:
                found = None if key is None else await self._cache.open(key)
            except errors.HaulierError as error:
                _log.warning("the cache can't be read: %s", error.message)
        if found is None:
            yield None
            return
        with found.file:
            yield found

    async def _forget(self, request: DownloadRequest, cached: CachedFile) -> None:
        assert self._cache is not None
        await self._cache.remove(f"sha256:{cached.sha256}")
        if request.key is not None:
            await self._cache.remove(request.key)

    async def _keep(
        self, request: DownloadRequest, receipt: DownloadReceipt, facts: LinkFacts
    ) -> None:
        if self._cache is None or (request.key is None and request.cache_key is None):
            return
        about = {"name": facts.name}
        if facts.mime_type is not None:
            about["mime_type"] = facts.mime_type
        try:
            await self._cache.put(receipt.path, key=request.key, about=about)
        except errors.HaulierError as error:
            # The file is there, which is what was asked for.
            _log.warning("not kept in the cache: %s", error.message)
