"""``export``: a folder whose answers are those of the record, or one line and no folder."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import constants

from orchestrator.commands.experiment import Experiment
from orchestrator.deploy.open import open_predictor
from orchestrator.run_dir.directory import read_plan
from tests.helpers.command import SMALL, Command, tiny
from tests.helpers.hub_uploads import TOKEN, Uploads, taking_uploads
from tests.helpers.object_store import NewBucket
from trainables.data.planned import load_planned
from trainables.results.predictions import read_logits
from trainables.results.record import read_records
from trainables.storage.object_store import Store
from trainables.storage.run_dir import RunDir

TASKS = ["sentiment", "paraphrase"]
ARMS = ["single_task", "naive_concat_union", "shared_encoder"]


@pytest.fixture(scope="module")
def trained(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Two tasks, every strategy, one seed, with models."""
    folder = tmp_path_factory.mktemp("trained")
    overrides = [
        tiny(tiny_bert),
        "models=[tiny]",
        f"tasks=[{','.join(TASKS)}]",
        f"arms=[{','.join(ARMS)}]",
        "seeds=[1,2]",
        *SMALL,
        "limits.max_validation_examples=40",
        "training.precision=fp32",
        "checks.small_validation=off",
        "save_models=true",
        "define.arms.naive_concat_union.task_prefix=false",
        "define.arms.mean={strategy: shared_encoder, head: {name: mean}}",
        "arms=[single_task,naive_concat_union,shared_encoder,mean]",
    ]
    Experiment.load("demo", overrides).run(folder / "run", local=True)
    return RunDir(folder / "run")


@pytest.fixture
def run_dir(trained: RunDir, tmp_path: Path) -> RunDir:
    """A copy that a test may change."""
    shutil.copytree(trained.root, tmp_path / "run")
    return RunDir(tmp_path / "run")


def recorded(run_dir: RunDir, arm: str, seed: int = 1) -> dict[str, tuple[list, np.ndarray]]:
    """Task -> texts of the validation examples, and the trial's logits."""
    records = read_records(run_dir)
    return {
        task: (load_planned(task, trial.config, None).splits["validation"].texts, logits)
        for trial in read_plan(run_dir)
        if (trial.config.arm_name, trial.config.seed) == (arm, seed)
        for task, logits in read_logits(run_dir, records[trial.key], "validation").items()
    }


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "export.json").read_text())


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("format", ["bundle", "transformers"])
def test_an_export_answers_what_the_record_says(
    format: str, arm: str, trained: RunDir, command: Command, tmp_path: Path
) -> None:
    ended = command("export", str(trained.root), "--arm", arm, "--out", "out", "--format", format)
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{arm} tiny seed 1: out\n")
    expected = recorded(trained, arm)
    predictor = open_predictor(tmp_path / "out")
    assert list(predictor.tasks) == list(expected)
    for task, (texts, logits) in expected.items():
        answered = predictor.logits(texts, [task])[task]
        np.testing.assert_allclose(answered, logits, atol=1e-5)
        assert answered.argmax(1).tolist() == logits.argmax(1).tolist()
    one = format == "bundle" and arm != "single_task"
    for inside in ["."] if one else TASKS:
        content = manifest(tmp_path / "out" / inside)
        assert content["format"] == format
        for comparisons in content["checks"].values():
            names = ["saved model", "other batches", "record"]
            assert [c["beside"] for c in comparisons] == names + ["pipeline"] * (
                format == "transformers"
            )
            assert all(c["examples"] >= 35 and c["largest_difference"] < 1e-5 for c in comparisons)
            assert not any(c["different"] for c in comparisons)
        assert len(content["sha256"]["model.safetensors"]) == 64
    assert "| sentiment" in ended.out


