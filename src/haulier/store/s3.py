"""S3 and everything that speaks like it, as a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import ObjectInfo, StoreChecks
from haulier.store.keys import check_key
from haulier.store.s3_errors import RestoreUnderWay
from haulier.store.s3_multipart import S3Multipart
from haulier.store.s3_probe import probe

MAX_LINK_AGE_S = 7 * 24 * 3600


class S3Store(S3Multipart):
    """The objects of one bucket.

    `checks` are what the endpoint was seen to do (`probe`); the checksum an upload is
    opened with is the one its parts must carry, so hand in the same checks on a resume.
    Where CRC-64/NVME is checked, MD5 would say nothing more and is not asked for.
    Keys are as `check_key` allows. Every method raises AccessDenied, NoSuchBucket,
    RequestRejected, and the kinds of Transient, besides what `base` names.
    """

    async def list_objects(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in the store's order of keys."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        while True:
            answer = await self.http.send("GET", query=query, missing=errors.NoSuchBucket)
            root = s3_xml.parse(answer.body)
            for element in root.iterfind("Contents"):
                yield ObjectInfo(
                    key=s3_xml.key_at(element, "Key"),
                    size_bytes=int(element.findtext("Size", "0")),
                    etag=element.findtext("ETag", "").strip('"') or None,
                    modified_at=s3_xml.time_at(element, "LastModified"),
                    storage_class=s3_xml.text(element, "StorageClass"),
                )
            token = s3_xml.text(root, "NextContinuationToken")
            if not s3_xml.is_truncated(root) or token is None:
                return
            query["continuation-token"] = token

    def sign_get(
        self, key: str, *, expires_s: int, answer_with: Mapping[str, str] | None = None
    ) -> str:
        """Return a URL by which anybody can read `key` for `expires_s` seconds (to 7 days).

        The answer will have the headers `answer_with`.

        Blocks while credentials are looked up, if no request was sent yet. Raises UsageError
        when `expires_s` is out of bounds, AccessDenied without credentials.
        """
        if not 0 < expires_s <= MAX_LINK_AGE_S:
            raise errors.UsageError(
                f"a link can't be good for {expires_s} s", hint="S3 allows 1 second to 7 days."
            )
        query = {f"response-{name.lower()}": text for name, text in (answer_with or {}).items()}
        return self.http.sign_url(check_key(key), expires_s=expires_s, query=query)

    async def probe(self, prefix: str = "") -> StoreChecks:
        """Try a wrong checksum and a conditional write on a small object under `prefix`,
        and leave nothing behind."""
        return await probe(self, prefix)

    async def request_restore(self, key: str, *, days: int = 7, tier: str = "Standard") -> None:
        """Ask for a readable copy of `key` for `days` days; no error when one is under way.

        Raises NoSuchObject, RequestRejected when the object is in no archive class.
        """
        try:
            await self.http.send(
                "POST",
                check_key(key),
                query={"restore": ""},
                body=s3_xml.restore_document(days, tier),
            )
        except RestoreUnderWay:
            return
