"""Whether what a file's name or sender says of its type agrees with what its content says."""

from __future__ import annotations

from collections.abc import Iterable

from haulier.core.mime import KNOWN_TYPES, UNKNOWN_TYPE, FileKind, canonical, kind_of

# Types that players and programs take for each other, and that people mix up without harm.
_FAMILIES = (
    {"video/mp4", "video/quicktime", "video/x-m4v", "video/3gpp", "video/3gpp2", "audio/mp4",
     "audio/3gpp", "audio/3gpp2"},
    {"video/webm", "video/x-matroska", "audio/webm", "audio/x-matroska"},
    {"video/ogg", "audio/ogg", "application/ogg"},
    {"video/x-ms-wmv", "audio/x-ms-wma", "video/x-ms-asf"},
    {"video/mpeg", "video/mp2t"},
    {"image/heic", "image/heif"},
    {"audio/amr", "audio/amr-wb"},
    {"application/msword", "application/x-ole-storage"},
    {"application/vnd.ms-excel", "application/x-ole-storage"},
    {"application/vnd.ms-powerpoint", "application/x-ole-storage"},
    {"application/zip", "application/java-archive"},
    {"application/java-archive", "application/vnd.android.package-archive"},
    {"application/vnd.microsoft.portable-executable", "application/x-dosexec"},
)  # fmt: skip
_MARKUP = frozenset({"text/html", "application/xhtml+xml", "application/xml", "text/markdown"})
_GENERAL = frozenset({"text/plain", "text/csv", "application/xml", "application/x-ole-storage"})


def agree(content_type: str, claimed: Iterable[str]) -> bool:
    """Tell whether one of the claimed types can be right for content of `content_type`.

    Claiming nothing, or a type that can't be told by content, agrees with everything.
    """
    types = [canonical(each) for each in claimed]
    return not types or any(_agrees(content_type, each) for each in types)


def refines(content_type: str, claimed: str) -> bool:
    """Tell whether a claimed type says more than the content does, and may be right."""
    return (
        content_type in _GENERAL
        and claimed not in {content_type, UNKNOWN_TYPE}
        and kind_of(claimed) is kind_of(content_type)
        and _agrees(content_type, claimed)
    )


def _agrees(content_type: str, claimed: str) -> bool:
    if claimed == content_type or claimed not in KNOWN_TYPES:
        # What the content would not tell can't be refuted by it either.
        return True
    if any({content_type, claimed} <= family for family in _FAMILIES):
        return True
    if kind_of(content_type) is FileKind.TEXT and kind_of(claimed) is FileKind.TEXT:
        # A page that is called plain text may still be shown as a page, with what it loads.
        return content_type != "text/html" or claimed in _MARKUP
    return False
