"""The ``train`` command: one trial in this process."""

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import wandb

from orchestrator.commands.csv_log import append_row
from tests.helpers.command import SMALL, Command, tiny
from trainables.models.saved import load_classifier
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir
from trainables.tracking.wandb_files import records_in
from trainables.training.device import resolve_precision
from trainables.trial.trial import Trial


@pytest.fixture
def small(tiny_bert: Path) -> list[str]:
    """Overrides of a trial that takes less than a second."""
    return [tiny(tiny_bert), "model=tiny", "threads=1", *SMALL]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_train_prints_metrics_and_leaves_record_row_and_model(
    command: Command, small: list[str], tmp_path: Path
) -> None:
    tasks = "tasks=[sentiment,acceptability]"
    settings = [tasks, *small, "training.epochs=2", "log_file=logs/all.csv"]
    ended = command("train", "shared_encoder", *settings, "--run-dir", "run")
    assert (ended.code, ended.err) == (0, "")
    run_dir = RunDir(tmp_path / "run")
    [record] = read_records(run_dir).values()
    assert record.config.seed == 41
    assert record.status == "finished"
    lines = ended.out.splitlines()
    precision = resolve_precision("auto", torch.device("cpu"))
    assert lines[0] == f"shared_encoder tiny seed 41 ({record.key}), cpu, {precision}"
    assert sum(line.startswith(("epoch 1: train loss", "epoch 2: ")) for line in lines) == 2
    assert sum(line.startswith("  validation sentiment: accuracy") for line in lines) == 2
    assert sum(line.startswith("  validation macro") for line in lines) == 2
    assert lines[-2:] == [
        f"record run/records/{record.key}.json",
        f"model  run/models/{record.key}",
    ]
    [row] = rows(tmp_path / "logs" / "all.csv")
    assert (row["key"], row["arm"], row["seed"]) == (record.key, "shared_encoder", "41")
    confusion = record.results["validation"]["sentiment"].confusion
    accuracy = (confusion[0][0] + confusion[1][1]) / 12
    assert float(row["validation_sentiment_accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    classifier, _, extra = load_classifier(run_dir.model(record.key))
    assert list(classifier.classes) == ["sentiment", "acceptability"]
    assert extra["key"] == record.key


def test_training_again_gives_the_same_numbers_and_another_row(
    command: Command, small: list[str], tmp_path: Path
) -> None:
    settings = ["task=sentiment", *small, "log_file=log.csv", "save_model=false"]
    for _ in range(2):
        assert command("train", "single_task", *settings).code == 0
    first, second = rows(tmp_path / "log.csv")
    assert first | {"finished": ""} == second | {"finished": ""}
    assert (tmp_path / "runs" / "train" / first["key"] / "records").is_dir()


def test_another_task_and_seed(command: Command, small: list[str], tmp_path: Path) -> None:
    settings = ["task=paraphrase", "seed=7", *small, "log_file=log.csv", "save_model=false"]
    ended = command("train", "single_task", *settings)
    assert ended.out.startswith("single_task tiny paraphrase seed 7 (")
    assert "model  " not in ended.out
    [row] = rows(tmp_path / "log.csv")
    assert (row["tasks"], row["seed"], row["epochs"]) == ("paraphrase", "7", "1")


def test_resuming_from_a_checkpoint(
    command: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["task=sentiment", *small, "checkpoint.every=1e-9", "log_file=log.csv"]
    settings += ["checkpoint.keep=true"]
    assert command("train", "single_task", *settings, "--run-dir", "a").code == 0
    checkpoint = max((tmp_path / "a").glob("checkpoints/*/step-*"))
    started: list[int] = []
    load = Trial._prepare

    def prepare(self: Trial):
        loop = load(self)
        started.append(loop.state.step)
        return loop

    monkeypatch.setattr(Trial, "_prepare", prepare)
    resume = [*settings, f"resume_from={checkpoint}"]
    assert command("train", "single_task", *resume, "--run-dir", "b").code == 0
    assert started == [int(checkpoint.name.removeprefix("step-"))]
    first, second = rows(tmp_path / "log.csv")
    assert first | {"finished": ""} == second | {"finished": ""}

    other = command("train", "single_task", *resume, "seed=5", "--run-dir", "c")
    assert other.code == 2
    assert other.err.startswith(f"error: resume_from={checkpoint}: a checkpoint of trial ")
    (checkpoint / "model.safetensors").write_bytes(b"")
    damaged = command("train", "single_task", *resume, "--run-dir", "c")
    assert damaged.code == 2
    assert damaged.err.startswith(f"error: resume_from={checkpoint}/model.safetensors: missing or")
    assert not (tmp_path / "c").exists()


def test_a_trial_that_fails_is_one_line_and_a_record(
    command: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr("trainables.trial.trial.save_classifier", fail)
    settings = ["task=sentiment", *small, "--run-dir", "run"]
    ended = command("train", "single_task", *settings)
    line = "single_task tiny sentiment seed 41: RuntimeError: out of memory"
    assert (ended.code, ended.err) == (1, f"error: {line}\n")
    [record] = read_records(RunDir(tmp_path / "run")).values()
    assert (record.status, record.error) == ("failed", "RuntimeError: out of memory")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert command("train", "single_task", *settings).code == 0
    [record] = read_records(RunDir(tmp_path / "run")).values()
    assert record.status == "finished"


def test_a_trial_that_diverges(command: Command, small: list[str]) -> None:
    settings = ["training.learning_rate=1e30", "training.max_grad_norm=0", "training.epochs=3"]
    ended = command("train", "single_task", "task=sentiment", *small, *settings)
    assert ended.code == 1
    assert ended.err.startswith("error: the training loss became ")
    assert ended.err.count("\n") == 1


def test_an_interrupted_trial(
    command: Command, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "run", interrupt)
    ended = command("train", "single_task", "task=sentiment", *small)
    assert (ended.code, ended.err) == (130, "interrupted\n")


def test_a_row_with_new_columns_keeps_the_old_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    append_row(path, {"a": "1", "b": "x, y"})
    append_row(path, {"a": "2", "c": 'say "so"\n'})
    assert rows(path) == [
        {"a": "1", "b": "x, y", "c": ""},
        {"a": "2", "b": "", "c": 'say "so"\n'},
    ]


def test_no_row_is_lost_when_trials_end_together(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: append_row(path, {"n": str(i)}), range(40)))
    assert sorted(int(row["n"]) for row in rows(path)) == list(range(40))


@pytest.fixture
def fresh_wandb() -> Iterator[None]:
    """W&B keeps its settings for as long as the process lives."""
    wandb.teardown()
    yield
    wandb.teardown()


def test_wandb_offline_has_the_trials_curves(
    command: Command, small: list[str], tmp_path: Path, fresh_wandb: None
) -> None:
    track = [
        "tracking.trackers=[wandb]",
        "tracking.wandb.project=mine",
        "tracking.wandb.entity=us",
        "training.epochs=2",
    ]
    ended = command("train", "single_task", "task=sentiment", *small, *track, "--run-dir", "run")
    assert (ended.code, ended.err) == (0, "")
    [record] = read_records(RunDir(tmp_path / "run")).values()
    # Its service writes on in the background until it is told to end.
    wandb.teardown()
    [file] = (tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{record.key}.wandb")
    found = list(records_in(file))
    [run] = [one.run for one in found if one.WhichOneof("record_type") == "run"]
    assert (run.project, run.entity, run.run_id) == ("mine", "us", record.key)
    assert run.display_name == record.title
    assert run.run_group == "single_task/tiny"
    assert {"single_task", "tiny", "sentiment", "seed-41"} == set(run.tags)
    history = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in h.item}
        for h in (one.history for one in found if one.WhichOneof("record_type") == "history")
    ]
    assert [line["epoch"] for line in history] == [1, 2]
    assert [line["train/loss"] for line in history] == [e.train_loss for e in record.history]
    [last] = [e.splits["validation"]["sentiment"].confusion for e in record.history[-1:]]
    assert history[-1]["validation/sentiment/accuracy"] == pytest.approx(
        (last[0][0] + last[1][1]) / 12
    )
    assert [one.exit.exit_code for one in found if one.WhichOneof("record_type") == "exit"] == [0]


@pytest.mark.parametrize(
    ("key", "reason"), [("", "no W&B key on this machine"), ("short", "WANDB_API_KEY invalid")]
)
def test_wandb_without_a_usable_key(
    command: Command,
    small: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: str,
    reason: str,
    fresh_wandb: None,
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ended = command("train", "single_task", "task=sentiment", *small, "tracking.trackers=[wandb]")
    assert (ended.code, ended.err) == (0, "")
    [line] = [line for line in ended.out.splitlines() if line.startswith("warning: tr")]
    assert line.startswith(f"warning: tracking.trackers=[wandb]: {reason}")
    assert line.endswith("or set WANDB_MODE=offline; goes on without it")
    assert not list(tmp_path.rglob("*.wandb"))
