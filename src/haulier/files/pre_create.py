"""The hook that is asked before an upload begins, and may refuse it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.core.records import format_time, new_file_id, utc_now
from haulier.core.sessions.session import UploadSession
from haulier.core.webhooks import signed_headers
from haulier.errors import HaulierError, HookUnavailable, UploadRefused
from haulier.net.http import HttpClient

_QUESTION = "upload.requested"
_MOST_ANSWER_BYTES = 64 << 10
_MOST_SHOWN_CHARS = 300
_TRY_AGAIN_AFTER_S = 10
_log = logging.getLogger("haulier.hooks")


class PreCreateHook:
    """Asks a service whether an upload may begin.

    The question is a signed POST, as webhooks are. The answer is 200 with `{"allow": true}`, or
    `{"allow": false, "message": "…"}`, whose message the client is told; all else is no answer.

    Args:
        catalog: where owners are known.
        client: makes the requests.
        url: who is asked.
        secret: what questions are signed with; see `core.webhooks.read_secret`.
        timeout_s: how long is waited for an answer.
        allows_on_error: whether uploads begin when there is none.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Catalog,
        client: HttpClient,
        *,
        url: str,
        secret: str,
        timeout_s: float,
        allows_on_error: bool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._catalog = catalog
        self._client = client
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._allows_on_error = allows_on_error
        self._now = now

    async def ask(self, session: UploadSession) -> None:
        """Make sure that a new upload is wanted; parts of one that is joined later are not asked.

        Raises:
            UploadRefused: it is not, for the reason that is told.
            HookUnavailable: nobody could tell, and that is to stop uploads.
        """
        if session.is_partial:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._answer(session)
        except TimeoutError:
            self._fail(session, f"no answer within {self._timeout_s:g} s")
        except (HaulierError, ValueError, LookupError, TypeError) as exc:
            self._fail(session, exc.message if isinstance(exc, HaulierError) else repr(exc))
        else:
            if not answer["allow"]:
                raise UploadRefused(_shown(answer.get("message")) or "this upload is not wanted")

    async def _answer(self, session: UploadSession) -> dict[str, Any]:
        owner = await self._catalog.read(lambda tx: tx.users.get(session.owner_id))
        now = self._now()
        question = {
            "type": _QUESTION,
            "timestamp": format_time(now),
            "data": {
                "session_id": session.session_id,
                "name": session.name,
                "folder": session.folder or "",
                "size": session.size_bytes,
                "mime_type": session.mime_type,
                "checksum": session.wanted_checksum,
                "tags": dict(session.tags),
                "owner_id": session.owner_id,
                "owner": None if owner is None else owner.name,
            },
        }
        body = json.dumps(question, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            **signed_headers([self._secret], new_file_id(), now, body),
        }
        async with self._client.open("POST", self._url, headers=headers, body=body) as answer:
            told = json.loads(await answer.read(_MOST_ANSWER_BYTES))
        if answer.status != 200 or not isinstance(told["allow"], bool):
            raise ValueError(f"HTTP {answer.status} without an answer")
        return dict(told)

    def _fail(self, session: UploadSession, why: str) -> None:
        _log.warning("the hook could not be asked about an upload: %s", why)
        if not self._allows_on_error:
            raise HookUnavailable(
                f"{session.name} can't be uploaded now: who decides about it does not answer",
                retry_after_s=_TRY_AGAIN_AFTER_S,
            )


def _shown(message: object) -> str:
    """Return what a client may be told: one line of bounded length."""
    if not isinstance(message, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in message).split())[
        :_MOST_SHOWN_CHARS
    ]
