"""Spaces: what can be written, what is refused, and which parameters are active."""

from pathlib import Path
from typing import Any

import pytest

from search_spaces.distributions import Choice, IntUniform, LogUniform, Uniform
from search_spaces.group_settings import with_settings
from search_spaces.searchers import SEARCHERS, grid_size
from search_spaces.searchers.suggest import suggest
from search_spaces.setting_keys import NOT_SEARCHED, settings
from search_spaces.space import Space, load_space, space_names
from tests.helpers.groups import ARMS, MODEL, TRAINING, facts
from trainables.errors import ConfigError

RATE = "training.learning_rate"
DROPOUT = "model.dropout"
EPOCHS = "training.epochs"


def space(**parameters: Any) -> Space:
    """A space whose keys are written with ``__`` for a dot."""
    values = {key.replace("__", "."): value for key, value in parameters.items()}
    return Space.model_validate({"name": "mine", "parameters": values})


def test_the_built_in_spaces() -> None:
    assert space_names() == ["bert", "methods", "passes", "quick", "roberta", "small"]
    covered: set[str] = set()
    for name in space_names():
        loaded = load_space(name)
        assert loaded.name == name
        covered |= set(loaded.keys)
    assert covered >= {
        RATE,
        "training.batch_size",
        EPOCHS,
        "training.warmup",
        "training.weight_decay",
        "training.layer_decay",
        "training.label_smoothing",
        DROPOUT,
        "arm.sampling.exponent",
        "arm.weighting.name",
    }


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("name", space_names())
def test_every_setting_of_a_built_in_space_can_be_trained(name: str, arm: str) -> None:
    loaded = load_space(name)
    for index in range(25):
        for method in ("random", "sobol"):
            chosen = suggest(loaded, facts(arm), method, 0, index)
            assert chosen
            assert loaded.holds(facts(arm), chosen)
            sections = with_settings(chosen, ARMS[arm], MODEL, TRAINING)
            names = ["arm", "model", "training"]
            for key, value in chosen.items():
                section, *path = key.split(".")
                at: Any = sections[names.index(section)]
                for part in path:
                    at = getattr(at, part)
                assert at == value


@pytest.mark.parametrize("arm", ["shared_encoder_famo", "shared_encoder_sqrt", "fixed"])
def test_an_arm_named_for_its_method_keeps_it(arm: str) -> None:
    loaded = load_space("methods")
    for index in range(20):
        chosen = suggest(loaded, facts(arm), "random", 1, index)
        assert chosen is not None
        found, _, _ = with_settings(chosen, ARMS[arm], MODEL, TRAINING)
        for section, default in (("weighting", "equal"), ("sampling", "interleave")):
            if getattr(ARMS[arm], section).name != default:
                assert getattr(found, section) == getattr(ARMS[arm], section)


def test_a_file_and_python_give_the_same_space(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\n"
        "parameters:\n"
        "  training.learning_rate: {log_uniform: [1e-5, 1e-4]}\n"
        "  training.batch_size: {choice: [16, 32]}\n"
        "  training.epochs: {int_uniform: [3, 4]}\n"
        "  training.warmup: {uniform: [0, 0.2], steps: 3}\n"
        "  model.dropout: {choice: [null, 0.1], when: {strategy: [single_task, naive_concat]}}\n"
    )
    made = Space(
        name="mine",
        parameters={
            RATE: LogUniform(low=1e-5, high=1e-4),
            "training.batch_size": Choice(values=(16, 32)),
            EPOCHS: IntUniform(low=3, high=4),
            "training.warmup": Uniform(low=0, high=0.2, steps=3),
            DROPOUT: Choice(values=(None, 0.1), when={"strategy": ("single_task", "naive_concat")}),
        },
    )
    assert load_space(str(path)) == made


@pytest.mark.parametrize("name", space_names())
def test_a_space_can_be_written_down_and_read_again(name: str) -> None:
    loaded = load_space(name)
    assert Space.model_validate_json(loaded.model_dump_json()) == loaded


