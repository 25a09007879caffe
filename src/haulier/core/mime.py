"""MIME types: the names they go by, the endings that stand for them, and the kind of thing each is.

One table for the whole project. What a file's content is, `core.sniff` tells.
"""

from __future__ import annotations

import mimetypes
import os.path
from enum import StrEnum
from functools import cache

UNKNOWN_TYPE = "application/octet-stream"


class FileKind(StrEnum):
    """What a file is to people."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    TEXT = "text"
    UNKNOWN = "unknown"


class MediaType(StrEnum):
    """What a file is to a chat: one of the three kinds that play there, or unknown."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, kind: FileKind) -> MediaType:
        """Return the media type of a file of that kind."""
        return (
            cls(kind) if kind in {FileKind.VIDEO, FileKind.AUDIO, FileKind.IMAGE} else cls.UNKNOWN
        )


_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."

# Each type and its endings, the usual one first. An ending may stand in several rows.
_ENDINGS = {
    "video/mp4": "mp4 mp4v mpg4 m4s f4v",
    "video/quicktime": "mov qt",
    "video/x-m4v": "m4v",
    "video/3gpp": "3gp 3gpp",
    "video/3gpp2": "3g2",
    "video/x-matroska": "mkv mk3d",
    "video/webm": "webm",
    "video/x-msvideo": "avi divx",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/x-ms-asf": "asf",
    "video/mp2t": "ts mts m2ts m2t",
    "video/mpeg": "mpg mpeg mpe m1v m2v vob",
    "video/ogg": "ogv ogm",
    "video/h264": "h264 264",
    "video/h265": "h265 265 hevc",
    "application/vnd.rn-realmedia": "rm rmvb",
    "application/mxf": "mxf",
    "audio/mpeg": "mp3 mp2 mpga",
    "audio/mp4": "m4a m4b mp4 f4a",
    "audio/aac": "aac",
    "audio/wav": "wav wave",
    "audio/flac": "flac",
    "audio/ogg": "ogg oga opus spx",
    "audio/x-ms-wma": "wma",
    "audio/aiff": "aiff aif aifc",
    "audio/basic": "au snd",
    "audio/amr": "amr",
    "audio/amr-wb": "awb amr",
    "audio/midi": "mid midi kar rmi",
    "audio/webm": "webm weba",
    "audio/x-matroska": "mka mkv",
    "audio/3gpp": "3gp 3ga",
    "audio/3gpp2": "3g2",
    "audio/x-ape": "ape",
    "audio/x-wavpack": "wv",
    "audio/x-musepack": "mpc",
    "audio/x-caf": "caf",
    "audio/x-tta": "tta",
    "audio/x-dsf": "dsf",
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/png": "png apng",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp dib",
    "image/tiff": "tif tiff dng",
    "image/vnd.microsoft.icon": "ico",
    "image/x-win-bitmap": "cur",
    "image/heic": "heic heif hif",
    "image/heif": "heif hif",
    "image/avif": "avif avifs",
    "image/svg+xml": "svg",
    "image/jxl": "jxl",
    "image/jp2": "jp2 jpx jpf jpm j2k",
    "image/vnd.adobe.photoshop": "psd psb",
    "image/x-xcf": "xcf",
    "image/x-icns": "icns",
    "image/vnd.ms-dds": "dds",
    "image/x-exr": "exr",
    "image/x-qoi": "qoi",
    "image/x-portable-anymap": "pnm pbm pgm ppm pam",
    "image/x-canon-cr3": "cr3",
    "image/emf": "emf",
    "application/pdf": "pdf ai",
    "application/rtf": "rtf",
    "application/postscript": "ps eps ai",
    "application/epub+zip": "epub",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt pps",
    "application/x-ole-storage": "ole",
    _OFFICE + "wordprocessingml.document": "docx",
    _OFFICE + "spreadsheetml.sheet": "xlsx",
    _OFFICE + "presentationml.presentation": "pptx ppsx",
    "application/vnd.ms-word.document.macroEnabled.12": "docm",
    "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsm",
    "application/vnd.ms-powerpoint.presentation.macroEnabled.12": "pptm",
    _OPEN_DOCUMENT + "text": "odt",
    _OPEN_DOCUMENT + "spreadsheet": "ods",
    _OPEN_DOCUMENT + "presentation": "odp",
    _OPEN_DOCUMENT + "graphics": "odg",
    "image/vnd.djvu": "djvu djv",
    "application/zip": "zip cbz kmz whl xpi ipa",
    "application/java-archive": "jar war ear",
    "application/vnd.android.package-archive": "apk",
    "application/gzip": "gz tgz",
    "application/x-bzip2": "bz2 tbz2 tbz",
    "application/x-xz": "xz txz",
    "application/zstd": "zst tzst",
    "application/x-lz4": "lz4",
    "application/x-lzip": "lz",
    "application/x-7z-compressed": "7z cb7",
    "application/vnd.rar": "rar cbr",
    "application/x-tar": "tar",
    "application/vnd.ms-cab-compressed": "cab",
    "application/vnd.debian.binary-package": "deb",
    "application/x-rpm": "rpm",
    "application/x-cpio": "cpio",
    "application/x-archive": "a ar",
    "application/x-iso9660-image": "iso",
    "application/x-executable": "elf",
    "application/vnd.microsoft.portable-executable": "exe dll",
    "application/x-dosexec": "exe",
    "application/x-mach-binary": "dylib macho",
    "application/java-vm": "class",
    "application/wasm": "wasm",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "application/vnd.sqlite3": "sqlite sqlite3 db3",
    "text/plain": "txt text log",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/markdown": "md markdown",
    "text/html": "html htm",
    "text/css": "css",
    "text/vnd.graphviz": "gv dot",
    "text/javascript": "js mjs",
    "text/typescript": "ts mts",
    "text/x-python": "py",
    "text/x-shellscript": "sh",
    "text/vtt": "vtt",
    "application/x-subrip": "srt",
    "text/calendar": "ics",
    "text/vcard": "vcf",
    "application/xml": "xml xsd xsl",
    "application/xhtml+xml": "xhtml xht",
    "application/json": "json",
    "application/x-ndjson": "ndjson jsonl",
    "application/yaml": "yaml yml",
    "application/toml": "toml",
    "application/vnd.apple.mpegurl": "m3u8 m3u",
}

