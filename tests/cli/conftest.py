"""The real program, in a directory and an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "haulier"]


@dataclass
class Program:
    """Runs `haulier` with its embedded store below `root`."""

    root: Path

    def __post_init__(self):
        self.media = self.root / "media"
        self.data = self.root / "data"
        self.store = self.data / "store"
        self.here = self.root / "here"
        for directory in (self.media, self.here):
            directory.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "HAULIER_DATA": str(self.data),
            "MGMT_LOCAL_DIR": str(self.media),
        }

    def __call__(self, *args, code=0, env=None):
        """Run to the end; the exit code has to be `code`."""
        done = subprocess.run(
            [*PROGRAM, *args],
            cwd=self.here,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"exit {done.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return Printed(out, err)

    def json(self, *args, code=0):
        """Run with `--json` and return what the one document on stdout says."""
        return json.loads(self(*args, "--json", code=code).out)

    def start(self, *args, **options):
        """Start and return the process, its output in pipes."""
        defaults = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(
            [*PROGRAM, *args], cwd=self.here, env=self.env, **{**defaults, **options}
        )

    @contextmanager
    def running(self, *args, **options):
        """Start the program for the block; it does not outlive it, whatever happens."""
        with self.start(*args, **options) as process:
            try:
                yield process
            finally:
                process.kill()

    def make(self, name, content=b"content"):
        path = self.media / name
        path.write_bytes(content)
        return path


@dataclass(frozen=True)
class Printed:
    out: str
    err: str

    @property
    def rows(self):
        """The table on stdout, as it is printed into a pipe."""
        return [line.split("\t") for line in self.out.splitlines()]


@pytest.fixture
def haulier(tmp_path):
    return Program(tmp_path)
