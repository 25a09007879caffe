"""What a tree holds, to compare before and after."""

from __future__ import annotations

import os
from pathlib import Path


def snapshot(root):
    """Return path -> kind, mode, time, content of everything below `root`."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            if os.path.islink(path):
                found[relative] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[relative] = ("dir", status.st_mode, status.st_mtime_ns)
            else:
                content = Path(os.fsdecode(path)).read_bytes()
                found[relative] = ("file", status.st_mode, status.st_mtime_ns, content)
    return found
