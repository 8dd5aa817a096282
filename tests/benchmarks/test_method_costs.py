"""Every method that can be configured is measured, each against its plain counterpart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.method_costs import Cost, main, measure, table, total_steps
from benchmarks.subject import Subject
from benchmarks.variants import Group, Variant, groups, names
from trainables.config.methods import HeadConfig, variants


@pytest.fixture(autouse=True)
def _no_glue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)


def settings(encoder: Path, cache: Path) -> list[str]:
    return [
        f"define.models.tiny={{encoder: {encoder}, max_length: 32}}",
        "model=tiny",
        "limits.max_train_examples=60",
        f"data.cache_dir={cache}",
        "threads=1",
    ]


def test_every_method_is_measured() -> None:
    measured = {variant.name for group in groups().values() for variant in group.variants}
    for key, kinds in (
        ("weighting", set(variants("weighting"))),
        ("aggregation", set(variants("aggregation"))),
        ("sampling", set(variants("sampling"))),
        ("head", set(names(HeadConfig)) - {"san"}),
    ):
        assert {f"{key}.name={kind}" for kind in kinds} <= measured
    assert "task_heads.TASK.name=san for pairs" in measured


@pytest.mark.parametrize("name", groups())
def test_every_variant_trains(name: str, tiny_bert: Path, tmp_path: Path) -> None:
    group = dataclasses.replace(groups()[name], longer=1)
    with Subject(total_steps(group, 2, 1), settings(tiny_bert, tmp_path)) as subject:
        costs = measure(group, subject, rounds=2, steps=1)
    assert [cost.name for cost in costs] == [variant.name for variant in group.variants]
    assert all((cost.seconds > 0).all() for cost in costs)
    assert (costs[0].ratios == 1).all()


def test_the_table_has_medians_and_the_middle_half() -> None:
    ratios = np.array([1.0, 2.0, 3.0, 4.0, 50.0])
    text = table("Methods", [Cost("slow", ratios / 100, ratios)])
    assert text.splitlines()[-1] == "| `slow` | 30 | 3.00 | 2.00–4.00 |"


def test_the_command_prints_a_table(
    tiny_bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = groups()["head"].variants[0]
    monkeypatch.setattr(
        "benchmarks.method_costs.groups", lambda: {"head": Group("Heads", (plain, _mean(plain)))}
    )
    main(["--rounds", "1", "--steps", "1", *settings(tiny_bert, tmp_path)])
    printed = capsys.readouterr().out.splitlines()
    assert "generated corpora" in printed[0]
    assert [line.split("|")[1].strip() for line in printed[-3:-1]] == [
        "`head.name=pooler`",
        "`head.name=mean`",
    ]


def _mean(plain: Variant) -> Variant:
    return Variant("head.name=mean", {**plain.arm, "head": {"name": "mean"}})
