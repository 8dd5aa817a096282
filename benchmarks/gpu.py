"""How well a GPU is used: examples a second, share of its limit, and trials an hour side by side.

    make gpu-bench                                # all of it on the first GPU that is visible
    python -m benchmarks.gpu --device cpu --layers 2 --width 128 --examples 64

One task is trained for a pass over texts of random words whose lengths are those of CoLA and of
MRPC, with an encoder of the shape of BERT base and random weights: by this project, with and
without ``training.deterministic``, and by Hugging Face's Trainer with its defaults and with
batches of similar length. They take turns; the medians over the rounds are printed. Evaluation on
the validation texts is timed apart.

The share of time in which a kernel runs is that of the profiler's trace of a few steps. The share
of the limit is the rate of the model's matrix products, padding included, divided by the rate of
the encoder's linear layers alone, forward and backward, in the same number format on batches of
the same size. Trials an hour are measured as ``resources.gpu=auto`` does
(``orchestrator/execution/throughput.py``).

Results are printed as Markdown and written with the environment to ``gpu.json`` and ``gpu.md``.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer

from benchmarks.hf_trainer import Examples, train_with_trainer
from benchmarks.matrix_rate import Precision, matrix_rate, synchronise
from benchmarks.subject import CORES, write_encoder
from orchestrator.config.experiment import load_single_trial
from orchestrator.execution.throughput import throughput_curve
from orchestrator.planning.gpu_sharing import Throughput, choose, goes_on
from orchestrator.planning.grid import Grid
from orchestrator.run_dir.environment import describe_environment
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.data.task import TaskData
from trainables.training.device import (
    resolve_device,
    resolve_precision,
    use_deterministic,
    use_threads,
)
from trainables.training.loop import TrainingLoop
from trainables.training.memory import release_memory
from trainables.trial.build import build_training_loop

AT_ONCE = (1, 2, 4, 8)

STEPS = 10
"""Optimiser steps before every measurement, in the profiler's trace and of counted products."""


@dataclass(frozen=True)
class Lengths:
    """Texts as long as those of a task.

    Attributes:
        name: the task whose lengths they are.
        texts: of an example, one or two.
        deciles: BERT's tokens of an example of the real training set, without special ones.
        train: examples of the real training set.
        validation: examples of the real validation set.
    """

    name: str
    texts: int
    deciles: tuple[int, ...]
    train: int
    validation: int


LENGTHS = (
    Lengths("cola", 1, (2, 5, 6, 7, 8, 8, 9, 10, 12, 15, 45), 8551, 1043),
    Lengths("mrpc", 2, (16, 33, 38, 42, 47, 50, 54, 58, 61, 67, 100), 3668, 408),
)


@dataclass(frozen=True)
class Rate:
    """How fast one way of training is.

    Attributes:
        lengths: name of the texts.
        name: of the way.
        training: training examples a second, of each round.
        evaluation: validation examples a second, of each round.
        kernel_share: share of time in which a kernel runs; None: not measured.
        limit_share: rate of the matrix products by that of the limit; None: not measured.
    """

    lengths: str
    name: str
    training: tuple[float, ...]
    evaluation: tuple[float, ...]
    kernel_share: float | None = None
    limit_share: float | None = None


class Texts:
    """Random words of one token each, so that a text has exactly so many tokens.

    Args:
        lengths: how many there are.
        encoder: folder of the tokenizer.
        most: training examples at most; None: as many as in the real set.
        folder: where the CSV files are written.

    Attributes:
        train, validation: the splits.
        task: the task's definition, as an override.
    """

    def __init__(self, lengths: Lengths, encoder: Path, most: int | None, folder: Path) -> None:
        vocabulary = AutoTokenizer.from_pretrained(encoder, local_files_only=True).get_vocab()
        self._words = np.array(sorted(w for w in vocabulary if w.isascii() and w.isalpha()))
        self._rng = np.random.default_rng(0)
        self._lengths = lengths
        columns = ["one", "two"][: lengths.texts]
        self.train = self._examples(min(lengths.train, most or lengths.train))
        self.validation = self._examples(min(lengths.validation, most or lengths.validation))
        files = {}
        for split, examples in (("train", self.train), ("validation", self.validation)):
            table = pd.DataFrame(examples.texts, columns=pd.Index(columns))
            files[split] = str(folder / f"{lengths.name}-{split}.csv")
            table.assign(label=examples.labels).to_csv(files[split], index=False)
        content = {"text": columns, "labels": [0, 1], "files": files}
        self.task = f"define.tasks.measured={json.dumps(content)}"

    def _examples(self, size: int) -> Examples:
        deciles = self._lengths.deciles
        drawn = self._rng.uniform(0, 1, size)
        tokens = np.rint(np.interp(drawn, np.linspace(0, 1, len(deciles)), deciles)).astype(int)
        texts = []
        for total in tokens:
            words = self._rng.choice(self._words, total)
            parts = np.array_split(words, self._lengths.texts)
            texts.append(tuple(" ".join(part) for part in parts))
        return Examples(texts, [int(label) for label in self._rng.permutation(size) % 2])


