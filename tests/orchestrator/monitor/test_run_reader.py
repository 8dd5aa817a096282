"""Live views fed by an executor and by files come to the same state."""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.execution.stages import expected_of
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.run_reader import RunReader
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.plan import PlannedTrial
from tests.helpers.records import right
from tests.helpers.run_folders import EXAMPLES, RunFolder, word
from trainables.results.status import TrialStatus


def test_files_tell_what_an_executor_tells(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    planned = [PlannedTrial(trial.config, EXAMPLES, 1.0) for trial in folder.trials]
    executor_view = LiveView(
        GridProgress(map(expected_of, planned)), Console(file=io.StringIO()), now=lambda: 1.0
    )
    files_view = LiveView(GridProgress([]), Console(file=io.StringIO()), now=lambda: 1.0)
    reader = RunReader(folder.run_dir, files_view)

    for index, examples in ((0, 400), (1, 300), (2, 200)):
        executor_view.start(planned[index].key)
        executor_view.update(planned[index].key, word(examples))
        folder.says(index, examples=examples)
    reader.poll()
    assert_same_state(executor_view, files_view)

    key = planned[0].key
    executor_view.update(key, word(EXAMPLES, headline=1.0))
    executor_view.finish(key, TrialStatus.FINISHED)
    folder.ends(0, examples=EXAMPLES, history=[epoch(planned[0])], reported_epoch=1)
    executor_view.finish(planned[1].key, TrialStatus.FAILED, "out of memory")
    folder.ends(1, TrialStatus.FAILED)
    reader.poll()
    assert_same_state(executor_view, files_view)


def test_a_plan_that_grows_by_a_round_is_called_by_its_look(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", 3)
    view = LiveView(GridProgress([]), Console(file=io.StringIO()), now=lambda: 1.0)
    reader = RunReader(folder.run_dir, view)
    path = folder.run_dir.plan
    whole = json.loads(path.read_text())
    for number, trials in ((1, 2), (2, 3)):
        part = {**whole, "trials": whole["trials"][:trials], "look": f"look {number} of 2"}
        path.write_text(json.dumps(part))
        reader.poll()
        assert view.summary().startswith(f"look {number} of 2: 0 of {trials} done, ")


def epoch(planned: PlannedTrial) -> dict[str, Any]:
    """An epoch after which all is right."""
    results = {task: {"confusion": right(10, 10)} for task in planned.config.tasks}
    return {
        "epoch": 1, "step": 1, "examples": EXAMPLES, "seconds": 1.0, "learning_rate": 1e-5,
        "train_loss": 0.5, "splits": {"validation": results},
    }  # fmt: skip


def assert_same_state(view: LiveView, other: LiveView) -> None:
    assert view.progress.counts() == other.progress.counts()
    assert view.progress.share() == other.progress.share()
    assert view.progress.groups() == other.progress.groups()
    for key, trial in view.progress.trials.items():
        twin = other.progress.trials[key]
        assert (trial.expected, trial.state) == (twin.expected, twin.state)
        assert trial.headline == twin.headline
        assert trial.examples_left == twin.examples_left
