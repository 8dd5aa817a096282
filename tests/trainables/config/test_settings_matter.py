"""Every setting of every method changes numbers, in a setup built so that it matters.

The fields are read from the classes of the settings, so a new one without another value here fails.
A setting that the chosen method does not have is refused, in a line that names those that have it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import nn

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from tests.helpers.command import small_grid
from tests.helpers.methods import method
from trainables.config.arms import SharedEncoderArm
from trainables.config.explain import explain
from trainables.config.methods import (
    METHODS,
    AdapterConfig,
    DistillationConfig,
    HeadConfig,
    variants,
)
from trainables.config.trial import ModelConfig, TrainingConfig
from trainables.data.tokens import TokenSplit
from trainables.models.adapter import add_adapter
from trainables.models.encoder import load_encoder
from trainables.models.head import Encoded
from trainables.models.heads import make_head
from trainables.strategies import make_strategy
from trainables.strategies.base import TrainTask
from trainables.training.aggregation import make_aggregation
from trainables.training.distillation import gold_weight
from trainables.training.freezing import Freezing
from trainables.training.optimizer import learning_rate, make_optimizer
from trainables.training.weighting import make_weighting

OTHER_VALUES: dict[str, Any] = {
    "sampling.exponent": 0.9,
    "weighting.weights": {"a": 2.0},
    "weighting.power": -0.5,
    "weighting.temperature": 0.5,
    "weighting.alpha": 0.3,
    "weighting.learning_rate": 0.5,
    "aggregation.c": 0.1,
    "freezing.until": 1.0,
    "head.dropout": 0.5,
    "adapter.rank": 2,
    "adapter.alpha": 3,
    "adapter.dropout": 0.5,
    "adapter.frozen": "bf16",
    "distillation.teachers": "shared_encoder",
    "distillation.gold_weight": 0.3,
    "training.learning_rate": 1e-3,
    "training.layer_decay": 0.5,
    "training.weight_decay": 0.3,
    "training.adam_beta1": 0.5,
    "training.adam_beta2": 0.9,
    "training.adam_epsilon": 0.1,
    "training.warmup": 0.5,
}
"""Values that are not the default; of a field with listed values, every other one is taken."""


def task(name: str, size: int) -> TrainTask:
    ids = np.zeros(size, dtype=np.int32)
    labels = np.zeros(size, dtype=np.int64)
    return TrainTask(name, 2, TokenSplit(ids, None, None, np.arange(size + 1), labels, pad_id=0))


TASKS = [task("a", 90), task("b", 30), task("c", 12)]


def sampled(config: Any) -> np.ndarray:
    """Examples of each task in the steps of two epochs, shape ``(steps, tasks)``."""
    arm = SharedEncoderArm(strategy="shared_encoder", sampling=config)
    steps = make_strategy(arm, TASKS, TrainingConfig(batch_size=8, epochs=2), 41).steps(0)
    counts = np.zeros((36, len(TASKS)))
    for row in counts:
        for part in next(steps).parts:
            row[part.task] = len(part)
    return counts


def weighted(config: Any) -> np.ndarray:
    """Weights during three epochs on tasks that differ in size, loss and gradient."""
    weighting = make_weighting(config, TASKS, seed=41)
    weights = []
    for step in range(6):
        losses = np.array([0.7, 0.5, 1.2]) / np.array([1.0, 1.5, 1.1]) ** step
        after = losses * np.array([0.9, 0.7, 1.0])
        weights.append(weighting.weights(step, losses))
        weighting.update(losses, np.array([0.5, 0.6, 0.55]), lambda after=after: after)
        if step % 2:
            weighting.end_epoch()
    return np.array(weights)


def aggregated(config: Any) -> np.ndarray:
    """The combined gradient of three tasks whose gradients conflict."""
    parameter = nn.Parameter(torch.zeros(4))
    aggregation = make_aggregation(config, [parameter], len(TASKS), 41)
    rows = []
    for gradient in ([2.0, 0.3, -1.0, 0.5], [-0.5, 1.0, 0.4, 0.1], [0.2, -0.7, 0.6, 3.0]):
        added = torch.tensor(gradient) / 3
        parameter.grad = added if parameter.grad is None else parameter.grad + added
        rows += aggregation.take(1 / 3)
    aggregation.combine(rows, 0)
    assert parameter.grad is not None
    return parameter.grad.numpy()


def layers() -> Any:
    """A model whose parameters are named as an encoder's with two layers and a head."""
    encoder = {
        "embeddings": nn.Linear(3, 3),
        "layers": nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)]),
    }
    torch.manual_seed(41)
    return nn.ModuleDict(
        {"encoder": nn.ModuleDict(encoder), "heads": nn.ModuleDict({"t": nn.Linear(3, 2)})}
    )


