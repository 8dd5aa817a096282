"""The answer for each kind of outcome: its words, its next step, and its structure in JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.report.answers.answer import Answer, Recommendation
from orchestrator.report.markup import markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import table_json
from orchestrator.report.table import Table
from tests.helpers.predicted_grids import EXAMPLES, Grid, alike, grid, predicted

SENTENCES = Path(__file__).with_name("answers.txt")
NAMES = ("recommendation", "worst task", "decides", "margin", "next step")
"""The lines of an answer that ``SENTENCES`` has of every case."""


def collapsed() -> Grid:
    made = grid(seeds=4, shared_encoder=0.9)
    rng = np.random.default_rng(9)
    made.add("shared_encoder", 45, {"sst2": np.ones(EXAMPLES, int), "mrpc": predicted(rng, 0.9)})
    made.add("single_task", 45, {task: predicted(rng, 0.8) for task in ("sst2", "mrpc")})
    return made


def equal_seeds() -> Grid:
    rng = np.random.default_rng(5)
    made = grid(seeds=3)
    same = {task: predicted(rng, 0.9) for task in ("sst2", "mrpc")}
    for seed in (41, 42, 43):
        made.add("shared_encoder", seed, same)
    return made


def tuned() -> Grid:
    made = grid(seeds=3, shared_encoder=0.7)
    rng = np.random.default_rng(4)
    for seed in (41, 42, 43):
        for arm, mean in (("shared_encoder", 0.95), ("single_task", 0.8)):
            own = {task: predicted(rng, mean) for task in ("sst2", "mrpc")}
            made.add(arm, seed, own, tuned=True)
    return made


def two_models() -> Grid:
    made = grid(shared_encoder=0.9)
    rng = np.random.default_rng(6)
    for arm, mean in (("single_task", 0.8), ("shared_encoder", 0.7)):
        for seed in range(41, 46):
            own = {task: predicted(rng, mean) for task in ("sst2", "mrpc")}
            made.add(arm, seed, own, model="other")
    return made


CASES: dict[str, Callable[[], Table]] = {
    "better": lambda: grid(shared_encoder=0.9).table(),
    "better, but by less than the margin": lambda: grid(shared_encoder=0.9).table(
        margins={"macro": 0.2}
    ),
    "better, but worse on a task": lambda: grid(
        shared_encoder={"sst2": 0.97, "mrpc": 0.72}
    ).table(),
    "equivalent": lambda: grid(seeds=10, shared_encoder=0.8).table(),
    "worse": lambda: grid(shared_encoder=0.6).table(),
    "worse, but by less than the margin": lambda: grid(shared_encoder=0.75).table(
        margins={"macro": 0.2, "sst2": 0.2, "mrpc": 0.2}
    ),
    "the best of two is worse": lambda: grid(shared_encoder=0.7, naive_concat=0.6).table(),
    "undecided: more seeds": lambda: grid(shared_encoder=0.82).table(),
    "undecided: more examples": lambda: alike(
        5, 0.7, 0.01, {"limits": {"max_validation_examples": EXAMPLES}}
    ).table(margins={"sst2": 0.03}),
    "undecided: a wider margin": lambda: alike(5, 0.8, 0.01).table(margins={"sst2": 0.005}),
    "undecided: thirty seeds perhaps": lambda: alike(4, 0.8, 0.05).table(margins={"sst2": 0.025}),
    "equivalent, but not as the best of two": lambda: grid(
        seeds=8, shared_encoder=0.8, naive_concat=0.79
    ).table(margins={"macro": 0.015}),
    "one seed": lambda: grid(seeds=1, shared_encoder=0.9).table(),
    "two seeds": lambda: grid(seeds=2, shared_encoder=0.95).table(),
    "equal seeds": lambda: equal_seeds().table(),
    "unstable": lambda: collapsed().table(),
    "tuned rows": lambda: tuned().table(),
    "two models": lambda: two_models().table(),
    "one task": lambda: grid(tasks=("sst2",), shared_encoder=0.9).table(),
}


def shown(table: Table) -> str:
    """The sentences of a table's answers."""
    lines = []
    for passage in table.passages:
        lines.append(passage.sentence)
        lines += [f"  {x.name}: {x.plain}" for x in passage.lines if x.name in NAMES]
    return "\n".join(lines)


