"""Whole searches with a tiny encoder, without Ray: interruptions, more trials, bad trials."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.helpers.local_search import (
    Killed,
    LocalSearches,
    compared,
    ledger_lines,
    overrides,
    reported,
    space_file,
)
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir
from trainables.trial.trial import Trial

HALVING = ("tune.reduction=2", "tune.grace=0.2")


def rates(folder: Path) -> str:
    return space_file(
        folder,
        training__learning_rate="{log_uniform: [1.0e-4, 3.0e-2]}",
        training__batch_size="{choice: [4, 8]}",
    )


def test_a_search_that_is_killed_again_and_again_decides_and_ends_as_one_that_is_not(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = rates(tmp_path)
    settings = overrides(tiny_bert, "tasks=[sentiment]", "tune.trials=4", *HALVING)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    searches.tune(whole, space, settings)
    steps = searches.steps
    ledger = RunDir(killed / "search").ledger
    deaths = 0
    while True:
        try:
            # As steps are numbered anew each time, these are moments of every kind.
            saving = [*settings, "checkpoint.every=0.000001"]
            searches.tune(killed, space, saving, kill_at=(13, 24, 47)[deaths % 3])
            break
        except Killed:
            deaths += 1
            with ledger.open("ab") as file:
                file.write(b'{"event": "measured", "key": "7')
    assert deaths > steps / 40
    assert ledger_lines(killed) == ledger_lines(whole)
    assert {line["decision"] for line in ledger_lines(whole) if "decision" in line} == {
        "continue",
        "stop",
    }
    assert reported(killed) == reported(whole)
    assert compared(killed) == compared(whole)
    assert any(row["label"].endswith("tuned") for row in compared(whole)), compared(whole)
    # Nothing is left of the trials that were stopped.
    assert list((killed / "search").glob("checkpoints/*")) == []
    stopped = {row["key"] for row in reported(killed) if row["status"] == "stopped"}
    assert not stopped & {path.stem for path in (killed / "search").glob("progress/*")}


def test_nothing_of_validation_is_in_a_search_and_its_labels_change_nothing(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    words = ["good", "bad", "dull", "red", "old", "small"]
    texts = [f"the {a} {b} film" for a in words for b in words]
    folders = []
    for name, flipped in (("right", False), ("wrong", True)):
        data = tmp_path / f"{name}-data"
        data.mkdir()
        train = [text + tail for text in texts for tail in ("", " again")]
        for split, rows, flip in (("train", train, False), ("validation", texts, flipped)):
            labels = [int("good" in text) != flip for text in rows]
            pd.DataFrame({"text": rows, "label": [int(x) for x in labels]}).to_csv(
                data / f"{split}.csv", index=False
            )
        files = f"{{train: {data}/train.csv, validation: {data}/validation.csv}}"
        settings = overrides(
            tiny_bert,
            f"define.tasks.films={{text: [text], label: label, files: {files}}}",
            "tasks=[films]",
            "arms=[single_task]",
            "tune.trials=6",
            "tune.scheduler=hyperband",
            "tune.refit=false",
            *HALVING,
        )
        searches.tune(tmp_path / name, rates(tmp_path), settings)
        folders.append(tmp_path / name)
    right, wrong = (_without_keys(reported(folder)) for folder in folders)
    assert right == wrong
    assert {row["status"] for row in right} == {"finished", "stopped"}
    assert _without_keys(ledger_lines(folders[0])) == _without_keys(ledger_lines(folders[1]))
    keys = [{row["key"] for row in reported(folder)} for folder in folders]
    assert not keys[0] & keys[1], "the data differ"
    run_dir = RunDir(folders[0] / "search")
    records = read_records(run_dir, {})
    assert records
    for record in records.values():
        assert set(record.results) == {"train", "selection"}
        assert all(set(epoch.splits) == {"train", "selection"} for epoch in record.history)
        assert set(pd.read_parquet(run_dir.predictions(record.key))["split"]) == {"selection"}


def _without_keys(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "key"} for row in rows]


def test_more_trials_later_are_those_that_were_there_from_the_start(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = rates(tmp_path)
    settings = overrides(tiny_bert, "arms=[single_task]", "tune.refit=false", *HALVING)
    searches.tune(tmp_path / "at once", space, [*settings, "tune.trials=5"])
    searches.tune(tmp_path / "later", space, [*settings, "tune.trials=2"])
    known = ledger_lines(tmp_path / "later")
    before = len(searches.started)
    searches.tune(tmp_path / "later", space, [*settings, "tune.trials=5"])
    assert len(searches.started) - before == 6
    assert ledger_lines(tmp_path / "later")[: len(known)] == known
    assert reported(tmp_path / "later") == reported(tmp_path / "at once")
    # Fewer again: what is known is kept, and nothing is trained.
    before = len(searches.started)
    searches.tune(tmp_path / "later", space, [*settings, "tune.trials=1"])
    assert len(searches.started) == before
    assert reported(tmp_path / "later") == reported(tmp_path / "at once")


def test_trials_that_diverge_or_fail_are_told_of_and_never_chosen(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = space_file(tmp_path, training__learning_rate="{choice: [1.0e+30, 1.0e-3, 2.0e-3]}")
    settings = overrides(tiny_bert, "tasks=[sentiment]", "arms=[single_task]", "tune.search=grid")
    prepare = Trial._prepare

    def failing(trial: Trial) -> Any:
        if trial.config.training.learning_rate == 2e-3 and trial.config.search is not None:
            raise OSError("the disk is on fire")
        return prepare(trial)

    with monkeypatch.context() as patch:
        patch.setattr(Trial, "_prepare", failing)
        outcome = searches.tune(tmp_path / "run", space, settings)
    rows = reported(tmp_path / "run")
    assert [row["status"] for row in rows] == ["diverged", "finished", "failed"]
    assert "training.learning_rate" in rows[0]["reason"]
    assert int(rows[0]["examples"]) <= 16, "at once"
    assert rows[2]["reason"] == "OSError: the disk is on fire"
    assert (rows[0]["score"], rows[2]["score"]) == ("", "")
    [summary] = outcome.summary.groups
    assert summary.chosen == 1
    assert [record.error for record in outcome.failed] == ["OSError: the disk is on fire"]
    # The same command tries again what failed, and only that.
    before = len(searches.started)
    outcome = searches.tune(tmp_path / "run", space, settings)
    assert searches.started[before:] == [rows[2]["key"]]
    rows = reported(tmp_path / "run")
    assert [row["status"] for row in rows] == ["diverged", "finished", "stopped"]
    assert not outcome.failed
