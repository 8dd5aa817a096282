"""Rows a second of ``predict`` beside transformers' pipelines, one after the other for each task.

    python -m benchmarks.predict_throughput [--rows 2000] [--rounds 5] [--heads 1 3]

The encoder has the size and tokenizer of MiniLM-L6; texts are 2 to 60 random words. ``predict``
reads a CSV file and writes another; a pipeline gets a list, in batches of 32 and by default.
Printed are, as Markdown: medians of rows a second that have all answers, and of ratios in rounds.
"""

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.serve_load import WORDS
from orchestrator.deploy.bulk.prediction import Request, predict_rows
from orchestrator.deploy.open import open_predictor
from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.quiet import quiet
from trainables.models.saved import TaskClasses, save_classifier

ENCODER = "minilm-l6"
MAX_LENGTH = 128

Answer = Callable[[], None]
"""Answers all rows once."""


def texts(count: int, seed: int = 41) -> list[str]:
    """Texts whose numbers of words are log-normal, 16 in the median."""
    draw = random.Random(seed)
    sizes = [min(60, max(2, round(draw.lognormvariate(2.8, 0.7)))) for _ in range(count)]
    return [" ".join(draw.choices(WORDS, k=size)) for size in sizes]


def write_model(folder: Path, heads: int) -> None:
    """A saved model with so many heads of two classes, each with random weights."""
    model = ModelConfig(encoder=ENCODER, max_length=MAX_LENGTH)
    tasks = [f"task{number}" for number in range(heads)]
    classifier = Classifier(load_encoder(model, 41), dict.fromkeys(tasks, 2), 41)
    tokenizer = load_tokenizer(model)
    tokenizer.model_max_length = MAX_LENGTH
    labels = {task: ["no", "yes"] for task in tasks}
    extra = {"tasks": labels, "prefixes": dict.fromkeys(tasks, "")}
    classes = {task: TaskClasses(head=task, classes=(0, 1), texts=1) for task in tasks}
    save_classifier(folder, classifier, tokenizer, extra, classes)


def ours(model: Path, source: Path) -> Answer:
    """``predict`` from file to file."""
    predictor = open_predictor(model)

    def answer() -> None:
        with tempfile.TemporaryDirectory(dir=source.parent) as folder:
            request = Request(str(source), str(Path(folder) / "out.csv"))
            predict_rows(predictor, "", request)

    return answer


def pipelines(model: Path, asked: list[str], heads: int, batch_size: int | None) -> Answer:
    """A pipeline for each head, one after the other, with the same encoder."""
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(model)
        classifier = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
        made = [
            pipeline("text-classification", model=classifier, tokenizer=tokenizer, device="cpu")
            for _ in range(heads)
        ]
    size = {} if batch_size is None else {"batch_size": batch_size}

    def answer() -> None:
        for classify in made:
            classify(asked, truncation=True, max_length=MAX_LENGTH, **size)

    return answer


def measure(heads: int, rows: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """What answers -> rows a second in each round. They take turns; the first is not counted."""
    model, source, asked = folder / f"heads{heads}", folder / f"heads{heads}.csv", texts(rows)
    write_model(model, heads)
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in asked)])
    answers = {
        "predict": ours(model, source),
        "pipeline, batches of 32": pipelines(model, asked, heads, 32),
        "pipeline, default": pipelines(model, asked, heads, None),
    }
    rates: dict[str, list[float]] = {name: [] for name in answers}
    for number in range(rounds + 1):
        for name, answer in answers.items():
            began = time.perf_counter()
            answer()
            if number:
                rates[name].append(rows / (time.perf_counter() - began))
    return rates


def report(rates: dict[int, dict[str, list[float]]]) -> str:
    """The measurements of each number of heads as Markdown."""
    lines = ["| heads | | rows/s | predict is faster |", "|--:|---|--:|--:|"]
    for heads, by_name in rates.items():
        mine = by_name["predict"]
        for name, theirs in by_name.items():
            ratio = median(m / t for m, t in zip(mine, theirs, strict=True))
            faster = "" if name == "predict" else f"{ratio:.2f} times"
            lines.append(f"| {heads} | {name} | {median(theirs):.0f} | {faster} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 3])
    options = parser.parse_args(arguments)
    print(f"{torch.get_num_threads()} threads, {options.rows} rows, {options.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as folder:
        rates = {
            heads: measure(heads, options.rows, options.rounds, Path(folder))
            for heads in options.heads
        }
    print(report(rates))


if __name__ == "__main__":
    main()
