"""A disk of 1 MiB, in a mount namespace of its own: anybody may have one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

INSIDE = ["unshare", "--user", "--map-root-user", "--mount", "sh"]


@dataclass
class SmallDisk:
    """A tmpfs that only `shell` has mounted; `path` reaches it from outside."""

    path: Path
    place: Path
    shell: subprocess.Popen[str]

    def run(self, command: str) -> None:
        """Run a command that may mount."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{command} && echo done || echo failed\n")
        self.shell.stdin.flush()
        said = self.shell.stdout.readline().strip()
        assert said == "done", f"{command}: user namespaces that may mount a tmpfs are needed"

    def grow(self, size: str) -> None:
        self.run(f"mount -o remount,size={size} '{self.place}'")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with subprocess.Popen(INSIDE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sh:
        disk = SmallDisk(Path(f"/proc/{sh.pid}/root{tmp_path}"), tmp_path, sh)
        try:
            disk.run(f"mount -t tmpfs -o size=1m haulier-test '{tmp_path}'")
            yield disk
        finally:
            assert sh.stdin is not None
            sh.stdin.close()
