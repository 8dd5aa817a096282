"""Two processes at one trial's checkpoints: the worker of a driver that was killed lives on."""

import json
import os
import signal
import time
from pathlib import Path

from tests.helpers.forks import SERVER
from tests.helpers.trials import runtime, trial_config
from trainables.config.trial import Runtime, TrialConfig
from trainables.errors import CheckpointError
from trainables.training.checkpoint import KEPT, checkpoints, save_checkpoint, verify
from trainables.trial.trial import Trial


def save_often(config: TrialConfig, where: Runtime, step: int, folder: Path, saved) -> None:
    """Save one step after the other until killed."""
    trial = Trial(config, where)
    loop = trial._prepare()
    while True:
        step += 1
        loop.state.step = step
        try:
            save_checkpoint(folder, config.key, loop)
        except (OSError, CheckpointError):
            continue  # The other removed what was being written; the next one counts.
        with saved.get_lock():
            saved.value += 1


def test_two_processes_at_one_trials_checkpoints_never_make_a_wrong_one(
    tmp_path: Path, tiny_bert: Path
) -> None:
    config = trial_config("single_task", tiny_bert)
    folder = tmp_path / "run" / "checkpoints" / config.key
    folder.mkdir(parents=True)
    where = runtime(tmp_path)
    # The new worker goes on from an older checkpoint than the one that the old worker has reached.
    counts = [SERVER.Value("i", 0) for _ in range(2)]
    old, new = (
        SERVER.Process(target=save_often, args=(config, where, step, folder, count))
        for step, count in zip((5, 0), counts, strict=True)
    )
    for process in (old, new):
        process.start()

    def whole() -> list[Path]:
        """Those that loading would take; each is what its name says."""
        intact = []
        for path in checkpoints(folder):
            try:
                verify(path, config.key)
                state = json.loads((path / "state.json").read_text())
            except (OSError, CheckpointError):
                continue  # Just being removed.
            assert path.name == f"step-{state['step']:08d}"
            intact.append(path)
        return intact

    def until_saved(count, more: int) -> None:
        enough, deadline = count.value + more, time.monotonic() + 60
        while count.value < enough:
            assert time.monotonic() < deadline, "nothing is saved"
            whole()
            time.sleep(0.001)

    until_saved(counts[0], 10)
    until_saved(counts[1], 10)
    os.kill(old.pid or 0, signal.SIGKILL)
    old.join()
    until_saved(counts[1], 3 * KEPT)
    os.kill(new.pid or 0, signal.SIGKILL)
    new.join()
    assert whole(), "no whole checkpoint is left"
