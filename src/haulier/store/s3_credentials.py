"""Where S3 credentials come from: handed in, or botocore's chain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from haulier import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How an S3 endpoint is reached.

    `endpoint_url` None means Amazon's own. Without keys botocore's chain is asked
    (environment, shared files, single sign-on, instance roles). `stall_s`: seconds without
    any byte moving after which a request is given up. `connections`: at most this many at once.
    """

    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    stall_s: float = 60.0
    connections: int = 32


class CredentialSource:
    """Credentials looked up at first use and refreshed when they near their end."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._found: Credentials | None = None
        self._lock = asyncio.Lock()

    async def frozen(self) -> ReadOnlyCredentials:
        """Return keys that are good now; raises AccessDenied when there are none.

        The chain and a refresh may read files and ask servers, so they run in a thread.
        """
        if self._access.access_key_id is None or _needs_refresh(self._found):
            async with self._lock:
                return await asyncio.to_thread(self.frozen_now)
        return self.frozen_now()

    def frozen_now(self) -> ReadOnlyCredentials:
        """Return keys like `frozen`, blocking meanwhile."""
        if self._found is None:
            self._found = self._find()
        try:
            return self._found.get_frozen_credentials()
        except BotoCoreError as exc:
            raise errors.AccessDenied(f"the S3 credentials can't be refreshed: {exc}") from exc

    def _find(self) -> Credentials:
        access = self._access
        if access.access_key_id is not None:
            if access.secret_access_key is None:
                raise errors.AccessDenied("AWS_ACCESS_KEY_ID has no AWS_SECRET_ACCESS_KEY")
            return Credentials(access.access_key_id, access.secret_access_key, access.session_token)
        try:
            found = Session().get_credentials()
        except BotoCoreError as exc:
            raise errors.AccessDenied(f"the S3 credentials can't be read: {exc}") from exc
        if found is None:
            raise errors.AccessDenied(
                "there are no S3 credentials",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`.",
            )
        return found


def _needs_refresh(found: Credentials | None) -> bool:
    return isinstance(found, RefreshableCredentials) and found.refresh_needed()
