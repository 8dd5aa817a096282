"""One training of one task in a process of its own, by a trial or by Hugging Face's Trainer.

    python -m benchmarks.one_training trial cola fp32 --threads 1 data.glue_dir=DIR

Prints seconds, memory and scores as JSON. ``benchmarks.peers`` runs it again and again.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.hf_trainer import Examples, train_with_trainer
from orchestrator.config.experiment import load_single_trial
from orchestrator.planning.grid import Grid, glue_folder
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.task import Split
from trainables.models.source import locate
from trainables.training.device import use_threads
from trainables.trial.inputs import load_data
from trainables.trial.trial import run_trial

SIDES = ("trial", "trainer")


@dataclass(frozen=True)
class Training:
    """What one training took.

    Attributes:
        startup: seconds before the first step, imports not included.
        seconds: of all passes and evaluations.
        examples: training and validation examples in ``seconds``, with repetitions.
        megabytes: growth of the largest resident memory over what the process had after its
            imports.
        accuracy: on the validation examples, after the last pass.
    """

    startup: float
    seconds: float
    examples: int
    megabytes: float
    accuracy: float


def train(side: str, config: TrialConfig, glue_dir: str | None, threads: int) -> Training:
    """Train ``config``, a single-task trial, and measure it."""
    use_threads(threads)
    before = _resident()
    run = _trial if side == "trial" else _trainer
    startup, seconds, examples, accuracy = run(config, glue_dir, threads)
    return Training(startup, seconds, examples, (_peak() - before) / 1e6, accuracy)


def _trial(
    config: TrialConfig, glue_dir: str | None, threads: int
) -> tuple[float, float, int, float]:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        runtime = Runtime(output_dir=folder, device="cpu", threads=threads, glue_dir=glue_dir)
        trial = run_trial(config, runtime)
    took = time.perf_counter() - began
    record = trial.record
    assert record is not None
    assert record.error is None, record.error
    [name] = config.tasks
    seconds = record.train_seconds + record.eval_seconds
    evaluated = config.training.epochs * record.examples_per_split[name]["validation"]
    accuracy = record.results["validation"][name].scores()["accuracy"]
    assert accuracy is not None
    return took - seconds, seconds, record.examples + evaluated, accuracy


def _trainer(
    config: TrialConfig, glue_dir: str | None, threads: int
) -> tuple[float, float, int, float]:
    [data] = load_data(config, glue_dir).values()
    training = config.training
    run = train_with_trainer(
        locate(config.model, download_weights=True).folder,
        _examples(data.splits["train"]),
        _examples(data.splits["validation"]),
        batch_size=training.batch_size,
        epochs=training.epochs,
        eval_batch_size=training.eval_batch_size,
        max_length=config.model.max_length,
        learning_rate=training.learning_rate,
        precision="bf16" if training.precision == "bf16" else "fp32",
        threads=threads,
        seed=config.seed,
    )
    return run.startup, run.training + run.evaluation, run.trained + run.evaluated, run.accuracy


def _examples(split: Split) -> Examples:
    return Examples(split.texts, split.labels.tolist())


def _peak() -> int:
    """Bytes of the largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident() -> int:
    """Bytes of resident memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("task")
    parser.add_argument("precision", choices=("fp32", "bf16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "overrides", nargs="*", help="settings of a single trial: data.glue_dir=DIR"
    )
    options = parser.parse_args(arguments)
    single = load_single_trial(
        "single_task",
        [
            f"tasks=[{options.task}]",
            f"training.precision={options.precision}",
            "training.batch_size=32",
            "training.epochs=1",
            *options.overrides,
        ],
    )
    [config] = Grid(single).trials_of("single_task", single.model, single.seed)
    torch.matmul(torch.ones(8, 8), torch.ones(8, 8))
    glue = glue_folder(single.data.glue_dir)
    print(json.dumps(asdict(train(options.side, config, glue, options.threads))))


if __name__ == "__main__":
    main()
