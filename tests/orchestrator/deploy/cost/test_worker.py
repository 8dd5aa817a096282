"""The models that a process loads are those of the arm, and it answers as they do."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.deploy.cost.arms import DeployedArm, deployed_arms
from orchestrator.deploy.cost.serving import Asked, WorkerAnswer, WorkerRequest
from orchestrator.deploy.cost.texts import SAMPLE, sample_texts
from orchestrator.deploy.cost.worker import Server, load_model, mixed, serve
from orchestrator.planning.plan import PlannedTrial
from tests.helpers.records import Trial, record
from tests.helpers.trials import TASKS, trial_config
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.errors import ResourceError
from trainables.models.encoder import load_tokenizer
from trainables.models.saved import save_classifier
from trainables.models.shortcuts.vocabulary import restore_vocabulary
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.trial.build import build_training_loop

PASSES = {
    "single_task": 3,
    "naive_concat": 2,
    "naive_concat_union": 3,
    "shared_encoder": 2,
    "lora_shared": 2,
}
"""Arm -> passes of an encoder for one text and one pair."""


def configs(arm: str, encoder: Path) -> list[TrialConfig]:
    """The trials of one seed."""
    if arm != "single_task":
        return [trial_config(arm, encoder)]
    return [trial_config(arm, encoder, tasks=(task,)) for task in TASKS]


class Run:
    """Finished trials of an arm, as far as their cost depends on them.

    Args:
        folder: the run directory.
        trials: of one seed.
        save: whether the models are saved.
    """

    def __init__(self, folder: Path, trials: Sequence[TrialConfig], save: bool) -> None:
        self.run_dir = RunDir(folder)
        self.plan = [PlannedTrial(config, 1, 1.0) for config in trials]
        self.records: dict[str, TrialRecord] = {}
        for config in trials:
            data = load_data(config, None)
            runtime = Runtime(output_dir=str(folder), cache_dir=str(folder / "cache"))
            loop = build_training_loop(config, runtime, data, torch.device("cpu"), "fp32")
            labels = {name: own.labels for name, own in data.items()}
            self.records[config.key] = record(
                Trial(config.key, config), labels=labels, train_seconds=5.0, threads=2,
                parameters=loop.model.parameters_count,
            )  # fmt: skip
            if save:
                restore_vocabulary(loop.model.encoder)
                tokenizer = load_tokenizer(config.model)
                save_classifier(self.run_dir.model(config.key), loop.model, tokenizer, {})

    @property
    def arm(self) -> DeployedArm:
        """The only one."""
        [arm], unfinished = deployed_arms(self.run_dir, self.plan, self.records)
        assert unfinished == []
        return arm

    def request(self, **changes: Any) -> WorkerRequest:
        content = {
            "deployment": self.arm.deployment, "tasks": self.arm.tasks,
            "texts": sample_texts(self.plan, None), "device": "cpu", "threads": 1,
        } | changes  # fmt: skip
        return WorkerRequest.model_validate(content)


@pytest.fixture(scope="module")
def runs(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Arm -> its trials, without saved models."""
    folder = tmp_path_factory.mktemp("runs")
    return {arm: Run(folder / arm, configs(arm, tiny_bert), save=False) for arm in PASSES}


@pytest.fixture(params=PASSES)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


def test_untrained_models_have_the_shape_of_the_trained_ones(run: Run) -> None:
    server, arm = Server(run.request()), run.arm
    parameters = [record.parameters or 0 for record in run.records.values()]
    if arm.parameters is None:
        # Adapters are merged.
        assert server.loaded.parameters < sum(parameters)
    else:
        assert server.loaded.parameters == arm.parameters == sum(parameters)
    assert server.loaded.weight_bytes == 4 * server.loaded.parameters
    assert arm.device_seconds == 10.0 * len(parameters)


def test_tasks_with_the_same_input_share_a_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server, calls = Server(run.request()), []
    for model in server.models:
        encode = model.encode
        monkeypatch.setattr(
            model, "encode", lambda batch, encode=encode: calls.append(batch) or encode(batch)
        )
    answers = server.answer(Asked(scenario="all_tasks", batch_size=2), 0)
    assert answers.keys() == TASKS.keys()
    assert {len(own) for own in answers.values()} == {2}
    assert len(calls) == PASSES[run.arm.name] == run.arm.deployment.passes
    calls.clear()
    asked = [server.answer(Asked(scenario="one_task", batch_size=3), n) for n in range(4)]
    assert [list(own) for own in asked] == [[t] for t in (*TASKS, next(iter(TASKS)))]
    assert len(calls) == 4


