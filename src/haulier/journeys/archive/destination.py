"""Where archives go: a store, a prefix in it, and how to find it again later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

from haulier.store.base import MultipartStore, StoreChecks


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A place that can be named in the journal and opened again; holds no secrets.

    `root` is `s3://bucket`, `https://server` or `file:///path`; `prefix` what every key starts
    with ("" or ending in "/"); `remote` the name in `haulier.toml` whose credentials open
    it, if any.
    """

    root: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    remote: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(**values)

    @property
    def is_bucket(self) -> bool:
        """Whether it is a bucket of S3, which has storage classes and encrypts."""
        return self.root.startswith("s3://")

    @property
    def identity(self) -> str:
        """Tells places apart: the same bucket name at two endpoints is two places."""
        return f"{self.endpoint_url or ''}|{self.root}"


@dataclass(frozen=True, slots=True)
class OpenDestination:
    """A destination with its store, wrapped for retry and throttle, and what the store checks."""

    destination: Destination
    store: MultipartStore
    checks: StoreChecks

    @property
    def directory(self) -> str | None:
        """The directory of a local store; None when it is none."""
        root = urlsplit(self.destination.root)
        return unquote(root.path) if root.scheme == "file" else None

    def url_of(self, key: str) -> str:
        """Return the URL of `key`, for people and records."""
        quoted = key if self.store.scheme == "s3" else quote(key)
        return f"{self.destination.root}/{quoted}"
