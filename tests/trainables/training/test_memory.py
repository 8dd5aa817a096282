"""Memory limits for real, in processes of their own."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from trainables.training.memory import GB, limit_memory

SCRIPT = """
import resource
from pathlib import Path
from tests.helpers.trials import finished, trial_config
from trainables.config.trial import LimitsConfig
from trainables.errors import TrialError
from trainables.training.memory import GB, _private_memory

size = 1024
config = trial_config(
    "single_task", Path({encoder!r}), tasks=("paraphrase",), batch_size=size, eval_batch_size=size,
    epochs=1, total_steps=2,
    limits=LimitsConfig(max_train_examples=size, max_validation_examples=size),
)
before = resource.getrlimit(resource.RLIMIT_DATA)
used = _private_memory()[1] / GB
try:
    record, _ = finished(config, Path({folder!r}), memory=used + {room})
    print(record.status, record.accumulation, record.examples)
except TrialError as error:
    print(error)
assert resource.getrlimit(resource.RLIMIT_DATA) == before
"""


def limited(encoder: Path, folder: Path, room: float) -> str:
    """What a trial says whose process may take ``room`` GB besides what it has taken already."""
    script = SCRIPT.format(encoder=str(encoder), folder=str(folder), room=room)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_trial_that_is_held_to_less_than_its_batch_takes_finishes_in_parts(
    tiny_bert: Path, tmp_path: Path
) -> None:
    said = limited(tiny_bert, tmp_path, 0.2)
    assert re.fullmatch(r"finished \(\(1, (2|4|8|16)\),\) 2048", said), said


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_the_limit_is_taken_back_and_refuses_what_is_larger() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limit_memory(8.0):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] >= 8 * GB
        assert resource.getrlimit(resource.RLIMIT_DATA)[1] == before[1]
        with pytest.raises(MemoryError):
            bytearray(16 * GB)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with limit_memory(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
