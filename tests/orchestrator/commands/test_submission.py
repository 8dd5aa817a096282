"""``submission``: all files that GLUE's server takes, or one line that says what is missing."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.commands.submission import submission
from orchestrator.run_dir.directory import read_plan, take, write_metadata
from tests.helpers.command import Command, tiny
from tests.helpers.glue_folder import TESTS, write_glue
from tests.helpers.object_store import NewBucket
from tests.helpers.plans import plan_of
from tests.helpers.records import Trial, record
from trainables.data.glue_test import ANSWER_FILES
from trainables.results.record import write_record
from trainables.storage.object_store import Store
from trainables.storage.run_dir import RunDir
from trainables.trial.glue_predictions import write_test_predictions

PREDICTED = {
    "CoLA": np.array([1, 0, 0, 1, 1]),
    "RTE": np.array([0, 1, 1, 0]),
    "STS-B": np.array([-0.5, 2.34567, 7.0]),
    "MNLI-m": np.array([0, 1, 2]),
    "MNLI-mm": np.array([2, 2]),
    "AX": np.array([1, 0]),
}
LABELS = {
    "cola": ["unacceptable", "acceptable"],
    "rte": ["entailment", "not_entailment"],
    "mnli": ["entailment", "neutral", "contradiction"],
    "stsb": [],
    "sentiment": ["negative", "positive"],
}
FILES = {"cola": ["CoLA"], "rte": ["RTE"], "stsb": ["STS-B"], "mnli": ["MNLI-m", "MNLI-mm", "AX"]}


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """GLUE's test files are as small as those of the tests."""
    for name, own in ANSWER_FILES.items():
        monkeypatch.setitem(ANSWER_FILES, name, replace(own, examples=TESTS.get(name, 2)))


@pytest.fixture
def run_dir(tmp_path: Path, tiny_bert: Path) -> RunDir:
    """Two arms, two seeds, and a task that is none of GLUE's; every trial predicted test."""
    glue = write_glue(tmp_path / "glue")
    experiment, plan, resources = plan_of(
        "demo",
        [
            tiny(tiny_bert), "models=[tiny]", "tasks=[cola,rte,mnli,sentiment]", "seeds=[1,2]",
            "arms=[single_task,shared_encoder]", f"data.glue_dir={glue}", "training.epochs=1",
            "checks.small_validation=off",
        ],
    )  # fmt: skip
    made = RunDir(tmp_path / "run")
    take(made, experiment, plan)
    write_metadata(made, experiment, plan, resources)
    made.test_predictions("x").parent.mkdir()
    for trial in plan.trials:
        labels = {task: LABELS[task] for task in trial.config.tasks}
        confusions = {t: np.eye(len(names), dtype=int).tolist() for t, names in labels.items()}
        write_record(made, record(Trial(trial.key, trial.config), confusions, labels=labels))
        files = [file for task in trial.config.tasks for file in FILES.get(task, [])]
        write_test_predictions(
            made.test_predictions(trial.key), {file: PREDICTED[file] for file in files}
        )
    return made


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize("arm", ["single_task", "shared_encoder"])
def test_every_file_is_written_as_glue_wants_it(
    arm: str, run_dir: RunDir, command: Command, tmp_path: Path
) -> None:
    ended = command("submission", "run", "--arm", arm, "--out", "out/mine", "--zip")
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{arm} tiny seed 1: out/mine\n")
    folder = tmp_path / "out" / "mine"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.tsv" for name in ANSWER_FILES), "submission.zip"]
    )
    head = "index\tprediction"
    assert lines(folder / "CoLA.tsv") == [head, "0\t1", "1\t0", "2\t0", "3\t1", "4\t1"]
    assert lines(folder / "RTE.tsv")[:3] == [head, "0\tentailment", "1\tnot_entailment"]
    assert lines(folder / "MNLI-m.tsv")[1:] == ["0\tentailment", "1\tneutral", "2\tcontradiction"]
    assert lines(folder / "AX.tsv")[1:] == ["0\tneutral", "1\tentailment"]
    assert lines(folder / "QQP.tsv") == [head, "0\t0", "1\t0"]
    assert lines(folder / "STS-B.tsv") == [head, "0\t0.0000", "1\t0.0000", "2\t0.0000"]
    assert "QQP.tsv: 0 in every line: no task of the arm answers it" in ended.out
    assert "task sentiment: is none of GLUE's, left out" in ended.out
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        assert archive.namelist() == [f"{name}.tsv" for name in ANSWER_FILES]
        assert archive.read("RTE.tsv") == (folder / "RTE.tsv").read_bytes()


