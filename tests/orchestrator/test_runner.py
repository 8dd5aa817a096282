"""What the runner makes of deaths of a trial's process; whole grids are in ``tests/faults``."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.config import load_experiment
from orchestrator.live import LiveView
from orchestrator.progress import Expected, GridProgress
from orchestrator.resources import Node, feasible
from orchestrator.runner import Follow
from orchestrator.signals import Stop
from tests.orchestrator.grid import Grid
from trainables.errors import ResourceError
from trainables.record import RunLayout


def test_retries_count_deaths_in_a_row_without_a_checkpoint_between_them(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    view = LiveView(GridProgress([Expected("k", "trial k", "tiny", 100)]))
    follow = Follow(view, {}, layout, Stop())
    metadata = SimpleNamespace(num_failures=0)
    trial = SimpleNamespace(config={"cell": {"key": "k"}}, run_metadata=metadata, error_file=None)

    def deaths(*new_checkpoint_before: bool) -> int:
        """Die once for each, with a word from the trial before; what Tune then counts."""
        for new in new_checkpoint_before:
            if new:
                (layout.checkpoints("k") / "step-00000007").mkdir(parents=True)
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
