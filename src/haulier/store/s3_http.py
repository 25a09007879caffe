"""Requests to S3 over aiohttp: addressed, signed, sent, and their answers told apart.

Bodies of parts go out as they lie in memory, piece by piece, never joined. No retry here,
but for one: an answer that names the bucket's true region is followed once.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import aiohttp
import yarl

from haulier import errors
from haulier.store.s3_bodies import BufferBody, StreamBody
from haulier.store.s3_credentials import CredentialSource, S3Access
from haulier.store.s3_errors import Rejection, error_of, error_of_connection
from haulier.store.s3_signing import payload_hash, signed_headers, signed_link

_log = logging.getLogger(__name__)
CONNECT_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 16 << 20

Body = BufferBody | StreamBody


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer that said yes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Http:
    """One bucket's address, keys and connections. Usable in one event loop at a time."""

    def __init__(self, bucket: str, access: S3Access) -> None:
        if access.endpoint_url is not None:
            _check_endpoint(access.endpoint_url)
        self.bucket = bucket
        self.access = access
        self.region = access.region
        self._credentials = CredentialSource(access)
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close every connection; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
        missing: type[errors.StoreError] = errors.NoSuchObject,
    ) -> Answer:
        """Send a request and return its whole answer.

        `missing` is what a 404 without an error code means here. Raises the error that the
        store's answer means, ConnectionLost and TimedOut when there is none.
        """
        response = await self.open(
            method, key, query=query, headers=headers, body=body, missing=missing
        )
        async with response:
            whole = await self._read(response, self.what(method, key))
        return Answer(response.status, response.headers, whole)

    async def open(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
        missing: type[errors.StoreError] = errors.NoSuchObject,
    ) -> aiohttp.ClientResponse:
        """Send a request like `send` and return its answer with the body still to be read."""
        what = self.what(method, key)
        query, headers = query or {}, headers or {}
        for is_last in (False, True):
            with self.connection_errors(what):
                response = await self._attempt(method, key, query, headers, body)
            _log.debug(
                "%r %r: %d, request id %r",
                what, dict(query), response.status, response.headers.get("x-amz-request-id", ""),
            )  # fmt: skip
            if response.status < 300:
                return response
            async with response:
                text = await self._read(response, what)
            rejection = Rejection.read(response.status, response.headers, text)
            if is_last or rejection.region in {None, self.region}:
                break
            self.region = rejection.region
        condition = next((name for name in ("If-Match", "If-None-Match") if name in headers), None)
        raise error_of(rejection, response.headers, what=what, condition=condition, missing=missing)

    async def pieces(
        self, response: aiohttp.ClientResponse, what: str, *, piece_bytes: int
    ) -> AsyncIterator[bytes]:
        """Yield the body as it comes in, in pieces of at most `piece_bytes`."""
        while True:
            with self.connection_errors(what):
                piece = await response.content.read(piece_bytes)
            if not piece:
                return
            yield piece

    @contextmanager
    def connection_errors(self, what: str) -> Iterator[None]:
        """Turn the transport's failures inside the block into ours."""
        try:
            yield
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            raise error_of_connection(exc, what=what, stall_s=self.access.stall_s) from exc

    def what(self, method: str, key: str) -> str:
        """Name a request for messages."""
        return f"{method} s3://{self.bucket}/{key}"

    def url(self, key: str = "", query: Mapping[str, str] | None = None) -> str:
        """Return the address of `key`, or of the bucket, every odd character escaped."""
        endpoint = self.access.endpoint_url
        path = quote(key, safe="/~")
        if endpoint is not None:
            base = f"{endpoint.rstrip('/')}/{self.bucket}"
        elif "." in self.bucket:  # a wildcard certificate covers one label only
            base = f"https://{self._amazon_host()}/{self.bucket}"
        else:
            base = f"https://{self.bucket}.{self._amazon_host()}"
        pairs = (
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted((query or {}).items())
        )
        text = "&".join(pairs)
        if not key and endpoint is not None:
            return f"{base}?{text}" if text else base
        return f"{base}/{path}" + (f"?{text}" if text else "")

    def sign_url(self, key: str, *, expires_s: int, query: Mapping[str, str]) -> str:
        """Return a URL by which anybody can GET `key` for `expires_s` seconds."""
        keys = self._credentials.keys_now()
        return signed_link(
            self.url(key), keys=keys, region=self.region, expires_s=expires_s, query=query
        )

    def _amazon_host(self) -> str:
        top = "com.cn" if self.region.startswith("cn-") else "com"
        return f"s3.{self.region}.amazonaws.{top}"

    async def _attempt(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | Body,
    ) -> aiohttp.ClientResponse:
        url = self.url(key, query)
        signed = await self._signed(method, url, headers, body)
        if isinstance(body, bytes) and method in {"PUT", "POST"}:
            body = BufferBody([body], len(body), stall_s=self.access.stall_s)
        return await self._open_session().request(
            method,
            yarl.URL(url, encoded=True),
            headers=signed,
            data=body or None,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "User-Agent"),
        )

    async def _signed(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body
    ) -> dict[str, str]:
        """Return the headers with a signature; the bytes of parts are not signed over.

        They carry a checksum of their own, and hashing them once more with SHA-256 would
        cost more than sending them.
        """
        signed = signed_headers(
            method,
            url,
            headers,
            keys=await self._credentials.keys(),
            region=self.region,
            payload=payload_hash(body) if isinstance(body, bytes) else body.payload,
        )
        return {**signed, "Accept-Encoding": "identity"}

    async def _read(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        body = bytearray()
        async for piece in self.pieces(response, what, piece_bytes=1 << 20):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise errors.RequestRejected(f"{what}: the answer is longer than any should be")
        return bytes(body)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            stall_s = self.access.stall_s
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self.access.connections, keepalive_timeout=30, ttl_dns_cache=60
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=stall_s
                ),
                auto_decompress=False,
                read_bufsize=1 << 20,
                cookie_jar=aiohttp.DummyCookieJar(),
                requote_redirect_url=False,
            )
        return self._session


def _check_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise errors.ConfigurationError(
            f"AWS_ENDPOINT_URL {url!r} is not an address", hint="It reads http(s)://host[:port]."
        )
