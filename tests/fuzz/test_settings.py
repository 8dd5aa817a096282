"""Overrides and preset files of any content: an experiment, or one line about what is wrong."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st

from orchestrator.config.experiment import ExperimentConfig, load_experiment, load_single_trial
from search_spaces.presets import FOLDER, preset_names
from tests.helpers.command import SMALL, Command, tiny
from tests.helpers.fuzz_campaign import Campaign, accepted
from tests.helpers.fuzz_damage import REPLACED, damaged, replace
from trainables.config.explain import valid_keys

# Keys are drawn of which some are old names; the hint has tests of its own.
pytestmark = pytest.mark.filterwarnings("ignore::trainables.errors.RenamedKeyWarning")

OWN = """\
name: mine
tasks: [tickets, sst2]
models: [minilm-l6]
arms: [single_task, naive_concat_union, shared_encoder]
seeds: [1, 2, 3]
training: &training {epochs: 2, early_stopping: {patience: 1}, keep: best}
define:
  tasks:
    tickets:
      text: [subject, body]
      label: queue
      labels: [billing, "delivery", 'other']
      headline: f1
      files: {train: tickets/train.csv, validation: tickets/dev.csv}
  arms:
    mine: {strategy: shared_encoder, sampling: {name: power, exponent: 0.75}, label: "two\\
        lines"}
"""


def _keys() -> list[str]:
    """Every dotted key of an experiment, and some of what can be defined."""
    sections = [[], ["define", "tasks", "sst2"], ["define", "arms", "mine", "shared_encoder"]]
    sections += [["define", "models", "minilm-l6"], ["define", "arms", "single_task"]]
    found = []
    while sections:
        path = sections.pop()
        for key in valid_keys(ExperimentConfig, path):
            found.append(".".join([*path, key]).replace("mine.shared_encoder", "mine"))
            sections.append([*path, key])
    return sorted(found)


VALID = _keys()
KEYS = st.one_of(
    *[st.sampled_from(VALID)] * 4,
    # One letter too few, one too many, or a part of the path left out.
    st.builds(lambda key, i: key[:i] + key[i + 1 :], st.sampled_from(VALID), st.integers(0, 20)),
    st.builds(
        lambda key, i, c: key[:i] + c + key[i:],
        st.sampled_from(VALID),
        st.integers(0, 20),
        st.characters(),
    ),
    st.builds(lambda key: key.rpartition(".")[2], st.sampled_from(VALID)),
    st.builds("{}.{}".format, st.sampled_from(VALID), st.sampled_from(VALID)),
    st.builds(lambda n: ".".join("a" * n), st.sampled_from([1, 100, 2000])),
    st.text(max_size=8),
)
PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=["C"], exclude_characters="'\\"), max_size=8).map(
            "'{}'".format
        ),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab_", max_size=4), inner),
    max_leaves=6,
).map(lambda value: str(value).replace('"', ""))
LIKELY = ["1", "2", "0.5", "3e-5", "true", "x", "auto", "[cola]", "[1,2]", "null", "f1", "steps"]
VALUES = st.one_of(
    st.sampled_from(LIKELY),
    st.sampled_from(LIKELY),
    PLAIN,
    st.sampled_from(["", "[1,[2]]", "{a: {b: 1}}", "'", "!!binary aGk=", "&a", "*a", "&a [*a]"]),
    st.sampled_from(["2020-01-01", "1:30", ".inf", "{1: 2}", "{[1]: 2}", "{strategy: {}}", "\x00"]),
    st.sampled_from(["${x}", "${", "${name}", "${training}", "${.}", "${..}", "${a:b}", "$${x}"]),
    st.sampled_from(["${oc.env:HOME}", "${oc.env:NONE}", "${oc.create:[1]}", "${${name}}", "???"]),
    st.sampled_from(["[" * 3000, "{a: " * 3000, "9" * 4000, "1e400", "-0", "0x7f", "x" * 50_000]),
    st.text(max_size=12),
)
GOOD = [
    "training.epochs=2",
    "seeds=[1,2]",
    "tasks=cola",
    "training={batch_size: 8}",
    "name=mine",
]
GOOD += ["define.arms.mine={strategy: shared_encoder}", "data.glue_dir=ü", "ray.address=a.b:1"]
OVERRIDE = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(GOOD),
    st.builds("{}={}".format, KEYS, VALUES),
    st.text(max_size=12),
)


def test_any_overrides_are_settings_or_a_clear_error(campaign: Campaign) -> None:
    def body(case: tuple[list[str], bool]) -> bool:
        overrides, single = case
        if single:
            return accepted(lambda: load_single_trial("shared_encoder", overrides))
        return accepted(lambda: load_experiment("demo", overrides))

    campaign.search(
        "overrides", 300, st.tuples(st.lists(OVERRIDE, min_size=1, max_size=4), st.booleans()), body
    )


@pytest.mark.parametrize("preset", [*preset_names(), "own"])
def test_any_damage_of_a_preset_is_settings_or_a_clear_error(
    campaign: Campaign, preset: str, tmp_path: Path
) -> None:
    whole = OWN.encode() if preset == "own" else (FOLDER / f"{preset}.yaml").read_bytes()
    path = tmp_path / "damaged.yaml"

    def body(random: Random) -> bool:
        path.write_bytes(damaged(random, whole))
        return accepted(lambda: load_experiment(str(path), []))

    path.write_bytes(whole)
    assert accepted(lambda: load_experiment(str(path), []))
    campaign.draw(f"presets: {preset}", 300 if preset == "own" else 60, body)


BOMBS = {
    "aliases in lists": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "aliases in mappings": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40)),
    "merge keys": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)),
    "an alias of itself": "a: &a [*a]\n",
    "interpolations in text": "a0: xx\n"
    + "".join(f'a{i}: "${{a{i - 1}}}${{a{i - 1}}}"\n' for i in range(1, 40)),
    "interpolations of mappings": "a0: {x: 1}\n"
    + "".join(f'a{i}: {{x: "${{a{i - 1}}}", y: "${{a{i - 1}}}"}}\n' for i in range(1, 40)),
    "interpolations in a circle": "name: ${seeds}\nseeds: ${name}\n",
    "interpolations one in the other": "name: " + "${" * 300 + "}" * 300 + "\n",
    "lists in lists": "seeds: " + "[" * 20_000 + "]" * 20_000 + "\n",
    "mappings in mappings": "\n".join(" " * i + "a:" for i in range(3000)),
    "a huge file": "name: " + "x" * 20_000_000 + "\n",
    "many keys": "".join(f"k{i}: 1\n" for i in range(20_000)),
    "a huge number": "seeds: [" + "9" * 100_000 + "]\n",
    "two documents": "name: a\n---\nname: b\n",
    "a complex key": "? [a, b]\n: 1\n",
    "a tag": "name: !!python/object/apply:os.getcwd []\n",
    "a set": "seeds: !!set {1, 2}\n",
    "a number as key": "1: 2\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_preset_that_would_fill_the_memory_is_refused(
    campaign: Campaign, bomb: str, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMBS[bomb])

    def body(path: Path) -> bool:
        assert not accepted(lambda: load_experiment(str(path), []))
        return False

    campaign.each("presets: bombs", [path], body)


COMMANDS = st.tuples(
    st.sampled_from([["plan"], ["plan", "--json"], ["run"], ["report"], ["train"], ["nope"], []]),
    st.sampled_from([["demo"], ["dmo"], ["mine.yaml"], ["single_task"], [""], []]),
    st.lists(
        st.one_of(
            OVERRIDE,
            st.sampled_from(["--run-dir", "--", "-x", "--json", "--help", "resources.gpu=2"]),
        ),
        min_size=1,
        max_size=3,
    ),
    # Nothing may begin to train.
    st.sampled_from([["resources.cpu=99999", "device=cuda:99"], ["zzz=1"]]),
)


def test_any_command_line_ends_with_a_documented_code(
    campaign: Campaign, command: Command, tmp_path: Path, tiny_bert: Path
) -> None:
    def body(case: tuple[list[str], ...]) -> bool:
        ended = command(*(part for parts in case for part in parts))
        assert ended.code in (0, 2), ended
        assert "Traceback" not in ended.err
        # Typer draws a box about the use of a command.
        assert ended.err.startswith("Usage: ") or ended.err.count("\n") == (ended.code == 2)
        assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
        return ended.code == 0

    def planned(overrides: list[str]) -> bool:
        ended = command("plan", "demo", tiny(tiny_bert), "models=tiny", *SMALL, *overrides)
        assert ended.code in (0, 2), ended
        assert (ended.code == 0) == bool(ended.out)
        assert ended.err.count("\n") == (ended.code == 2), ended.err
        assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
        return ended.code == 0

    campaign.search("command lines", 120, COMMANDS, body)
    campaign.search("command lines", 25, st.lists(OVERRIDE, max_size=2), planned)


@pytest.mark.parametrize("kind", REPLACED)
def test_a_preset_that_is_no_file_is_refused_at_once(
    campaign: Campaign, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    replace(path, kind)

    def body(path: Path) -> bool:
        assert not accepted(lambda: load_experiment(str(path), []))
        return False

    campaign.each("presets: no files", [path], body)
