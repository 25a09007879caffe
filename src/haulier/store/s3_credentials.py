"""Where S3 credentials come from: handed in, or botocore's chain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haulier import errors
from haulier.store.s3_signing import Keys

if TYPE_CHECKING:
    from botocore.credentials import Credentials


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
    """The keys handed in, or credentials of botocore's chain: looked up at first use and
    refreshed when they near their end."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._found: Credentials | None = None
        self._lock = asyncio.Lock()

    async def keys(self) -> Keys:
        """Return keys that are good now; raises AccessDenied when there are none.

        The chain and a refresh may read files and ask servers, so they run in a thread.
        """
        if self._access.access_key_id is not None:
            return self.keys_now()
        async with self._lock:
            return await asyncio.to_thread(self.keys_now)

    def keys_now(self) -> Keys:
        """Return keys like `keys`, blocking meanwhile."""
        access = self._access
        if access.access_key_id is None:
            return self._keys_of_chain()
        if access.secret_access_key is None:
            raise errors.AccessDenied("AWS_ACCESS_KEY_ID has no AWS_SECRET_ACCESS_KEY")
        return Keys(
            access_key_id=access.access_key_id,
            secret_access_key=access.secret_access_key,
            session_token=access.session_token,
        )

    def _keys_of_chain(self) -> Keys:
        from botocore.exceptions import BotoCoreError

        if self._found is None:
            self._found = _find()
        try:
            frozen = self._found.get_frozen_credentials()
        except BotoCoreError as exc:
            raise errors.AccessDenied(f"the S3 credentials can't be refreshed: {exc}") from exc
        return Keys(
            access_key_id=frozen.access_key,
            secret_access_key=frozen.secret_key,
            session_token=frozen.token,
        )


def _find() -> Credentials:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

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
