"""One training in a process of its own, by a trial or by Hugging Face's Trainer.

    python -m benchmarks.one_training --threads 1 trial cola fp32 data.glue_dir=DIR

Several tasks (``cola,sst2``) are pooled, for one classifier; with ``--arm shared_encoder`` a trial
has a head for each (Trainer knows no such thing).

Prints seconds, memory and scores as JSON. ``benchmarks.peers`` runs it again and again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from benchmarks.hf_trainer import Examples, train_with_trainer
from benchmarks.matrix_rate import matrix_rate
from benchmarks.resident_memory import most_resident, resident
from orchestrator.config.experiment import load_single_trial
from orchestrator.planning.grid import Grid, glue_folder
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.data.task import Split
from trainables.models.encoder import load_encoder
from trainables.models.source import locate
from trainables.training.device import use_threads
from trainables.trial.inputs import load_tokens
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
        limit: seconds that the encoder's matrix products take for the same texts without padding.
        accuracy: on the validation examples of all tasks together, after the last pass.
        accuracies: the same of each task; none where Trainer trains several.
    """

    startup: float
    seconds: float
    examples: int
    megabytes: float
    limit: float
    accuracy: float
    accuracies: dict[str, float]


def train(side: str, config: TrialConfig, glue_dir: str | None, threads: int) -> Training:
    """Train ``config`` and measure it; Trainer pools the tasks, as ``naive_concat`` does."""
    use_threads(threads)
    before = resident()
    run = _trial if side == "trial" else _trainer
    startup, seconds, examples, accuracy, accuracies = run(config, glue_dir, threads)
    megabytes = (most_resident() - before) / 1e6
    limit = limit_seconds(config, glue_dir)
    return Training(startup, seconds, examples, megabytes, limit, accuracy, accuracies)


def limit_seconds(config: TrialConfig, glue_dir: str | None) -> float:
    """Seconds that the linear layers' products take for a trial's texts without padding.

    Three products of each layer in training and one in evaluation, at the rate of products with
    as many rows as a batch has tokens.
    """
    encoder = load_encoder(config.model, config.seed)
    width = encoder.hidden_size
    maps = [m for m in encoder.plain.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(m.weight.numel() for m in maps)
    runtime = Runtime(output_dir="", glue_dir=glue_dir)
    splits = load_tokens(config, runtime, load_data(config, glue_dir)).values()
    training = config.training
    train, evaluated = (
        sum(int(task[name].lengths.sum()) for task in splits) for name in ("train", "validation")
    )
    rows = round(training.batch_size * train / sum(len(task["train"]) for task in splits))
    precision = "bf16" if training.precision == "bf16" else "fp32"
    rate = matrix_rate(width, rows, precision, torch.device("cpu"))
    return training.epochs * 2 * weights * (3 * train + evaluated) / rate


def _trial(
    config: TrialConfig, glue_dir: str | None, threads: int
) -> tuple[float, float, int, float, dict[str, float]]:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        runtime = Runtime(output_dir=folder, device="cpu", threads=threads, glue_dir=glue_dir)
        trial = run_trial(config, runtime)
    took = time.perf_counter() - began
    record = trial.record
    assert record is not None
    assert record.error is None, record.error
    seconds = record.train_seconds + record.eval_seconds
    sizes = {task: splits["validation"] for task, splits in record.examples_per_split.items()}
    evaluated = sum(sizes.values())
    results = record.results["validation"]
    accuracies = {task: results[task].scores()["accuracy"] or 0.0 for task in sizes}
    right = sum(n * accuracies[task] for task, n in sizes.items())
    examples = record.examples + config.training.epochs * evaluated
    return took - seconds, seconds, examples, right / evaluated, accuracies


def _trainer(
    config: TrialConfig, glue_dir: str | None, threads: int
) -> tuple[float, float, int, float, dict[str, float]]:
    tasks = load_data(config, glue_dir).values()
    training = config.training
    run = train_with_trainer(
        locate(config.model, download_weights=True).folder,
        _examples([data.splits["train"] for data in tasks]),
        _examples([data.splits["validation"] for data in tasks]),
        batch_size=training.batch_size,
        epochs=training.epochs,
        eval_batch_size=training.eval_batch_size,
        max_length=config.model.max_length,
        learning_rate=training.learning_rate,
        precision="bf16" if training.precision == "bf16" else "fp32",
        threads=threads,
        seed=config.seed,
    )
    seconds, examples = run.training + run.evaluation, run.trained + run.evaluated
    accuracies = {} if len(config.tasks) > 1 else dict.fromkeys(config.tasks, run.accuracy)
    return run.startup, seconds, examples, run.accuracy, accuracies


def _examples(splits: list[Split]) -> Examples:
    """Those of all splits together; where some have two texts the others have an empty one."""
    texts = [text for split in splits for text in split.texts]
    most = max(map(len, texts))
    filled = [text + ("",) * (most - len(text)) for text in texts]
    return Examples(filled, [label for split in splits for label in split.labels.tolist()])


def load_config(
    tasks: str, precision: str, overrides: Sequence[str], arm: str | None = None
) -> tuple[TrialConfig, str | None]:
    """A trial, and the folder of GLUE.

    Args:
        tasks: their names, with commas in between.
        precision: its number format.
        overrides: settings of a single trial.
        arm: how to train; None: ``single_task``, of several tasks ``naive_concat``.
    """
    arm = arm or ("naive_concat" if "," in tasks else "single_task")
    single = load_single_trial(
        arm,
        [
            f"tasks=[{tasks}]",
            f"training.precision={precision}",
            "training.batch_size=32",
            "training.epochs=1",
            *overrides,
        ],
    )
    [config] = Grid(single).trials_of(arm, single.model, single.seed)
    return config, glue_folder(single.data.glue_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("tasks")
    parser.add_argument("precision", choices=("fp32", "bf16"))
    parser.add_argument("--arm", help="default: single_task, of several tasks naive_concat")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "overrides", nargs="*", help="settings of a single trial: data.glue_dir=DIR"
    )
    options = parser.parse_args(arguments)
    config, glue = load_config(options.tasks, options.precision, options.overrides, options.arm)
    torch.matmul(torch.ones(8, 8), torch.ones(8, 8))
    print(json.dumps(asdict(train(options.side, config, glue, options.threads))))


if __name__ == "__main__":
    main()
