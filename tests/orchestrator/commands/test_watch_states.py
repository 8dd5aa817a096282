"""What the command watch tells of a run directory's trials and of whoever runs them."""

import io
import os
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.commands import watch
from orchestrator.commands.watch import follow
from orchestrator.run_dir.lock import hold_lock
from tests.helpers.run_folders import RunFolder, aged, word
from trainables.errors import RunDirectoryError
from trainables.trial.progress import write_progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(watch, "RENEWED_WITHIN", 0.3)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def shown(folder: RunFolder, once: bool = True, width: int = 80) -> tuple[int, str]:
    file = io.StringIO()
    code = follow(folder.run_dir.root, Console(file=file, width=width), once=once)
    return code, file.getvalue()


def test_a_snapshot_counts_the_trials_and_lists_those_that_run(folder: RunFolder) -> None:
    folder.held_elsewhere()
    folder.ends(0)
    folder.says(1, examples=400, loss=0.5, headline=0.8125)
    folder.says(2, phase="preparing", loss=None, headline=None)
    code, text = shown(folder)
    lines = text.splitlines()
    assert code == 0
    assert lines[1].startswith("1 of 4 done, 2 running, 1 left; ")
    cell = next(line for line in lines if line.startswith("shared_encoder tiny "))
    assert "1/4   2 " in cell
    row = next(line for line in lines if "seed 2" in line)
    for part in ("1.2/3", "0.500", "0.812", "40"):
        assert part in row
    assert "starts" in next(line for line in lines if "seed 3" in line)
    assert not any("seed 1" in line or "seed 4" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in text


def test_the_time_left_comes_from_the_records_where_nothing_was_watched(folder: RunFolder) -> None:
    folder.held_elsewhere()
    for index in range(3):
        folder.ends(index, examples=1000, train_seconds=40.0, eval_seconds=10.0)
    # Fifty seconds for a trial's examples, and one trial is left.
    assert "about 0:00:50 to go" in shown(folder)[1]


@pytest.mark.parametrize(("ending", "code"), [("finished", 0), ("failed", 1), ("diverged", 1)])
def test_it_ends_by_itself_when_all_trials_have_ended(
    folder: RunFolder, ending: str, code: int
) -> None:
    for index in range(3):
        folder.ends(index)
    folder.ends(3, ending)
    got, text = shown(folder, once=False)
    assert got == code
    assert text.startswith("4 of 4 done, 0 running, 0 left")
    assert "nobody" not in text


def test_trials_are_followed_to_their_end_in_plain_lines(folder: RunFolder) -> None:
    folder.held_elsewhere()
    folder.ends(0)
    folder.ends(1)

    def live() -> None:
        time.sleep(0.2)
        folder.says(2, examples=100)
        time.sleep(0.1)
        folder.says(2, examples=500, note="[red]waiting\nfor storage")
        time.sleep(0.1)
        folder.ends(2)
        folder.ends(3, "failed")
        time.sleep(0.1)
        folder.let_go()

    thread = threading.Thread(target=live)
    thread.start()
    code, text = shown(folder, once=False)
    thread.join()
    lines = text.splitlines()
    assert code == 1
    assert lines[0] == "started shared_encoder tiny seed 3"
    assert "shared_encoder tiny seed 3: [red]waiting for storage" in lines
    assert any(
        line.startswith("finished shared_encoder tiny seed 3: macro=0.750") for line in lines
    )
    assert any(line.startswith("failed shared_encoder tiny seed 4: out of mem") for line in lines)
    assert lines[-1].startswith("4 of 4 done, 0 running, 0 left, 1 failed")
    assert not any("seed 1" in line for line in lines), "what was before is not told again"


def test_a_trial_that_failed_before_may_run_again(folder: RunFolder) -> None:
    folder.held_elsewhere()
    aged(folder.ends(0, "failed"), 500)
    folder.says(0)
    assert "0 of 4 done, 1 running" in shown(folder)[1]


def test_words_of_a_run_before_this_one_are_no_sign_of_life(folder: RunFolder) -> None:
    folder.held_elsewhere()
    folder.says(0, age=3600)
    assert "0 of 4 done, 0 running" in shown(folder)[1]


def test_a_run_that_nobody_holds_is_told_with_the_command_that_goes_on(folder: RunFolder) -> None:
    folder.ends(0)
    folder.says(1)
    code, text = shown(folder)
    assert code == 1
    assert "1 of 4 done, 0 running, 3 left" in text
    assert "nobody runs this experiment; continue with: " in text.splitlines()[-1]


def test_the_lock_of_a_process_here_that_died_is_told_at_once(folder: RunFolder) -> None:
    child = os.fork()
    if child == 0:
        with hold_lock(folder.run_dir.root):
            os._exit(1)
    os.waitpid(child, 0)
    code, text = shown(folder, once=False)
    assert code == 1
    assert f"process {child} on " in text.splitlines()[-1]
    assert "has died; continue with: " in text.splitlines()[-1]


def test_the_lock_of_another_computer_is_watched_before_it_is_called_dead(
    folder: RunFolder,
) -> None:
    folder.held_elsewhere(age=3600, command="python -m orchestrator run mine.yaml seeds=[1]")
    code, text = shown(folder)
    assert code == 1
    last = text.splitlines()[-1]
    assert "nobody runs this experiment; process 4242 on elsewhere since 2026-01-01" in last
    assert last.endswith("continue with: python -m orchestrator run mine.yaml seeds=[1]")


@pytest.mark.parametrize("clock", [-3600.0, 3600.0], ids=["behind", "ahead"])
def test_clocks_that_differ_are_no_death_and_no_silence(folder: RunFolder, clock: float) -> None:
    """The storage's clock is an hour off this machine's, and the lock is renewed."""
    age = -clock
    folder.held_elsewhere(age=age)
    aged(folder.run_dir.plan, age)
    folder.says(0, age=age)
    renewed = threading.Timer(0.1, folder.held_elsewhere, kwargs={"age": age - 1})
    renewed.start()
    code, text = shown(folder)
    renewed.join()
    assert code == 0
    assert "0 of 4 done, 1 running" in text
    assert "silent" not in text


@pytest.mark.parametrize("once", [True, False])
def test_what_does_not_go_as_planned_is_told_to_whoever_comes_later(
    folder: RunFolder, once: bool
) -> None:
    folder.held_elsewhere()
    folder.says(0, note="not saved, trying again in 60 s: no space left")
    folder.says(1, note="wandb was dropped")
    folder.ends(1)
    gone = threading.Timer(0.2, lambda: None if once else folder.let_go())
    gone.start()
    _, text = shown(folder, once, width=200)
    gone.join()
    assert text.count("shared_encoder tiny seed 1: not saved, trying again in 60 s: no space") == 1
    assert "wandb" not in text, "that trial has ended"


def test_how_long_a_trial_took_is_not_counted_from_when_it_was_first_seen(
    folder: RunFolder,
) -> None:
    folder.held_elsewhere()
    folder.says(0)

    def ends() -> None:
        folder.ends(0, train_seconds=3000.0, eval_seconds=600.0)
        time.sleep(0.1)
        folder.let_go()

    later = threading.Timer(0.2, ends)
    later.start()
    _, text = shown(folder, once=False, width=200)
    later.join()
    [line] = [line for line in text.splitlines() if line.startswith("finished ")]
    assert line.endswith(", 1:00:00 after its start")


def test_trials_of_a_command_that_died_do_not_run_under_the_next_one(folder: RunFolder) -> None:
    folder.held_elsewhere()
    folder.says(0, age=10)
    folder.says(1, age=10)
    aged(folder.run_dir.plan, 20)
    following = watch.Watch(folder.run_dir.root, Console(file=io.StringIO()))
    following.poll()
    progress = following.view.progress
    assert len(progress.running()) == 2
    folder.plan()
    folder.says(1)
    following.poll()
    assert [trial.expected.title[-6:] for trial in progress.running()] == ["seed 2"]


def test_trials_that_nobody_expects_are_no_silence(folder: RunFolder) -> None:
    """A search trains what its trials need before it proposes the first of them."""
    for path in (folder.run_dir.plan, folder.says(0)):
        aged(path, 100)
    folder.held_elsewhere()
    write_progress(folder.run_dir.progress("0" * 12), word())
    assert "silent for more than" not in shown(folder)[1]


def test_an_experiment_without_a_word_for_long_is_silent_not_dead(folder: RunFolder) -> None:
    for path in (folder.run_dir.plan, folder.says(0), folder.says(1)):
        aged(path, 100)
    folder.held_elsewhere()
    code, text = shown(folder)
    assert code == 0
    assert "silent for more than 60 s; run by process 4242 on elsewhere" in " ".join(text.split())
    assert "silent" in next(line for line in text.splitlines() if "seed 2" in line)


def test_one_trial_without_a_grid_is_refused(folder: RunFolder) -> None:
    folder.run_dir.plan.unlink()
    folder.run_dir.config.write_text("name: mine\nseed: 41\n")
    with pytest.raises(RunDirectoryError, match=r"run: one trial of `train`, which shows itself"):
        shown(folder)


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"no run directory \(config.yaml is missing\)"):
        follow(tmp_path, Console(file=io.StringIO()), once=True)
