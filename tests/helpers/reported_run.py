"""A run directory whose predictions are drawn for real examples, as a report shows them."""

from pathlib import Path

import numpy as np

from orchestrator.run_dir.directory import take, write_metadata
from tests.helpers.command import tiny
from tests.helpers.plans import plan_of
from tests.helpers.records import Trial, record
from trainables.data.planned import load_data
from trainables.results.metrics import counts, trimmed
from trainables.results.record import TaskResult, write_record
from trainables.storage.run_dir import RunDir
from trainables.training.evaluation import Evaluation
from trainables.trial.artifacts import write_predictions

SCRIPT = "<script>document.title = 'broken'</script>"
"""Stands in every text of the task ``mine``."""

ACCURACY = {"single_task": 0.9, "naive_concat": 0.6, "shared_encoder": 0.9}


def write_data(folder: Path, size: int = 60) -> None:
    """The files of the task ``mine``."""
    for name, first in (("train", 0), ("validation", 1000)):
        lines = [f"{SCRIPT} text {first + i},{'yes' if i % 2 else 'no'}" for i in range(size)]
        text = "\n".join(["words,answer", *lines]) + "\n"
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def overrides(folder: Path, encoder: Path) -> list[str]:
    """Of the preset ``demo``: three arms, a demo task and the task ``mine``, three seeds."""
    files = f"{{train: {folder}/train.csv, validation: {folder}/validation.csv}}"
    return [
        tiny(encoder),
        "models=[tiny]",
        f"define.tasks.mine={{text: [words], label: answer, files: {files}}}",
        "tasks=[sentiment,mine]",
        "seeds=[1,2,3]",
        "limits.max_train_examples=40",
    ]


def reported_run(folder: Path, encoder: Path) -> RunDir:
    """A finished run of these, in ``folder/run``; one trial of shared_encoder has failed."""
    write_data(folder)
    experiment, plan, resources = plan_of("demo", overrides(folder, encoder))
    run_dir = RunDir(folder / "run")
    take(run_dir, experiment, plan)
    write_metadata(run_dir, experiment, plan, resources)
    run_dir.predictions("").parent.mkdir()
    for number, planned in enumerate(plan.trials):
        trial = Trial(planned.key, planned.config)
        data = load_data(planned.config, None)
        labels = {task: own.labels for task, own in data.items()}
        if planned is plan.trials[-1]:
            failed = record(trial, status="failed", error="out of memory", labels=labels)
            write_record(run_dir, failed)
            continue
        rng, evaluations = np.random.default_rng(number), {}
        for task, own in data.items():
            true = own.splits["validation"].labels
            wrong = rng.random(len(true)) > ACCURACY[planned.config.arm_name]
            said = np.where(wrong, 1 - true, true)
            result = TaskResult(confusion=trimmed(counts(true, said, 2)).tolist(), loss=0.4)
            evaluations[task] = Evaluation(result, np.zeros((len(true), 2), "f4"), said, true)
        results = {task: evaluation.result for task, evaluation in evaluations.items()}
        epochs = [
            {"epoch": epoch, "step": epoch, "examples": 40, "seconds": 1.0, "learning_rate": 1e-4,
             "train_loss": 0.5, "splits": {"validation": results}}
            for epoch in (1, 2)
        ]  # fmt: skip
        confusions = {task: result.confusion for task, result in results.items()}
        write_record(run_dir, record(trial, confusions, labels=labels, history=epochs))
        write_predictions(run_dir.predictions(planned.key), {"validation": evaluations})
    return run_dir
