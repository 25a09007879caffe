"""What an owner sets up once for a bucket: the bucket, its lifecycle, CORS, storage class.

Rules of others are kept: ours carry ids of their own and only those are replaced.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import quote
from xml.etree import ElementTree as ET

from haulier import errors
from haulier.store import s3_xml
from haulier.store.base import ObjectInfo, ObjectOptions
from haulier.store.s3 import S3Store
from haulier.store.s3_objects import accepted, object_info, option_headers
from haulier.store.s3_probe import object_tags

MAX_COPY_BYTES = 5 << 30
COPY_PART_BYTES = 1 << 30

_CORS_ID = "haulier"


async def ensure_bucket(store: S3Store) -> bool:
    """Create the bucket unless it is ours already; return whether it was made.

    Raises AccessDenied when the name belongs to somebody else.
    """
    try:
        await store.http.send("HEAD", missing=errors.NoSuchBucket)
    except errors.NoSuchBucket:
        await store.http.send("PUT", body=_location(store.http.region))
        return True
    return False


async def put_lifecycle(
    store: S3Store,
    *,
    prefix: str = "",
    abort_days: int | None = None,
    archive_after_days: int | None = None,
    storage_class: str = "GLACIER",
    archive_tag: tuple[str, str],
) -> None:
    """End uploads left open below `prefix` after `abort_days` days, and move objects tagged
    `archive_tag` to `storage_class` after `archive_after_days`; None leaves that rule out.

    Replaces the rules that an earlier call made for `prefix`, and no others.
    """
    label = hashlib.sha256(prefix.encode()).hexdigest()[:8]
    ours = []
    if abort_days is not None:
        rule = _lifecycle_rule(f"haulier-abort-{label}", prefix)
        abort = ET.SubElement(rule, "AbortIncompleteMultipartUpload")
        ET.SubElement(abort, "DaysAfterInitiation").text = str(abort_days)
        ours.append(rule)
    if archive_after_days is not None:
        rule = _lifecycle_rule(f"haulier-archive-{label}", prefix, archive_tag)
        transition = ET.SubElement(rule, "Transition")
        ET.SubElement(transition, "Days").text = str(archive_after_days)
        ET.SubElement(transition, "StorageClass").text = storage_class
        ours.append(rule)
    ids = {f"haulier-abort-{label}", f"haulier-archive-{label}"}
    await _replace_rules(store, "lifecycle", "LifecycleConfiguration", "Rule", ids, ours)


async def put_cors(store: S3Store, origins: Sequence[str]) -> None:
    """Let web pages of `origins` read objects by their links; none takes the rule away."""
    rule = ET.Element("CORSRule")
    ET.SubElement(rule, "ID").text = _CORS_ID
    for origin in origins:
        ET.SubElement(rule, "AllowedOrigin").text = origin
    for method in ("GET", "HEAD"):
        ET.SubElement(rule, "AllowedMethod").text = method
    ET.SubElement(rule, "AllowedHeader").text = "*"
    for header in ("ETag", "Content-Range", "Accept-Ranges"):
        ET.SubElement(rule, "ExposeHeader").text = header
    ET.SubElement(rule, "MaxAgeSeconds").text = "3600"
    ours = [rule] if origins else []
    await _replace_rules(store, "cors", "CORSConfiguration", "CORSRule", {_CORS_ID}, ours)


async def copy_to_class(
    store: S3Store,
    key: str,
    storage_class: str,
    *,
    max_copy_bytes: int = MAX_COPY_BYTES,
    part_bytes: int = COPY_PART_BYTES,
) -> ObjectInfo:
    """Move `key` to another storage class inside the store, its metadata kept.

    Returns the object as it is after it: its ETag can be a new one. Above `max_copy_bytes`
    it is copied in parts. Raises ObjectChanged when somebody wrote it meanwhile.
    """
    answer = await store.http.send("HEAD", key)
    info = object_info(key, answer.headers)
    options = ObjectOptions(
        content_type=info.content_type or ObjectOptions().content_type,
        metadata=info.metadata,
        storage_class=storage_class,
        sse=answer.headers.get("x-amz-server-side-encryption"),
        sse_kms_key_id=answer.headers.get("x-amz-server-side-encryption-aws-kms-key-id"),
    )
    source = {"x-amz-copy-source": f"/{store.bucket}/{quote(key, safe='/~')}"}
    if info.etag is not None:
        source["x-amz-copy-source-if-match"] = f'"{info.etag}"'
    if info.size_bytes <= max_copy_bytes:
        headers = {**option_headers(options), **source, "x-amz-metadata-directive": "REPLACE"}
        answer = await store.http.send("PUT", key, headers=headers)
        accepted(answer, store.http.what("PUT", key))
    else:
        if "x-amz-tagging-count" in answer.headers:  # a copy in parts does not bring tags along
            options = replace(options, tags=await object_tags(store, key))
        await _copy_in_parts(store, info, options, part_bytes)
    return await store.head(key)


async def _copy_in_parts(
    store: S3Store, info: ObjectInfo, options: ObjectOptions, part_bytes: int
) -> None:
    key, upload_id = info.key, await store.start_upload(info.key, options)
    try:
        parts = []
        for number, start in enumerate(range(0, info.size_bytes, part_bytes), 1):
            end = min(start + part_bytes, info.size_bytes)
            parts.append(
                await store.copy_part(key, upload_id, number, key, start, end, if_match=info.etag)
            )
        await store.complete_upload(key, upload_id, parts)
    except BaseException:
        await store.abort_upload(key, upload_id)
        raise


async def _replace_rules(
    store: S3Store,
    configuration: Literal["lifecycle", "cors"],
    root_tag: str,
    rule_tag: str,
    ids: set[str],
    ours: list[ET.Element],
) -> None:
    try:
        answer = await store.http.send("GET", query={configuration: ""})
        existing = list(s3_xml.parse(answer.body).iterfind(rule_tag))
    except errors.NoSuchObject:
        existing = []
    root = ET.Element(root_tag)
    root.extend([rule for rule in existing if rule.findtext("ID") not in ids] + ours)
    if len(root) == 0:
        if existing:
            await store.http.send("DELETE", query={configuration: ""})
        return
    body = s3_xml.serialize(root)
    md5 = hashlib.md5(body, usedforsecurity=False).digest()
    headers = {"Content-MD5": base64.b64encode(md5).decode("ascii")}
    await store.http.send("PUT", query={configuration: ""}, headers=headers, body=body)


def _lifecycle_rule(rule_id: str, prefix: str, tag: tuple[str, str] | None = None) -> ET.Element:
    rule = ET.Element("Rule")
    ET.SubElement(rule, "ID").text = rule_id
    ET.SubElement(rule, "Status").text = "Enabled"
    where = ET.SubElement(rule, "Filter")
    if tag is None:
        ET.SubElement(where, "Prefix").text = prefix
        return rule
    both = ET.SubElement(where, "And")
    ET.SubElement(both, "Prefix").text = prefix
    element = ET.SubElement(both, "Tag")
    ET.SubElement(element, "Key").text, ET.SubElement(element, "Value").text = tag
    return rule


def _location(region: str) -> bytes:
    if region == "us-east-1":  # the one region S3 does not want to hear named
        return b""
    root = ET.Element("CreateBucketConfiguration")
    ET.SubElement(root, "LocationConstraint").text = region
    return s3_xml.serialize(root)
