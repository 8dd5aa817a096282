"""Presets, overrides and what is said of bad ones."""

from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from orchestrator.config.experiment import (
    ExperimentConfig,
    SingleTrialConfig,
    load_experiment,
    load_single_trial,
)
from search_spaces.presets import preset_names
from search_spaces.setting_keys import settings
from trainables.config.arms import NaiveConcatArm, SharedEncoderArm, SingleTaskArm
from trainables.config.explain import validated
from trainables.errors import ConfigError

SPECIAL = {
    "margins": "{macro: 1.5}",
    "tasks": "[cola]",
    "models": "[somebody/some-encoder]",
    "arms": "[naive_concat_union]",
    "seeds": "[7]",
    "name": "another",
    "task": "mrpc",
    "training.early_stopping": "{patience: 2, min_delta: 0.1}",
    "training.adam_beta1": "0.8",
    "training.warmup": "500 steps",
    "define.arms.mine.weighting.weights": "{cola: 2.0}",
    "define.arms.mine.tasks": "[sentiment]",
    "define.arms.mine.training": "{learning_rate: 1e-3}",
    "define.arms.mine.task_heads": "{cola: {name: mlp}}",
    "define.arms.mine.adapter": "{rank: 4}",
    "define.arms.mine.distillation": "{teachers: single_task}",
    "selection.fraction": "0.2",
    "resources.cpu": "3",
    "resources.gpu": "0.5",
    "tracking.trackers": "[wandb]",
    "tracking.mlflow.tracking_uri": "http://127.0.0.1:5000",
}
"""Values for keys whose type alone does not tell a good one."""
FIVE = "[1,2,3,4,5]"


def leaves(section: type[BaseModel], prefix: str = "") -> list[tuple[str, Any]]:
    """Every key of a section that takes a value, with its annotation."""
    found: list[tuple[str, Any]] = []
    for name, field in section.model_fields.items():
        key = prefix + name
        kind = field.annotation
        union = get_args(kind) if get_origin(kind) is UnionType else (kind,)
        sections = [k for k in union if isinstance(k, type) and issubclass(k, BaseModel)]
        if key == "define":
            continue
        if sections and type(None) not in union:
            inner: dict[str, Any] = {}
            for part in sections:
                for name, kind in leaves(part, key + "."):
                    inner[name] = inner[name] | kind if name in inner else kind
            found += inner.items()
        else:
            found.append((key, kind))
    return found


def another(key: str, kind: Any, default: Any) -> str:
    """Some valid value of ``key`` that is not ``default``."""
    if key in SPECIAL:
        return SPECIAL[key]
    kinds = list(get_args(kind)) if get_origin(kind) in (Union, UnionType) else [kind]
    for part in kinds:
        if get_origin(part) is Literal:
            return next(str(value) for value in get_args(part) if value != default)
        base = part if isinstance(part, type) else get_args(part)[0]
        if base is bool:
            return str(not default).lower()
        if base is int:
            return str((default or 0) + 3)
        if base is float:
            return str((default or 0) / 2 + 0.05)
        if base is str:
            return "something"
    raise AssertionError(f"no value known for {key}: {kind}")


