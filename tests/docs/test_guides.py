"""Runs the guides as a reader would: each block in order, in an empty directory.

In a `console` block a line that starts with `$ ` is a command, `> ` goes on with it, and what
follows is its output, where `...` stands for anything; a command shown without output may print
what it likes. A `python` block is a program of its own and may await at its top level. Each
command must end with exit code 0. `cd` and `export` hold until the end of the guide.
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.tables import DOCS

GUIDES = sorted((DOCS / "guides").glob("*.md"))
COMMAND_TIMEOUT_S = 60

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The shell that runs a command takes over what the one before left behind.
_IN_SESSION = """
if [ -e "$GUIDE_STATE" ]; then . "$GUIDE_STATE"; cd "$PWD"; fi
eval "$1"
code=$?
declare -px > "$GUIDE_STATE"
exit $code
"""

_AWAITING_RUNNER = """
import ast, asyncio, inspect, sys
code = compile(sys.argv[1], "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(result):
    asyncio.run(result)
"""


@dataclass(frozen=True)
class Step:
    line: int
    command: str
    expected: str
    is_python: bool = False


def steps_of(text: str) -> Iterator[Step]:
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(2)) + 1
        if block[1] == "python":
            yield Step(line, block[2], "", is_python=True)
            continue
        for chunk in re.split(r"^(?=\$ )", block[2], flags=re.MULTILINE):
            if not chunk:
                continue
            assert chunk.startswith("$ "), f"line {line}: a console block starts with a command"
            lines = chunk.splitlines(keepends=True)
            count = 1 + next(
                (n for n, text in enumerate(lines[1:]) if not text.startswith("> ")),
                len(lines) - 1,
            )
            command = "".join(part[2:] for part in lines[:count])
            yield Step(line, command, "".join(lines[count:]))
            line += len(lines)


def run_step(step: Step, sandbox: Path) -> subprocess.CompletedProcess[str]:
    if step.is_python:
        arguments = [sys.executable, "-c", _AWAITING_RUNNER, step.command]
    else:
        arguments = ["bash", "-c", _IN_SESSION, "guide", step.command]
    environment = {
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(sandbox / "home"),
        "LANG": "C.UTF-8",
        "COLUMNS": "120",
        "HAULIER_DATA": str(sandbox / "data"),
        "GUIDE_STATE": str(sandbox / "state"),
    }
    return subprocess.run(
        arguments,
        cwd=sandbox / "here",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def agrees(expected: str, printed: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return not expected or doctest.OutputChecker().check_output(expected, printed, flags)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_the_guide_does_what_it_says(guide: Path, tmp_path: Path) -> None:
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    try:
        for step in steps_of(guide.read_text(encoding="utf-8")):
            done = run_step(step, tmp_path)
            story = f"{guide.name}:{step.line}: {step.command}\n{done.stdout}"
            assert done.returncode == 0, f"exit {done.returncode}: {story}"
            assert agrees(step.expected, done.stdout), f"{story}\ninstead of\n{step.expected}"
    finally:
        end_what_still_runs(tmp_path)


def end_what_still_runs(sandbox: Path) -> None:
    """Kill the programs that a guide noted in `NAME.pid` and, having failed, did not end."""
    for noted in sandbox.rglob("*.pid"):
        # One that has ended and was not waited for has no directory any more.
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            pid = int(noted.read_text())
            if Path(f"/proc/{pid}/cwd").resolve().is_relative_to(sandbox.resolve()):
                os.kill(pid, signal.SIGKILL)


GUIDE = """
```console
$ export NAME=ada
$ mkdir in && cd in
$ for name in $NAME bob; do
>   echo "$name 17 ms"
> done
ada ... ms
bob ... ms
```

```python
import asyncio

await asyncio.sleep(0)
print("awaited")
```
"""


def test_steps_are_read_as_written() -> None:
    steps = list(steps_of(GUIDE))
    assert [step.line for step in steps] == [3, 4, 5, 13]
    assert steps[2].command == 'for name in $NAME bob; do\n  echo "$name 17 ms"\ndone\n'
    assert steps[2].expected == "ada ... ms\nbob ... ms\n"
    assert steps[3].is_python


def test_a_session_holds_from_step_to_step(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    printed = [run_step(step, tmp_path).stdout for step in steps_of(GUIDE)]
    assert printed == ["", "", "ada 17 ms\nbob 17 ms\n", "awaited\n"]
    assert run_step(Step(1, "pwd", ""), tmp_path).stdout == f"{tmp_path / 'here' / 'in'}\n"


def test_a_failing_step_and_other_output_are_seen(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    assert run_step(Step(1, "true\nfalse", ""), tmp_path).returncode == 1
    assert run_step(Step(1, "raise SystemExit(3)", "", is_python=True), tmp_path).returncode == 3
    assert not agrees("ada ... ms\n", "bob 17 ms\n")
    assert agrees("ada ... ms\n", "ada 17 ms\n")
