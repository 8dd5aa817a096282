"""Presets and overrides: how they are merged, and what no text can do to them."""

from pathlib import Path

import pytest

from search_spaces.presets import find_preset, load_values, preset_names
from trainables.errors import ConfigError


def test_the_presets() -> None:
    assert set(preset_names()) == {
        "bam",
        "demo",
        "domain-adaptation",
        "full",
        "methods",
        "mt-bert",
        "mt-dnn",
        "paper",
        "peft",
        "quick",
        "samplers",
    }
    for name in preset_names():
        assert load_values(name, [])["name"] == name


def test_no_preset_is_the_catalogue_alone() -> None:
    values = load_values(None, [])
    assert set(values) == {"define"}
    assert set(values["define"]) == {"tasks", "models", "arms"}


def test_overrides_go_over_the_preset_and_the_preset_over_the_catalogue(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text("seeds: [1]\ndefine: {tasks: {cola: {headline: accuracy}}}\n")
    values = load_values(str(file), ["training.epochs=4", "define.arms.single_task.label=alone"])
    cola = values["define"]["tasks"]["cola"]
    assert (cola["headline"], cola["glue_dir"]) == ("accuracy", "CoLA")
    assert values["seeds"] == [1]
    assert values["training"] == {"epochs": 4}
    assert values["define"]["arms"]["single_task"] == {"strategy": "single_task", "label": "alone"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-5", 1e-5),
        ("true", True),
        ("null", None),
        ("", None),
        ("[1, 2]", [1, 2]),
        ("[a,b]", ["a", "b"]),
        ("{a: 1}", {"a": 1}),
        ("'3'", "3"),
        ("a=b", "a=b"),
        ("a b", "a b"),
        ("ü", "ü"),
        ("&x [1]", [1]),
    ],
)
def test_an_override_is_yaml(text: str, value: object) -> None:
    assert load_values("demo", [f"key={text}"])["key"] == value


def test_a_list_replaces_a_list_and_a_mapping_is_merged() -> None:
    before = load_values("demo", [])["limits"]
    values = load_values("demo", ["seeds=[7]", "limits={max_train_examples: 5}"])
    assert values["seeds"] == [7]
    assert values["limits"] == before | {"max_train_examples": 5}


ARM = "define.arms.mine"


@pytest.mark.parametrize(
    ("overrides", "weighting"),
    [
        ([f"{ARM}.weighting.name=equal"], {"name": "equal"}),
        ([f"{ARM}.weighting={{name: equal}}"], {"name": "equal"}),
        ([f"{ARM}.weighting.temperature=4"], {"name": "dwa", "temperature": 4}),
        ([f"{ARM}.weighting.name=dwa"], {"name": "dwa", "temperature": 3}),
        # What an override gives is kept, and refused later.
        (
            [f"{ARM}.weighting.temperature=4", f"{ARM}.weighting.name=equal"],
            {"name": "equal", "temperature": 4},
        ),
        (
            [f"{ARM}.weighting.learning_rate=1", f"{ARM}.weighting.name=famo"],
            {"name": "famo", "learning_rate": 1},
        ),
    ],
)
def test_another_method_drops_the_settings_of_the_former(
    overrides: list[str], weighting: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("define: {arms: {mine: {weighting: {name: dwa, temperature: 3}}}}\n")
    assert load_values(str(file), overrides)["define"]["arms"]["mine"]["weighting"] == weighting


def test_an_arm_whose_name_has_a_dot(tmp_path: Path) -> None:
    before, after = tmp_path / "before.yaml", "define={arms: {a.b: {sampling: {name: uniform}}}}"
    before.write_text("define: {arms: {a.b: {sampling: {name: power, exponent: 0.3}}}}\n")
    arm = load_values(str(before), [after])["define"]["arms"]["a.b"]
    assert arm["sampling"] == {"name": "uniform"}


def test_a_preset_drops_the_settings_of_a_method_of_the_catalogue(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("define: {arms: {shared_encoder_bam: {sampling: {name: uniform}}}}\n")
    arm = load_values(str(file), [])["define"]["arms"]["shared_encoder_bam"]
    assert arm["sampling"] == {"name": "uniform", "batch": "mixed"}
    # The catalogue itself is as it was.
    again = load_values(None, [])["define"]["arms"]["shared_encoder_bam"]
    assert again["sampling"] == {"name": "power", "exponent": 0.75, "batch": "mixed"}


def test_a_file_is_no_preset_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").write_text("seeds: [1]\n")
    monkeypatch.chdir(tmp_path)
    assert find_preset("demo").is_absolute()


def test_no_code_is_run_from_yaml(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(ConfigError, match="cannot be applied"):
        load_values("demo", [f"seeds=!!python/object/apply:pathlib.Path.touch [{mark}]"])
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        "${name}",
        "${oc.env:SECRET}",
        "a ${oc.env:SECRET,none} b",
        "[x, {y: '${oc.env:SECRET}'}]",
        "${oc.decode:${oc.env:SECRET}}",
        "${oc.${part}:SECRET}",
        "${${whole}:SECRET}",
    ],
)
def test_a_preset_reads_nothing_from_the_environment(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "planted")
    path = tmp_path / "mine.yaml"
    path.write_text(f"part: env\nwhole: oc.env\nkey: {value}\n")
    for preset, overrides in ((str(path), []), ("demo", [f"key={value}"])):
        with pytest.raises(ConfigError, match="nothing is put in place of") as caught:
            load_values(preset, overrides)
        assert "planted" not in str(caught.value)
