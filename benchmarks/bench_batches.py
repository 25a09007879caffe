"""Batches: how near haulier's are to the fewest possible, beside the greedy rule of chat bots.

    python benchmarks/bench_batches.py [--cases 1000]

The bound is one that no packing can go below (Martello and Toth's, and the number of files by ten);
the true least may be above it, so haulier is at least as near as the table says. The greedy rule
sorts by size and opens a new message whenever the next file does not fit.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from haulier.core.batches import fewest_possible, plan_batches

MIB = 1 << 20
MOST_BYTES, MOST_FILES = 20 * MIB, 10
GOAL = 1.05

KINDS = {
    "photos of 0 to 4 MiB": lambda chance: chance.randint(1, 4 * MIB),
    "clips of 4 to 11 MiB": lambda chance: chance.randint(4 * MIB, 11 * MIB),
    "anything up to 20 MiB": lambda chance: chance.randint(1, 20 * MIB),
    "mostly small": lambda chance: int(20 * MIB * chance.random() ** 3) + 1,
    "small or large": lambda chance: chance.choice(
        [chance.randint(1, MIB), chance.randint(8 * MIB, 20 * MIB)]
    ),
}


def greedy(sizes: list[int]) -> int:
    return len(
        plan_batches(sorted(sizes), most_bytes=MOST_BYTES, most_files=MOST_FILES, in_order=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    cases = parser.parse_args().cases
    print(
        f"{'1 to 60 files, each kind':28} {'bound':>6} {'greedy':>7} {'haulier':>8} {'/ bound':>8} {'ms':>6}"
    )
    ratios: list[float] = []
    for number, (kind, draw) in enumerate(KINDS.items()):
        chance = random.Random(number)
        bound = by_rule = ours = 0
        took_ms: list[float] = []
        for _ in range(cases // len(KINDS)):
            sizes = [draw(chance) for _ in range(chance.randint(1, 60))]
            bound += fewest_possible(sizes, most_bytes=MOST_BYTES, most_files=MOST_FILES)
            by_rule += greedy(sizes)
            began = time.perf_counter()
            ours += len(plan_batches(sizes, most_bytes=MOST_BYTES, most_files=MOST_FILES))
            took_ms.append((time.perf_counter() - began) * 1000)
        ratios.append(ours / bound)
        print(
            f"{kind:28} {bound:6} {by_rule:7} {ours:8} {ours / bound:8.3f} {statistics.mean(took_ms):6.2f}"
        )
    print(f"goal: at most {GOAL} of the bound; worst kind {max(ratios):.3f}")


if __name__ == "__main__":
    main()