REFUSED: list[tuple[str, Any, str]] = [
    (RATE, {"log_uniform": [1e-4, 1e-5]}, "log_uniform: [0.0001, 1e-05] is inverted"),
    (RATE, {"log_uniform": [0, 1e-5]}, "log_uniform: low is 0, and only numbers above 0"),
    (RATE, {"log_uniform": [-1e-5, 1e-5]}, "log_uniform: low is -1e-05"),
    (RATE, {"log_unifrm": [1, 2]}, "log_unifrm: unknown distribution; did you mean log_uniform?"),
    (RATE, {"uniform": [0, 1e-4]}, "the setting cannot be 0.0: input should be greater than 0"),
    (RATE, {"choice": [-1]}, "the setting cannot be -1: input should be greater than 0"),
    (RATE, {"choice": ["1e-5"]}, "the setting cannot be '1e-5': input should be a valid number"),
    (RATE, {"choice": [True]}, "the setting cannot be True: input should be a valid number"),
    (RATE, {"uniform": [1e-5, float("nan")]}, "uniform: high: input should be a finite number"),
    (RATE, {"choice": [float("inf")]}, "choice: values.0: inf is no text, finite number"),
    (RATE, {"uniform": [1e-5, "x"]}, "uniform: high: input should be a valid number, not 'x'"),
    (RATE, {"uniform": [1, 2, 3]}, "uniform: a range is [low, high], not [1, 2, 3]"),
    (RATE, {"uniform": 1}, "uniform: 1 is no list of values"),
    (RATE, {"uniform": [1, 2], "steps": 1}, "uniform: steps: input should be greater than or"),
    (RATE, {"uniform": [1, 2], "choice": [1]}, "needs exactly one distribution of uniform"),
    (RATE, {"uniform": [1, 2], "wen": {}}, "wen: unknown distribution; did you mean when?"),
    (RATE, {}, "needs exactly one distribution"),
    (RATE, 1e-5, "1e-05 is no distribution; write one of uniform, log_uniform"),
    (RATE, None, "None is no distribution"),
    (EPOCHS, {"int_uniform": [3, 3]}, "int_uniform: [3, 3] is empty; write choice: [3]"),
    (EPOCHS, {"int_uniform": [4, 3]}, "int_uniform: [4, 3] is inverted"),
    (EPOCHS, {"int_uniform": [2.5, 3]}, "int_uniform: low: input should be a valid integer"),
    (EPOCHS, {"int_uniform": [2, True]}, "int_uniform: high: input should be a valid integer"),
    (EPOCHS, {"int_uniform": [0, 3]}, "the setting cannot be 0: input should be greater than 0"),
    (EPOCHS, {"uniform": [2, 4]}, "the setting cannot be 2.0: input should be a valid integer"),
    (EPOCHS, {"choice": []}, "choice: values: needs at least 1, has 0"),
    (EPOCHS, {"choice": [2, 3, 2]}, "choice: 2 is listed twice"),
    (EPOCHS, {"choice": [[2]]}, "choice: values.0: [2] is no text"),
    (EPOCHS, {"choice": [2], "steps": 3}, "choice: steps: unknown key"),
    ("training.batch_size", {"choice": [2.5]}, "the setting cannot be 2.5: input should be a"),
    ("training.warmup", {"choice": ["500 stepps"]}, "the setting cannot be '500 stepps': "),
    (DROPOUT, {"uniform": [0, 1]}, "the setting cannot be 1.0: input should be less than 1"),
    ("arm.weighting.name", {"choice": ["dwwa"]}, "the setting cannot be 'dwwa': input should be"),
    ("arm.weighting.weights.cola", {"choice": [-1.0]}, "the setting cannot be -1.0"),
    ("arm.weighting.weights", {"choice": [1.0]}, "unknown key; did you mean arm.weighting.weights"),
    ("training.learning_rat", {"choice": [1]}, "unknown key; did you mean training.learning_rate?"),
    ("arm.samplng.name", {"choice": [1]}, "unknown key; did you mean arm.sampling.name?"),
    ("learning_rate", {"choice": [1]}, "unknown key; did you mean training.learning_rate?"),
    ("training", {"learning_rate": {"choice": [1]}}, "unknown key; a key is written whole"),
    ("data.source", {"choice": ["hub"]}, "unknown key; a key is written whole"),
    ("training.early_stopping.patience", {"choice": [1]}, "is not searched: it must be the same"),
    ("arm.task_heads.cola.name", {"choice": ["mlp"]}, "is not searched: it is what the arm is"),
    (RATE, {"choice": [1], "when": {"stategy": "x"}}, "when stategy: unknown key; did you mean st"),
    (RATE, {"choice": [1], "when": {"strategy": "x"}}, "when strategy: x is unknown; there are"),
    (RATE, {"choice": [1], "when": {DROPOUT: 2}}, "when model.dropout: the setting cannot be 2"),
    (RATE, {"choice": [1], "when": {RATE: -1}}, "when training.learning_rate: the setting cannot"),
    (RATE, {"choice": [1], "when": {"strategy": []}}, "choice: when.strategy: needs at least 1"),
    (RATE, {"choice": [1], "when": [1]}, "choice: when: input should be a valid dictionary"),
]


