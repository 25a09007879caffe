"""Worker processes in which untrusted files are decoded.

A codec that crashes, hangs or asks for too much memory then costs one file and not the service.
The processes are plain subprocesses and not multiprocessing's: those import the caller's main
module again, and are refused to daemonic processes such as Celery's. What crosses the border is
JSON, so a worker that was taken over can send back data at worst, never code.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from haulier import errors

LENGTH = struct.Struct("!I")
_MOST_BYTES = 64 << 20
_TASKS_PER_PROCESS = 200
_COMPLAINT_CHARS = 300
_DYING_S = 1
# Tokens and keys stay behind.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")


class Workers:
    """A pool of processes for decoding; an async context manager.

    Processes start when first needed and serve many tasks, one at a time; one that crashed, ran
    over its time or was cancelled is killed and replaced.

    Args:
        count: most processes at once.
        memory_bytes: address space that each may take.
    """

    def __init__(self, *, count: int = 2, memory_bytes: int = 2 << 30) -> None:
        self._memory_bytes = memory_bytes
        self._slots = asyncio.Semaphore(count)
        self._idle: list[_Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the idle processes; those at work end with their task."""
        while self._idle:
            await self._idle.pop().kill()

    async def run(
        self,
        task: Callable[..., dict[str, Any]],
        /,
        *,
        name: str,
        timeout_s: float = 30,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Run `task(**arguments)` in a worker process.

        Args:
            task: a module-level function of haulier; it gets and returns what JSON
                can carry.
            name: what messages call the file.
            timeout_s: seconds the task may take.
            **arguments: the task's keyword arguments.

        Raises:
            MediaError: as the task raised it.
            UnreadableMedia: the task failed otherwise, or its process crashed.
            MediaTooDemanding: it took longer than `timeout_s` or more memory than allowed.
        """
        request = json.dumps(
            {"task": f"{task.__module__}:{task.__qualname__}", "arguments": arguments}
        ).encode()
        async with self._slots:
            worker = self._idle.pop() if self._idle else await _Worker.start(self._memory_bytes)
            kept = False
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await worker.ask(request)
                kept = worker.served < _TASKS_PER_PROCESS
            except TimeoutError:
                raise errors.MediaTooDemanding(
                    f"{name} took longer than {timeout_s:g} s to read"
                ) from None
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await worker.end()
                raise errors.UnreadableMedia(f"{name}: {worker.how_it_ended()}") from None
            finally:
                if kept:
                    self._idle.append(worker)
                else:
                    await worker.kill()
        return _result_of(reply, name)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.served = 0

    @classmethod
    async def start(cls, memory_bytes: int) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "haulier.media.worker", str(memory_bytes)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
        return cls(process)

    async def ask(self, request: bytes) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self.served += 1
        stdin.write(LENGTH.pack(len(request)) + request)
        await stdin.drain()
        (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
        if length > _MOST_BYTES:
            raise ValueError(length)
        reply = json.loads(await stdout.readexactly(length))
        if not isinstance(reply, dict):
            raise ValueError(reply)  # noqa: TRY004  # a malformed answer, as any other
        return reply

    async def end(self) -> None:
        """Let it die of what it is dying of, which is told then; kill it where it does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DYING_S):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        # The transport closes when the process is reaped; communicate() drains what is left.
        await self._process.communicate()

    def how_it_ended(self) -> str:
        code = self._process.returncode
        if code is not None and code < 0 and code != -signal.SIGKILL:
            return f"it made the decoder crash ({signal.Signals(-code).name})"
        return "the decoder ended without an answer"


def _result_of(reply: dict[str, Any], name: str) -> dict[str, Any]:
    if isinstance(result := reply.get("result"), dict):
        return result
    message = str(reply.get("message", ""))[:_COMPLAINT_CHARS]
    kind = getattr(errors, str(reply.get("error")), None)
    if isinstance(kind, type) and issubclass(kind, errors.HaulierError):
        hint = reply.get("hint")
        raise kind(message, hint=str(hint)[:_COMPLAINT_CHARS] if hint else None)
    if reply.get("error") == "MemoryError":
        raise errors.MediaTooDemanding(f"{name} needs more memory than a decoder may take")
    raise errors.UnreadableMedia(f"{name} can't be read: {message}")
