"""One member of an archive, fetched by itself: its range of bytes and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from haulier.archive.entry import Entry, EntryType
from haulier.archive.index import ArchiveIndex
from haulier.archive.layout import BLOCK, entry_end
from haulier.archive.member import (
    byte_range,
    content_entry,
    entries_below,
    extract_file,
    make_link,
)
from haulier.archive.reader import ByteSource, TarByteStream, open_tar_stream
from haulier.archive.safety import check_members
from haulier.archive.unpack import unpack
from haulier.core.progress import Meter
from haulier.errors import UnknownReference
from haulier.journeys.archive.placing import (
    in_thread,
    place_inside,
    publish,
    require_free,
    require_space,
    staging,
    target_errors,
)
