"""Small trials on the demo corpora with a tiny encoder, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from trainables.config.task import TaskConfig
from trainables.config.trial import (
    LimitsConfig,
    ModelConfig,
    Runtime,
    SelectionConfig,
    TrainingConfig,
    TrialConfig,
)
from trainables.data.sources import load_task
from trainables.results.record import TrialRecord, read_record
from trainables.trial.trial import Trial, run_trial

TASKS = {
    "acceptability": TaskConfig(text=("sentence",), headline="matthews", demo="acceptability"),
    "sentiment": TaskConfig(text=("sentence",), demo="sentiment"),
    "paraphrase": TaskConfig(text=("sentence1", "sentence2"), demo="paraphrase"),
}

ARMS: dict[str, dict[str, Any]] = {
    "single_task": {"strategy": "single_task"},
    "naive_concat": {"strategy": "naive_concat"},
    "naive_concat_union": {
        "strategy": "naive_concat",
        "label_space": "union",
        "mask_other_tasks": False,
        "task_prefix": True,
    },
    "shared_encoder": {"strategy": "shared_encoder"},
    "shared_encoder_sqrt": {"strategy": "shared_encoder", "sampling": {"name": "power"}},
    "shared_encoder_mixed": {"strategy": "shared_encoder", "sampling": {"batch": "mixed"}},
    "gradual_unfreezing": {"strategy": "shared_encoder", "freezing": {"name": "gradual"}},
    "lora_shared": {"strategy": "shared_encoder", "adapter": {"rank": 2, "dropout": 0.1}},
}
"""One arm per strategy and notable setting; properties of all are tested over these."""

METHODS: dict[str, dict[str, Any]] = {
    "shared_encoder_mixed": {
        "strategy": "shared_encoder",
        "sampling": {"batch": "mixed"},
        "weighting": {"name": "uncertainty"},
    },
    "shared_encoder_gradnorm": {
        "strategy": "shared_encoder",
        "sampling": {"name": "uniform", "batch": "joint"},
        "weighting": {"name": "gradnorm"},
    },
    "shared_encoder_famo": {
        "strategy": "shared_encoder",
        "sampling": {"batch": "joint"},
        "weighting": {"name": "famo"},
    },
    "shared_encoder_pcgrad": {
        "strategy": "shared_encoder",
        "sampling": {"name": "annealed", "batch": "joint"},
        "weighting": {"name": "dwa"},
        "aggregation": {"name": "pcgrad"},
    },
}
"""Methods that have something to be kept across an interruption."""

ARMS |= METHODS


def trial_config(
    arm: str,
    encoder: Path,
    *,
    seed: int = 41,
    limits: LimitsConfig | None = None,
    selection: SelectionConfig | None = None,
    total_steps: int | None = None,
    tasks: tuple[str, ...] | None = None,
    model: dict[str, Any] | None = None,
    **training: Any,
) -> TrialConfig:
    """A trial of one of ``ARMS`` whose data and fingerprints are right."""
    limits = limits or LimitsConfig(max_train_examples=40, max_validation_examples=24)
    selection = selection or SelectionConfig()
    settings = TrainingConfig.model_validate(
        # The same numbers on every CPU.
        {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "eval_batch_size": 16}
        | {"precision": "fp32"}
        | training
    )
    chosen = tasks or (("acceptability",) if arm == "single_task" else tuple(TASKS))
    data = {
        name: load_task(
            name,
            TASKS[name],
            "demo",
            glue_dir=None,
            limits=limits,
            selection_fraction=selection.carved_fraction(settings),
        )
        for name in chosen
    }
    return TrialConfig.model_validate(
        {
            "arm_name": arm,
            "arm": ARMS[arm],
            "tasks": {name: TASKS[name] for name in chosen},
            "sources": dict.fromkeys(chosen, "demo"),
            "fingerprints": {name: task.fingerprint for name, task in data.items()},
            "model_name": "tiny",
            "model": ModelConfig.model_validate(
                {"encoder": str(encoder), "max_length": 64} | (model or {})
            ),
            "seed": seed,
            "training": settings,
            "selection": selection,
            "limits": limits,
            "total_steps": total_steps,
        }
    )


def with_regression(config: TrialConfig, folder: Path) -> TrialConfig:
    """The trial with a regression among its tasks, or, of ``single_task``, as its only one."""
    for split, size in (("train", 16), ("validation", 10)):
        lines = [
            f"a cat {'sat ' * (i % 4)}{split} {i},{i % 4 + 0.25 * (i % 3)}" for i in range(size)
        ]
        (folder / f"{split}.csv").write_text("\n".join(["s,label", *lines]) + "\n")
    files = {split: str(folder / f"{split}.csv") for split in ("train", "validation")}
    task = TaskConfig.model_validate({"text": ("s",), "kind": "regression", "files": files})
    data = load_task(
        "scores",
        task,
        "files",
        glue_dir=None,
        limits=config.limits,
        selection_fraction=config.selection.carved_fraction(config.training),
    )
    added = {
        "tasks": {"scores": task},
        "sources": {"scores": "files"},
        "fingerprints": {"scores": data.fingerprint},
    }
    if config.arm.strategy == "single_task":
        return config.model_copy(update=added)
    return config.model_copy(update={key: getattr(config, key) | one for key, one in added.items()})


def runtime(folder: Path, **settings: Any) -> Runtime:
    """Everything that a trial leaves behind goes under ``folder``; the run directory is made."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    values = {
        "output_dir": str(folder / "run"),
        "cache_dir": str(folder / "cache"),
        "device": "cpu",
        "checkpoint_every": 0.0,
    }
    return Runtime.model_validate(values | settings)


def finished(config: TrialConfig, folder: Path, **settings: Any) -> tuple[TrialRecord, Trial]:
    trial = run_trial(config, runtime(folder, **settings))
    return read_record(trial.run_dir.record(config.key)), trial


def weights(trial: Trial) -> dict[str, torch.Tensor]:
    assert trial.loop is not None
    return trial.loop.model.state_dict()


def assert_same(one: tuple[TrialRecord, Trial], other: tuple[TrialRecord, Trial]) -> None:
    """Metrics, predictions and weights agree bit for bit; only time and place may differ."""
    timed = {"train_seconds", "eval_seconds", "started", "finished", "history", "interruptions"}
    first, second = (r.model_dump(exclude=timed) for r, _ in (one, other))
    assert first == second
    for a, b in zip(one[0].history, other[0].history, strict=True):
        assert a.model_dump(exclude={"seconds"}) == b.model_dump(exclude={"seconds"})
    key = one[0].key
    a, b = (pd.read_parquet(t.run_dir.predictions(key)) for _, t in (one, other))
    assert a["prediction"].tolist() == b["prediction"].tolist()
    ours, theirs = (np.concatenate(frame["logits"].tolist()) for frame in (a, b))
    assert ours.tobytes() == theirs.tobytes()
    ours, theirs = weights(one[1]), weights(other[1])
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
