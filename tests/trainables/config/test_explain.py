"""Pydantic's findings as one line: the key as the user wrote it, and the nearest valid one."""

from typing import Any

import pytest

from orchestrator.config.experiment import ExperimentConfig, SingleTrialConfig
from trainables.config.explain import nearest, shortened, valid_keys, validated
from trainables.config.trial import TrainingConfig
from trainables.errors import ConfigError

ARM = {"strategy": "shared_encoder"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainin": {}}, "trainin: unknown key; did you mean training?"),
        ({"learning_rate": 1}, "learning_rate: unknown key; did you mean training.learning_rate?"),
        (
            {"max_train_examples": 1},
            "max_train_examples: unknown key; did you mean limits.max_train_examples?",
        ),
        (
            {"define": {"arms": {"a": {**ARM, "exponent": 1}}}},
            "define.arms.a.exponent: unknown key; did you mean define.arms.a.sampling.exponent?",
        ),
        (
            {"define": {"arms": {"a": {**ARM, "sampling": {"name": "x"}}}}},
            "define.arms.a.sampling.name: x is unknown; there are interleave, proportional, "
            "annealed, uniform, round_robin, power",
        ),
        (
            {"define": {"arms": {"a": {**ARM, "sampling": {"name": "uniforn"}}}}},
            "define.arms.a.sampling.name: uniforn is unknown; did you mean uniform?",
        ),
        (
            {"define": {"arms": {"a": {**ARM, "weighting": {"name": "equal", "temperature": 9}}}}},
            "define.arms.a.weighting.temperature: is not used with name=equal, only with name=dwa",
        ),
        (
            {"define": {"arms": {"a": {**ARM, "weighting": {"learning_rate": 1}}}}},
            "define.arms.a.weighting.learning_rate: is not used with name=equal, only with "
            "name=uncertainty, famo or gradnorm",
        ),
        (
            {"define": {"arms": {"a": {"strategy": "naive_concat", "mask_other_tasks": False}}}},
            "define.arms.a.mask_other_tasks: is not used with label_space=shared, only with "
            "label_space=union",
        ),
        (
            {"define": {"arms": {"single_task": {"strategy": "single_task", "labl": "x"}}}},
            "define.arms.single_task.labl: unknown key; did you mean label?",
        ),
        (
            {"define": {"tasks": {"t": {"text": ["a"], "files": {"train": "a"}}}}},
            "define.tasks.t.files: validation is missing; name a file, or carve it from train: "
            "validation: {fraction: 0.2}",
        ),
        (
            {"define": {"tasks": {"t": {"files": {"train": "a", "validation": "b"}}}}},
            "define.tasks.t.text: missing; give it a value",
        ),
        *(
            (
                {"define": {"tasks": {"t": {"text": ["a"], "demo": "sentiment", "labels": given}}}},
                "define.tasks.t.labels: YAML reads yes, no, on, off, true and false as truth "
                "values and null as nothing; put such names in quotation marks, for example "
                '["yes", "no"]',
            )
            for given in ([True, False], ["a", None])
        ),
        (
            {"resources": {"cpu": "many"}},
            "resources.cpu: input should be a valid integer or input should be 'auto', not 'many'",
        ),
        ({"models": []}, "models: needs at least 1, has 0"),
        *(
            (
                {"define": {"tasks": {"t": {"text": ["a"], "demo": "sentiment", key: given}}}},
                f"define.tasks.t.{key}: input should be a valid string, not {value}; if that "
                "is a name, put it in quotation marks",
            )
            for key, given, value in (
                ("label", True, "True"),
                ("group", 2, "2"),
            )
        ),
        # The unknown key comes first: it is most often the cause of the rest.
        (
            {"training": {"epochs": 0, "epoch": 1}, "seeds": []},
            "training.epoch: unknown key; did you mean epochs? (and 2 more)",
        ),
    ],
)
def test_the_first_finding_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(ExperimentConfig, values)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [3.0, "3", True, [3], {"a": 3}, None])
def test_no_value_is_converted_in_silence(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^epochs: input should be a valid integer, not "):
        validated(TrainingConfig, {"epochs": value})


def test_a_single_name_stands_for_a_list_of_it() -> None:
    assert validated(ExperimentConfig, {"models": "minilm-l3", "seeds": 5}).seeds == (5,)


def test_what_no_setting_takes() -> None:
    with pytest.raises(ConfigError, match=r"b'hi': no setting takes bytes"):
        validated(SingleTrialConfig, {"model": b"hi"})


def test_valid_keys_of_a_section() -> None:
    assert valid_keys(ExperimentConfig, ["limits"]) == [
        "max_train_examples",
        "max_validation_examples",
        "train_fraction",
    ]
    assert "label_space" in valid_keys(ExperimentConfig, ["define", "arms", "x", "naive_concat"])
    assert "label_space" not in valid_keys(ExperimentConfig, ["define", "arms", "x", "single_task"])
    assert valid_keys(ExperimentConfig, ["nothing"]) == []


def test_the_nearest_name() -> None:
    assert nearest("colla", ["cola", "sst2"]) == "; did you mean cola?"
    assert nearest("zzz", ["cola", "sst2"]) == "; there are cola, sst2"
    assert nearest("zzz", []) == ""


def test_long_values_are_cut() -> None:
    assert shortened("x" * 100) == "'" + "x" * 56 + "..."
    assert shortened([1]) == "[1]"