# What begins so is of the kind; the first that fits counts.
_KINDS = (
    ("application/vnd.rn-realmedia", FileKind.VIDEO),
    ("application/mxf", FileKind.VIDEO),
    ("application/ogg", FileKind.AUDIO),
    ("image/vnd.djvu", FileKind.DOCUMENT),
    ("video/", FileKind.VIDEO),
    ("audio/", FileKind.AUDIO),
    ("image/", FileKind.IMAGE),
    ("text/", FileKind.TEXT),
    ("application/pdf", FileKind.DOCUMENT),
    ("application/rtf", FileKind.DOCUMENT),
    ("application/postscript", FileKind.DOCUMENT),
    ("application/epub+zip", FileKind.DOCUMENT),
    ("application/msword", FileKind.DOCUMENT),
    ("application/x-ole-storage", FileKind.DOCUMENT),
    ("application/vnd.ms-cab", FileKind.ARCHIVE),
    ("application/vnd.ms-", FileKind.DOCUMENT),
    (_OFFICE, FileKind.DOCUMENT),
    (_OPEN_DOCUMENT, FileKind.DOCUMENT),
)
_ARCHIVES = frozenset(
    {"application/java-archive", "application/vnd.android.package-archive", "application/gzip",
     "application/zip", "application/zstd", "application/vnd.rar", "application/x-tar",
     "application/x-bzip2", "application/x-xz", "application/x-lz4", "application/x-lzip",
     "application/x-7z-compressed", "application/vnd.debian.binary-package", "application/x-rpm",
     "application/x-cpio", "application/x-archive", "application/x-iso9660-image"}
)  # fmt: skip
_TEXTS = frozenset(
    {"application/xml", "application/json", "application/x-ndjson", "application/yaml",
     "application/toml", "application/x-subrip", "application/vnd.apple.mpegurl"}
)  # fmt: skip

# What is not text and yet lies there uncompressed, nearly always or often.
_COMPRESSIBLE = frozenset(
    {"image/svg+xml", "image/bmp", "image/tiff", "image/vnd.adobe.photoshop",
     "image/vnd.microsoft.icon", "audio/wav", "audio/aiff", "audio/basic", "audio/midi",
     "application/rtf", "application/postscript", "application/msword", "application/x-ole-storage",
     "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.sqlite3",
     "application/x-tar", "application/x-cpio", "application/x-iso9660-image", "application/wasm",
     "application/x-executable", "application/vnd.microsoft.portable-executable",
     "font/ttf", "font/otf"}
)  # fmt: skip

