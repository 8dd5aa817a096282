"""Whole trials in this process: for every arm, the same numbers again, also across interruption."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.trials import (
    ARMS,
    assert_same,
    finished,
    runtime,
    trial_config,
    weights,
)
from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig, SelectionConfig, TrialConfig
from trainables.data.sources import load_task
from trainables.errors import CheckpointError, DataError, DivergedError
from trainables.models.saved import load_classifier
from trainables.results.metrics import scores
from trainables.results.predictions import read_predictions
from trainables.results.record import read_record
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints, save_checkpoint
from trainables.training.restore import load_newest
from trainables.trial import build
from trainables.trial.trial import Trial, run_trial

SELECTING = {"early_stopping": {"patience": 3}, "keep": "best"}


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains_evaluates_and_leaves_a_record(
    arm: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config(arm, tiny_bert)
    record, trial = finished(config, tmp_path, save_model=True)
    tasks = list(config.tasks)
    assert record.status == "finished"
    assert [epoch.epoch for epoch in record.history] == [1, 2]
    assert set(record.results) == {"train", "validation"}
    assert record.results == record.history[-1].splits
    for task in tasks:
        assert np.sum(record.results["validation"][task].confusion) == 24
        assert record.examples_per_split[task] == {"train": 40, "validation": 24}
    assert (record.results["validation"][tasks[0]].leak is not None) == ("union" in arm)
    assert record.parameters == sum(tensor.numel() for tensor in weights(trial).values())
    assert record.examples == pytest.approx(2 * 40 * len(tasks), abs=2 * 8 * len(tasks))
    assert record.history[0].train_loss != record.history[1].train_loss


def test_a_record_names_the_class_of_f1_and_scores_it(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("shared_encoder", tiny_bert)
    tasks = dict(config.tasks)
    tasks["sentiment"] = tasks["sentiment"].model_copy(update={"positive": "0"})
    chosen = config.model_copy(update={"tasks": tasks})
    assert chosen.key != config.key
    record, trial = finished(chosen, tmp_path)
    assert record.f1 == {
        "acceptability": "F1 of 1",
        "sentiment": "F1 of 0",
        "paraphrase": "F1 of 1",
    }
    for results in (record.results["validation"], *record.history[0].splits.values()):
        assert [result.positive for result in results.values()] == [None, 0, None]
        sentiment = results["sentiment"]
        assert sentiment.scores() == scores(sentiment.confusion, 0)
    written = trial.run_dir.record(record.key).read_text()
    assert written.count('"positive": 0') == 6, "nothing is written where the default is meant"


def test_a_second_validation_split_is_measured_after_every_epoch(
    tiny_bert: Path, tmp_path: Path
) -> None:
    for name, labels in (("train", "abab"), ("dev", "ab"), ("other", "abb")):
        rows = "".join(f"{name} {i},{label}\n" for i, label in enumerate(labels))
        (tmp_path / f"{name}.csv").write_text("s,label\n" + rows)
    paths = {"train": "train", "validation": "dev", "mismatched": "other"}
    files = {split: str(tmp_path / f"{name}.csv") for split, name in paths.items()}
    task = TaskConfig.model_validate({"text": ("s",), "files": files})
    limits = LimitsConfig(max_validation_examples=2)
    data = load_task("t", task, "files", glue_dir=None, limits=limits, selection_fraction=None)
    config = trial_config("shared_encoder", tiny_bert, limits=limits).model_copy(
        update={
            "tasks": {"t": task},
            "sources": {"t": "files"},
            "fingerprints": {"t": data.fingerprint},
        }
    )
    record, _ = finished(config, tmp_path / "run")
    for results in (record.results, *(epoch.splits for epoch in record.history)):
        assert set(results) == {"train", "mismatched", "validation"}
    assert np.sum(record.results["mismatched"]["t"].confusion) == 2, "the limit is its own too"


def test_predictions_tell_the_group_of_each_example_and_its_key_does_not(
    tiny_bert: Path, tmp_path: Path
) -> None:
    for name, labels in (("train", "abab"), ("dev", "abba")):
        rows = "".join(f"{name} {i},{label},w{i // 2}\n" for i, label in enumerate(labels))
        (tmp_path / f"{name}.csv").write_text("s,label,writer\n" + rows)
    files = {"train": str(tmp_path / "train.csv"), "validation": str(tmp_path / "dev.csv")}
    keys, found = set(), []
    for group in (None, "writer"):
        task = TaskConfig.model_validate({"text": ("s",), "files": files, "group": group})
        limits = LimitsConfig()
        data = load_task("t", task, "files", glue_dir=None, limits=limits, selection_fraction=None)
        config = trial_config("shared_encoder", tiny_bert, limits=limits, epochs=1).model_copy(
            update={
                "tasks": {"t": task},
                "sources": {"t": "files"},
                "fingerprints": {"t": data.fingerprint},
            }
        )
        keys.add(config.key)
        record, trial = finished(config, tmp_path / str(group))
        found.append(read_predictions(trial.run_dir, record, "validation")["t"].groups)
    assert len(keys) == 1
    assert found[0] is None
    assert found[1] is not None
    assert found[1].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("arm", ARMS)
def test_predictions_give_the_records_numbers(arm: str, tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config(arm, tiny_bert)
    record, trial = finished(config, tmp_path)
    frame = pd.read_parquet(trial.run_dir.predictions(config.key))
    assert set(frame["split"]) == {"validation"}
    for task, rows in frame.groupby("task", observed=True):
        result = record.results["validation"][str(task)]
        accuracy = (rows["prediction"] == rows["label"]).mean()
        assert scores(result.confusion)["accuracy"] == pytest.approx(accuracy)
        assert rows["index"].tolist() == list(range(24))
        logits = torch.tensor(np.stack(rows["logits"].tolist()))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(rows["label"].tolist()))
        assert result.loss == pytest.approx(float(loss), rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("shared_encoder", tiny_bert)
    first = finished(config, tmp_path / "1")
    torch.manual_seed(0)
    assert_same(first, finished(config, tmp_path / "2"))
    other = finished(trial_config("shared_encoder", tiny_bert, seed=42), tmp_path / "3")
    assert other[0].history[0].train_loss != first[0].history[0].train_loss


def test_shared_encoder_with_one_task_gives_the_bits_of_single_task(
    tiny_bert: Path, tmp_path: Path
) -> None:
    single, alone = finished(trial_config("single_task", tiny_bert), tmp_path / "1")
    shared, other = finished(
        trial_config("shared_encoder", tiny_bert, tasks=("acceptability",)), tmp_path / "2"
    )
    assert single.results == shared.results
    theirs = weights(other)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in weights(alone).items())


@pytest.mark.parametrize("arm", ["naive_concat", "shared_encoder_gradnorm", "shared_encoder_famo"])
def test_a_batch_in_micro_batches_gives_nearly_the_same_weights(
    arm: str, tiny_bert: Path, tmp_path: Path
) -> None:
    plain, accumulated = (
        weights(
            finished(
                trial_config(
                    arm,
                    tiny_bert,
                    gradient_accumulation=parts,
                    model={"dropout": 0.0},
                    adam_epsilon=1e-3,
                ),
                tmp_path / str(parts),
            )[1]
        )
        for parts in (1, 3)
    )
    for name, tensor in plain.items():
        torch.testing.assert_close(accumulated[name], tensor, rtol=1e-3, atol=1e-4)


def test_the_best_epoch_is_chosen_on_selection_and_its_weights_are_kept(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config(
        "shared_encoder", tiny_bert, epochs=4, keep="best", selection=SelectionConfig(fraction=0.3)
    )
    record, trial = finished(config, tmp_path, save_model=True)
    macro = [
        np.mean(
            [
                result.scores()[config.tasks[task].headline] or 0.0
                for task, result in epoch.splits["selection"].items()
            ]
        )
        for epoch in record.history
    ]
    best = int(np.argmax(macro))
    assert record.reported_epoch == best + 1
    assert record.results == record.history[best].splits
    model, _, _ = load_classifier(trial.run_dir.model(config.key))
    saved = model.state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in weights(trial).items())


@pytest.mark.parametrize("settings", [{}, SELECTING], ids=["plain", "selecting"])
def test_averaged_weights_are_evaluated_and_kept_also_after_an_interruption(
    settings: dict, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("shared_encoder", tiny_bert, ema_decay=0.8, **settings)
    whole = finished(config, tmp_path / "whole", save_model=True)
    first = Trial(config, runtime(tmp_path / "stopped", checkpoint_every=1e9))
    for progress in first.run():
        if progress["step"] == whole[0].steps // 2:
            break
    assert first.loop is not None
    save_checkpoint(first.run_dir.checkpoints(config.key), config.key, first.loop)
    assert_same(whole, finished(config, tmp_path / "stopped", checkpoint_every=1e9))
    saved = load_classifier(whole[1].run_dir.model(config.key))[0].state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in weights(whole[1]).items())


def test_averaged_weights_are_the_average_of_those_of_every_step(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "trim_vocabulary", lambda *_: None)
    plain = Trial(trial_config("single_task", tiny_bert), runtime(tmp_path / "plain"))
    expected: dict[str, torch.Tensor] = {}
    for _ in plain.run():
        for name, tensor in weights(plain).items():
            expected[name] = 0.8 * expected.get(name, tensor.clone()) + 0.2 * tensor
    averaged = finished(trial_config("single_task", tiny_bert, ema_decay=0.8), tmp_path / "ema")
    for name, tensor in weights(averaged[1]).items():
        torch.testing.assert_close(tensor, expected[name])


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamax", "warmup": "3 steps", "schedule": "cosine"},
        {"layer_decay": 0.9, "warmup": "0.5 epochs"},
    ],
    ids=["mt_dnn", "bam"],
)
def test_every_optimiser_resumes_bit_for_bit(
    settings: dict, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("shared_encoder", tiny_bert, **settings)
    whole = finished(config, tmp_path / "whole")
    first = Trial(config, runtime(tmp_path / "stopped", checkpoint_every=1e9))
    for progress in first.run():
        if progress["step"] == 5:
            break
    assert first.loop is not None
    save_checkpoint(first.run_dir.checkpoints(config.key), config.key, first.loop)
    assert_same(whole, finished(config, tmp_path / "stopped", checkpoint_every=1e9))


def test_early_stopping_ends_after_patience_epochs_without_gain(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config(
        "single_task", tiny_bert, epochs=9, learning_rate=1e-9, early_stopping={"patience": 2}
    )
    record, _ = finished(config, tmp_path)
    assert len(record.history) == 3
    assert record.stop_reason == "early_stopping"
    assert "selection" in record.results


def test_bf16_computes_in_bf16_and_learns_about_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    full, half = (
        finished(trial_config("shared_encoder", tiny_bert, precision=precision), tmp_path)[0]
        for precision in ("fp32", "bf16")
    )
    assert (full.precision, half.precision) == ("fp32", "bf16")
    assert half.history[-1].train_loss != full.history[-1].train_loss
    assert half.history[-1].train_loss == pytest.approx(full.history[-1].train_loss, abs=0.05)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_auto_is_what_was_chosen_for_all_trials(
    precision: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("single_task", tiny_bert, precision="auto")
    assert finished(config, tmp_path, precision=precision)[0].precision == precision
    asked = trial_config("single_task", tiny_bert, precision="fp32")
    assert finished(asked, tmp_path, precision=precision)[0].precision == "fp32"


def test_a_budget_in_steps_is_kept_and_cut_into_as_many_epochs(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("single_task", tiny_bert, total_steps=17)
    record, _ = finished(config, tmp_path)
    assert record.steps == 17
    assert [epoch.step for epoch in record.history] == [8, 17]


def test_the_test_split_is_evaluated_once_and_only_where_asked(
    tiny_bert: Path, tmp_path: Path, glue_dir: Path
) -> None:
    limits = LimitsConfig(max_train_examples=16, max_validation_examples=16)
    task = TaskConfig(text=("sentence1", "sentence2"), glue_dir="MRPC")
    data = load_task(
        "mrpc", task, "glue_dir", glue_dir=str(glue_dir), limits=limits, selection_fraction=None
    )
    base = trial_config("single_task", tiny_bert, limits=limits).model_copy(
        update={
            "tasks": {"mrpc": task},
            "sources": {"mrpc": "glue_dir"},
            "fingerprints": {"mrpc": data.fingerprint},
        }
    )
    asked = base.training.model_copy(update={"evaluate_test": True})
    for training, expected in ((base.training, 0), (asked, 1725)):
        config = base.model_copy(update={"training": training})
        record, trial = finished(config, tmp_path, glue_dir=str(glue_dir))
        assert all("test" not in epoch.splits for epoch in record.history)
        results = record.results.get("test", {})
        assert sum(np.sum(result.confusion) for result in results.values()) == expected
        frame = pd.read_parquet(trial.run_dir.predictions(config.key))
        assert frame["split"].tolist().count("test") == expected


def test_divergence_is_recorded_as_such(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert, learning_rate=1e30, max_grad_norm=0.0)
    with pytest.raises(DivergedError, match=r"training\.learning_rate"):
        run_trial(config, runtime(tmp_path))
    record = read_record(RunDir(tmp_path / "run").record(config.key))
    assert record.status == "diverged"
    assert record.error is not None
    assert "training loss became" in record.error


def test_data_that_changed_since_the_plan_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    changed = config.model_copy(update={"limits": LimitsConfig(max_train_examples=39)})
    with pytest.raises(DataError, match="not what the trial was planned with"):
        run_trial(changed, runtime(tmp_path))
    assert read_record(RunDir(tmp_path / "run").record(changed.key)).status == "failed"


@pytest.fixture
def stopped(tiny_bert: Path, tmp_path: Path) -> Trial:
    """A trial stopped after its third step, with checkpoints of the first three."""
    config = trial_config("shared_encoder", tiny_bert)
    trial = Trial(config, runtime(tmp_path))
    for progress in trial.run():
        assert trial.loop is not None
        save_checkpoint(trial.run_dir.checkpoints(config.key), config.key, trial.loop)
        if progress["step"] == 3:
            break
    return trial


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink, lambda p: p.write_bytes(b"")])
@pytest.mark.parametrize("name", ["model.safetensors", "parts.pt", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    stopped: Trial, name: str, damage: Any
) -> None:
    folder = stopped.run_dir.checkpoints(stopped.config.key)
    newest, before = checkpoints(folder)
    damage(newest / name)
    assert stopped.loop is not None
    assert load_newest(folder, stopped.config.key, stopped.loop) == before
    assert stopped.loop.state.step == 2


def test_a_checkpoint_of_another_trial_is_refused(stopped: Trial, tmp_path: Path) -> None:
    folder = checkpoints(stopped.run_dir.checkpoints(stopped.config.key))[0]
    other = stopped.config.model_copy(update={"seed": 7})
    with pytest.raises(CheckpointError, match=f"a checkpoint of trial {stopped.config.key}"):
        run_trial(other, runtime(tmp_path, resume_from=str(folder)))


def test_resuming_from_a_folder_that_is_no_checkpoint_says_so(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("single_task", tiny_bert)
    with pytest.raises(CheckpointError, match=r"no whole checkpoint"):
        run_trial(config, runtime(tmp_path, resume_from=str(tmp_path)))


def test_nothing_but_the_content_decides_the_key(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("shared_encoder", tiny_bert)
    assert config.key == TrialConfig.model_validate(json.loads(config.model_dump_json())).key
    labelled = config.arm.model_copy(update={"label": "Ours"})
    sources = dict.fromkeys(config.sources, "files")
    assert config.model_copy(update={"arm": labelled, "sources": sources}).key == config.key
    changes: list[dict[str, Any]] = [
        {"seed": 42},
        {"total_steps": 3},
        {"training": config.training.model_copy(update={"epochs": 3})},
        {"model": config.model.model_copy(update={"num_layers": 1})},
        {"fingerprints": {**config.fingerprints, "sentiment": "0" * 64}},
    ]
    keys = {config.model_copy(update=change).key for change in changes}
    assert len(keys | {config.key}) == len(changes) + 1


def test_the_token_cache_can_be_removed_between_trials(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    first = finished(config, tmp_path)
    shutil.rmtree(tmp_path / "cache")
    assert finished(config, tmp_path)[0].results == first[0].results
