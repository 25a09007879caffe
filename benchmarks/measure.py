"""Running commands side by side: wall seconds, CPU seconds and the largest process's memory.

CPU and memory are those of the command and everything it waited for (wait4), so a shell
pipeline counts as a whole; servers it talks to do not count.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Contender:
    """A shell command; `prepare` runs before each round and is not counted."""

    name: str
    command: str
    prepare: Callable[[], None] = lambda: None


def run_once(command: str, *, env: Mapping[str, str], cwd: Path) -> Cost:
    """Run `command` in bash; raises RuntimeError when it fails.

    Python may keep what it compiles, as it does for whatever is installed.
    """
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    log = cwd / "bench.log"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", command],
            env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command!r} failed:\n{log.read_text(errors='replace')[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(
    contenders: Sequence[Contender], *, rounds: int, env: Mapping[str, str], cwd: Path
) -> dict[str, Cost]:
    """Run all contenders in turn, `rounds` times; returns the median of each."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            contender.prepare()
            settle()
            costs[contender.name].append(run_once(contender.command, env=env, cwd=cwd))
    return {name: _median(found) for name, found in costs.items()}


def settle() -> None:
    """Have nothing to be written, and memory at hand, for whoever comes next.

    A virtual machine gives freed memory back to its host, and whoever writes files next would pay
    for getting it again: up to 2 s of processor time for 1 GiB, by who ran before, not by what runs.
    """
    os.sync()
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    count = min(4 << 30, free_bytes // 2)
    touch = f"memory = bytearray({count}); memory[::4096] = bytes(len(memory[::4096]))"
    subprocess.run([sys.executable, "-c", touch], check=True)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_mib for cost in costs),
    )


def print_table(title: str, costs: Mapping[str, Cost], ours: str) -> None:
    """Print one comparison; ratios say how many times less haulier takes."""
    print(f"\n{title}\n")
    print("| | wall s | CPU s | peak MiB | wall ratio | CPU ratio |")
    print("|---|---|---|---|---|---|")
    mine = costs[ours]
    for name, cost in costs.items():
        ratios = (
            " | " if name == ours
            else f"{cost.wall_s / mine.wall_s:.2f}x | {cost.cpu_s / mine.cpu_s:.2f}x"
        )  # fmt: skip
        print(f"| {name} | {cost.wall_s:.2f} | {cost.cpu_s:.2f} | {cost.peak_mib:.0f} | {ratios} |")