# Other names of types; the ones on the right are used here.
_SAME = {
    "audio/x-wav": "audio/wav", "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg", "audio/x-mp3": "audio/mpeg", "audio/mpeg3": "audio/mpeg",
    "audio/m4a": "audio/mp4", "audio/x-m4a": "audio/mp4", "audio/mp4a-latm": "audio/mp4",
    "audio/x-aac": "audio/aac", "audio/aacp": "audio/aac", "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-flac": "audio/flac", "audio/opus": "audio/ogg", "audio/vorbis": "audio/ogg",
    "audio/x-aiff": "audio/aiff", "audio/x-midi": "audio/midi", "audio/x-amr": "audio/amr",
    "audio/x-basic": "audio/basic", "video/vnd.avi": "video/x-msvideo",
    "video/avi": "video/x-msvideo", "video/msvideo": "video/x-msvideo",
    "video/matroska": "video/x-matroska", "audio/matroska": "audio/x-matroska",
    "video/flv": "video/x-flv", "video/mpeg2": "video/mpeg", "video/mp2p": "video/mpeg",
    "video/m4v": "video/x-m4v", "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg",
    "image/apng": "image/png", "image/vnd.mozilla.apng": "image/png", "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp", "image/x-bmp": "image/bmp", "image/svg": "image/svg+xml",
    "image/x-icon": "image/vnd.microsoft.icon", "image/ico": "image/vnd.microsoft.icon",
    "image/x-photoshop": "image/vnd.adobe.photoshop", "image/psd": "image/vnd.adobe.photoshop",
    "image/avif-sequence": "image/avif", "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heif", "application/x-pdf": "application/pdf",
    "text/rtf": "application/rtf", "text/xml": "application/xml",
    "text/x-markdown": "text/markdown", "application/javascript": "text/javascript",
    "application/x-javascript": "text/javascript", "text/json": "application/json",
    "application/x-gzip": "application/gzip", "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip", "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar", "application/x-zstd": "application/zstd",
    "application/bzip2": "application/x-bzip2", "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-msdownload": "application/vnd.microsoft.portable-executable",
    "application/x-sharedlib": "application/x-executable",
    "application/x-pie-executable": "application/x-executable",
    "application/x-cdf": "application/x-ole-storage",
    "application/cdfv2": "application/x-ole-storage",
    "application/x-mpegurl": "application/vnd.apple.mpegurl",
    "audio/x-mpegurl": "application/vnd.apple.mpegurl", "application/x-sh": "text/x-shellscript",
    "application/font-sfnt": "font/ttf", "font/sfnt": "font/ttf",
    "application/font-woff": "font/woff", "text/x-script.python": "text/x-python",
    "binary/octet-stream": UNKNOWN_TYPE,
}  # fmt: skip

KNOWN_TYPES = frozenset(_ENDINGS)
"""Types that `core.sniff` tells by content, or tells to be text."""
_BY_ENDING: dict[str, tuple[str, ...]] = {}
for _type, _endings in _ENDINGS.items():
    for _ending in _endings.split():
        _BY_ENDING[_ending] = (*_BY_ENDING.get(_ending, ()), _type)


def mime_type_of(path: str) -> str | None:
    """Return the type that the ending of `path` stands for, or None when it says nothing."""
    return next(iter(types_of_name(path)), None)


def types_of_name(path: str) -> tuple[str, ...]:
    """Return every type that the ending of `path` may stand for, the likeliest first."""
    ending = os.path.splitext(path)[1][1:].lower()
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    guessed, packing = _registry().guess_type(path, strict=False)
    if packing is not None:
        # As `.svgz`: outside it is what it is packed with.
        return ("application/gzip",) if packing == "gzip" else ()
    return () if guessed is None else (canonical(guessed),)


@cache
def _registry() -> mimetypes.MimeTypes:
    # Without the system's own files, which say different things on each machine.
    return mimetypes.MimeTypes()


def usual_ending(mime_type: str) -> str | None:
    """Return the ending that files of a type usually have, such as `.jpg`; None when unknown."""
    endings = _ENDINGS.get(canonical(mime_type))
    return None if endings is None else f".{endings.split()[0]}"


def canonical(mime_type: str) -> str:
    """Return a type without parameters, by the one name that is used here."""
    plain = mime_type.partition(";")[0].strip()
    return _SAME.get(plain.lower(), plain if plain in _ENDINGS else plain.lower())


def kind_of(mime_type: str) -> FileKind:
    """Return what a file of that type is to people."""
    plain = canonical(mime_type)
    if plain in _ARCHIVES:
        return FileKind.ARCHIVE
    for beginning, kind in _KINDS:
        if plain.startswith(beginning):
            return kind
    if plain in _TEXTS or plain.endswith(("+xml", "+json")):
        return FileKind.TEXT
    return FileKind.UNKNOWN


def is_compressible(mime_type: str) -> bool:
    """Tell whether files of that type are often much smaller when they are compressed."""
    plain = canonical(mime_type)
    return plain in _COMPRESSIBLE or kind_of(plain) is FileKind.TEXT
