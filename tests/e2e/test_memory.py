"""What an upload needs: bounded memory, and no temporary archive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIMIT_MIB = 200
PROGRAM = str(Path(sys.executable).with_name("haulier"))


def test_memory_is_bounded_and_no_temporary_file_is_made(tmp_path):
    """256 MiB that can't be squeezed: all of it passes through memory, little of it stays."""
    source = tmp_path / "media" / "big"
    source.mkdir(parents=True)
    block = os.urandom(8 << 20)
    for number in range(4):
        with (source / f"{number}.mp4").open("wb") as file:
            for _ in range(8):
                file.write(block)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {
        **os.environ, "HAULIER_DATA": str(tmp_path / "data"), "TMPDIR": str(temporary),
        "MGMT_LOCAL_DIR": str(tmp_path / "media"),
    }  # fmt: skip
    temporary.chmod(0o500)
    # A small process starts the program: a child counts its parent's memory until it execs.
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, PROGRAM, "upload", "big"],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak_mib = int(measured.stdout.split()[-1]) / 1024
    assert peak_mib < LIMIT_MIB
    assert list(temporary.iterdir()) == []
    assert (tmp_path / "media" / "completed" / "big" / "3.mp4").stat().st_size == 64 << 20


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