def recorded() -> dict[str, str]:
    """Case -> the sentences that ``SENTENCES`` has of it."""
    parts = SENTENCES.read_text().strip().split("\n\n")
    return {title.strip("# "): text for title, _, text in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("case", CASES)
def test_the_sentences(case: str) -> None:
    assert shown(CASES[case]()) == recorded()[case]


def test_every_recommendation_has_a_case() -> None:
    found = {a.recommendation for make in CASES.values() for a in make().answers}
    assert found == set(Recommendation)
    assert recorded().keys() == CASES.keys()


def only(table: Table) -> Answer:
    """The one answer of a table."""
    [made] = table.answers
    return made


def line(made: Answer, name: str) -> str:
    """The text of the one line of this name."""
    [text] = [line.plain for line in made.passage.lines if line.name == name]
    return text


def test_the_arm_is_the_one_that_may_be_trusted_with_most() -> None:
    """An arm that is surely no worse goes before one whose higher mean is noise."""
    made = grid(seeds=5, shared_encoder=0.8)
    for seed, mean in zip(range(41, 46), (0.6, 0.95, 0.98, 0.7, 0.97), strict=True):
        rng = np.random.default_rng(seed)
        own = {task: predicted(rng, mean) for task in ("sst2", "mrpc")}
        made.add("naive_concat", seed, own)
    table = made.table(margins={"macro": 0.03})
    change = {c.label: c.difference for c in table.comparisons if c.reference == "single_task"}
    assert change["naive_concat"] > change["shared_encoder"]
    assert (only(table).arm, only(table).recommendation) == ("shared_encoder", "replace")


def test_the_best_of_several_has_a_wider_interval_and_says_so() -> None:
    alone = only(grid(shared_encoder=0.9).table())
    chosen = only(grid(shared_encoder=0.9, naive_concat=0.7).table())
    assert (alone.best_of, chosen.best_of) == (1, 2)
    assert chosen.change == alone.change
    assert chosen.interval[0] < alone.interval[0]
    assert "chosen as best of 2 arms; interval widened for that" in line(chosen, "evidence")
    assert "chosen" not in line(alone, "evidence")


def test_an_interval_that_is_not_corrected_says_so() -> None:
    table = grid(shared_encoder=0.822, naive_concat=0.8, naive_concat_union=0.8).table()
    lost = [c.sentence for c in table.comparisons if "not after correction" in c.sentence]
    assert lost
    for sentence in lost:
        assert "is undecided: " in sentence or "is equivalent to " in sentence
        assert "0, not after correction for " in sentence


def test_below_five_seeds_the_stricter_rule_decides_and_says_so() -> None:
    [text] = [c.sentence for c in alike(3, 0.98, 0.02).table().comparisons]
    assert "interval above 0, but not by the stricter rule for fewer than 5 seeds" in text


def test_the_evidence_names_seeds_examples_and_what_the_interval_is_for() -> None:
    made = only(grid(shared_encoder=0.9).table())
    assert line(made, "evidence") == (
        "shared_encoder is better than single_task on the macro average: +9.75 [+7.94, +11.56] "
        "(95 %, 5 seeds, 800 examples of 2 tasks). The interval holds for new seeds and new "
        "examples of the same kind."
    )
    assert line(made, "stability") == (
        "no run predicts a single class; 5 seeds only show that fewer than 45 % of an arm's runs "
        "do."
    )


def test_delta_m_stands_beside_points() -> None:
    table = grid(shared_encoder=0.9).table()
    made = only(table)
    stats = [
        [row.cells[f"{task}.accuracy"].stat for task in ("sst2", "mrpc")]
        for row in table.rows
        if not row.baseline
    ]
    ratios = [
        a.mean / b.mean - 1 for b, a in zip(*stats, strict=True) if a is not None and b is not None
    ]
    value, interval = made.delta_m.value, made.delta_m.interval
    assert value == pytest.approx(sum(ratios) / 2)
    assert value is not None
    assert interval is not None
    assert interval[0] < value < interval[1]
    assert line(made, "delta-m").startswith(f"+{100 * value:.2f} % [")
    assert {c.delta_m for c in table.comparisons} == {made.delta_m, None}


def test_delta_m_is_undefined_where_the_reference_scores_nothing() -> None:
    made = grid(tasks=("cola",), single_task=0.4, shared_encoder=0.9).table()
    assert only(made).delta_m.value is None
    assert line(only(made), "delta-m") == "undefined, since single_task scores 0 or less on a task."


def test_rates_of_collapse_that_differ_are_tested() -> None:
    made = grid(seeds=1)
    ones = {task: np.ones(EXAMPLES, int) for task in ("sst2", "mrpc")}
    rng = np.random.default_rng(3)
    made.add("shared_encoder", 41, {task: predicted(rng, 0.9) for task in ("sst2", "mrpc")})
    for seed in range(42, 52):
        made.add("single_task", seed, {task: predicted(rng, 0.8) for task in ("sst2", "mrpc")})
        made.add("shared_encoder", seed, ones)
    [text] = [c.sentence for c in made.table().comparisons if c.scope == "sst2"]
    assert "the rates differ (Fisher's exact test, p = 3.4e-05)" in text


def test_equal_rates_of_collapse_are_not_tested() -> None:
    made = grid(seeds=3, shared_encoder=0.8)
    for arm in ("single_task", "shared_encoder"):
        made.add(arm, 44, {task: np.ones(EXAMPLES, int) for task in ("sst2", "mrpc")})
    texts = [c.sentence for c in made.table().comparisons]
    assert all("unstable" in text and "Fisher" not in text for text in texts)


def test_the_answer_stands_above_the_table_in_every_format() -> None:
    table = grid(shared_encoder=0.82).table()
    sentence = only(table).passage.sentence
    text = markdown(table)
    assert text.startswith("**tiny: one model loses less than 2 points")
    assert text.index("next step") < text.index("### Comparison")
    # As it is pasted, brackets are not escaped.
    assert "`seeds=[41,42,43,44,45,46,47,48,49,50,51]`" in text
    page = report_html(table)
    assert page.index(sentence) < page.index("<h2>Comparison</h2>")
    assert "<code>seeds=[41,42,43,44,45,46,47,48,49,50,51]</code>" in page


def test_json_has_the_answer_in_parts() -> None:
    table = grid(shared_encoder=0.82).table()
    [content] = json.loads(table_json(table))["answers"]
    made = only(table)
    assert content["word"] == "undecided"
    assert content["recommendation"] == "no_worse"
    assert content["change"] == made.change
    assert content["interval"] == list(made.interval)
    assert content["worst"]["task"] == "mrpc"
    assert content["deciding"]["task"] == "sst2"
    assert content["next_step"] == ["seeds=[41,42,43,44,45,46,47,48,49,50,51]"]
    assert content["chance"] >= 0.8
    assert (content["models"], content["models_replaced"]) == (1, 2)
    assert (content["parameters"], content["parameters_replaced"]) == (1000, 2000)
    assert "answers" not in json.loads(table_json(grid().table(predictions=None)))


def test_the_next_step_evaluates_more_only_where_a_limit_keeps_examples_back() -> None:
    for limit, expected in ((None, False), (EXAMPLES, True), (EXAMPLES + 1, False)):
        limits: dict[str, Any] = {"limits": {"max_validation_examples": limit}}
        step = only(alike(5, 0.7, 0.01, limits).table(margins={"sst2": 0.03})).next_step
        assert any("max_validation_examples" in override for override in step) == expected
