"""The key set of an outside issuer, over HTTP."""

from __future__ import annotations

from haulier.errors import ExternalServiceError

_TIMEOUT_S = 5
_LARGEST_BYTES = 1 << 20


async def fetch_keys(url: str) -> bytes:
    """Return what lies at `url`.

    Raises:
        ExternalServiceError: it can't be read.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            body = await answer.content.read(_LARGEST_BYTES)
            if answer.status == 200 and answer.content.at_eof():
                return body
            why = f"HTTP {answer.status}, {len(body)} bytes"
    except (TimeoutError, aiohttp.ClientError, ValueError) as exc:
        why = type(exc).__name__
    raise ExternalServiceError(
        f"the keys of the tokens' issuer can't be read: {why}", hint="Check JWT_JWKS_URL."
    )
