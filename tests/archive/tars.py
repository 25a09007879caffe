"""Tars made by the standard library, for what ours must read or refuse."""

from __future__ import annotations

import io
import tarfile


def member(name, *, kind=tarfile.REGTYPE, link="", content=b"", mode=0o644, **pax):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(content), mode
    info.mtime = 1_700_000_000
    info.pax_headers = pax
    return info, content


def tar_of(*members, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