def test_the_card_has_scores_with_intervals_and_the_hubs_results(
    trained: RunDir, command: Command, tmp_path: Path
) -> None:
    assert not command("export", str(trained.root), "--arm=shared_encoder", "--out=out").code
    card = (tmp_path / "out" / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    [index] = yaml.safe_load(head)["model-index"]
    records = read_records(trained)
    key = manifest(tmp_path / "out")["origin"]["key"]
    for task, entry in zip(TASKS, index["results"], strict=True):
        assert entry["task"] == {"type": "text-classification"}
        assert entry["dataset"] == {"name": task, "type": task, "split": "validation"}
        scores = records[key].results["validation"][task].scores()
        by_type = {metric["type"]: metric["value"] for metric in entry["metrics"]}
        assert by_type["accuracy"] == pytest.approx(scores["accuracy"], abs=1e-6)
        assert by_type["matthews_correlation"] == pytest.approx(scores["matthews"], abs=1e-6)
        accuracy = scores["accuracy"]
        assert accuracy is not None
        width = 1.959964 * (accuracy * (1 - accuracy) / 39) ** 0.5
        bounds = f"{100 * (accuracy - width):.2f}, {100 * (accuracy + width):.2f}"
        assert f"| {task} | acc % | {100 * accuracy:.2f} [{bounds}] |" in body
    assert "shared_encoder against single_task" in body
    assert "not known; look them up before you publish" in body
    assert 'model.predict([("first text", "second text")], "paraphrase")' in body


def test_one_task_and_another_seed_can_be_chosen(
    trained: RunDir, command: Command, tmp_path: Path
) -> None:
    for arm in ("single_task", "shared_encoder"):
        chosen = ("--arm", arm, "--out", arm, "--task", "paraphrase", "--seed", "2")
        assert not command("export", str(trained.root), *chosen).code
        predictor = open_predictor(tmp_path / arm)
        assert list(predictor.tasks) == ["paraphrase"]
        texts, logits = recorded(trained, arm, seed=2)["paraphrase"]
        np.testing.assert_allclose(predictor.logits(texts)["paraphrase"], logits, atol=1e-5)


REFUSED = {
    "arm": (["--arm", "shared"], "--arm shared: is not among the arms"),
    "format": (["--arm", "mean", "--format", "bundel"], "did you mean bundle"),
    "task": (["--arm", "mean", "--task", "sentimnt"], "did you mean sentiment"),
    "seed": (["--arm", "mean", "--seed", "3"], "--seed 3: is none of 1, 2"),
    "head": (
        ["--arm", "mean", "--format", "transformers"],
        "BertForSequenceClassification does not have the head mean of task sentiment; it has that "
        "of head={name: pooler}; formats that can: bundle",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported_is_one_line_and_no_folder(
    case: str, trained: RunDir, command: Command, tmp_path: Path
) -> None:
    arguments, message = REFUSED[case]
    ended = command("export", str(trained.root), "--out", "out", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not any(path.name.startswith((".out", "out")) for path in tmp_path.iterdir())


def _model(run_dir: RunDir, arm: str) -> Path:
    key = next(t.key for t in read_plan(run_dir) if t.config.arm_name == arm)
    return run_dir.model(key)


def test_without_a_model_the_command_that_trains_it_is_named(
    run_dir: RunDir, command: Command
) -> None:
    shutil.rmtree(_model(run_dir, "shared_encoder"))
    ended = command("export", "run", "--arm", "shared_encoder", "--out", "out")
    assert ended.code == 2
    assert (
        "left no model; train it in another run directory: python -m orchestrator run "
        "run/config.yaml 'arms=[shared_encoder]' 'models=[tiny]' 'seeds=[1]' save_models=true "
        "--run-dir run-models"
    ) in ended.err


def test_a_model_of_another_trial_is_refused(
    run_dir: RunDir, command: Command, tmp_path: Path
) -> None:
    keys = [t.key for t in read_plan(run_dir) if t.config.arm_name == "shared_encoder"]
    shutil.rmtree(run_dir.model(keys[0]))
    shutil.copytree(run_dir.model(keys[1]), run_dir.model(keys[0]))
    ended = command("export", "run", "--arm", "shared_encoder", "--out", "out")
    assert ended.code == 2
    assert "does not predict what its record says" in ended.err
    assert not (tmp_path / "out").exists()


def test_an_export_that_answers_otherwise_leaves_no_folder(
    trained: RunDir, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = open_predictor.__globals__["open_bundle"]

    def broken(folder: Path, device: str) -> Any:
        predictor = real(folder, device)
        predictor.model.heads[0].out.bias.data += 0.1
        return predictor

    monkeypatch.setattr("orchestrator.deploy.formats.open_bundle", broken)
    ended = command("export", str(trained.root), "--arm", "shared_encoder", "--out", "out")
    assert ended.code == 2
    assert (
        "does not answer as the saved model (saved model: logits differ by up to 0.1" in ended.err
    )
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_a_folder_with_content_is_left_alone(
    trained: RunDir, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    ended = command("export", str(trained.root), "--arm", "mean", "--out", "out")
    assert ended.code == 2
    assert "is there and not an empty folder" in ended.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_data_that_is_gone_is_named(
    trained: RunDir, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainables.errors import DataError

    def gone(*arguments: Any) -> Any:
        raise DataError("sentiment.csv: no such file (files.train)")

    monkeypatch.setattr("orchestrator.commands.export.load_planned", gone)
    ended = command("export", str(trained.root), "--arm", "mean", "--out", "out")
    assert ended.code == 2
    assert "no such file (files.train); an export is checked on its validation" in ended.err


def test_a_run_directory_in_an_object_store_is_exported_too(
    trained: RunDir, command: Command, s3: NewBucket, tmp_path: Path
) -> None:
    url = s3()
    store = Store(url)
    for path in trained.root.rglob("*"):
        if path.is_file():
            store.upload(path, path.relative_to(trained.root).as_posix())
    ended = command("export", url, "--arm", "shared_encoder", "--out", "out")
    assert ended.code == 0, ended.err
    assert list(open_predictor(tmp_path / "out").tasks) == TASKS


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    """A Hub on this machine, and a token for it."""
    with taking_uploads() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


def test_a_complete_export_is_uploaded(
    trained: RunDir, command: Command, tmp_path: Path, uploads: Uploads
) -> None:
    export = ("export", str(trained.root), "--push-to-hub", "me/mine")
    ended = command(*export, "--arm", "shared_encoder", "--out", "one", "--private")
    assert ended.code == 0, ended.err
    assert f"uploaded: {uploads.address}/me/mine" in ended.out
    assert not command(*export, "--arm", "single_task", "--out", "several").code
    assert uploads.private == {
        "me/mine": True, "me/mine-sentiment": False, "me/mine-paraphrase": False
    }  # fmt: skip
    for repository, folder in (("me/mine", "one"), ("me/mine-sentiment", "several/sentiment")):
        files = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert uploads.files[repository] == files
        assert files["README.md"].decode() in uploads.cards


@pytest.mark.parametrize(
    ("name", "token", "message"),
    [
        ("me/mine", None, "no token; log in with: hf auth login"),
        ("me/mine", "hf_wrong", "the Hub refuses (401)"),
        ("me/my model", TOKEN, "--push-to-hub me/my model: "),
    ],
)
def test_a_hub_that_refuses_is_told_before_anything_is_done(
    name: str,
    token: str | None,
    message: str,
    trained: RunDir,
    command: Command,
    tmp_path: Path,
    uploads: Uploads,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    arguments = ("--arm", "mean", "--out", "out", "--push-to-hub", name)
    ended = command("export", str(trained.root), *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert not uploads.private


def test_an_upload_that_fails_leaves_the_export(
    trained: RunDir, command: Command, tmp_path: Path, uploads: Uploads
) -> None:
    uploads.full = True
    arguments = ("--arm", "mean", "--out", "out", "--push-to-hub", "me/mine")
    ended = command("export", str(trained.root), *arguments)
    assert ended.code == 2
    assert "the export is complete in out, to be uploaded with: hf upload" in ended.err
    assert ended.err.count("\n") == 1
    assert list(open_predictor(tmp_path / "out").tasks) == TASKS
