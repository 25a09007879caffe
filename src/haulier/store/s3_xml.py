"""The XML that S3 speaks: read without namespaces, written with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from haulier import errors
from haulier.store.base import PartReceipt
from haulier.store.s3_digests import base64_of_hex, hex_of_base64

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# Keys are echoed raw in places nobody reads; one control character would spoil the document.
_NOT_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]"
    rb"|&#x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]);|&#0*(?:[0-8]|1[124-9]|2[0-9]|3[01]);"
)


def parse(body: bytes) -> ET.Element:
    """Parse an answer, dropping namespaces; raises ServiceFault when it is no XML.

    A document type declaration is refused: S3 sends none, and it is what attacks are made of.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise errors.ServiceFault("the store's answer declares XML entities; refusing to read it")
    try:
        # Long-running calls send spaces ahead of the document to keep the connection alive.
        root = ET.fromstring(_NOT_XML.sub(b"?", body.lstrip()))  # noqa: S314  # no entities, see above
    except ET.ParseError as exc:
        raise errors.ServiceFault(f"the store's answer is not XML: {exc}") from exc
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def serialize(root: ET.Element) -> bytes:
    """Write a request document in S3's namespace."""
    root.set("xmlns", NAMESPACE)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def text(element: ET.Element, path: str) -> str | None:
    """Return the text at `path`, None when it is absent or empty."""
    return element.findtext(path) or None


def key_at(element: ET.Element, path: str) -> str:
    """Return the key at `path` of a listing that was asked for with encoding-type=url."""
    return unquote_plus(element.findtext(path) or "")


def time_at(element: ET.Element, path: str) -> datetime | None:
    """Return the time at `path`, None when it is absent."""
    value = text(element, path)
    return None if value is None else datetime.fromisoformat(value)


def is_truncated(root: ET.Element) -> bool:
    """Whether a listing goes on."""
    return root.findtext("IsTruncated") == "true"


def complete_document(parts: Sequence[PartReceipt]) -> bytes:
    """Write the body of CompleteMultipartUpload, parts by number."""
    root = ET.Element("CompleteMultipartUpload")
    for receipt in sorted(parts, key=lambda receipt: receipt.number):
        element = ET.SubElement(root, "Part")
        if receipt.crc64nvme is not None:
            ET.SubElement(element, "ChecksumCRC64NVME").text = base64_of_hex(receipt.crc64nvme)
        ET.SubElement(element, "ETag").text = f'"{receipt.etag}"'
        ET.SubElement(element, "PartNumber").text = str(receipt.number)
    return serialize(root)


def receipts(root: ET.Element) -> list[PartReceipt]:
    """Read the parts of a ListParts answer."""
    return [
        PartReceipt(
            number=int(part.findtext("PartNumber", "0")),
            size_bytes=int(part.findtext("Size", "0")),
            etag=part.findtext("ETag", "").strip('"'),
            crc64nvme=hex_of_base64(text(part, "ChecksumCRC64NVME")),
        )
        for part in root.iterfind("Part")
    ]


def restore_document(days: int, tier: str) -> bytes:
    """Write the body of RestoreObject."""
    root = ET.Element("RestoreRequest")
    ET.SubElement(root, "Days").text = str(days)
    ET.SubElement(ET.SubElement(root, "GlacierJobParameters"), "Tier").text = tier
    return serialize(root)
