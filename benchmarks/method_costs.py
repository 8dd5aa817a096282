"""Time of an optimiser step with each method, relative to the default of its kind.

    python -m benchmarks.method_costs data.glue_dir=DIR

All variants of a group are trained in one process, in turn: in each round every variant takes a
few steps, in a new random order, so that other load on the machine affects all alike. Variants
with the same sampling take each step on the same examples. Each round gives the ratio of a
variant's time to the first one's; the median over the rounds and the middle half are printed. A
step is complete: batch, forward, backward, method, optimiser. On a CPU it is the process time on
one thread, which other processes affect least; on a GPU the wall-clock time.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.subject import BATCH_SIZE, Subject
from benchmarks.variants import Group, groups
from trainables.seeding import generator

WARM_UP = 2
"""Steps before the measured ones: buffers and moments are made in the first."""


@dataclass(frozen=True)
class Cost:
    """Time of a variant's steps.

    Attributes:
        name: the variant's.
        seconds: of one step, mean of each round, shape ``(rounds,)``.
        ratios: to the group's first variant in the same round, shape ``(rounds,)``.
    """

    name: str
    seconds: np.ndarray
    ratios: np.ndarray


def measure(group: Group, subject: Subject, rounds: int, steps: int) -> list[Cost]:
    """Time the variants of a group side by side.

    Args:
        group: the variants, the plain one first.
        subject: the trial; made for ``total_steps`` or more.
        rounds: number of turns of each variant.
        steps: optimiser steps of a usual turn.
    """
    steps *= group.longer
    clock = time.process_time if subject.device.type == "cpu" else time.perf_counter
    running = [subject.loop(variant).run() for variant in group.variants]
    for loop in running:
        _advance(loop, WARM_UP)
    seconds = np.empty((len(running), rounds))
    for turn in range(rounds):
        for index in generator(0, "turns", turn).permutation(len(running)):
            started = clock()
            _advance(running[index], steps)
            seconds[index, turn] = (clock() - started) / steps
        print(f"{group.title}: {turn + 1} of {rounds} rounds", file=sys.stderr)
    return [
        Cost(variant.name, own, own / seconds[0])
        for variant, own in zip(group.variants, seconds, strict=True)
    ]


def total_steps(group: Group, rounds: int, steps: int) -> int:
    """Optimiser steps that ``measure`` takes of each variant."""
    return WARM_UP + rounds * steps * group.longer


def _advance(loop: Iterator[None], steps: int) -> None:
    for _ in range(steps):
        next(loop)


def table(title: str, costs: list[Cost]) -> str:
    """The costs of a group as Markdown."""
    lines = [f"| {title} | ms a step | ratio | middle half |", "| :-- | --: | --: | --: |"]
    for cost in costs:
        low, median, high = np.percentile(cost.ratios, [25, 50, 75])
        lines.append(
            f"| `{cost.name}` | {1000 * np.median(cost.seconds):.0f} | {median:.2f} "
            f"| {low:.2f}–{high:.2f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=groups(), help="this group alone")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2, help="of each variant in a round")
    parser.add_argument("overrides", nargs="*", help="settings of a trial: data.glue_dir=DIR")
    options = parser.parse_args(arguments)
    for name in [options.only] if options.only else groups():
        group = groups()[name]
        steps = total_steps(group, options.rounds, options.steps)
        with Subject(steps, ["threads=1", *options.overrides]) as subject:
            costs = measure(group, subject, options.rounds, options.steps)
        turn = options.steps * group.longer
        print(
            f"{subject.model}, batches of {BATCH_SIZE} from {subject.data}, "
            f"{options.rounds} rounds of {turn} steps; {subject.machine}\n\n"
            f"{table(group.title, costs)}\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