def frozen(config: Any) -> np.ndarray:
    """Which parameters are trained, shape ``(steps, parameters)``."""
    model = layers()
    freezing = Freezing(model, config, 12)
    trained = []
    for step in range(12):
        freezing.apply(step)
        trained.append([parameter.requires_grad for parameter in model.parameters()])
    return np.array(trained)


NUMBERS: dict[str, Callable[[Any], np.ndarray]] = {
    "sampling": sampled,
    "weighting": weighted,
    "aggregation": aggregated,
    "freezing": frozen,
}


def other_values(key: str, kind: type[BaseModel]) -> list[Any]:
    """Values of a field that are not its default."""
    section, _, name = key.rpartition(".")
    field = kind.model_fields[name]
    if get_origin(field.annotation) is Literal:
        return [value for value in get_args(field.annotation) if value != field.default]
    return [OTHER_VALUES[f"{section}.{name}"]]


def test_every_kind_of_method_is_here() -> None:
    assert NUMBERS.keys() == METHODS.keys()


@pytest.mark.parametrize(
    ("section", "name", "field"),
    [
        (section, name, field)
        for section in METHODS
        for name, kind in variants(section).items()
        for field in kind.model_fields
        if field != "name"
    ],
)
def test_each_setting_of_each_method_changes_numbers(section: str, name: str, field: str) -> None:
    kind = variants(section)[name]
    before = NUMBERS[section](method(section, name=name))
    for value in other_values(f"{section}.{field}", kind):
        after = NUMBERS[section](method(section, name=name, **{field: value}))
        assert not np.array_equal(before, after), (name, field, value)


@pytest.mark.parametrize("section", METHODS)
def test_each_method_gives_other_numbers(section: str) -> None:
    settings = {"fixed": {"weights": {"a": 2.0}}}
    results = [
        NUMBERS[section](method(section, name=name, **settings.get(name, {})))
        for name in variants(section)
    ]
    for index, result in enumerate(results):
        assert not any(np.array_equal(result, other) for other in results[:index]), index


@pytest.mark.parametrize("section", METHODS)
def test_a_setting_of_another_method_is_refused_and_those_that_have_it_are_named(
    section: str,
) -> None:
    kinds = variants(section)
    adapter = TypeAdapter(METHODS[section])
    for name, kind in kinds.items():
        for field in {f for other in kinds.values() for f in other.model_fields}:
            if field in kind.model_fields:
                continue
            owners = [owner for owner, other in kinds.items() if field in other.model_fields]
            value = OTHER_VALUES[f"{section}.{field}"]
            with pytest.raises(ValidationError) as caught:
                adapter.validate_python({"name": name, field: value})
            line = explain(caught.value, METHODS[section])
            assert line.startswith(f"{field}: is not used with name={name}, only with name=")
            assert all(owner in line.partition("only with")[2] for owner in owners)