def test_the_same_records_give_the_same_bytes(
    run_dir: RunDir, command: Command, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        assert not command("submission", "run", "--arm=single_task", f"--out={name}", "--zip").code
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_another_seed_is_another_submission(run_dir: RunDir, command: Command) -> None:
    ended = command("submission", "run", "--arm", "shared_encoder", "--seed", "2", "--out", "out")
    assert ended.out.startswith("shared_encoder tiny seed 2: out\n")


def test_without_the_diagnostic_file_ax_is_filled(run_dir: RunDir, command: Command) -> None:
    key = next(t.key for t in read_plan(run_dir) if t.config.arm_name == "shared_encoder")
    written = {name: own for name, own in PREDICTED.items() if name not in ("AX", "STS-B")}
    write_test_predictions(run_dir.test_predictions(key), written)
    ended = command("submission", "run", "--arm", "shared_encoder", "--out", "out")
    assert "AX.tsv: entailment in every line: diagnostic/diagnostic.tsv was not there" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "--arm=single_task"], "none: no run directory (plan.json is missing)"),
        (["run", "--arm=single_tsk"], "--arm single_tsk: is not among the arms; did you mean sin"),
        (["run", "--arm=single_task", "--tuned"], "--arm single_task: is not among the tuned arms"),
        (["run", "--arm=single_task", "--model=big"], "--model big: single_task was not trained"),
        (["run", "--arm=single_task", "--seed=3"], "--seed 3: is none of 1, 2"),
    ],
)
def test_what_is_not_in_the_plan_is_refused(
    words: list[str], message: str, run_dir: RunDir, command: Command
) -> None:
    ended = command("submission", *words, "--out=out")
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "file"])
def test_only_an_empty_folder_is_written(
    name: str, run_dir: RunDir, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ended = command("submission", "run", "--arm=single_task", f"--out={name}")
    assert ended.code == 2
    assert f"--out {name}: is there and not an empty folder" in ended.err


def test_without_predictions_and_models_the_command_that_makes_them_is_named(
    run_dir: RunDir, command: Command, tmp_path: Path
) -> None:
    for path in (run_dir.root / "predictions").iterdir():
        path.unlink()
    ended = command("submission", "run", "--arm=shared_encoder", "--out=out")
    assert ended.code == 2
    assert (
        "python -m orchestrator run run/config.yaml 'arms=[shared_encoder]' 'models=[tiny]' "
        "'seeds=[1]' training.predict_test=true --run-dir run-test"
    ) in ended.err
    assert not (tmp_path / "out").exists()
    planned = command(
        "plan", "run/config.yaml", "arms=[shared_encoder]", "models=[tiny]", "seeds=[1]",
        "training.predict_test=true", "--json",
    )  # fmt: skip
    assert planned.code == 0, planned.err
    assert '"title": "shared_encoder tiny seed 1"' in planned.out


def test_a_run_directory_in_an_object_store_has_the_same_answers(
    run_dir: RunDir, s3: NewBucket, tmp_path: Path
) -> None:
    url = s3()
    store = Store(url)
    for path in run_dir.root.rglob("*"):
        if path.is_file():
            store.upload(path, path.relative_to(run_dir.root).as_posix())
    submission(url, "single_task", tmp_path / "there")
    submission(run_dir.root, "single_task", tmp_path / "here")
    for path in (tmp_path / "here").iterdir():
        assert (tmp_path / "there" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("how", ["missing", "failed"])
def test_a_trial_that_has_not_finished_is_named(
    how: str, run_dir: RunDir, command: Command
) -> None:
    trial = read_plan(run_dir)[0]
    if how == "missing":
        run_dir.record(trial.key).unlink()
    else:
        failed = record(Trial(trial.key, trial.config), status="failed", error="out of memory")
        write_record(run_dir, failed)
    ended = command("submission", "run", "--arm=single_task", "--out=out")
    assert ended.code == 2
    state = {"missing": "has not finished", "failed": "failed: out of memory"}[how]
    assert f"run: single_task tiny cola seed 1 ({trial.key}) {state}; run it first" in ended.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CoLA": PREDICTED["CoLA"][:-1]}, "CoLA: 4 test examples were predicted and GLUE has 5"),
        ({"MNLI-m": None}, "has no predictions of MNLI-m; delete it and "),
    ],
)
def test_files_of_another_size_are_refused(
    changes: dict[str, np.ndarray | None],
    message: str,
    run_dir: RunDir,
    command: Command,
    tmp_path: Path,
) -> None:
    key = next(t.key for t in read_plan(run_dir) if t.config.arm_name == "shared_encoder")
    written = {n: own for n, own in (PREDICTED | changes).items() if own is not None}
    write_test_predictions(run_dir.test_predictions(key), written)
    ended = command("submission", "run", "--arm=shared_encoder", "--out=out")
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "out").exists()