def at(values: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_valid_and_called_like_its_file(preset: str) -> None:
    assert load_experiment(preset, []).name == preset


@pytest.mark.parametrize(("key", "kind"), leaves(ExperimentConfig))
def test_every_key_of_a_grid_can_be_overridden(key: str, kind: Any) -> None:
    # Fewer seeds are refused together with pair_seeds.
    others = [f"seeds={FIVE}"]
    before = at(load_experiment("demo", others).model_dump(mode="json"), key)
    value = another(key, kind, before)
    after = at(load_experiment("demo", [*others, f"{key}={value}"]).model_dump(mode="json"), key)
    assert after != before


@pytest.mark.parametrize(("key", "kind"), leaves(SingleTrialConfig))
def test_every_key_of_a_single_trial_can_be_overridden(key: str, kind: Any) -> None:
    before = at(load_single_trial("single_task", []).model_dump(mode="json"), key)
    value = another(key, kind, before)
    changed = load_single_trial("single_task", [f"{key}={value}"])
    assert at(changed.model_dump(mode="json"), key) != before


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        ("{colla: 2}", r"^margins\.colla: is no task of this grid; did you mean cola\?$"),
        ("{accuracy: 2}", r"^margins\.accuracy: .*; there are cola, macro$"),
        ("{macro: 0}", r"^margins\.macro: .*greater than 0"),
        ("{cola: 100}", r"^margins\.cola: .*less than 100"),
    ],
)
def test_margins_are_of_tasks_and_of_the_macro_average(margins: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment("quick", ["tasks=[cola]", f"margins={margins}"])


def test_seeds_are_paired_only_where_there_are_five() -> None:
    assert load_experiment("demo", ["pair_seeds=true", f"seeds={FIVE}"]).pair_seeds
    with pytest.raises(
        ConfigError, match=r"^pair_seeds=true: needs 5 seeds or more, and seeds has"
    ):
        load_experiment("demo", ["pair_seeds=true", "seeds=[1,2,3,4]"])


def arm_leaves() -> list[tuple[str, str, Any]]:
    """Strategy, key and annotation of every setting of every kind of arm."""
    kinds = {
        "single_task": SingleTaskArm,
        "naive_concat": NaiveConcatArm,
        "shared_encoder": SharedEncoderArm,
    }
    return [
        (strategy, key, kind)
        for strategy, section in kinds.items()
        for key, kind in leaves(section, "define.arms.mine.")
        if not key.endswith(".strategy")
    ]


@pytest.mark.parametrize(("strategy", "key", "kind"), arm_leaves())
def test_every_key_of_an_arm_can_be_overridden(strategy: str, key: str, kind: Any) -> None:
    methods = ", sampling: {batch: joint}" if strategy == "shared_encoder" else ""
    arm = [f"define.arms.mine={{strategy: {strategy}{methods}}}"]
    setting = settings().get(key.replace("define.arms.mine", "arm"))
    for choice, (value, *_) in setting.choices.items() if setting is not None else ():
        arm.append(f"{choice.replace('arm', 'define.arms.mine')}={value}")
    before = at(load_experiment("demo", arm).model_dump(mode="json"), key)
    value = another(key, kind, before)
    after = at(load_experiment("demo", [*arm, f"{key}={value}"]).model_dump(mode="json"), key)
    assert after != before


def test_later_overrides_win() -> None:
    overrides = ["training.epochs=4", "training.epochs=5"]
    assert load_experiment("demo", overrides).training.epochs == 5


def test_a_definition_is_added_beside_the_catalogue() -> None:
    experiment = load_experiment(
        "demo",
        ["define.arms.mine={strategy: naive_concat, task_prefix: true}", "arms=[mine,single_task]"],
    )
    assert experiment.arms == ("mine", "single_task")
    assert "naive_concat" in experiment.define.arms


def test_a_users_own_preset_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nseeds: [7]\nmodels: [minilm-l6]\n")
    assert load_experiment(str(file), []).seeds == (7,)


BAD = [
    (["training.epoch=3"], "training.epoch: unknown key; did you mean epochs?"),
    (["model=[x]"], "model: unknown key; did you mean models?"),
    (["training.epochs=abc"], "training.epochs: input should be a valid integer, not 'abc'"),
    (["training.epochs=true"], "training.epochs: input should be a valid integer, not True"),
    (["training.epochs=2.5"], "training.epochs: input should be a valid integer, not 2.5"),
    (["training.epochs=0"], "training.epochs: input should be greater than 0, not 0"),
    (["training.batch_size=-1"], "training.batch_size: input should be greater than 0, not -1"),
    (
        ["limits.max_train_examples={sst: 9}"],
        "limits.max_train_examples.sst: is no task; did you mean sst2?",
    ),
    (["limits.max_train_examples=0"], "limits.max_train_examples: input should be greater than 0"),
    (["training.learning_rate=nan"], "training.learning_rate: input should be a valid number"),
    (["training=5"], "training: input should be an object, not 5"),
    (["training.precision=fp8"], "training.precision: input should be 'auto', 'fp32', 'bf16'"),
    (["seeds=[]"], "seeds: needs at least 1, has 0"),
    (["seeds=[1,1]"], "seeds: 1 is there twice; name it once"),
    (["seeds=[-1]"], "seeds.0: input should be greater than or equal to 0, not -1"),
    (["tasks=[cola,colla]"], "tasks: colla is unknown; did you mean cola?"),
    (["tasks=[cola,cola]"], "tasks: cola is there twice"),
    (["arms=[single]"], "arms: single is unknown; did you mean single_task?"),
    (["models=[]"], "models: needs at least 1, has 0"),
    (["define.arms.a.strategy=foo"], "define.arms.a.strategy: foo is unknown; there are"),
    (["define.arms.a.label_space=union"], "define.arms.a.strategy: missing"),
    (
        ["define.arms.naive_concat.lable_space=union"],
        "define.arms.naive_concat.lable_space: unknown key; did you mean label_space?",
    ),
    (
        ["define.arms.single_task.label_space=union"],
        "define.arms.single_task.label_space: is not used with strategy=single_task, only with "
        "strategy=naive_concat",
    ),
    (["define.tasks.x={text: [a]}"], "define.tasks.x: give at least one source"),
    (["define.tasks.x.text=[a,b,c]"], "define.tasks.x.text: needs at most 2, has 3"),
    (["resources.gpu=2"], "resources.gpu: input should be less than or equal to 1"),
    (
        ["define.tasks.macro={text: [a], demo: sentiment}", "tasks=[macro]"],
        "tasks: macro is what tables call a summary",
    ),
    (["resources.gpu=-1"], "resources.gpu: input should be greater than or equal to 0"),
    (["selection.enabled=never", "training.keep=best"], "selection.enabled=never: training.keep"),
    (
        ["selection.enabled=never", "selection.fraction=0.2"],
        "selection.fraction: is not used with selection.enabled=never, only with "
        "selection.enabled=auto or always",
    ),
    (["name=../x"], "name: string should match pattern"),
    (
        ["tracking.trackers=[wandbb]"],
        "tracking.trackers.0: input should be 'wandb', 'tensorboard' or 'mlflow', not 'wandbb'",
    ),
    (["tracking.trackers=[wandb,wandb]"], "tracking.trackers: wandb is there twice"),
    (
        ["tracking.mlflow.tracking_uri=file:///tmp/runs"],
        "tracking.mlflow.tracking_uri: MLflow keeps no",
    ),
    *(
        (
            [f"tracking.mlflow.tracking_uri={uri}"],
            "tracking.mlflow.tracking_uri: has a user, password or token",
        )
        for uri in (
            "http://me:hidden@127.0.0.1",
            "https://dapi0123456789@host",
            "postgresql://host/runs?user=me&password=hidden",
        )
    ),
    (
        ["define.arms.shared_encoder.weighting.name=gradnorm"],
        "define.arms.shared_encoder: weighting.name=gradnorm compares all tasks in every step, "
        "and with sampling.batch=one_task a step may lack some; set sampling.batch=joint",
    ),
    (
        ["define.arms.a={strategy: shared_encoder, aggregation: {name: upgrad}}"],
        "define.arms.a: aggregation.name=upgrad combines the gradients of several tasks, "
        "and with sampling.batch=one_task a step has one; set sampling.batch=joint",
    ),
    (
        ["define.arms.shared_encoder.weighting={weights: {sentiment: 2}}"],
        "define.arms.shared_encoder.weighting.weights: is not used with name=equal, only with "
        "name=fixed",
    ),
    (["training.warmup=1.5"], "training.warmup: input should be less than 1"),
    (["training.warmup=5 minutes"], "training.warmup: "),
    (["training.ema_decay=1"], "training.ema_decay: input should be less than 1, not 1"),
    (["training.layer_decay=0"], "training.layer_decay: input should be greater than 0, not 0"),
    (["training.optimizer=adam"], "training.optimizer: input should be 'adamw' or 'adamax'"),
    (["x"], "x: an override is key=value"),
    (["=3"], "=3: an override is key=value"),
    (["training.=5"], "training.=5: an override is key=value"),
    (["seeds=[a"], "seeds=[a: cannot be applied"),
    (
        ["seeds={until: decided, looks: [3,3]}"],
        "seeds.looks: [3, 3]: each must be more than the one before",
    ),
    (["seeds={until: decided, looks: [1,2]}"], "seeds.looks.0: input should be greater than or"),
    (["seeds={until: decided, looks: []}"], "seeds.looks: needs at least 1, has 0"),
    (["seeds={until: decided}"], "seeds.looks: missing; give it a value"),
    (["seeds={until: done, looks: [3]}"], "seeds.until: input should be 'decided', not 'done'"),
    (["seeds={until: decided, look: [3]}"], "seeds.look: unknown key; did you mean looks?"),
    (
        ["seeds={until: decided, looks: [3], first: 4294967294}"],
        "seeds: first=4294967294: there are fewer than 3 after it",
    ),
    (["seeds.first=3"], "seeds.until: missing; give it a value"),
    (["tasks.0=cola"], "tasks: input should be a valid array, not {'0': 'cola'}"),
    (
        ["training.epochs=${foo}"],
        "training.epochs=${foo}: cannot be applied: ${foo}: nothing is put",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), BAD)
def test_bad_overrides_are_one_line_that_names_the_key(overrides: list, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment("demo", overrides)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("dmo", "preset dmo: unknown; did you mean demo?"),
        ("none.yaml", "none.yaml: no such preset file"),
    ],
)
def test_unknown_presets(preset: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment(preset, [])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("content", [b"a: [", b"- 1\n- 2\n", b"\xff\xfe\x00", b"a: b: c", b"5"])
def test_damaged_preset_files_are_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_experiment(str(file), [])
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "rounds"),
    [
        (["seeds=7"], ((7,),)),
        (["seeds=[2,1]"], ((2, 1),)),
        (["seeds={until: decided, looks: [2,3]}"], ((41, 42), (41, 42, 43))),
        (["seeds={until: decided, looks: 2, first: 4294967294}"], ((2**32 - 2, 2**32 - 1),)),
        # A mapping takes a list's place, and a list a mapping's; mappings are merged.
        (["seeds={until: decided, looks: [2,3]}", "seeds=[5]"], ((5,),)),
        (["seeds={until: decided, looks: [9]}", "seeds.looks=[1000]", "seeds.first=0",
          "seeds={looks: [2]}"], ((0, 1),)),
    ],
)  # fmt: skip
def test_seeds_are_a_list_or_rounds(
    overrides: list[str], rounds: tuple[tuple[int, ...], ...]
) -> None:
    experiment = load_experiment("demo", overrides)
    assert (experiment.rounds, experiment.all_seeds) == (rounds, rounds[-1])
    assert experiment.looks == tuple(map(len, rounds))
    stored = validated(ExperimentConfig, experiment.model_dump(mode="json"))
    assert stored == experiment
