"""The MAX bot API: requests, answers, and keeping to its limits.

The bot's token is known to the client of the API alone. Uploads and downloads go through another
one (`transfers`), which never has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit

import stamina

from haulier import errors
from haulier.max import answers
from haulier.max.api import ApiConnection, Retries
from haulier.max.models import Message, Update, UpdatePage, VideoDetails
from haulier.max.outgoing import Outgoing, To, message_body
from haulier.max.pacing import Pace, Paces
from haulier.max.reading import Json, number, record, records, text
from haulier.max.upload_types import UploadSlot, UploadType
from haulier.net.guard import AddressGuard
from haulier.net.http import HttpClient

T = TypeVar("T")

API_URL = "https://platform-api2.max.ru"
REQUESTS_PER_S = 30
MESSAGES_PER_S = 2
POLL_TIMEOUT_S = 30
TRANSFER_STALL_S = 120.0
_WINDOW_S = 1.025  # requests do not all take equally long to get there
_READY_ATTEMPTS = 1000
_READY_WAIT_INITIAL_S = 0.5
_READY_WAIT_MAX_S = 5.0
_READY_JITTER_S = 0.5
_SECRET = re.compile(r"[\w-]{5,256}", re.ASCII)


class MaxClient:
    """A bot of MAX. Usable in one event loop; close it, or use `async with`.

    Args:
        token: the bot's token.
        api_url: where the API is.
        ca_file: certificates (PEM) that are trusted besides the system's, for the API's host
            alone.
        guard: decides which addresses may be asked; public ones and the API's own host when left
            out.
        retries: of what may work the second time.
        requests_per_s: to the API.
        messages_per_s: to one chat.
        stall_timeout_s: how long a transfer may stand still, and the answer to its end take.
        clock: seconds that never jump.
        sleep: waits a number of seconds.

    Raises:
        ConfigurationError: the token can't be one, or `ca_file` can't be read.
    """

    def __init__(
        self,
        token: str,
        *,
        api_url: str = API_URL,
        ca_file: Path | None = None,
        guard: AddressGuard | None = None,
        retries: Retries | None = None,
        requests_per_s: int = REQUESTS_PER_S,
        messages_per_s: int = MESSAGES_PER_S,
        stall_timeout_s: float = TRANSFER_STALL_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.bot_id = hashlib.sha256(f"{self.api_url} {token}".encode()).hexdigest()[:16]
        """Tells bots apart, without the token."""
        self.retries = retries or Retries()
        guard = guard or AddressGuard([urlsplit(self.api_url).hostname or ""])
        self._api = ApiConnection(
            token,
            url=self.api_url,
            guard=guard,
            ca_file=ca_file,
            retries=self.retries,
            pace=Pace(
                requests_per_s,
                _WINDOW_S,
                kept=min(messages_per_s, requests_per_s // 2),
                clock=clock,
                sleep=sleep,
            ),
        )
        self.transfers = HttpClient(guard=guard, stall_timeout_s=stall_timeout_s)
        """Connections to the hosts of files. They never see the token."""
        self._chats = Paces(lambda: Pace(messages_per_s, _WINDOW_S, clock=clock, sleep=sleep))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; a later request opens new ones."""
        await self._api.aclose()
        await self.transfers.aclose()

    async def get_upload_url(self, type_: UploadType | str) -> UploadSlot:
        """Return where one file of a type may be sent to.

        Args:
            type_: `image`, `video`, `audio` or `file`.

        Raises:
            UsageError: there is no such type. Others: as every request of the API.
        """
        kind = UploadType.of(type_)
        values = await self._api.ask("POST", "/uploads", {"type": kind})
        url = text(values, "url")
        if url is None:
            raise errors.ServiceFault("POST /uploads: the answer names no URL")
        if self.api_url.startswith("https:") and url.startswith("http:"):
            url = "https" + url.removeprefix("http")
        return UploadSlot(type=kind, url=url, token=text(values, "token"))

    async def send_message(
        self,
        to: int | To,
        text: str | None = None,
        *,
        attachments: Sequence[Outgoing] = (),
        text_format: str | None = None,
        notify: bool = True,
        reply_to: str | None = None,
        forward: str | None = None,
        ready_within_s: float = 60.0,
    ) -> Message:
        """Send a message, once.

        It is tried again only where it was surely not taken: refused for now (429, an attachment
        that is not ready), or never begun to be sent.

        Args:
            to: a chat's id, or `To`.
            text: at most 4,000 characters.
            attachments: up to 12 images and videos, or one of another type.
            text_format: `markdown` or `html`.
            notify: false: silently; channels refuse that.
            reply_to: the id of the message that it answers.
            forward: the id of the message that it passes on.
            ready_within_s: how long to wait for attachments that MAX still processes.

        Raises:
            UsageError: MAX would refuse it.
            MessageUncertain: the answer was lost; it may have been sent.
            AttachmentNotReady: still not, after that time.
            AttachmentRefused: a token is not valid. ChatDenied, ChatNotFound, BadBotToken,
            ChatError: as MAX told. Transient: MAX can't be reached.
        """
        where = To.of(to)
        body = message_body(
            text,
            attachments or None,
            text_format=text_format,
            notify=notify,
            reply_to=reply_to,
            forward=forward,
        )
        values = await self._until_ready(lambda: self._post_message(where, body), ready_within_s)
        return Message.of(record(values, "message"))

    async def _post_message(self, where: To, body: Json) -> Json:
        begun = False

        def begin() -> None:
            nonlocal begun
            begun = True

        await self._chats.take(where)
        try:
            return await self._api.ask_once(
                "POST", "/messages", where.query(), body, begin=begin, goes_first=True
            )
        except (errors.AttachmentNotReady, errors.RateLimited):
            raise
        except errors.Transient as error:
            if not begun:
                raise
            raise errors.MessageUncertain(
                f"a message to {where} may have been sent or not: {error.message}"
            ) from error

    async def edit_message(
        self,
        mid: str,
        text: str | None = None,
        *,
        attachments: Sequence[Outgoing] | None = None,
        text_format: str | None = None,
        notify: bool = True,
        ready_within_s: float = 60.0,
    ) -> None:
        """Change a message. Attachments stay as they are unless given; an empty list removes them.

        Raises:
            As `send_message`, but that a repeated change does no harm: nothing is uncertain.
        """
        body = message_body(text, attachments, text_format=text_format, notify=notify)

        async def work() -> Json:
            await self._chats.take(mid)
            values = await self._api.ask_once(
                "PUT", "/messages", {"message_id": mid}, body, goes_first=True
            )
            answers.confirmed(values, "PUT /messages")
            return values

        await self._until_ready(work, ready_within_s)

    async def _until_ready(self, work: Callable[[], Awaitable[Json]], within_s: float) -> Json:
        """Call `work` until its attachments are ready, or the time is up."""
        wait = stamina.AsyncRetryingCaller(
            attempts=_READY_ATTEMPTS,
            timeout=within_s,
            wait_initial=min(_READY_WAIT_INITIAL_S, self.retries.wait_max_s),
            wait_max=min(_READY_WAIT_MAX_S, self.retries.wait_max_s),
            wait_jitter=_READY_JITTER_S,
        )
        return await wait(errors.AttachmentNotReady, self._until_taken, work)

    async def _until_taken(self, work: Callable[[], Awaitable[Json]]) -> Json:
        """Call `work` until MAX answers; what is not ready is an answer, and not tried again."""
        not_ready: errors.AttachmentNotReady | None = None

        async def attempt() -> Json:
            nonlocal not_ready
            try:
                return await work()
            except errors.AttachmentNotReady as error:
                not_ready = error
                return {}

        values = await self.retries.run(attempt)
        if not_ready is not None:
            raise not_ready
        return values

    async def delete_message(self, mid: str) -> None:
        """Remove a message; as every request of the API, and ChatError when MAX will not."""
        values = await self._api.ask("DELETE", "/messages", {"message_id": mid})
        answers.confirmed(values, "DELETE /messages")

    async def get_message(self, mid: str) -> Message:
        """Return a message. Raises ChatNotFound when there is none."""
        return Message.of(await self._api.ask("GET", f"/messages/{quote(mid, safe='')}"))

    async def get_messages(
        self,
        chat_id: int | None = None,
        *,
        mids: Sequence[str] = (),
        before_ms: int | None = None,
        after_ms: int | None = None,
        count: int = 50,
    ) -> list[Message]:
        """Return messages of a chat, newest first, or those with the ids given.

        Args:
            chat_id: the chat.
            mids: ids of messages, instead of a chat.
            before_ms: only older ones, in milliseconds since 1970.
            after_ms: only newer ones.
            count: at most so many, 1 to 100.
        """
        if (chat_id is None) == (not mids) or not 1 <= count <= 100:
            raise errors.UsageError(
                "messages are asked for by a chat or by ids, 1 to 100 at once",
                hint="Give chat_id, or mids.",
            )
        query = {"chat_id": chat_id, "before": before_ms, "after": after_ms, "count": count}
        given = {name: str(value) for name, value in query.items() if value is not None}
        if mids:
            given["message_ids"] = ",".join(mids)
        values = await self._api.ask("GET", "/messages", given)
        return [Message.of(each) for each in records(values, "messages")]

    async def get_video_details(self, token: str) -> VideoDetails:
        """Return where a video can be watched; tolerant of all that MAX leaves out.

        Raises:
            ChatNotFound: there is no such video. Others: as every request of the API.
        """
        if not re.fullmatch(r"[\w-]+", token, re.ASCII):
            raise errors.UsageError("this is no token of a video", hint="Give its `token`.")
        return VideoDetails.of(await self._api.ask("GET", f"/videos/{token}"), token)

    async def send_action(self, chat_id: int, action: str) -> None:
        """Show in a chat what the bot does, for example `sending_file` or `typing_on`."""
        values = await self._api.ask("POST", f"/chats/{chat_id}/actions", body={"action": action})
        answers.confirmed(values, "POST /chats/…/actions")

    async def get_updates(
        self,
        marker: int | None = None,
        *,
        limit: int = 100,
        timeout_s: int = POLL_TIMEOUT_S,
        types: Sequence[str] = (),
    ) -> UpdatePage:
        """Wait for what happens next.

        Args:
            marker: of the last page. Passing it on says that all before it is dealt with.
            limit: at most so many updates, 1 to 1,000.
            timeout_s: how long MAX may wait for one, 0 to 90.
            types: only these, for example `message_created`.
        """
        if not 1 <= limit <= 1000 or not 0 <= timeout_s <= 90:
            raise errors.UsageError("limit is 1 to 1000, timeout_s 0 to 90")
        query = {"limit": str(limit), "timeout": str(timeout_s)}
        if marker is not None:
            query["marker"] = str(marker)
        if types:
            query["types"] = ",".join(types)
        values = await self._api.ask("GET", "/updates", query, is_poll=True)
        updates = tuple(Update.of(each) for each in records(values, "updates"))
        return UpdatePage(updates=updates, marker=number(values, "marker"))

    async def subscribe(
        self, url: str, *, secret: str | None = None, types: Sequence[str] = ()
    ) -> None:
        """Have updates sent to a webhook; polling ends then.

        Args:
            url: `https://…`, on port 443, with a certificate that is trusted everywhere.
            secret: what MAX proves itself with: 5 to 256 letters, digits, `_`, `-`.
            types: only these updates.

        Raises:
            UsageError: the URL or the secret can't be. Others: as every request of the API.
        """
        if not url.startswith("https://"):
            raise errors.UsageError("a webhook is an https:// URL", hint="Use TLS on port 443.")
        if secret is not None and not _SECRET.fullmatch(secret):
            raise errors.UsageError("a webhook's secret has 5 to 256 letters, digits, _ and -")
        body: Json = {"url": url}
        if secret is not None:
            body["secret"] = secret
        if types:
            body["update_types"] = list(types)
        values = await self._api.ask("POST", "/subscriptions", body=body)
        answers.confirmed(values, "POST /subscriptions")

    async def unsubscribe(self, url: str) -> None:
        """End a webhook."""
        values = await self._api.ask("DELETE", "/subscriptions", {"url": url})
        answers.confirmed(values, "DELETE /subscriptions")

    async def subscriptions(self) -> list[str]:
        """Return the URLs of the bot's webhooks."""
        values = await self._api.ask("GET", "/subscriptions")
        return [url for each in records(values, "subscriptions") if (url := text(each, "url"))]
