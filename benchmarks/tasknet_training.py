"""One training by tasknet: several tasks, with a head each, on Hugging Face's Trainer.

    PYTHON -m benchmarks.tasknet_training JOB.json

Runs in an environment of its own (``tasknet-requirements.txt``), so that it imports nothing of this
project but ``resident_memory`` and ``trainer_clock``. ``tasknet_runs`` writes the job: encoder,
settings and examples. Prints seconds, memory and scores as JSON.

tasknet's and Trainer's defaults hold, with ``batched`` tokenizing, which is faster. tasknet
evaluates in batches of the training's size, pads to ``max_length`` and cuts each batch to its
longest text, leaves out the segments of pairs, and adds an embedding of the task to each first
token. It needs two things to run at all:

- ``import tasknet`` loads metrics of token tagging and translation from the Hub: for the import,
  ``evaluate.load`` is replaced by one that loads nothing;
- each task has to have a test split: an empty one.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from datasets import Dataset, DatasetDict
from transformers import PrinterCallback, set_seed
from transformers.utils import logging

from benchmarks.resident_memory import most_resident, resident
from benchmarks.trainer_clock import TrainerClock

with patch("evaluate.load"):
    import tasknet  # pyright: ignore[reportMissingImports]

PACKAGES = ("tasknet", "transformers", "torch", "datasets", "accelerate")


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate a job."""
    torch.set_num_threads(job["threads"])
    before = resident()
    began = time.perf_counter()
    set_seed(job["seed"])
    clock = TrainerClock()
    examples = 0

    def count(model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        nonlocal examples
        examples += len(kwargs["labels"])

    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        tasks = [_task(name, splits) for name, splits in job["tasks"].items()]
        settings = {
            "model_name": job["encoder"],
            "max_length": job["max_length"],
            "batched": True,
            "output_dir": folder,
            "num_train_epochs": job["epochs"],
            "per_device_train_batch_size": job["batch_size"],
            "learning_rate": job["learning_rate"],
            "bf16": job["precision"] == "bf16",
            "use_cpu": True,
            "save_strategy": "no",
            "logging_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "seed": job["seed"],
        }
        model = tasknet.Model(tasks, settings)
        model.register_forward_pre_hook(count, with_kwargs=True)
        trainer = tasknet.Trainer(model, tasks, settings, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return {
        "startup": clock.began - began,
        "seconds": clock.ended - clock.began,
        "examples": examples,
        "megabytes": (most_resident() - before) / 1e6,
        "accuracies": {task.name: task.results[-1]["accuracy"] for task in tasks},
        "packages": {name: version(name) for name in PACKAGES},
    }


def _task(name: str, splits: dict[str, Any]) -> tasknet.Classification:
    """A task whose labels are numbers: tasks share no head because labels have the same name."""
    sets = {split: _dataset(**examples) for split, examples in splits.items()}
    sets["test"] = sets["validation"].select([])
    return tasknet.Classification(DatasetDict(sets.items()), name=name)


def _dataset(texts: list[list[str]], labels: list[int]) -> Dataset:
    columns = zip(("sentence1", "sentence2"), zip(*texts, strict=True), strict=False)
    return Dataset.from_dict({name: list(column) for name, column in columns} | {"labels": labels})


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.matmul(torch.ones(8, 8), torch.ones(8, 8))
    print(json.dumps(train(job)))
