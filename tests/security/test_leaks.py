"""Secrets of the environment are nowhere in what a run leaves behind or shows."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from tests.helpers.ray_grid import Ended, Grid, ended
from trainables.config.trial import ModelConfig
from trainables.data.planned import load_data
from trainables.data.tokens import tokenize_task
from trainables.models.tokenizer import load_tokenizer
from trainables.results.record import read_records

pytestmark = pytest.mark.ray

SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "HF_TOKEN": "hf_PlantedTokenOfTheHub",
    "HUGGING_FACE_HUB_TOKEN": "hf_OlderPlantedToken",
    "RAY_AUTH_TOKEN": "c0ffee" * 10,
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYPLANTED",
    "HTTPS_PROXY": "http://planted-user:planted-password@127.0.0.1:9",
}
PLANTED = [*SECRETS.values(), "planted-user", "planted-password"]
OVERRIDES = [
    "arms=[single_task]",
    "training.epochs=1",
    "tracking.trackers=[wandb]",
    "resources.max_concurrent=1",
]


class Leaky:
    """A grid one of whose trials fails over a path that has a secret in it."""

    def __init__(self, grid: Grid, run: Ended, session: Path) -> None:
        self.grid, self.run, self.session = grid, run, session


@pytest.fixture(scope="module")
def leaky(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaky]:
    grid = Grid(tmp_path_factory.mktemp("leaks"), tiny_bert)
    # Sockets have short names, and Ray's lie there.
    session = Path(tempfile.mkdtemp(prefix="leaks-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setenv("RAY_TMPDIR", str(session))
        patch.setenv("WANDB_MODE", "offline")
        cache = session / SECRETS["HF_TOKEN"]
        block(cache, grid)
        yield Leaky(grid, ended(grid.start(*OVERRIDES, cache=cache)), session)
    shutil.rmtree(session)


def block(cache: Path, grid: Grid) -> None:
    """Make the sentiment task's place in a token cache unusable."""
    experiment = load_experiment("demo", [*grid.overrides(), *OVERRIDES])
    tokenizer = load_tokenizer(ModelConfig(encoder=str(grid.encoder), max_length=64))
    [planned] = [t for t in make_plan(experiment).trials if "sentiment" in t.config.tasks]
    task = load_data(planned.config, glue_dir=None)["sentiment"]
    probe = grid.folder / "probe"
    tokenize_task(task, tokenizer, max_length=64, prefix=None, cache_dir=probe)
    [lock] = (probe / "tokens").glob("*.lock")
    (cache / "tokens" / lock.name).mkdir(parents=True)
    shutil.rmtree(probe)


def test_a_record_says_why_it_failed_without_the_secret(leaky: Leaky) -> None:
    records = read_records(leaky.grid.run_dir).values()
    assert sorted(record.status for record in records) == ["failed", "finished"]
    [error] = [record.error for record in records if record.status == "failed"]
    assert error is not None
    assert f"{leaky.session}/***/tokens: the token cache cannot be used" in error
    assert leaky.run.code == 1
    assert error in leaky.run.err


@pytest.mark.parametrize("what", ["run directory", "Ray's logs"])
def test_no_file_holds_a_secret(what: str, leaky: Leaky) -> None:
    folder = (
        leaky.grid.run_dir.root if what == "run directory" else leaky.session / f"ray-{os.getuid()}"
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    leaks = [
        (path.relative_to(folder).as_posix(), secret)
        for path in files
        for secret in PLANTED
        if secret.encode() in path.read_bytes()
    ]
    assert not leaks


def test_w_and_b_was_given_something(leaky: Leaky) -> None:
    assert list(leaky.grid.run_dir.root.glob("wandb/offline-run-*/*.wandb"))


def test_nothing_that_is_shown_holds_a_secret(leaky: Leaky) -> None:
    assert not [secret for secret in PLANTED if secret in leaky.run.out + leaky.run.err]
