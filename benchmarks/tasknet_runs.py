"""Trainings by tasknet in an environment of its own: the examples and settings of a trial."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trainables.config.trial import TrialConfig
from trainables.data.planned import load_data
from trainables.models.source import locate

PROJECT = Path(__file__).resolve().parents[1]
REQUIREMENTS = PROJECT / "benchmarks" / "tasknet-requirements.txt"


def tasknet_python() -> Path:
    """The Python of an environment with the requirements, below ``build``; made if it is new."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    folder = PROJECT / "build" / f"tasknet-{digest[:12]}"
    python, complete = folder / "bin" / "python", folder / ".installed"
    if not complete.exists():
        print(f"installing tasknet into {folder}: takes minutes", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", REQUIREMENTS], check=True, stdout=sys.stderr)
        complete.touch()
    return python


def train_with_tasknet(
    python: Path, config: TrialConfig, glue_dir: str | None, threads: int
) -> dict[str, Any]:
    """Train a trial's tasks in a process of its own (``benchmarks.tasknet_training``)."""
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(job_of(config, glue_dir, threads)), encoding="utf-8")
        done = subprocess.run(
            [python, "-m", "benchmarks.tasknet_training", job],
            check=True,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
        )
    return json.loads(done.stdout)


def job_of(config: TrialConfig, glue_dir: str | None, threads: int) -> dict[str, Any]:
    """What ``benchmarks.tasknet_training`` is told: the encoder's folder, settings, examples."""
    training = config.training
    return {
        "encoder": str(locate(config.model, download_weights=True).folder.resolve()),
        "max_length": config.model.max_length,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "precision": training.precision,
        "seed": config.seed,
        "threads": threads,
        "tasks": {
            task: {
                name: {
                    "texts": data.splits[name].texts,
                    "labels": data.splits[name].labels.tolist(),
                }
                for name in ("train", "validation")
            }
            for task, data in load_data(config, glue_dir).items()
        },
    }
