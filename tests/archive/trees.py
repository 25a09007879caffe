"""Trees of files that archives have to survive."""

from __future__ import annotations

import os
from pathlib import Path

NANOSECONDS = 1_700_000_000_123_456_789


def hostile_tree(root: Path) -> Path:
    """Make a directory with every kind of name and entry an archive has to bring back."""
    root.mkdir()
    names = [
        b"plain.txt", b"two\nlines.txt", b"-rf", b"\xff\xfe-not-utf8.bin", "smörgåsbord.txt".encode(),
        b" leading space", b"back\\slash", b"percent%20name", b"n" * 255,
    ]  # fmt: skip
    for number, name in enumerate(names):
        path = os.path.join(os.fsencode(root), name)
        with open(path, "wb") as file:
            file.write(bytes([number]) * (number * 700))
        os.utime(path, ns=(NANOSECONDS, NANOSECONDS + number))
    deep = root
    for level in range(6):
        deep = deep / (f"{level}" * 60)
    deep.mkdir(parents=True)
    (deep / "far down.txt").write_text("deep")
    (root / "empty dir").mkdir()
    (root / "empty file").touch()
    (root / "to plain").symlink_to("plain.txt")
    (root / "dangling").symlink_to("nowhere")
    os.link(root / "smörgåsbord.txt", root / "zz hard link")
    (root / "script.sh").write_text("#!/bin/sh\n")
    (root / "script.sh").chmod(0o755)
    return root


def mixed_tree(root: Path, *, seed: int = 1) -> Path:
    """Make a directory of media (incompressible) and text, about 9 MiB."""
    import random

    dice = random.Random(seed)
    root.mkdir()
    (root / "clip.mp4").write_bytes(dice.randbytes(3 << 20))
    (root / "notes.txt").write_bytes(
        b"".join(b"line %d of the notes\n" % n for n in range(120_000))
    )
    (root / "photo.jpg").write_bytes(dice.randbytes((1 << 20) + 17))
    for number in range(40):
        (root / f"small-{number:02}.txt").write_bytes(dice.randbytes(number * 97))
    (root / "log.txt").write_bytes(b"the same words again and again\n" * 60_000)
    return root
