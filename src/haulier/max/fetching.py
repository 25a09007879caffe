"""Fetching what was attached to a message: from known hosts, under a safe name, links renewed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from haulier import errors
from haulier.core.file_names import clean_name
from haulier.core.mime import UNKNOWN_TYPE
from haulier.core.progress import Meter
from haulier.core.sniff import HEAD_BYTES, sniff
from haulier.max.client import MaxClient
from haulier.max.models import Attachment
from haulier.transfer.download import DownloadReceipt, download
from haulier.transfer.range_source import HttpRangeSource

MEDIA_HOSTS = ("max.ru", "oneme.ru", "okcdn.ru", "mycdn.me")
"""Where MAX keeps files, subdomains included."""

_ENDINGS = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp",
    "video/mp4": ".mp4", "video/webm": ".webm", "audio/mpeg": ".mp3", "audio/mp4": ".m4a",
    "audio/ogg": ".ogg", "audio/wav": ".wav",
}  # fmt: skip
_EXTENDED = re.compile(r"filename\*\s*=\s*[\w-]+'[\w-]*'([^;]+)", re.IGNORECASE)
_PLAIN = re.compile(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]+))', re.IGNORECASE)


class Fetcher:
    """Fetches attachments.

    Args:
        client: the bot.
        hosts: domains that may be asked, besides the API's own host.
    """

    def __init__(self, client: MaxClient, *, hosts: Collection[str] = MEDIA_HOSTS) -> None:
        self._client = client
        self._hosts = (*hosts, urlsplit(client.api_url).hostname or "")

    async def fetch(
        self,
        attachment: Attachment,
        folder: Path,
        *,
        name: str | None = None,
        mid: str | None = None,
        max_height: int | None = None,
        overwrite: bool = False,
        meter: Meter | None = None,
    ) -> DownloadReceipt:
        """Save an attachment in a directory; see `FileManager.download`."""
        url = await self._url_of(attachment, max_height)
        try:
            return await self._save(attachment, url, folder, name, overwrite, meter)
        except (errors.AccessDenied, errors.NoSuchObject):
            renewed = await self._renewed(attachment, mid)
            if renewed is None:
                raise
            url = await self._url_of(renewed, max_height)
            return await self._save(attachment, url, folder, name, overwrite, meter)

    async def _url_of(self, attachment: Attachment, max_height: int | None) -> str:
        url = attachment.url
        if attachment.type == "video" and attachment.token is not None:
            details = await self._client.get_video_details(attachment.token)
            url = details.rendition(max_height) or url
        if url is None:
            raise errors.UsageError(
                f"the {attachment.type or 'attachment'} has no link to fetch it from",
                hint="Fetch what is image, video, audio or file.",
            )
        host = urlsplit(url).hostname or ""
        if not any(host == known or host.endswith(f".{known}") for known in self._hosts):
            raise errors.AddressRefused(
                f"{host} is no host of MAX", hint="Allow it with `hosts` if it is known to you."
            )
        if self._client.api_url.startswith("https:") and url.startswith("http:"):
            url = "https" + url.removeprefix("http")
        return url

    async def _renewed(self, attachment: Attachment, mid: str | None) -> Attachment | None:
        """Return the attachment with a fresh link; None when nobody knows where to ask."""
        if attachment.type == "video" and attachment.token is not None:
            return attachment
        if mid is None:
            return None
        message = await self._client.get_message(mid)
        for other in message.attachments:
            if other.type == attachment.type and other.token == attachment.token:
                return other
        return None

    async def _save(
        self,
        attachment: Attachment,
        url: str,
        folder: Path,
        name: str | None,
        overwrite: bool,
        meter: Meter | None,
    ) -> DownloadReceipt:
        name = name or attachment.filename or await self._name_at(attachment, url)
        target = folder / clean_name(name)
        # Links differ each time; by its token an interrupted download is recognised.
        source = HttpRangeSource(url, self._client.transfers, name=f"max:{attachment.token or url}")
        receipt = await download(source, target, overwrite=overwrite, meter=meter)
        told = attachment.size_bytes
        if told is not None and told != receipt.size_bytes:
            target.unlink(missing_ok=True)
            raise errors.VerificationFailed(
                f"{target.name} has {receipt.size_bytes} bytes, MAX tells of {told}",
                hint="It was not kept. Fetch it again.",
            )
        return receipt

    async def _name_at(self, attachment: Attachment, url: str) -> str:
        """Return a name for what has none of its own: as its host says, or by its content."""
        async with self._client.transfers.open(
            "GET", url, headers={"Range": f"bytes=0-{HEAD_BYTES - 1}"}
        ) as answer:
            told = disposition_name(answer.headers.get("Content-Disposition"))
            if told is not None:
                return told
            head = b""
            async for piece in answer.pieces():
                head += piece
                if len(head) >= HEAD_BYTES:
                    break
        found = sniff(head[:HEAD_BYTES])
        ending = _ENDINGS.get(found.mime_type if found else UNKNOWN_TYPE, "")
        known = hashlib.sha256((attachment.token or url).encode()).hexdigest()[:12]
        return f"{attachment.type}-{known}{ending}"


def disposition_name(header: str | None) -> str | None:
    """Return the file's name that a Content-Disposition tells; None when it tells none.

    MAX escapes names twice in one of its forms and once in the other.
    """
    if header is None:
        return None
    if (extended := _EXTENDED.search(header)) is not None:
        told = unquote(unquote(extended[1].strip().strip('"')))
    elif (plain := _PLAIN.search(header)) is not None:
        told = unquote(re.sub(r"\\(.)", r"\1", plain[1] or plain[2] or "").strip())
    else:
        return None
    try:
        return clean_name(told)
    except errors.ValidationError:
        return None
