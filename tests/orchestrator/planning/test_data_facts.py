"""What a plan says of the tasks' data: warnings, errors, and texts that are left out of train."""

from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.data_facts import DataFacts, similar_names
from orchestrator.planning.plan import Plan, make_plan
from tests.helpers.command import tiny
from trainables.data.planned import load_data
from trainables.errors import ConfigError, DataError

TRAIN = [*((f"good {i}", "yes") for i in range(6)), *((f"bad {i}", "no") for i in range(6))]
DEV = [*((f"fine {i}", "yes") for i in range(101)), *((f"poor {i}", "no") for i in range(101))]
Rows = list[tuple[str, str]]


def task(folder: Path, name: str, train: Rows, dev: Rows, labels: str = "") -> str:
    """The override that defines a task of these examples."""
    for split, rows in (("train", train), ("dev", dev)):
        lines = "".join(f"{text},{label}\n" for text, label in rows)
        (folder / f"{name}-{split}.csv").write_text("s,label\n" + lines)
    files = f"{{train: {folder}/{name}-train.csv, validation: {folder}/{name}-dev.csv}}"
    return f"define.tasks.{name}={{text: [s], {labels} files: {files}}}"


def planned(encoder: Path, *overrides: str, tasks: str = "[t]") -> Plan:
    arms = "arms=[single_task,shared_encoder]"
    settings = [tiny(encoder), "models=[tiny]", f"tasks={tasks}", arms, "seeds=[1]", *overrides]
    whole = ["limits.max_train_examples=null", "limits.max_validation_examples=null"]
    return make_plan(load_experiment("demo", [*whole, *settings]))


def facts_of(plan: Plan) -> DataFacts:
    assert plan.facts is not None
    return plan.facts


LONG = " ".join(["good"] * 70)
FINDINGS = {
    "duplicates": ([*TRAIN, ("good 1", "yes")], DEV, "1 text stands more than once in train (1"),
    "contradictions": (
        [*TRAIN, ("good 1", "no"), ("bad 1", "yes")],
        DEV,
        "2 texts stand in train with different labels",
    ),
    "shared_texts": (
        TRAIN,
        [*DEV, ("good 1", "yes"), ("good 2", "no")],
        "2 of 204 validation examples also stand in train, 1 of them only with another label",
    ),
    "truncation": (
        [*TRAIN, (LONG, "yes")],
        DEV,
        "1 of 13 train examples are longer than the 64 tokens that tiny reads, and are cut; the "
        "key is define.models.tiny.max_length",
    ),
    "rare_classes": (
        [*TRAIN, ("so so", "maybe")],
        [*DEV, ("hm", "maybe")],
        "one example of 'maybe",
    ),
    "missing_classes": (
        [*TRAIN, ("so", "maybe"), ("hm", "maybe")],
        DEV,
        "validation has no example of 'maybe'",
    ),
    "similar_names": (
        [*TRAIN, ("so", "Yes."), ("hm", "Yes.")],
        [*DEV, ("hmm", "Yes.")],
        "classes 'Yes.' and 'yes' differ in case, spaces or punctuation alone",
    ),
    "small_validation": (TRAIN, DEV[50:152], "one of its 102 validation examples is 0.98 points"),
}


@pytest.mark.parametrize("check", FINDINGS)
def test_a_finding_is_a_warning_an_error_or_nothing(
    check: str, tmp_path: Path, tiny_bert: Path
) -> None:
    train, dev, text = FINDINGS[check]
    mine = task(tmp_path, "t", train, dev)
    found = {f.check: f for f in facts_of(planned(tiny_bert, mine)).findings}
    expected = {check, "duplicates"} if check == "contradictions" else {check}
    assert found.keys() == expected
    assert found[check].text.startswith("t: ")
    assert text in found[check].line
    assert found[check].line.endswith(f"(checks.{check})")
    off = facts_of(planned(tiny_bert, mine, f"checks.{check}=off"))
    assert check not in {finding.check for finding in off.findings}
    with pytest.raises(DataError, match=rf"\(checks\.{check}=error\)") as caught:
        planned(tiny_bert, mine, f"checks.{check}=error")
    assert text in str(caught.value)


def test_clean_data_has_no_finding(tmp_path: Path, tiny_bert: Path) -> None:
    facts = facts_of(planned(tiny_bert, task(tmp_path, "t", TRAIN, DEV)))
    assert facts.findings == ()
    assert facts.cut["tiny"].tasks == {"t": {"train": 0, "validation": 0}}


def test_classes_without_examples(tmp_path: Path, tiny_bert: Path) -> None:
    labels = "labels: ['yes', 'no', 'never', 'ever'],"
    mine = task(
        tmp_path, "t", TRAIN, [*DEV[:101], *[(f"b {i}", "yes") for i in range(101)]], labels
    )
    texts = [finding.text for finding in facts_of(planned(tiny_bert, mine)).findings]
    assert texts == [
        "t: train has no example of 'never', 'ever'",
        "t: all 202 validation examples are 'yes'",
    ]


@pytest.mark.parametrize("setting", ["checks.shared_texts=drop", "limits.max_train_examples=2"])
def test_classes_without_an_example_that_is_left(
    setting: str, tmp_path: Path, tiny_bert: Path
) -> None:
    few = [("so so", "few"), ("hm", "few")]
    mine = task(tmp_path, "t", [*TRAIN, *few], [*DEV, *few])
    plan = planned(tiny_bert, mine, setting)
    sizes = plan.tasks["t"].splits["train"].class_sizes
    assert sizes[0] == 0
    left = [f.text for f in facts_of(plan).findings if f.check == "rare_classes"]
    assert left == ["t: no train example of 'few' is left by the limits or checks that drop"]