@dataclass(frozen=True)
class Subject:
    """The trial of this project that trains on some texts.

    Attributes:
        config: the trial.
        runtime: where it runs.
        device: that it is trained on.
        precision: its number format.
        tasks: its data.
    """

    config: TrialConfig
    runtime: Runtime
    device: torch.device
    precision: Precision
    tasks: dict[str, TaskData]

    def loop(self, steps: int | None = None) -> TrainingLoop:
        """A training loop; ``steps``: it has more than that, and so evaluates nothing."""
        use_threads(self.runtime.threads)
        use_deterministic(self.device, self.config.training.deterministic)
        total = None if steps is None else steps + 1
        config = self.config.model_copy(update={"total_steps": total})
        return build_training_loop(config, self.runtime, self.tasks, self.device, self.precision)


def subject_of(texts: Texts, encoder: Path, folder: Path, options: argparse.Namespace) -> Subject:
    """The trial that trains on ``texts``.

    Args:
        texts: the texts.
        encoder: folder of the encoder.
        folder: for the token cache.
        options: of the command line.
    """
    single = load_single_trial(
        "single_task",
        [
            texts.task,
            f"define.models.measured={{encoder: {encoder}, weights: random, max_length: 128}}",
            "task=measured",
            "model=measured",
            "training.epochs=1",
            f"training.batch_size={options.batch_size}",
            f"training.precision={options.precision}",
            f"data.cache_dir={folder / 'cache'}",
        ],
    )
    [config] = Grid(single).trials_of("single_task", single.model, single.seed)
    runtime = Runtime(
        output_dir=str(folder / "run"),
        device=options.device,
        threads=options.threads,
        cache_dir=str(folder / "cache"),
    )
    device = resolve_device(options.device)
    precision: Any = resolve_precision(options.precision, device)
    return Subject(config, runtime, device, precision, load_data(config, None))


def train_ours(subject: Subject) -> tuple[float, float]:
    """Training and validation examples a second, of one pass."""
    take(subject.loop(STEPS), STEPS)
    loop = subject.loop()
    synchronise()
    began = time.perf_counter()
    for _ in loop.run():
        pass
    synchronise()
    evaluation = loop.state.eval_seconds
    training = time.perf_counter() - began - evaluation
    validation = len(loop.splits[0]["validation"])
    return loop.state.examples / training, validation / evaluation


def train_theirs(
    subject: Subject, texts: Texts, encoder: Path, grouped: bool
) -> tuple[float, float]:
    """The same with Hugging Face's Trainer."""
    # PyTorch as it comes.
    use_deterministic(subject.device, False)
    training, few = subject.config.training, STEPS * subject.config.training.batch_size
    train = partial(
        train_with_trainer,
        encoder,
        batch_size=training.batch_size,
        eval_batch_size=training.eval_batch_size,
        max_length=subject.config.model.max_length,
        precision=subject.precision,
        device="cuda" if subject.device.type == "cuda" else "cpu",
        threads=subject.runtime.threads,
        group_by_length=grouped,
    )
    warm = Examples(texts.train.texts[:few], texts.train.labels[:few])
    train(warm, warm)
    run = train(texts.train, texts.validation)
    return run.trained / run.training, run.evaluated / run.evaluation


def take(loop: TrainingLoop, steps: int) -> None:
    """Train for so many optimiser steps."""
    running = loop.run()
    for _ in range(steps):
        next(running)


def kernel_share(subject: Subject) -> float | None:
    """Share of time in which a kernel runs on the GPU, of ``STEPS`` steps; None on a CPU."""
    loop = subject.loop(2 * STEPS)
    if loop.device.type != "cuda":
        return None
    running = loop.run()
    for _ in range(STEPS):
        next(running)
    synchronise()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        for _ in range(STEPS):
            next(running)
        synchronise()
        seconds = time.perf_counter() - began
    return covered(kernels(profiler.events() or ())) / 1e6 / seconds


def kernels(events: Iterable[Any]) -> list[tuple[float, float]]:
    """Start and end, in microseconds, of the kernels among a profiler's events."""
    return [
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type.name == "CUDA"
        and not event.is_user_annotation
        and not event.name.startswith(("Memcpy", "Memset"))
    ]


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def products(subject: Subject) -> tuple[float, int]:
    """Floating-point operations of the model's matrix products, per example, and a step's tokens.

    Counted over ``STEPS`` steps, padding included; the tokens are the mean of a step.
    """
    loop = subject.loop(STEPS)
    counter = FlopCounterMode(display=False)
    # Attention step by step: fused kernels compute the same products, not all of them counted.
    with counter, sdpa_kernel(SDPBackend.MATH):
        take(loop, STEPS)
    steps = loop.strategy.steps(0)
    tokens = [next(steps).parts[0].tensors["input_ids"].numel() for _ in range(STEPS)]
    return counter.get_total_flops() / loop.state.examples, round(sum(tokens) / STEPS)


