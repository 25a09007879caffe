"""What is done for a request of a chat: fetched, made fit, sent, told; safe to be done twice."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import OperationFilter
from haulier.core.chat_names import quoted
from haulier.core.chat_requests import ChatRequest, Preferences
from haulier.core.jobs import Job
from haulier.core.records import OperationRecord, OperationStatus
from haulier.core.units import format_size
from haulier.jobs.chat_desk import KIND, ChatDesk
from haulier.jobs.kinds import Done, JobKind
from haulier.journeys.delivery.ledger import TYPE
from haulier.journeys.delivery.manager import UploadManager
from haulier.journeys.delivery.rooms import PRIVATE, mark_kept
from haulier.store.local_files import sync_directory
from haulier.transfer.advice import advice
from haulier.transfer.processors import BaseUploadProcessor, StatusLine, UploadResult, counted
from haulier.transfer.sites import FetchedLink, SiteDownloader

_FETCHED = "fetched.json"
_SPOILER = "SPOILER_"
_HOPELESS = (
    errors.AddressRefused, errors.UnsupportedMedia, errors.FileSizeError, errors.AccessDenied,
    errors.NoSuchObject, errors.MissingProgram, errors.ChatError, errors.UsageError,
    errors.TimedOut,
)  # fmt: skip

Contexts = Callable[[ChatRequest], Awaitable[Any]]
"""Returns where a request's answer goes, as its platform's processor takes it."""
Managers = Callable[[Preferences], UploadManager]


class ChatWork:
    """Does requests.

    Args:
        desk: where they are stopped.
        catalog: where deliveries are recorded.
        root: a directory for each request goes here.
        sites: fetches links.
        managers: makes what delivers, as somebody likes it.
        preferences: returns what somebody likes, by `ChatRequest.subject`.
        contexts: for each platform.
        processors: for each platform; they deliver and show the status message.
    """

    def __init__(
        self,
        *,
        desk: ChatDesk,
        catalog: Catalog,
        root: Path,
        sites: SiteDownloader,
        managers: Managers,
        preferences: Callable[[str], Preferences],
        contexts: dict[str, Contexts],
        processors: dict[str, BaseUploadProcessor],
    ) -> None:
        self._desk = desk
        self._catalog = catalog
        self._root = root
        self._sites = sites
        self._managers = managers
        self._preferences = preferences
        self._contexts = contexts
        self._processors = processors

    def kind(self, at_once: int) -> JobKind:
        """Return the kind of job, of which so many are done at once, and one for each person."""
        return JobKind(
            name=KIND, run=self._run, hopeless=_HOPELESS, at_once=at_once, at_once_of_subject=1
        )

    async def _run(self, job: Job) -> Done:
        request = ChatRequest.from_json(job.payload)
        ctx = await self._contexts[request.platform](request)
        status = self._processors[request.platform].status_line(ctx)
        work = asyncio.create_task(self._answer(request, ctx, status))
        try:
            if await self._desk.while_running(job.job_id, work):
                await asyncio.to_thread(shutil.rmtree, self._folder(request), ignore_errors=True)
                await status.tell("Cancelled.", at_once=True)
                return Done(result={"cancelled": True})
        except errors.HaulierError as error:
            is_last = isinstance(error, _HOPELESS) or job.attempts >= job.max_attempts
            again = "" if is_last else " It is tried again."
            await status.tell(f"Failed: {_told(error)}{again}", at_once=True)
            await asyncio.to_thread(mark_kept, self._folder(request))
            raise
        return Done(result=work.result())

    async def _answer(self, request: ChatRequest, ctx: Any, status: StatusLine) -> dict[str, Any]:
        folder = self._folder(request)
        delivered = await self._delivered(folder, request)
        if delivered is not None:  # and only that was not noted
            return _outcome(delivered)
        fetched = await self._fetch(request, folder, status)
        if not request.upload:
            await asyncio.to_thread(mark_kept, folder)
            await status.tell(_kept(fetched), at_once=True)
            return {"files": [path.name for path in fetched.files]}
        preferences = self._preferences(request.subject)
        heard = _Heard(status)
        async with self._managers(preferences) as manager:
            manager.register_processor(
                request.platform, _Quiet(self._processors[request.platform], heard)
            )
            result = await manager.process_downloaded_files(folder, ctx, request.platform)
        await self._tell_end(request, preferences, result, heard, fetched)
        operation = await self._delivered(folder, request, ended=False)
        return {} if operation is None else _outcome(operation)

    async def _tell_end(
        self,
        request: ChatRequest,
        preferences: Preferences,
        result: UploadResult,
        status: _Heard,
        fetched: FetchedLink,
    ) -> None:
        """Add to the last words what went wrong or was left out, and who wants to know."""
        lines = [status.last, result.error or "", _cut(fetched)]
        if preferences.notify:
            lines.append(f"<@{request.user_id}>")
        await status.tell("\n".join(line for line in lines if line), at_once=True)

    def _folder(self, request: ChatRequest) -> Path:
        return self._root / f"{request.user_id}_{request.message_id}"

    async def _delivered(
        self, folder: Path, request: ChatRequest, *, ended: bool = True
    ) -> OperationRecord | None:
        """Return the delivery of a request; one that `ended` well, or the last in any state."""
        wanted = OperationFilter(operation_type=TYPE, name=folder.name)
        for operation in (await self._catalog.list_operations(wanted)).items:
            is_this = operation.target_path == str(folder.absolute())
            if not is_this or operation.metadata.get("place") != request.place_id:
                continue
            if not ended or operation.status is OperationStatus.SUCCESS:
                return operation
        return None

    async def _fetch(self, request: ChatRequest, folder: Path, status: StatusLine) -> FetchedLink:
        """Fetch what the request is for, unless an earlier run did."""
        note = folder / PRIVATE / _FETCHED
        if note.exists():
            kept = json.loads(note.read_text(encoding="utf-8"))
            files = tuple(folder / name for name in kept["files"])
            return FetchedLink(
                url=request.url,
                strategy=kept["strategy"],
                files=files,
                is_cut=kept.get("is_cut", False),
            )
        # What lies there without the note is of a run that died while it fetched.
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await status.tell("Fetching…", at_once=True)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        fetched = await self._sites.fetch(request.url, folder)
        if request.spoiler:
            files = tuple(
                path.rename(path.with_name(_SPOILER + path.name)) for path in fetched.files
            )
            fetched = dataclasses.replace(fetched, files=files)
        await asyncio.to_thread(_note, note, fetched)
        return fetched


class _Heard:
    """A status line that knows what was told last."""

    def __init__(self, inner: StatusLine) -> None:
        self._inner = inner
        self.last = ""

    async def tell(self, text: str, *, at_once: bool = False) -> None:
        self.last = text
        await self._inner.tell(text, at_once=at_once)


class _Quiet(BaseUploadProcessor):
    """A processor whose status message is the one that is there already."""

    def __init__(self, inner: BaseUploadProcessor, status: StatusLine) -> None:
        self._inner = inner
        self._status = status

    async def upload_files(self, *arguments: Any, **more: Any) -> UploadResult:
        return await self._inner.upload_files(*arguments, **more)

    async def deliver(self, *arguments: Any, **more: Any) -> UploadResult:
        return await self._inner.deliver(*arguments, **more)

    def limit_bytes(self, ctx: Any) -> int | None:
        return self._inner.limit_bytes(ctx)

    def place_of(self, ctx: Any) -> str | None:
        return self._inner.place_of(ctx)

    def status_line(self, ctx: Any) -> StatusLine:
        del ctx
        return self._status


def _note(note: Path, fetched: FetchedLink) -> None:
    """Note durably that everything is there."""
    note.parent.mkdir(mode=0o700, exist_ok=True)
    names = [path.name for path in fetched.files]
    told = {"strategy": fetched.strategy, "files": names, "is_cut": fetched.is_cut}
    new = note.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(note)
    sync_directory(note.parent)


def _outcome(operation: OperationRecord) -> dict[str, Any]:
    sent = [one.get("message_id") for one in operation.metadata.get("consignments", [])]
    return {
        "operation_id": operation.operation_id,
        "messages": [message_id for message_id in sent if message_id],
        "links": operation.metadata.get("links", []),
    }


def _kept(fetched: FetchedLink) -> str:
    lines = [f"Fetched {counted(len(fetched.files))} by {fetched.strategy}; not uploaded."]
    lines += [f"{quoted(path.name)} ({format_size(path.stat().st_size)})" for path in fetched.files]
    return "\n".join(line for line in [*lines, _cut(fetched)] if line)


def _cut(fetched: FetchedLink) -> str:
    count = len(fetched.files)
    return (
        f"Of one link {counted(count)} are taken; what follows was left out."
        if fetched.is_cut
        else ""
    )


def _told(error: errors.HaulierError) -> str:
    """Return what people are told; the words of what fetches links have no inner paths."""
    of_links = (
        errors.AddressRefused, errors.FileSizeError, errors.AccessDenied, errors.NoSuchObject,
        errors.UnsupportedMedia, errors.TimedOut, errors.ServiceFault, errors.ConnectionLost,
    )  # fmt: skip
    if isinstance(error, of_links):
        return f"{error.message}. {error.hint or ''}".strip()
    return advice(error)
