"""What comes from others runs no code and touches no file outside the run directory."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from orchestrator.commands.experiment import Experiment
from orchestrator.commands.report import report
from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import read_plan, write_metadata
from tests.helpers.ray_grid import Grid
from tests.helpers.records import record, trial
from tests.helpers.trials import runtime, trial_config
from trainables.config.tracking import TrackingConfig
from trainables.config.trial import Runtime
from trainables.errors import CheckpointError, ConfigError, RunDirectoryError
from trainables.results.record import read_records, write_record
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints, save_checkpoint, verify
from trainables.training.restore import load_newest
from trainables.trial.trial import Trial, run_trial

NASTY = [
    "../x",
    "../../../x",
    "..",
    ".",
    "/x",
    "-rf",
    "CON",
    "a" * 300,
    "é/‮txt.exe",
    "%2e%2e%2f",
    "$(touch x)",
    "~root",
    "C:\\x",
]

names = st.one_of(st.text(min_size=1, max_size=400), st.sampled_from(NASTY))


class Touch:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.mark,))


def everything(folder: Path, *but: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with the content of files, but what lies in some of them."""
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
        if not any(path.is_relative_to(other) for other in but)
    }


def test_a_pickle_in_a_checkpoint_is_not_run(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    stopped = Trial(config, runtime(tmp_path))
    next(stopped.run())
    assert stopped.loop is not None
    folder = stopped.run_dir.checkpoints(config.key)
    path = save_checkpoint(folder, config.key, stopped.loop)
    mark = tmp_path / "mark"
    torch.save({"optimizer": Touch(mark)}, path / "parts.pt")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"]["parts.pt"] = hashlib.sha256((path / "parts.pt").read_bytes()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    verify(path, config.key)
    assert load_newest(folder, config.key, stopped.loop) is None
    assert not mark.exists()
    torch.load(path / "parts.pt", weights_only=False)
    assert mark.exists(), "the pickle was a harmful one"


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "..", ""])
def test_a_manifest_that_names_other_places_is_no_checkpoint(
    name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("single_task", tiny_bert)
    stopped = Trial(config, runtime(tmp_path))
    next(stopped.run())
    assert stopped.loop is not None
    path = save_checkpoint(stopped.run_dir.checkpoints(config.key), config.key, stopped.loop)
    outside = tmp_path / "run" / "checkpoints" / "secret"
    outside.write_text("secret")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"][name] = hashlib.sha256(b"secret").hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="missing or damaged"):
        verify(path, config.key)
    assert [found.name for found in checkpoints(path.parent)] == [path.name]


@settings(max_examples=60, deadline=None)
@given(names)
def test_the_name_of_an_experiment_is_one_folder(name: str) -> None:
    try:
        experiment = load_experiment("demo", [f"name={json.dumps(name)}"])
    except ConfigError:
        return
    assert Experiment(experiment).default_run_dir.resolve().parent == Path("runs").resolve()


@given(names, names, names)
def test_names_do_not_enter_the_paths_of_a_trial(arm: str, model: str, task: str) -> None:
    planned = trial(arm, [task], model, arm={"strategy": "shared_encoder"})
    run_dir = RunDir("run")
    assert set(planned.key) <= set("0123456789abcdef")
    for path in (run_dir.record, run_dir.predictions, run_dir.checkpoints, run_dir.model):
        assert path(planned.key).resolve().is_relative_to(run_dir.root.resolve())


def test_nasty_names_leave_nothing_outside_the_run_directory(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a" / "b" / "c"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    preset = home / "nasty.yaml"
    task = {"text": ["sentence"], "demo": "sentiment"}
    values = {
        "tasks": NASTY,
        "arms": ["../../arm"],
        "models": ["/model"],
        "seeds": [1],
        "limits": {"max_train_examples": 8, "max_validation_examples": 8},
        "training": {"epochs": 1},
        "define": {
            "tasks": dict.fromkeys(NASTY, task),
            "arms": {"../../arm": {"strategy": "shared_encoder", "label": "../../label"}},
            "models": {"/model": {"encoder": str(tiny_bert), "max_length": 64}},
        },
    }
    preset.write_text(OmegaConf.to_yaml(OmegaConf.create(values)), encoding="utf-8")
    experiment = load_experiment(str(preset), [])
    plan = make_plan(experiment)
    run_dir = RunDir(tmp_path / "run")
    before = everything(tmp_path)
    where = Runtime(
        output_dir=str(run_dir.root),
        cache_dir=str(tmp_path / "cache"),
        tracking=TrackingConfig(trackers=("wandb",)),
        save_model=True,
        checkpoint_every=1e-9,
    )
    write_metadata(run_dir, experiment, plan, TrialResources(1, 0, 1))
    run_trial(plan.trials[0].config, where)
    outcome = report(run_dir.root)
    assert not outcome.failed
    assert not outcome.missing
    assert everything(tmp_path, run_dir.root, tmp_path / "cache") == before
    assert list(run_dir.root.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize("key", ["../../x", "/x", ".."])
def test_a_record_with_the_key_of_another_place_is_refused(key: str, tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    planned = trial()
    write_record(run_dir, record(planned))
    path = run_dir.record(planned.key)
    path.write_text(path.read_text().replace(f'"key": "{planned.key}"', f'"key": "{key}"'))
    with pytest.raises(RunDirectoryError, match="the file's name says otherwise"):
        read_records(run_dir)


@pytest.mark.parametrize("key", ["../../x", "/x"])
def test_a_plan_with_the_key_of_another_place_is_refused(
    key: str, tiny_bert: Path, tmp_path: Path
) -> None:
    experiment = load_experiment(
        "demo", [*Grid(tmp_path, tiny_bert).overrides(), "arms=[naive_concat]"]
    )
    plan = make_plan(experiment)
    run_dir = RunDir(tmp_path / "run")
    write_metadata(run_dir, experiment, plan, TrialResources(1, 0, 1))
    ours = plan.trials[0].key
    run_dir.plan.write_text(run_dir.plan.read_text().replace(f'"{ours}"', f'"{key}"'))
    with pytest.raises(RunDirectoryError, match="missing or damaged"):
        read_plan(run_dir)


def test_links_in_a_run_directory_do_not_lead_writing_elsewhere(
    tiny_bert: Path, tmp_path: Path
) -> None:
    experiment = load_experiment("demo", Grid(tmp_path, tiny_bert).overrides())
    plan = make_plan(experiment)
    run_dir = RunDir(tmp_path / "run")
    run_dir.root.mkdir()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    written = [
        run_dir.config,
        run_dir.plan,
        run_dir.environment,
        run_dir.results,
        run_dir.report,
    ]
    for path in written:
        path.symlink_to(outside)
    write_metadata(run_dir, experiment, plan, TrialResources(1, 0, 1))
    report(run_dir.root)
    assert outside.read_text() == "mine"
    assert not any(path.is_symlink() for path in written)
