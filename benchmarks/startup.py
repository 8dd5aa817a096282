"""How long the command line takes to answer when nothing is trained.

    python -m benchmarks.startup [--runs 5]

Printed are, as Markdown: the shortest and the median time, of several runs, of ``--help`` and of a
command whose configuration has a mistyped key, each in a process of its own.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

COMMANDS = {
    "`--help`": ("--help",),
    "a refused key: `run demo training.epoch=1`": ("run", "demo", "training.epoch=1"),
    "a refused key: `tune demo quick tune.trial=1`": ("tune", "demo", "quick", "tune.trial=1"),
}
"""What is measured -> the arguments of ``python -m orchestrator``."""

LIMITS = {"--help": 0.5, "run": 1.0, "tune": 1.0}
"""First argument -> the seconds that the shortest run may take."""


def seconds(arguments: Sequence[str]) -> float:
    """How long a command of the command line takes, in seconds.

    Raises:
        RuntimeError: it did not answer as it should.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if ended.returncode != (0 if arguments[0] == "--help" else 2):
        raise RuntimeError(f"{' '.join(arguments)}: {ended.stderr}")
    return took


def measure(runs: int) -> dict[str, list[float]]:
    """What is measured -> the seconds of every run; the commands take turns."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table; exit with code 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    times = measure(parser.parse_args(arguments).runs)
    print("| | shortest | median | limit |\n|---|--:|--:|--:|")
    exceeded = False
    for name, taken in times.items():
        limit = LIMITS[COMMANDS[name][0]]
        exceeded |= min(taken) > limit
        print(f"| {name} | {min(taken):.2f} s | {median(taken):.2f} s | {limit:.1f} s |")
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