@pytest.mark.parametrize(("key", "values", "message"), REFUSED)
def test_a_bad_parameter_is_one_line_that_names_space_and_key(
    key: str, values: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        space(**{key: values})
    assert str(caught.value).startswith(f"space mine: {key}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", NOT_SEARCHED)
def test_what_must_not_be_searched_is_a_setting_and_is_refused(key: str) -> None:
    assert any(name == key or name.startswith(f"{key}.") for name in settings())
    with pytest.raises(ConfigError, match=f"{key}: is not searched: it "):
        space(**{key: {"choice": [1]}})


def test_conditions_on_each_other_are_a_circle() -> None:
    with pytest.raises(ConfigError, match=r"space mine: .*when runs in a circle: .* -> .* -> "):
        space(
            model__dropout={"choice": [0.1], "when": {EPOCHS: 2}},
            training__epochs={"choice": [2, 3], "when": {"training.batch_size": 16}},
            training__batch_size={"choice": [16], "when": {DROPOUT: 0.1}},
        )


@pytest.mark.parametrize(
    ("asked", "wanted", "message"),
    [
        ({"choice": [2, 3]}, 4, "4 is never drawn for it"),
        ({"choice": [2, 3]}, [2, True], "True is never drawn for it"),
        ({"int_uniform": [2, 5]}, 6, "6 is never drawn for it"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(asked: Any, wanted: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"model.dropout: when training.epochs: {message}"):
        space(training__epochs=asked, model__dropout={"choice": [0.1], "when": {EPOCHS: wanted}})


def test_a_condition_on_a_continuous_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="only a choice or an int_uniform can be asked"):
        space(
            training__learning_rate={"uniform": [1e-5, 1e-4]},
            model__dropout={"choice": [0.1], "when": {RATE: 2e-5}},
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\nparameters: {}\n", "space mine: parameters: needs at least 1, has 0"),
        ("name: mine\n", "space mine: parameters: missing"),
        ("name: mine\nparamters: {}\n", "space mine: paramters: unknown key"),
        ("name: mine\nparameters: [1]\n", "space mine: parameters: input should be a valid dict"),
        ("name: a b\nparameters: {model.dropout: {choice: [0.1]}}\n", "space a b: name: string"),
        ("parameters: {model.dropout: {choice: [0.1]}}\n", "space: name: missing"),
        ("name: mine\nparameters: {model.dropout: 3}\n", "space mine: model.dropout: 3 is no dis"),
        ("name: mine\nparameters: {1: {choice: [1]}}\n", "space mine: 1: unknown key"),
        ("- 1\n", "it is no mapping of keys to values"),
        ("{", "cannot be read as YAML"),
        ("a: ${oc.env:HOME}", "cannot be read as YAML: ${oc.env:HOME}: nothing is put"),
        ("a: &a [*a]", "cannot be read as YAML: the alias *a stands for what holds it"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_space(str(path))
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_an_unknown_space_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"space brt: unknown; did you mean bert\?"):
        load_space("brt")
    with pytest.raises(ConfigError, match=r"none\.yaml: no such space file"):
        load_space(str(tmp_path / "none.yaml"))


CONDITIONAL = space(
    arm__sampling__name={"choice": ["interleave", "power"], "when": {"strategy": "shared_encoder"}},
    arm__sampling__exponent={"uniform": [0, 1], "when": {"arm.sampling.name": "power"}},
    training__warmup={"choice": [0.1], "when": {"task": ["cola", "mrpc"]}},
    training__weight_decay={"choice": [0.1], "when": {"arm.weighting.name": "equal"}},
)
SAMPLING, EXPONENT = "arm.sampling.name", "arm.sampling.exponent"
WARMUP, DECAY = "training.warmup", "training.weight_decay"


@pytest.mark.parametrize(
    ("arm", "task", "expected"),
    [
        ("single_task", None, set()),
        ("single_task", "sst2", set()),
        ("single_task", "cola", {WARMUP}),
        ("naive_concat", None, set()),
        ("shared_encoder", None, {SAMPLING, EXPONENT, DECAY}),
        ("shared_encoder_dwa", None, {SAMPLING, EXPONENT}),
    ],
)
def test_conditions_on_the_group(arm: str, task: str | None, expected: set[str]) -> None:
    group = facts(arm, task)
    assert set(CONDITIONAL.keys_for(group)) == expected
    drawn = [suggest(CONDITIONAL, group, "random", 0, index) or {} for index in range(20)]
    assert {key for chosen in drawn for key in chosen} == expected


@pytest.mark.parametrize("method", sorted(SEARCHERS.keys() - {"grid"}))
def test_a_parameter_is_there_just_when_its_condition_holds(method: str) -> None:
    for index in range(20):
        chosen = suggest(CONDITIONAL, facts(), method, 0, index)
        assert chosen is not None
        assert (chosen[SAMPLING] == "power") == (EXPONENT in chosen)


def test_a_condition_on_a_parameter_that_is_not_active_does_not_hold() -> None:
    exponent = {"uniform": [0, 1], "when": {"arm.sampling.name": "power"}}
    name = {"choice": ["power", "uniform"], "when": {"arm.sampling.name": "interleave"}}
    searched = space(arm__sampling__name=name, arm__sampling__exponent=exponent)
    assert searched.keys_for(facts("shared_encoder_sqrt")) == ()
    # Where the name is not searched, the configured one counts.
    assert space(arm__sampling__exponent=exponent).keys_for(facts("shared_encoder_sqrt")) != ()
    assert space(arm__sampling__exponent=exponent).keys_for(facts("shared_encoder")) == ()


SEVERAL = (
    "naive_concat",
    "naive_concat_union",
    "shared_encoder",
    "shared_encoder_sqrt",
    "shared_encoder_dwa",
    "lora_shared",
    "student",
)


@pytest.mark.parametrize(
    ("key", "value", "arms"),
    [
        ("arm.sampling.exponent", 0.5, {"shared_encoder_sqrt"}),
        ("arm.sampling.batch", "mixed", {*SEVERAL[2:6]}),
        ("arm.weighting.temperature", 3.0, {"shared_encoder_dwa"}),
        ("arm.mask_other_tasks", False, {"naive_concat_union"}),
        ("arm.adapter.rank", 4, {"lora_shared"}),
        ("arm.distillation.gold_weight", 0.5, {"student"}),
        ("arm.task_prefix", True, {"naive_concat", "naive_concat_union"}),
        ("arm.head.name", "mlp", set(SEVERAL)),
    ],
)
def test_an_arm_is_not_given_what_it_does_not_have(key: str, value: Any, arms: set[str]) -> None:
    searched = space(**{key: {"choice": [value]}})
    for arm in SEVERAL:
        expected = {key: value} if arm in arms else {}
        assert suggest(searched, facts(arm), "random", 0, 0) == expected
        assert set(searched.keys_for(facts(arm))) == expected.keys()


def test_a_setting_is_drawn_for_the_methods_that_have_it_alone() -> None:
    searched = space(
        arm__sampling__exponent={"choice": [0.1, 0.9]},
        arm__sampling__name={"choice": ["uniform", "power"]},
    )
    assert searched.keys == ("arm.sampling.name", "arm.sampling.exponent")
    assert searched.keys_for(facts("shared_encoder")) == searched.keys
    assert grid_size(searched, facts("shared_encoder")) == 3
    for number in range(10):
        drawn = suggest(searched, facts("shared_encoder"), "random", 0, number)
        assert drawn is not None
        assert ("arm.sampling.exponent" in drawn) == (drawn["arm.sampling.name"] == "power")


def test_another_method_does_not_keep_the_settings_of_the_configured_one() -> None:
    arm, *_ = with_settings(
        {"arm.sampling.name": "uniform"}, ARMS["shared_encoder_bam"], MODEL, TRAINING
    )
    assert arm.model_dump()["sampling"] == {"name": "uniform", "batch": "mixed"}


def test_values_that_cannot_stand_together_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^arm.*weighting.name=famo compares all tasks"):
        with_settings({"arm.weighting.name": "famo"}, ARMS["shared_encoder"], MODEL, TRAINING)


def test_a_grid_of_a_built_in_space_is_counted() -> None:
    assert grid_size(load_space("bert"), facts()) == 3 * 2 * 2
    assert grid_size(load_space("quick"), facts()) == 4
