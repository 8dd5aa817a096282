"""Peak memory of training a base-size encoder with each method, against a plain sum of losses.

    python -m benchmarks.method_memory data.glue_dir=DIR

Each variant trains a few steps in a process of its own, whose peak resident memory is read at its
end: weights, gradients, optimiser state, activations, libraries and data. The encoder has the
shape of BERT base (12 layers, 768 wide, 110 M parameters) with random weights, which take the same
memory as trained ones.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.subject import BATCH_SIZE, Subject, write_encoder
from benchmarks.variants import Variant, groups

MEASURED = ("aggregation", "training")
"""Groups that hold more or less in memory; loss weightings hold a number per task."""
LIMIT = "limits.max_train_examples=2000"
"""Examples that are read but not trained on would be counted too."""


def variants() -> dict[str, Variant]:
    """The variants by name, the plain trial first."""
    return {v.name: v for name in MEASURED for v in groups()[name].variants}


def peak(name: str, steps: int, overrides: list[str]) -> float:
    """Peak resident memory (MiB) of a new process that trains a variant."""
    command = [sys.executable, "-m", "benchmarks.method_memory", "--one", name]
    done = subprocess.run(
        [*command, "--steps", str(steps), *overrides],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    return float(done.stdout.split()[-1])


def train(name: str, steps: int, overrides: list[str]) -> None:
    """Train a variant in this process and print its peak resident memory (MiB)."""
    with Subject(steps, overrides) as subject:
        running = subject.loop(variants()[name]).run()
        for _ in range(steps):
            next(running)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def table(peaks: dict[str, float]) -> str:
    """Peaks (MiB) as Markdown, beside the first one."""
    plain = next(iter(peaks.values()))
    lines = ["| | peak, MiB | more than the first, MiB |", "| :-- | --: | --: |"]
    lines += [f"| `{name}` | {size:.0f} | {size - plain:+.0f} |" for name, size in peaks.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--only", metavar="VARIANT", help="a row of the table alone")
    parser.add_argument("--one", metavar="VARIANT", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="settings of a trial: data.glue_dir=DIR")
    options = parser.parse_args(arguments)
    if options.one:
        train(options.one, options.steps, options.overrides)
        return
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        write_encoder(Path(folder), options.layers, options.width)
        model = f"define.models.measured={{encoder: {folder}, weights: random}}"
        overrides = [LIMIT, "threads=1", *options.overrides, model, "model=measured"]
        peaks = {}
        for name in [options.only] if options.only else variants():
            peaks[name] = peak(name, options.steps, overrides)
            print(f"{name}: {peaks[name]:.0f} MiB", file=sys.stderr)
    print(
        f"{options.layers} layers, {options.width} wide, batches of {BATCH_SIZE}, "
        f"{options.steps} steps\n\n{table(peaks)}"
    )


if __name__ == "__main__":
    main()
