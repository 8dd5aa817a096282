"""The small file in which a running trial says where it stands."""

import json
from pathlib import Path

import pytest

from tests.helpers.trials import finished, trial_config
from trainables.trial.progress import read_progress, write_progress

WORD = {
    "epoch": 0.5,
    "epochs": 3,
    "step": 10,
    "total_steps": 60,
    "examples": 320,
    "loss": 0.7,
    "headline": None,
    "headline_name": "macro",
    "examples_per_second": 41.5,
    "time": 1.7e9,
}


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "progress" / "k.json"
    write_progress(path, WORD)
    write_progress(path, WORD | {"step": 11, "headline": 0.5})
    assert read_progress(path) == WORD | {"step": 11, "headline": 0.5}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        json.dumps(WORD)[:40],
        "[]",
        "\x00\xff",
        json.dumps({k: v for k, v in WORD.items() if k != "loss"}),
        json.dumps(WORD | {"loss": "low"}),
        json.dumps(WORD | {"examples": "many"}),
        json.dumps(WORD | {"headline": "good"}),
        json.dumps(WORD | {"headline_name": None}),
    ],
)
def test_missing_half_and_foreign_files_are_silence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "k.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    assert read_progress(path) is None


def test_a_trial_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("a file where the folder should be")
    write_progress(tmp_path / "progress" / "k.json", WORD)
    assert read_progress(tmp_path / "progress" / "k.json") is None


def test_a_trial_speaks_while_it_prepares_trains_and_evaluates(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long evaluation must not look like death, nor a short one cost a word per batch."""
    said: list[tuple[str, float]] = []

    def note(path: Path, word: dict) -> None:
        said.append((word["phase"], word["epoch"]))

    monkeypatch.setattr("trainables.trial.progress.write_progress", note)
    monkeypatch.setattr("trainables.trial.progress.PROGRESS_SECONDS", 0.0)
    finished(trial_config("single_task", tiny_bert), tmp_path / "often")
    phases = [phase for phase, _ in said]
    assert phases[:2] == ["preparing", "training"]
    evaluations = [epoch for phase, epoch in said if phase == "evaluating"]
    assert min(evaluations) == 1.0, "after the first epoch's last step"
    said.clear()
    monkeypatch.setattr("trainables.trial.progress.PROGRESS_SECONDS", 3600.0)
    finished(trial_config("single_task", tiny_bert), tmp_path / "seldom")
    assert [phase for phase, _ in said] == ["preparing", "training"]