def classified(config: HeadConfig) -> np.ndarray:
    """Logits of a head in training."""
    torch.manual_seed(41)
    head = make_head(config, 8, 2, 0.1, pooler=True).train()
    head.initialise(41, "t")
    hidden, texts = torch.randn(3, 6, 8), torch.tensor([[1, 1, 1, 2, 2, 2]]).repeat(3, 1)
    first = hidden[:, 0]
    encoded = Encoded(hidden, first, first.tanh(), torch.ones(3, 6), texts)
    return head(encoded).detach().numpy()


@pytest.mark.parametrize("field", HeadConfig.model_fields)
@pytest.mark.parametrize("name", get_args(HeadConfig.model_fields["name"].annotation))
def test_each_setting_of_each_head_changes_logits(name: str, field: str) -> None:
    before = HeadConfig.model_validate({"name": name})
    for value in other_values(f"head.{field}", HeadConfig):
        after = HeadConfig.model_validate(before.model_dump() | {field: value})
        assert after == before or not np.array_equal(classified(before), classified(after))


@pytest.mark.parametrize("field", AdapterConfig.model_fields)
def test_each_setting_of_an_adapter_changes_what_the_encoder_gives(
    field: str, tiny_bert: Path
) -> None:
    def encoded(config: AdapterConfig) -> np.ndarray:
        encoder = load_encoder(ModelConfig(encoder=str(tiny_bert)), 41)
        add_adapter(encoder, config, 41)
        with torch.no_grad():
            for name, parameter in encoder.model.named_parameters():
                if "lora_B" in name:
                    parameter.fill_(0.1)  # Where it starts, at 0, an adapter changes nothing.
            torch.manual_seed(41)
            encoder.model.train()
            ids = torch.arange(5, 11).unsqueeze(0)
            output = encoder.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        return output.last_hidden_state.numpy()

    for value in other_values(f"adapter.{field}", AdapterConfig):
        changed = AdapterConfig.model_validate({field: value})
        assert not np.array_equal(encoded(AdapterConfig()), encoded(changed))


@pytest.mark.parametrize("field", DistillationConfig.model_fields)
def test_each_setting_of_distillation_changes_teachers_or_targets(
    field: str, tiny_bert: Path
) -> None:
    def learned(**settings: Any) -> tuple[Any, list[float]]:
        values = {"teachers": "single_task", **settings}
        config = DistillationConfig.model_validate(values)
        arm = json.dumps({"strategy": "single_task", "distillation": values})
        overrides = [f"define.arms.student={arm}", "arms=[student]", "seeds=[1,2]"]
        plan = make_plan(load_experiment("demo", small_grid(tiny_bert, *overrides)[1:]))
        students = [t.config.teachers for t in plan.trials if t.config.arm_name == "student"]
        return students, [gold_weight(config, step, 10) for step in range(10)]

    for value in other_values(f"distillation.{field}", DistillationConfig):
        assert learned() != learned(**{field: value})


OPTIMISATION = (
    "optimizer",
    "learning_rate",
    "layer_decay",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "schedule",
    "warmup",
)


@pytest.mark.parametrize("optimizer", get_args(TrainingConfig.model_fields["optimizer"].annotation))
@pytest.mark.parametrize("field", OPTIMISATION)
def test_each_setting_of_optimiser_and_schedule_changes_the_weights(
    field: str, optimizer: str
) -> None:
    def trained(training: TrainingConfig) -> np.ndarray:
        model = layers()
        steps = make_optimizer(model, training)
        for step in range(4):
            for group in steps.param_groups:
                group["lr"] = learning_rate(step, 4, training) * group["scale"]
            for number, parameter in enumerate(model.parameters()):
                parameter.grad = torch.full_like(parameter, 0.1 * (number + 1) / (step + 1))
            steps.step()
        return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()

    before = TrainingConfig.model_validate({"optimizer": optimizer})
    for value in other_values(f"training.{field}", TrainingConfig):
        after = TrainingConfig.model_validate(before.model_dump() | {field: value})
        assert after == before or not np.array_equal(trained(before), trained(after))
