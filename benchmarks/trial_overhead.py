"""What a trial takes besides its training, in this process and in a process of Ray Tune.

    python -m benchmarks.trial_overhead [--trials 12] [--json FILE] data.glue_dir=DIR

Trials run one after another on one CPU thread, through the project's executors, so that all but the
first find modules, data and encoder in the process's memory. Prints, as Markdown, medians of

- a no-op trial: one optimiser step on eight examples with a tiny encoder, an evaluation, and all
  files that a trial writes; from the end of a trial to the end of the next one;
- the time from a trial's end to the next one's first optimiser step, with MiniLM and three tasks;
  that step itself is left out.

Without a folder of GLUE (``data.glue_dir`` or ``GLUE_DIR``) the generated corpora are used.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from transformers import BertConfig, BertModel

from benchmarks.subject import write_encoder
from orchestrator.commands.experiment import Experiment
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.execution.tune_executor import TuneExecutor
from orchestrator.planning.grid import glue_folder
from trainables.models.quiet import quiet
from trainables.trial.slices import SLICE_SECONDS
from trainables.trial.trial import Trial
from trainables.tune.trainable import TrialTrainable

COMMON = (
    "seeds={seeds}",
    "resources={{cpu: 1, gpu: 0, max_concurrent: 1}}",
    "training.epochs=1",
    "training.batch_size=32",
)
NO_OP = (
    "arms=[single_task]",
    "limits.max_train_examples=8",
    "limits.max_validation_examples=8",
)
FIRST_STEP = (
    "arms=[shared_encoder]",
    "models=[minilm-l6]",
    "limits.max_train_examples=8",
    "limits.max_validation_examples=8",
)


class TimedTrial(TrialTrainable):
    """A trial that notes when it ended a slice (see ``note``)."""

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        self._root = Path(config["trial_spec"]["runtime"]["output_dir"])

    def step(self) -> dict[str, Any]:
        """See ``TrialTrainable``."""
        result = super().step()
        note(self._root, self._slices.trial, result)
        return result


class TimedSteps(TimedTrial):
    """The same with a slice for each optimiser step."""

    slice_seconds = 0.0


def note(root: Path, trial: Trial | None, result: Mapping[str, Any]) -> None:
    """Note in ``times_file`` that a slice of a trial has ended.

    Args:
        root: the run directory.
        trial: None if it has ended.
        result: of the slice.
    """
    trained = 0.0 if trial is None or trial.loop is None else trial.loop.state.train_seconds
    line = {"time": time.time(), "done": result["done"], "trained": trained}
    with times_file(root).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def times_file(root: Path) -> Path:
    """When each slice ended, whether its trial has, and the seconds that it has trained."""
    return root / "times.jsonl"


def durations(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds from the end of each trial to that of the next one, of the lines of ``note``."""
    ends = [line["time"] for line in lines if line["done"]]
    return [after - before for before, after in pairwise(ends)]


def gaps(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds from the end of each trial to the next one's first step, of the lines of ``note``.

    The lines are of slices of one step.
    """
    return [
        after["time"] - after["trained"] - before["time"]
        for before, after in pairwise(lines)
        if before["done"]
    ]


def run(settings: Sequence[str], root: Path, *, ray: bool, seconds: float) -> list[dict[str, Any]]:
    """Run a grid of trials one after another.

    Args:
        settings: overrides of the preset ``demo``.
        root: the run directory.
        ray: whether with Ray Tune.
        seconds: of a slice: 0 or ``SLICE_SECONDS``.

    Returns:
        The lines of ``note``.
    """
    experiment = Experiment.load("demo", settings)
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        console = Console(file=nowhere)
        if ray:
            trainable = TimedTrial if seconds else TimedSteps
            tune = TuneExecutor(experiment.config, console, trainable=trainable)
            executor = stack.enter_context(tune)
        else:

            def after_step(trial: Trial, result: dict[str, Any]) -> None:
                note(root, trial, result)

            executor = LocalExecutor(
                experiment.config, slice_seconds=seconds, after_step=after_step
            )
        experiment.run(root, console=console, executor=lambda config: executor)
    return [json.loads(line) for line in times_file(root).read_text().splitlines()]


def measure(trials: int, overrides: Sequence[str], folder: Path) -> dict[str, dict[str, float]]:
    """Measure all with ``trials`` trials each, in ``folder``.

    Returns:
        What is measured -> ``local`` and ``ray`` -> milliseconds.
    """
    write_encoder(folder / "tiny", layers=1, width=64)
    with quiet():
        BertModel(BertConfig.from_pretrained(folder / "tiny")).save_pretrained(folder / "tiny")
    tiny = f"define.models.tiny={{encoder: {folder / 'tiny'}, max_length: 64}}"
    seeds = [setting.format(seeds=list(range(trials))) for setting in COMMON]
    settings = {
        "no-op": [*seeds, *NO_OP, tiny, "models=[tiny]"],
        "first step": [*seeds, *FIRST_STEP],
    }
    glue = Experiment.load("demo", overrides).config.data.glue_dir
    tasks = ("cola", "sst2", "mrpc")
    if glue_folder(glue) is None:
        tasks = ("acceptability", "sentiment", "paraphrase")
    settings["no-op"].append(f"tasks=[{tasks[0]}]")
    settings["first step"].append(f"tasks=[{','.join(tasks)}]")
    slices = {"no-op": SLICE_SECONDS, "first step": 0.0}
    summaries: dict[str, Callable[..., list[float]]] = {"no-op": durations, "first step": gaps}
    return {
        name: {
            executor: 1000 * median(summaries[name](lines)[1:])
            for executor in ("local", "ray")
            for lines in [
                run(
                    [*own, *overrides],
                    folder / f"{name} {executor}",
                    ray=executor == "ray",
                    seconds=slices[name],
                )
            ]
        }
        for name, own in settings.items()
    }


def table(result: Mapping[str, Mapping[str, float]]) -> str:
    """What ``measure`` returns as Markdown."""
    lines = ["| | in one process | Ray Tune |", "|---|--:|--:|"]
    for name, text in (
        ("no-op", "a no-op trial"),
        ("first step", "from a trial's end to the next one's first step"),
    ):
        lines.append(f"| {text} | {result[name]['local']:.0f} ms | {result[name]['ray']:.0f} ms |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("overrides", nargs="*", help="settings as on the command line")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.trials, options.overrides, Path(folder))
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
