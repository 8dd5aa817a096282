"""A run directory in which anything is damaged: the right table, or one line for each problem."""

import shutil
from pathlib import Path
from random import Random

import pytest

from orchestrator.run_dir.directory import take, write_metadata
from tests.helpers.command import Command, small_grid
from tests.helpers.fuzz_campaign import Campaign, accepted
from tests.helpers.fuzz_damage import REPLACED, damaged, damaged_json, remove, replace
from tests.helpers.plans import plan_of
from tests.helpers.records import Trial, record
from trainables.results.record import read_record, write_record
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import read_progress, write_progress

TABLES = ("md", "csv", "json", "tex")
PROGRESS = {
    "epoch": 0.5, "epochs": 2, "step": 3, "total_steps": 12, "examples": 24, "loss": 0.7,
    "headline": None, "headline_name": "macro", "examples_per_second": 10.0, "time": 1.0,
}  # fmt: skip


@pytest.fixture
def run(command: Command, tmp_path: Path, tiny_bert: Path) -> RunDir:
    """A finished run directory of the small grid, reported once."""
    experiment, plan, resources = plan_of("demo", small_grid(tiny_bert)[1:])
    run_dir = RunDir(tmp_path / "run")
    take(run_dir, experiment, plan)
    write_metadata(run_dir, experiment, plan, resources)
    for trial in plan.trials:
        write_record(run_dir, record(Trial(trial.key, trial.config)))
        write_progress(run_dir.progress(trial.key), PROGRESS)
    assert command("report", "run").code == 0
    return run_dir


def tables(run_dir: RunDir) -> list[bytes]:
    return [run_dir.table(ending).read_bytes() for ending in TABLES]


def test_any_damage_of_a_run_directory_is_told(
    campaign: Campaign, run: RunDir, command: Command, tmp_path: Path
) -> None:
    right = tables(run)
    copy = RunDir(tmp_path / "copy")

    def body(random: Random) -> bool:
        remove(copy.root)
        shutil.copytree(run.root, copy.root)
        inputs = [copy.plan, copy.config, copy.environment, *copy.records.iterdir()]
        for path in random.sample(
            [*inputs, *copy.progress_folder.iterdir()], random.choice((1, 2))
        ):
            whole = path.read_bytes()
            if random.random() < 0.2:
                replace(path, random.choice(list(REPLACED)))
            elif path.suffix == ".json" and random.random() < 0.4:
                path.write_bytes(damaged_json(random, whole))
            else:
                path.write_bytes(damaged(random, whole))
        ended = command("report", "copy")
        assert ended.code in (0, 1, 2), ended
        assert "Traceback" not in ended.err
        # Of predictions, which no table needs, it is only said that they are damaged.
        wrong = [line for line in ended.err.splitlines() if "/predictions/" not in line]
        assert (ended.code == 0) == (not wrong), ended.err
        if ended.code == 2:
            assert ended.err.startswith("error: ")
            assert ended.err.count("\n") == 1
            assert tables(copy) == right
        if ended.code == 0:
            # Nothing is said: then no number may differ.
            assert copy.table("csv").read_bytes() == right[1]
        return ended.code == 0

    campaign.draw("run directories", 120, body)


def test_a_run_that_begins_in_any_damaged_directory_takes_it_or_says_why_not(
    campaign: Campaign, run: RunDir, tmp_path: Path, tiny_bert: Path
) -> None:
    experiment, plan, _ = plan_of("demo", small_grid(tiny_bert)[1:])
    copy = RunDir(tmp_path / "copy")

    def body(random: Random) -> bool:
        remove(copy.root)
        copy.root.mkdir()
        for path in (run.config, run.plan):
            shutil.copy(path, copy.root)
        path = random.choice((copy.config, copy.plan))
        if random.random() < 0.1:
            replace(path, random.choice(list(REPLACED)))
        else:
            path.write_bytes(damaged(random, path.read_bytes()))
        return accepted(lambda: take(copy, experiment, plan))

    campaign.draw("run directories: taken", 250, body)


def test_any_damaged_record_is_the_same_or_refused(campaign: Campaign, run: RunDir) -> None:
    path = next(run.records.iterdir())
    content = path.read_bytes()
    whole = read_record(path)

    def body(random: Random) -> bool:
        change = damaged_json if random.random() < 0.5 else damaged
        path.write_bytes(change(random, content))

        def same() -> None:
            assert read_record(path) == whole

        return accepted(same)

    campaign.draw("records", 800, body)


def test_any_damaged_progress_is_silence_or_numbers(campaign: Campaign, run: RunDir) -> None:
    path = next(run.progress_folder.iterdir())
    content = path.read_bytes()

    def body(random: Random) -> bool:
        change = damaged_json if random.random() < 0.5 else damaged
        path.write_bytes(change(random, content))
        progress = read_progress(path)
        if progress is not None:
            # As messages and the live view show it.
            assert f"at epoch {progress['epoch']:.1f} of {progress['epochs']}"
        return progress is not None

    campaign.draw("progress files", 500, body)
