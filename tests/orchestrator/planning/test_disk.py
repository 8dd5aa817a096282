"""A grid's disk use stays under what its plan says, and the plan does not exaggerate."""

import json
import re
import shutil
from pathlib import Path

import pytest

from orchestrator.commands.report import report
from orchestrator.planning import disk
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.run_dir.directory import write_metadata
from tests.helpers.command import Command, small_grid, tiny
from tests.helpers.plans import plan_of
from tests.helpers.trials import runtime
from trainables.errors import RunDirectoryError
from trainables.storage.run_dir import RunDir
from trainables.training import checkpoint
from trainables.training.checkpoint import KEPT
from trainables.trial.trial import run_trial


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["training.keep=best", "training.epochs=3", "arms=[naive_concat_union]"],
        ["checkpoint.keep=true", "save_models=true", "arms=[shared_encoder]"],
    ],
)
def test_bytes_on_the_disk_never_exceed_what_the_plan_says(
    tmp_path: Path, tiny_bert: Path, settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, *overrides = small_grid(tiny_bert, *settings)
    experiment, plan, resources = plan_of(preset, overrides)
    run_dir = RunDir(tmp_path / "run")
    write_metadata(run_dir, experiment, plan, resources)
    bound = disk_use(experiment, plan, plan.trials, 1)
    running: list[int] = []
    sync = checkpoint.sync_folder

    def look(folder: Path) -> None:
        """Called when a checkpoint has been written and the oldest one is not yet gone."""
        sync(folder)
        running.append(used(run_dir.root))

    monkeypatch.setattr(checkpoint, "sync_folder", look)
    where = runtime(
        tmp_path,
        checkpoint_every=1e-9,
        keep_checkpoints=experiment.checkpoint.keep,
        save_model=experiment.save_models,
    )
    for trial in plan.trials:
        run_trial(trial.config, where, lambda *_: running.append(used(run_dir.root)))
    report(run_dir.root)
    assert max(running) <= bound.running
    assert used(run_dir.root) <= bound.after
    whole = disk._checkpoint(plan.trials[-1].config, plan)
    sizes = used(run_dir.root / "checkpoints") / KEPT
    if experiment.checkpoint.keep:
        assert sizes <= whole <= 3 * sizes
    else:
        largest = max(running) - used(run_dir.root)
        assert largest <= bound.running - bound.after <= 3 * largest


def test_more_slots_and_larger_trials_take_more(tiny_bert: Path) -> None:
    preset, *overrides = small_grid(tiny_bert)

    def total(slots: int, *more: str) -> disk.DiskUse:
        experiment, plan, _ = plan_of(preset, [*overrides, *more])
        return disk_use(experiment, plan, plan.trials, slots)

    one, two, many = (total(slots) for slots in (1, 2, 99))
    assert one.running < two.running < many.running
    assert one.after == two.after
    assert many.running == total(3).running
    without = total(2, "checkpoint.every=0")
    assert without.running == without.after == one.after
    kept = total(2, "checkpoint.keep=true")
    assert one.after < kept.after < kept.running
    assert kept.running - kept.after < two.running - two.after
    experiment, plan, _ = plan_of(preset, [*overrides, "checkpoint.every=0"])
    waiting = [disk_use(experiment, plan, plan.trials, 1, waiting=n) for n in (0, 1, 3)]
    each = waiting[1].running - waiting[0].running
    assert each == max(disk._checkpoint(trial.config, plan) for trial in plan.trials)
    assert waiting[2].running == waiting[0].running + 3 * each
    assert total(1, "save_models=true").after > one.after
    assert total(1, "training.keep=best").running > one.running
    assert total(1, "training.ema_decay=0.9").running > one.running


def test_the_plan_says_it(command: Command, tiny_bert: Path) -> None:
    grid = small_grid(tiny_bert, "resources.cpu=1", "resources.max_concurrent=1")
    experiment, plan, _ = plan_of(grid[0], grid[1:])
    use = disk_use(experiment, plan, plan.trials, 1)
    assert json.loads(command("plan", *grid, "--json").out)["disk"] == {
        "running": use.running,
        "after": use.after,
    }
    shown = " ".join(command("plan", *grid).out.split())
    assert f"disk: {use.describe(1)}" in shown


def test_how_it_is_said() -> None:
    assert disk.DiskUse(1_234_567_890, 85_040_000).describe(2) == (
        "at most 1.2 GB while it runs (checkpoints of 2 trials at once), 85.0 MB after"
    )
    assert disk.DiskUse(2_000, 300).describe(1) == (
        "at most 2.0 kB while it runs (checkpoints of a trial at once), 0.3 kB after"
    )


def test_a_full_disk_is_found_before_anything_runs(
    tmp_path: Path, tiny_bert: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=3000))
    for arguments in (
        ["run", *small_grid(tiny_bert), "--run-dir", "a"],
        ["train", "single_task", tiny(tiny_bert), "model=tiny", "task=sentiment"],
    ):
        ended = command(*arguments)
        assert ended.code == 2
        assert re.match(
            r"error: (a|runs/train/\w+): its disk has 3\.0 kB left, the experiment needs", ended.err
        )
    assert not list(tmp_path.rglob("lock.json"))


def test_checkpoints_that_are_there_already_are_part_of_the_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = RunDir(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=500)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage)
    use = disk.DiskUse(1000, 100)
    with pytest.raises(RunDirectoryError, match=r"has 0\.5 kB left, .* needs about 1\.0 kB"):
        check_room(run_dir, use)
    folder = run_dir.checkpoints("key") / "step-00000001"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(600))
    check_room(run_dir, use)
