"""How a segment of the tar stream is squeezed.

Each segment becomes a unit that stands alone: a gzip member, a zstd frame, or the bytes
themselves. Units simply follow each other, and plain `tar` reads the result. Media that is
compressed already is stored (gzip: deflate's stored blocks) instead of squeezed in vain.

ISA-L level 1 gives other bytes for other input sizes and level 3 for other processors
(measured): nothing here may rely on equal compressed bytes.
"""

from __future__ import annotations

from typing import Protocol

from haulier.errors import ConfigurationError

SEGMENT_BYTES = 1 << 20
PROBE_BYTES = 64 << 10
_INCOMPRESSIBLE = 0.97
_ZSTD_LEVEL = 3
_GZIP_WINDOW = 31  # zlib's code for a gzip wrapper around a 32 KiB window


class Codec(Protocol):
    """One way of squeezing."""

    name: str
    suffix: str
    copies: bool
    """Whether what `encode` returns is memory of its own."""

    def encode(self, segment: memoryview, *, store: bool) -> bytes | memoryview:
        """Return `segment` as a unit of its own; `store` asks not to squeeze."""
        ...


class GzipCodec:
    name = "gzip"
    suffix = ".tar.gz"
    copies = True

    def encode(self, segment: memoryview, *, store: bool) -> bytes:
        if store:
            from zlib_ng import zlib_ng

            stored: bytes = zlib_ng.compress(segment, 0, _GZIP_WINDOW)
            return stored
        from isal import isal_zlib

        return isal_zlib.compress(segment, 1, _GZIP_WINDOW)


class ZstdCodec:
    name = "zstd"
    suffix = ".tar.zst"
    copies = True

    def encode(self, segment: memoryview, *, store: bool) -> bytes:
        import zstandard

        # Level -5 finds nothing in media and costs next to nothing, but keeps the checksum.
        level = -5 if store else _ZSTD_LEVEL
        return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(segment)


class PlainCodec:
    name = "none"
    suffix = ".tar"
    copies = False

    def encode(self, segment: memoryview, *, store: bool) -> memoryview:  # noqa: ARG002  # the codecs' common shape
        return segment


CODECS: dict[str, Codec] = {codec.name: codec for codec in (GzipCodec(), ZstdCodec(), PlainCodec())}


def codec_named(name: str) -> Codec:
    """Return the codec called `name`; raises ConfigurationError for any other name."""
    try:
        return CODECS[name]
    except KeyError:
        raise ConfigurationError(
            f"there is no compression called {name!r}", hint="Use gzip, zstd or none."
        ) from None


def is_incompressible(sample: bytes | memoryview) -> bool:
    """Tell from the first 64 KiB of a file whether squeezing it would be in vain."""
    from isal import isal_zlib

    return len(isal_zlib.compress(sample, 1, _GZIP_WINDOW)) > _INCOMPRESSIBLE * len(sample)