def rates(
    lengths: Lengths, texts: Texts, encoder: Path, subject: Subject, options: argparse.Namespace
) -> list[Rate]:
    """Every way of training on some texts, in turns."""
    training = subject.config.training.model_copy(update={"deterministic": False})
    fast = replace(subject, config=subject.config.model_copy(update={"training": training}))
    ways = {
        "this project": partial(train_ours, subject),
        "this project, deterministic=false": partial(train_ours, fast),
        "HF Trainer": partial(train_theirs, subject, texts, encoder, False),
        "HF Trainer, by length": partial(train_theirs, subject, texts, encoder, True),
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(options.rounds):
        for name, train in ways.items():
            measured[name].append(train())
            release_memory()
            print(f"{lengths.name}: {turn + 1} of {options.rounds}, {name}", file=sys.stderr)
    found = {
        name: Rate(lengths.name, name, tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))
        for name, pairs in measured.items()
    }
    operations, tokens = products(subject)
    release_memory()
    most = matrix_rate(options.width, tokens, subject.precision, subject.device)
    for name, ours in zip(ways, (subject, fast), strict=False):  # Not of the last two.
        share = median(found[name].training) * operations / most
        found[name] = replace(found[name], kernel_share=kernel_share(ours), limit_share=share)
        release_memory()
    return list(found.values())


def sharing(subject: Subject, examples: int, seconds: float) -> dict[str, Any]:
    """Trials an hour with all of ``AT_ONCE``, and the number that ``auto`` would choose."""
    threads = {n: max(1, subject.runtime.threads // n) for n in AT_ONCE}
    curve = throughput_curve(
        subject.config, subject.runtime, threads, examples, seconds, lambda points: True
    )
    # ``auto`` measures no further than it needs.
    seen: list[Throughput] = []
    for point in curve:
        if goes_on(seen):
            seen.append(point)
    return {"curve": [list(point) for point in curve], "chosen": choose(seen, max(AT_ONCE))}


def markdown(content: dict[str, Any]) -> str:
    """The results as Markdown."""
    settings, environment = content["settings"], content["environment"]
    lines = [
        f"{settings['hardware']}, torch {environment['packages']['torch']}, "
        f"{settings['precision']}, batches of {settings['batch_size']}, "
        f"{settings['layers']} layers {settings['width']} wide, {settings['threads']} threads, "
        f"{settings['rounds']} rounds",
        "",
        "| lengths of | trained by | training, examples/s | evaluation, examples/s "
        "| a kernel runs | of the limit |",
        "| :-- | :-- | --: | --: | --: | --: |",
    ]
    for rate in content["rates"]:
        shares = [
            "–" if rate[key] is None else f"{rate[key]:.0%}"
            for key in ("kernel_share", "limit_share")
        ]
        training, evaluation = (f"{median(rate[key]):,.0f}" for key in ("training", "evaluation"))
        cells = [rate["lengths"], rate["name"], training, evaluation, *shares]
        lines.append(f"| {' | '.join(cells)} |")
    heads = [f"{n} at once" for n in AT_ONCE]
    lines += [
        "",
        f"| lengths of | {' | '.join(heads)} | chosen |",
        f"| :-- |{' --: |' * (len(AT_ONCE) + 1)}",
    ]
    for name, entry in content["sharing"].items():
        points = ["out of memory" if rate is None else f"{rate:,.0f}" for _, rate in entry["curve"]]
        lines.append(f"| {name} | {' | '.join([*points, str(entry['chosen'])])} |")
    passes = ", ".join(f"{name} {n:,}" for name, n in settings["examples"].items())
    lines += ["", f"Trials an hour; a trial is one pass over the training examples ({passes})."]
    return "\n".join(lines) + "\n"


def one_gpu() -> None:
    """Let this process and those that it starts see the first visible GPU alone."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ["CUDA_VISIBLE_DEVICES"] = first


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All results, as JSON values."""
    device = resolve_device(options.device)
    content: dict[str, Any] = {"rates": [], "sharing": {}}
    examples: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as name:
        folder = Path(name)
        encoder = folder / "encoder"
        write_encoder(encoder, options.layers, options.width)
        precision = options.precision
        for lengths in LENGTHS:
            texts = Texts(lengths, encoder, options.examples, folder)
            subject = subject_of(texts, encoder, folder, options)
            precision, examples[lengths.name] = subject.precision, len(texts.train.labels)
            found = rates(lengths, texts, encoder, subject, options)
            content["rates"] += [asdict(rate) for rate in found]
            content["sharing"][lengths.name] = sharing(
                subject, examples[lengths.name], options.seconds
            )
    environment = describe_environment()
    hardware = environment["cpu"]
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        hardware = f"{torch.cuda.get_device_name(device)} ({memory:.0f} GB)"
    keys = ("batch_size", "layers", "width", "threads", "rounds")
    settings = {key: getattr(options, key) for key in keys}
    content["settings"] = {
        "hardware": hardware,
        "precision": precision,
        "examples": examples,
        **settings,
    }
    return content | {"environment": environment}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument("--examples", type=int, help="most training examples; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one trial alone")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--out", type=Path, default=Path("build/gpu-bench"), help="a folder")
    options = parser.parse_args(arguments)
    if options.device == "cuda":
        one_gpu()
    content = measure(options)
    text = markdown(content)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.out / "gpu.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
