"""``cost`` from a finished grid to its report, and one line for what keeps it from that."""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.commands.cost import measure_cost
from orchestrator.commands.experiment import Experiment
from orchestrator.commands.tune import TunedExperiment
from orchestrator.deploy.cost import measure
from orchestrator.deploy.cost.measure import KINDS
from orchestrator.deploy.cost.results import read_cost
from orchestrator.deploy.cost.serving import Asked, Loaded, WorkerRequest
from orchestrator.deploy.cost.worker import Server
from orchestrator.run_dir.directory import read_plan
from orchestrator.run_dir.lock import hold_lock
from tests.helpers.command import Command, small_grid
from tests.helpers.object_store import NewBucket
from tests.helpers.run_folders import finished_grid
from trainables.errors import DataError, ResourceError, RunDirectoryError
from trainables.results.record import read_records, write_record
from trainables.storage.object_store import Store
from trainables.storage.run_dir import RunDir


@pytest.fixture(scope="module", autouse=True)
def one_process() -> object:
    """Each start takes seconds; that there are several is tested with ones that pretend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "PROCESSES", 1)
        yield


@pytest.fixture(scope="module")
def trained(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Two arms on two tasks, with saved models; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONE_OR_MANY_CACHE", str(folder / "cache"))
        preset, *overrides = small_grid(tiny_bert, "save_models=true")
        Experiment.load(preset, overrides).run(folder / "run", local=True)
    return RunDir(folder / "run")


@pytest.fixture
def run_dir(trained: RunDir, tmp_path: Path) -> RunDir:
    """A copy, to be changed."""
    shutil.copytree(trained.root, tmp_path / "run")
    return RunDir(tmp_path / "run")


def contents(run_dir: RunDir) -> dict[str, bytes]:
    """All files but those of ``cost``, which may change none of them."""
    return {
        path.relative_to(run_dir.root).as_posix(): path.read_bytes()
        for path in run_dir.root.rglob("*")
        if path.is_file() and path.name != "cost.json"
    }


def test_a_finished_grid_is_measured_and_reported(run_dir: RunDir, command: Command) -> None:
    before = contents(run_dir)
    ended = command("cost", "run", "--seconds", "0.2", "--threads", "1", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert "tiny, shared_encoder for single_task: " in ended.out
    assert "one text, all tasks" in ended.out
    assert contents(run_dir) == before
    cost = read_cost(run_dir, [trial.key for trial in read_plan(run_dir)])
    assert cost is not None
    assert (cost.threads, cost.device) == (1, "cpu")
    single, shared = map(cost.of, cost.arms)
    assert (single.models, single.passes, single.saved) == (2, 2, True)
    assert (shared.models, shared.passes, shared.saved) == (1, 1, True)
    assert len(shared.rounds) == len(KINDS) * measure.ROUNDS
    parameters = {key: record.parameters or 0 for key, record in read_records(run_dir).items()}
    assert single.parameters == sum(parameters[key] for key in cost.arms[0].trials)
    assert shared.megabytes == pytest.approx(4e-6 * parameters[cost.arms[1].trials[0]])
    reported = command("report", "run", "--json")
    assert json.loads(reported.out)["costs"]["measured"]["threads"] == 1
    assert 'id="cost"' in run_dir.report.read_text()


class WorkerHere:
    """Stands for ``Worker``, in this process: it answers once and pretends the times."""

    def __init__(self, request: WorkerRequest, title: str, errors: object) -> None:
        self._server = Server(request)

    def loaded(self) -> Loaded:
        return self._server.loaded

    def ask(self, asked: Asked) -> tuple[float, ...]:
        self._server.answer(asked, 0)
        return (1.0 * asked.batch_size * len(self._server.models),) * asked.requests

    def end(self) -> int:
        return 10**6 * len(self._server.models)

    def kill(self) -> None:
        """Nothing to end."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "Worker", WorkerHere)


@pytest.mark.usefixtures("here")
def test_json_is_what_the_file_holds(run_dir: RunDir, command: Command) -> None:
    ended = command("cost", "run", "--seconds", "0.1", "--threads", "1", "--json")
    assert ended.code == 0, ended.err
    content = json.loads(run_dir.cost.read_text())
    content.pop("sha256")
    assert json.loads(ended.out) == content