def test_facts_are_those_of_whole_splits(tmp_path: Path, tiny_bert: Path) -> None:
    mine = task(tmp_path, "t", [*TRAIN, ("good 1", "yes")], DEV)
    plan = planned(tiny_bert, mine, "limits.max_train_examples=4", "training.keep=best")
    assert len(plan.tasks["t"].splits["train"]) < 4
    profile = facts_of(plan).tasks["t"]
    assert (profile.sizes["train"], profile.copies) == (13, 1)


def two_tasks(folder: Path) -> tuple[str, str]:
    """Two tasks; each one's validation has two texts of the other's train, t's one of its own."""
    own = task(
        folder, "t", TRAIN, [*DEV, ("good 0", "yes"), ("u good 1", "yes"), ("u bad 1", "no")]
    )
    train = [(f"u {text}", label) for text, label in TRAIN]
    dev = [(f"u {text}", label) for text, label in DEV]
    return own, task(folder, "u", train, [*dev, ("good 3", "yes"), ("bad 3", "no")])


def test_texts_of_another_tasks_train_are_counted(tmp_path: Path, tiny_bert: Path) -> None:
    facts = facts_of(planned(tiny_bert, *two_tasks(tmp_path), tasks="[t,u]"))
    assert facts.across == {"t": {"u": {"validation": 2}}, "u": {"t": {"validation": 2}}}
    across = [f.text for f in facts.findings if f.check == "shared_across_tasks"]
    assert across[0] == (
        "t: 2 of 205 validation examples stand in the train split of u, which multi-task arms read "
        "and single_task does not"
    )
    assert len(across) == 2


@pytest.mark.parametrize(
    ("dropped", "left"),
    [
        ({"shared_texts"}, {"t": 11, "u": 12}),
        ({"shared_across_tasks"}, {"t": 10, "u": 10}),
        ({"shared_texts", "shared_across_tasks"}, {"t": 9, "u": 10}),
    ],
)
def test_drop_leaves_texts_out_of_train_in_every_arm_alike(
    dropped: set[str], left: dict[str, int], tmp_path: Path, tiny_bert: Path
) -> None:
    settings = [f"checks.{check}=drop" for check in dropped]
    before = planned(tiny_bert, *two_tasks(tmp_path), tasks="[t,u]")
    plan = planned(tiny_bert, *two_tasks(tmp_path), *settings, tasks="[t,u]")
    assert not dropped & {finding.check for finding in facts_of(plan).findings}
    assert facts_of(plan).dropped == {name: 12 - number for name, number in left.items()}
    for trial in plan.trials:
        # What the trial reads itself is what was planned.
        data = load_data(trial.config, None)
        assert {name: len(data[name].splits["train"]) for name in data} == {
            name: left[name] for name in data
        }
    changed = {trial.key for trial in plan.trials} - {trial.key for trial in before.trials}
    assert len(changed) == (2 if dropped == {"shared_texts"} else 3)


def test_names_that_differ_in_nothing_that_is_read() -> None:
    names = ["a b", "A-B", "ab", "1", "-1", "1.0", "c++", "Straße", "STRASSE", "!", "?"]
    assert similar_names(names) == [["a b", "A-B", "ab"], ["Straße", "STRASSE"]]


def pooled(folder: Path, encoder: Path, second: tuple[str, str], *settings: str) -> Plan:
    """The plan of naive_concat over a task of yes and no, and one with these labels for them."""
    names = {"yes": second[0], "no": second[1]}
    tasks = [
        task(folder, "t", TRAIN, DEV, "labels: ['yes', 'no'],"),
        task(
            folder,
            "u",
            [(text, names[label]) for text, label in TRAIN],
            [(f"u {text}", names[label]) for text, label in DEV],
            f"labels: ['{second[0]}', '{second[1]}'],",
        ),
    ]
    return planned(encoder, *tasks, "arms=[naive_concat]", *settings, tasks="[t,u]")


@pytest.mark.parametrize(
    ("second", "by", "classes"),
    [
        (("yes", "no"), "name", [("yes", "yes"), ("no", "no")]),
        (("no", "yes"), "name", [("yes", "yes"), ("no", "no")]),
        (("pro", "con"), "position", [("yes", "pro"), ("no", "con")]),
    ],
)
def test_a_plan_says_which_classes_are_pooled(
    second: tuple[str, str], by: str, classes: list, tmp_path: Path, tiny_bert: Path
) -> None:
    plan = pooled(tmp_path, tiny_bert, second)
    found = facts_of(plan).pooled["naive_concat"]
    assert found.by == by
    assert [(labels["t"], labels["u"]) for labels in found.classes] == classes
    # Where the order is that of the numbers, trials are those that they ever were.
    [trial] = plan.trials
    assert trial.config.pooled_by == ("name" if second == ("no", "yes") else None)


def test_partly_equal_names_are_pooled_by_position_only_if_asked(
    tmp_path: Path, tiny_bert: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        pooled(tmp_path, tiny_bert, ("no", "never"))
    for part in (
        "define.arms.naive_concat.label_space=shared needs tasks whose label names are all the "
        "same or all different",
        "t and u share 'no'",
        "naive_concat_union",
        "label_space=positions",
    ):
        assert part in str(caught.value)
    asked = "define.arms.naive_concat.label_space=positions"
    plan = pooled(tmp_path, tiny_bert, ("no", "never"), asked)
    assert facts_of(plan).pooled["naive_concat"].by == "position"
