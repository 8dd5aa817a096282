"""Settings that change on the way, and training in parts: the same bits however it is cut."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.helpers.trials import METHODS, assert_same, finished, runtime, trial_config, weights
from trainables.config.schedules import CHANGEABLE, Segment, SettingChange
from trainables.config.trial import LimitsConfig, SearchConfig, SelectionConfig, TrialConfig
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints
from trainables.trial.trial import Trial

SMALL: dict[str, Any] = {
    "epochs": 2,
    "limits": LimitsConfig(max_train_examples=20, max_validation_examples=8),
    "selection": SelectionConfig(enabled="always", fraction=0.3),
    "model": {"num_layers": 1},
    "eval_batch_size": 8,
}
PARTS = 3
OTHER = {"learning_rate": 3e-4, "weight_decay": 0.5, "label_smoothing": 0.2, "layer_decay": 0.6}
CHANGES = (
    SettingChange(at=1 / PARTS, training=OTHER),
    SettingChange(at=2 / PARTS, training={"learning_rate": 2e-3, "layer_decay": 1.0}),
)


def config_of(
    encoder: Path,
    part: int | None = None,
    changes: Sequence[SettingChange] = (),
    arm: str = "single_task",
    **settings: Any,
) -> TrialConfig:
    """A trial of a search, or one of its segments."""
    tasks = ("sentiment",) if arm == "single_task" else ("acceptability", "sentiment")
    values: dict[str, Any] = SMALL | {"tasks": tasks} | settings
    config = trial_config(arm, encoder, **values)
    segment = None if part is None else Segment(number=part, of=PARTS)
    search = SearchConfig(segment=segment)
    return config.model_copy(update={"changes": tuple(changes), "search": search})


def in_parts(config: TrialConfig, folder: Path, **settings: Any) -> list[tuple[TrialRecord, Trial]]:
    """The segments up to the one that is given, each going on from the one before."""
    earlier = config.earlier
    before = [] if earlier is None else in_parts(earlier, folder, **settings)
    return [*before, finished(config, folder, **settings)]


def assert_same_numbers(first: tuple[TrialRecord, Trial], other: tuple[TrialRecord, Trial]) -> None:
    nothing = {"inherited": 0, "inherited_seconds": 0.0}
    assert_same(
        (first[0].model_copy(update=nothing), first[1]),
        (other[0].model_copy(update=nothing), other[1]),
    )


SETTINGS: dict[str, dict[str, Any]] = {
    **{
        arm: {"arm": arm}
        for arm in ("single_task", "naive_concat", "gradual_unfreezing", "lora_shared", *METHODS)
    },
    "adamax": {"optimizer": "adamax"},
    "averaged": {"ema_decay": 0.9},
    "best": {"keep": "best"},
    "cosine": {"schedule": "cosine", "warmup": 0.2},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_schedule_in_parts_gives_the_bits_of_one_that_runs_through(
    name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    last = config_of(tiny_bert, PARTS, CHANGES, **SETTINGS[name])
    through = finished(last, tmp_path / "through")
    parts = in_parts(last, tmp_path / "parts")
    assert_same_numbers(through, parts[-1])
    assert [record.inherited for record, _ in parts] == [
        0,
        parts[0][0].examples,
        parts[1][0].examples,
    ]
    assert 0 < parts[0][0].examples < parts[1][0].examples < through[0].examples
    assert parts[1][0].inherited_seconds == parts[0][0].train_seconds > 0
    assert [record.interruptions for record, _ in parts] == [0, 0, 0]
    for record, trial in parts:
        # Only what another segment may go on from stays.
        kept = checkpoints(trial.run_dir.checkpoints(record.key))
        assert len(kept) == (record is not parts[-1][0])
        assert "selection" in record.results
        assert not record.config.has_next_segment or record.reported_epoch is None


def test_in_a_comparison_the_schedule_gives_the_weights_of_the_search(
    tiny_bert: Path, tmp_path: Path
) -> None:
    search = config_of(tiny_bert, PARTS, CHANGES)
    compared = search.model_copy(update={"search": None, "tuned": True})
    searched_trial, other = (
        finished(search, tmp_path / "search"),
        finished(compared, tmp_path / "compared"),
    )
    assert "validation" in other[0].results
    assert other[0].results["selection"] == searched_trial[0].results["selection"]
    assert all(
        torch.equal(tensor, weights(other[1])[name])
        for name, tensor in weights(searched_trial[1]).items()
    )


@pytest.mark.parametrize("optimizer", ["adamw", "adamax"])
def test_before_the_first_change_nothing_differs_and_after_it_all_does(
    optimizer: str, tiny_bert: Path, tmp_path: Path
) -> None:
    plain = config_of(tiny_bert, optimizer=optimizer, layer_decay=0.8)
    changed = plain.model_copy(update={"changes": CHANGES})
    unchanged, other = Trial(plain, runtime(tmp_path)), Trial(changed, runtime(tmp_path))
    first = None
    for _ in zip(unchanged.run(), other.run(), strict=True):
        assert other.loop is not None
        step = other.loop.state.step
        first = next(
            s for s in range(99) if other.loop.setting_schedule.at(s) is not changed.training
        )
        same = all(torch.equal(a, weights(other)[name]) for name, a in weights(unchanged).items())
        assert same == (step <= first)
    assert first == 2


@pytest.mark.parametrize("key", CHANGEABLE)
def test_every_setting_that_can_change_takes_hold(
    key: str, tiny_bert: Path, tmp_path: Path
) -> None:
    plain = config_of(tiny_bert)
    unchanged = finished(plain, tmp_path / "plain")[1]
    other = {key: OTHER[key]}
    late = plain.model_copy(update={"changes": (SettingChange(at=0.5, training=other),)})
    early = plain.model_copy(update={"training": plain.training.model_copy(update=other)})
    changed = [finished(config, tmp_path / str(i))[1] for i, config in enumerate((late, early))]
    for first, second in ((unchanged, changed[0]), (changed[0], changed[1])):
        assert any(not torch.equal(a, weights(second)[name]) for name, a in weights(first).items())
    # What changes to what it was is no change.
    same = {key: getattr(plain.training, key)}
    again = plain.model_copy(update={"changes": (SettingChange(at=0.5, training=same),)})
    repeated = finished(again, tmp_path / "again")[1]
    assert all(torch.equal(a, weights(repeated)[n]) for n, a in weights(unchanged).items())


@pytest.mark.parametrize("fault", ["missing", "damaged", "other_owner"])
def test_without_the_checkpoint_of_the_segment_before_the_numbers_are_the_same(
    fault: str, tiny_bert: Path, tmp_path: Path
) -> None:
    last = config_of(tiny_bert, 2, CHANGES[:1])
    [(before, trial), whole] = in_parts(last, tmp_path / "whole")
    folder = tmp_path / "faulty"
    finished(before.config, folder)
    [path] = checkpoints(RunDir(folder / "run").checkpoints(before.key))
    if fault == "missing":
        path.rename(folder / "away")
    elif fault == "damaged":
        (path / "parts.pt").write_bytes(b"")
    else:
        manifest = path / "manifest.json"
        manifest.write_text(manifest.read_text().replace(before.key, "0" * 12))
    record, trial = finished(last, folder)
    assert (record.inherited, whole[0].inherited) == (0, before.examples)
    assert_same_numbers((record, trial), whole)


def test_a_segment_that_is_killed_goes_on_from_its_own_checkpoint(
    tiny_bert: Path, tmp_path: Path
) -> None:
    last = config_of(tiny_bert, PARTS, CHANGES, epochs=3)
    [*_, whole] = in_parts(last, tmp_path / "whole")
    assert last.earlier is not None
    in_parts(last.earlier, tmp_path / "killed")
    settings: dict[str, Any] = {"checkpoint_every": 1e-9}
    killed = Trial(last, runtime(tmp_path / "killed", **settings))
    steps = killed.run()
    next(steps)
    assert checkpoints(killed.run_dir.checkpoints(last.key))
    del steps
    record, trial = finished(last, tmp_path / "killed", **settings)
    assert record.interruptions == 1
    assert record.inherited == whole[0].inherited > 0
    assert_same_numbers((record, trial), whole)


def test_more_parts_than_steps(tiny_bert: Path, tmp_path: Path) -> None:
    """A part may have no step; it is measured all the same."""
    config = config_of(tiny_bert, batch_size=32)
    last = config.model_copy(update={"search": SearchConfig(segment=Segment(number=4, of=4))})
    parts = in_parts(last, tmp_path)
    assert [record.steps for record, _ in parts] == [1, 1, 2, 2]
    assert parts[0][0].results["selection"] == parts[1][0].results["selection"]
    assert_same_numbers(parts[-1], finished(last, tmp_path / "through"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"at": 0.5, "training": {"batch_size": 8}}], "training.batch_size: cannot change"),
        ([{"at": 0.5, "training": {}}], "training"),
        ([{"at": 0.5, "training": {"learning_rate": -1.0}}], "learning_rate"),
        ([{"at": 1.0, "training": {"learning_rate": 1.0}}], "at"),
        ([{"at": 0.5, "training": {"weight_decay": 0.1}}] * 2, "later"),
    ],
)
def test_changes_that_cannot_be(changes: list[Any], message: str, tiny_bert: Path) -> None:
    values = config_of(tiny_bert).model_dump() | {"changes": changes}
    with pytest.raises(ValidationError, match=message):
        TrialConfig.model_validate(values)


def test_changes_and_segments_decide_the_key_and_their_absence_does_not(tiny_bert: Path) -> None:
    plain = config_of(tiny_bert)
    configs = [
        plain,
        config_of(tiny_bert, changes=CHANGES[:1]),
        config_of(tiny_bert, changes=CHANGES),
        *(config_of(tiny_bert, part) for part in range(1, PARTS + 1)),
        config_of(tiny_bert, 2, CHANGES[:1]),
    ]
    assert len({config.key for config in configs}) == len(configs)
    assert TrialConfig.model_validate_json(configs[-1].model_dump_json()) == configs[-1]
    # What a segment goes on from knows nothing of what changes later.
    later = config_of(tiny_bert, 2, CHANGES[:1]).earlier
    assert later == config_of(tiny_bert, 1)
    assert later is not None
    assert later.earlier is None