def test_all_tasks_are_answered_as_each_alone(run: Run) -> None:
    server = Server(run.request())
    texts = mixed(sample_texts(run.plan, None), 1)
    together = server.answer(Asked(scenario="all_tasks", batch_size=8), 0)
    tokenizer = load_tokenizer(run.plan[0].config.model)
    for model, served in zip(server.models, run.arm.deployment.models, strict=True):
        for task in served.tasks.keys() & {"acceptability", "sentiment"}:
            prefix = f"{task}: " if run.arm.name == "naive_concat_union" else ""
            batch = tokenizer(
                [f"{prefix}{text}" for (text,) in texts[:8]], truncation=True, max_length=64,
                padding=True, return_tensors="pt",
            )  # fmt: skip
            with torch.no_grad():
                alone = model(batch, task)
            assert alone.shape == (8, 2)
            assert together[task] == alone.argmax(dim=-1).tolist()


def test_saved_weights_are_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, configs("shared_encoder", tiny_bert), save=True)
    [model] = run.arm.deployment.models
    assert model.folder == str(tmp_path / "models" / run.plan[0].key)
    saved, fresh = load_model(model), load_model(model.model_copy(update={"folder": None}))
    assert saved.heads.keys() == fresh.heads.keys()
    heads = zip(saved.heads.parameters(), fresh.heads.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in heads)
    assert Server(run.request()).loaded.parameters == run.arm.parameters


def test_the_shape_does_not_depend_on_where_weights_are(runs: dict[str, Run]) -> None:
    shapes = {arm: run.arm.deployment.shape for arm, run in runs.items()}
    assert shapes["shared_encoder"] == shapes["lora_shared"]
    assert len(set(shapes.values())) == len(shapes) - 1
    arm = runs["single_task"].arm
    models = [m.model_copy(update={"folder": "/saved"}) for m in arm.deployment.models]
    moved = arm.deployment.model_copy(update={"models": tuple(models)})
    assert moved.shape == arm.deployment.shape


def test_the_first_finished_seed_is_the_one(tiny_bert: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, [trial_config("shared_encoder", tiny_bert, seed=2)], save=False)
    other = trial_config("shared_encoder", tiny_bert, seed=1)
    [arm], _ = deployed_arms(run.run_dir, [PlannedTrial(other, 1, 1.0), *run.plan], run.records)
    assert (arm.seed, arm.seeds, arm.trials) == (2, 1, (run.plan[0].key,))
    failed = record(Trial(run.plan[0].key, run.plan[0].config), status="failed", error="no")
    arms, unfinished = deployed_arms(run.run_dir, run.plan, {failed.key: failed})
    assert arms == []
    assert unfinished == ["shared_encoder tiny"]


def test_the_sample_is_the_same_each_time_and_of_validation(runs: dict[str, Run]) -> None:
    plan = runs["shared_encoder"].plan
    texts = sample_texts(plan, None)
    assert texts == sample_texts(plan, None)
    data = load_data(plan[0].config, None)
    for task, own in texts.items():
        assert len(own) == min(SAMPLE, len(data[task].splits["validation"]))
        assert set(own) <= set(data[task].splits["validation"].texts)


def test_each_line_is_answered_and_the_end_says_the_peak(runs: dict[str, Run]) -> None:
    asked = Asked(scenario="all_tasks", batch_size=2, requests=3)
    lines = [runs["shared_encoder"].request().model_dump_json(), asked.model_dump_json()]
    outgoing = io.StringIO()
    serve(io.StringIO("\n".join([*lines, ""])), outgoing)
    answers = [WorkerAnswer.model_validate_json(line) for line in outgoing.getvalue().splitlines()]
    assert answers[0].loaded is not None
    assert answers[0].loaded.tokens.keys() == TASKS.keys()
    assert len(answers[1].milliseconds) == 3
    assert min(answers[1].milliseconds) > 0
    assert answers[2].peak_bytes is not None
    assert answers[2].peak_bytes > 0


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda:99"])
def test_other_devices_are_refused(device: str, runs: dict[str, Run]) -> None:
    with pytest.raises(ResourceError, match=f"device.?={device}|--device {device}"):
        Server(runs["shared_encoder"].request(device=device))


def test_the_trials_of_an_arm_may_be_of_fewer_tasks(runs: dict[str, Run]) -> None:
    single = runs["single_task"]
    [arm], _ = deployed_arms(single.run_dir, single.plan[:1], single.records)
    assert arm.tasks == ("acceptability",)
    assert arm.deployment.passes == 1