@pytest.mark.usefixtures("here")
def test_measured_after_a_run_it_stands_in_its_report(
    run_dir: RunDir, tiny_bert: Path, command: Command
) -> None:
    words = ["run", *small_grid(tiny_bert, "save_models=true"), "--run-dir", "run", "--local"]
    ended = command(*words, "--cost")
    assert ended.code == 0, ended.err
    assert "Cost to deploy" in ended.out
    assert "Cost to deploy" in run_dir.table("md").read_text()


def test_what_cannot_be_measured_after_a_run_is_a_warning(
    run_dir: RunDir, tiny_bert: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "Worker", _out_of_memory)
    words = ["run", *small_grid(tiny_bert, "save_models=true"), "--run-dir", "run", "--local"]
    ended = command(*words, "--cost")
    assert ended.code == 0
    assert "warning: the cost was not measured: no memory" in ended.err
    assert not run_dir.cost.exists()


def _out_of_memory(*arguments: object) -> None:
    raise ResourceError("no memory")


@pytest.mark.usefixtures("here")
def test_a_search_is_measured_too(tiny_bert: Path, tmp_path: Path, command: Command) -> None:
    preset, *overrides = small_grid(tiny_bert, "tune.trials=1", "tune.rerank=null")
    experiment = TunedExperiment.load(preset, "small", overrides)
    outcome = experiment.run(tmp_path / "run", local=True, cost=True)
    assert outcome.compared is not None
    costs = outcome.compared.table.costs
    assert costs is not None
    assert [arm.tuned for arm in costs.measured.arms].count(True) == 2
    # Tuned models have the shape of the others.
    assert len(costs.measured.deployments) == 2
    assert outcome.compared.table.passages[0].lines[2].name == "cost"
    assert outcome.trained > 0


@pytest.mark.usefixtures("here")
def test_a_run_directory_in_an_object_store(trained: RunDir, s3: NewBucket) -> None:
    url = s3()
    store = Store(url)
    for path in trained.root.rglob("*"):
        if path.is_file():
            store.upload(path, path.relative_to(trained.root).as_posix())
    made = measure_cost(url, seconds=0.1, threads=1)
    assert all(own.saved for own in made.cost.deployments)
    assert "cost.json" in store.files()
    assert "lock.json" not in store.files()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "none: no run directory (plan.json is missing)"),
        (["run", "--threads", "0"], "--threads 0: must be 1 or more"),
        (["run", "--seconds", "0"], "--seconds 0: must be more than 0"),
        (["run", "--seconds", "nan"], "--seconds nan: must be more than 0"),
        (["run", "--device", "gpu"], "device=gpu: no such device"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    words: list[str], message: str, run_dir: RunDir, command: Command
) -> None:
    ended = command("cost", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1
    assert not run_dir.cost.exists()


def test_a_run_in_progress_would_spoil_the_times(run_dir: RunDir, command: Command) -> None:
    with hold_lock(run_dir.root):
        ended = command("cost", "run")
    assert ended.code == 2
    assert "run: in use by" in ended.err


def test_a_grid_without_a_finished_seed_is_refused(
    tiny_bert: Path, tmp_path: Path, command: Command
) -> None:
    made = finished_grid(tmp_path / "run", tiny_bert)
    for trial in read_plan(made):
        made.record(trial.key).unlink()
    ended = command("cost", "run")
    assert ended.code == 2
    assert "run: no arm has a seed whose trials have all finished; run them first" in ended.err


@pytest.mark.usefixtures("here")
def test_other_files_of_the_encoder_are_refused(run_dir: RunDir) -> None:
    shutil.rmtree(run_dir.root / "models")
    for record in read_records(run_dir).values():
        write_record(run_dir, record.model_copy(update={"parameters": 5}))
    with pytest.raises(RunDirectoryError, match=r"single_task tiny: its models have .*had 10;"):
        measure_cost(run_dir.root, seconds=0.1, threads=1)
    assert not run_dir.cost.exists()


def test_data_that_has_moved_is_named(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*arguments: object) -> None:
        raise DataError("data.glue_dir=/gone: no such folder")

    monkeypatch.setattr("orchestrator.deploy.cost.texts.load_planned", moved)
    with pytest.raises(DataError, match=r"data\.glue_dir=/gone"):
        measure_cost(run_dir.root)
