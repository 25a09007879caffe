"""Requests that are sent on: what goes along to where, and what stays behind."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from urllib.parse import SplitResult, urlsplit

from haulier import errors
from haulier.net.links import encoded, printable

Body = bytes | Callable[[], AsyncIterable[bytes | memoryview]]
"""What is sent along: all of it, or what makes it piece by piece, afresh for each hop."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
LINK_HINT = "Check the link; what it leads to is gone or was never there."

# Sent on to another host; anything else may be meant for the first one's eyes only.
_SHARED_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "user-agent",
    }
)


class Hop:
    """One request of a chain of redirects."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: Body | None) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body

    def followed(self, status: int, came_from: str, target: str) -> Hop:
        """Return the request that a redirect asks for."""
        import yarl

        try:
            url = str(yarl.URL(came_from, encoded=True).join(encoded(target)))
        except ValueError:
            raise errors.AddressRefused(
                f"{printable(came_from)} redirects to a malformed link", hint=LINK_HINT
            ) from None
        headers = self.headers
        if not keeps_secrets(urlsplit(came_from), urlsplit(url)):
            headers = {k: v for k, v in headers.items() if k.lower() in _SHARED_HEADERS}
        to_get = status == 303 and self.method != "HEAD"
        if to_get or (status in {301, 302} and self.method == "POST"):
            return Hop("GET", url, headers, None)
        return Hop(self.method, url, headers, self.body)


def keeps_secrets(old: SplitResult, new: SplitResult) -> bool:
    """Whether two URLs are of one server, or of the same host gone from http to https."""
    if old.hostname != new.hostname:
        return False
    if (old.scheme, new.scheme) == ("http", "https"):
        return old.port in {None, 80} and new.port in {None, 443}
    return old.scheme == new.scheme and old.port == new.port
