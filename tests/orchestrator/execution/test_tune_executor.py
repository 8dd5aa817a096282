"""What the runner makes of deaths of a trial's process; whole grids are in ``tests/faults``."""

import io
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from orchestrator.config.experiment import load_experiment
from orchestrator.execution import tune_executor
from orchestrator.execution.tune_executor import TuneCallback
from orchestrator.execution.tune_hooks import failure_reason
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import Node, feasible
from tests.helpers import records
from tests.helpers.ray_grid import Grid
from trainables.errors import ResourceError
from trainables.results.record import read_record
from trainables.storage.run_dir import RunDir


def test_retries_count_deaths_in_a_row_without_a_checkpoint_between_them(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    view = LiveView(GridProgress([Expected("k", "trial k", "tiny", 100)]))
    follow = TuneCallback(view, {}, run_dir)
    metadata = SimpleNamespace(num_failures=0)
    trial = SimpleNamespace(
        config={"trial_spec": {"key": "k"}}, run_metadata=metadata, error_file=None
    )

    def deaths(*new_checkpoint_before: bool) -> int:
        """Die once for each, with a word from the trial before; what Tune then counts."""
        for new in new_checkpoint_before:
            if new:
                (run_dir.checkpoints("k") / "step-00000007").mkdir(parents=True)
            follow.on_trial_result(0, [], trial, {"note": ""})
            metadata.num_failures += 1
            follow.on_trial_recover(0, [], trial)
        return metadata.num_failures

    assert deaths(False, False, False) == 3
    assert deaths(True) == 1
    assert deaths(False, False) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["resources.cpu=99"], r"resources\.cpu=99: this machine has at most 4 cores"),
        (["resources.gpu=0", "training.precision=fp16"], r"training\.precision=fp16: needs GPUs"),
    ],
)
def test_what_the_machine_cannot_give_is_refused_before_anything_starts(
    settings: list[str], message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    experiment = load_experiment("demo", [*Grid(tmp_path, tiny_bert).overrides(), *settings])
    with pytest.raises(ResourceError, match=message):
        feasible(experiment, [Node(4, 2)], 4)


@dataclass
class Given:
    """What Tune's trial has that is looked at when it ends badly."""

    error_file: str | None
    config: dict


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "its process died"),
        (
            "Failure # 1 (occurred at x)\nray::TrialTrainable.train() (pid=1)\nold: error\n"
            'Failure # 2 (occurred at y)\nray::TrialTrainable.train() (pid=2)\n  File "a.py"\n'
            "ValueError: new  error\n\n",
            "ValueError: new error",
        ),
        (
            "Failure # 1 (occurred at x)\nThe actor died.\n\tclass_name: T\nWorker exit detail: "
            "connection error code 2. Some common causes include: (1) much\n",
            "its process was killed or crashed: connection error code 2.",
        ),
        ("", "its process died"),
    ],
)
def test_why_a_process_died_is_told_in_a_line_and_nothing_is_unpickled(
    told: str | None, reason: str, tmp_path: Path
) -> None:
    if told is not None:
        (tmp_path / "error.txt").write_text(told)
    assert failure_reason(Given(str(tmp_path / "error.txt"), {})) == reason
    assert failure_reason(Given(None, {})) == "its process died"


def test_the_record_of_a_dead_trial_waits_for_storage_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = records.trial()
    run_dir = RunDir(tmp_path / "run")
    expected = Expected(planned.key, planned.config.title, "tiny", 10)
    view = LiveView(GridProgress([expected], 1), Console(file=io.StringIO()))
    trials = {planned.key: PlannedTrial(planned.config, 10, 1.0)}
    follow = TuneCallback(view, trials, run_dir)
    monkeypatch.setattr(tune_executor, "RETRY_SECONDS", 0.0)
    (tmp_path / "run").write_text("")  # In place of the folder: nothing can be written.
    with view:
        follow.on_trial_start(0, [], Given(None, {"trial_spec": {"key": planned.key}}))
        follow.on_trial_error(0, [], Given(None, {"trial_spec": {"key": planned.key}}))
        follow.on_step_begin(0, [])
        with pytest.raises(OSError, match="run"):
            follow.write_pending_records()
        (tmp_path / "run").unlink()
        (tmp_path / "run").mkdir()
        follow.on_step_begin(0, [])
    record = read_record(run_dir.record(planned.key))
    assert (record.status, record.error) == ("failed", "its process died")
