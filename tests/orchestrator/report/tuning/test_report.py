"""The report of a search: known values, every format, hostile names, identical bytes."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.report.rows import TableRow, table_rows
from orchestrator.report.tuning.gain import Change, changes
from orchestrator.report.tuning.notes import notes
from orchestrator.report.tuning.page import tuning_html
from orchestrator.report.tuning.report import (
    print_tuning,
    tuning_csv,
    tuning_json,
    tuning_markdown,
    write_tuning,
)
from orchestrator.report.tuning.scales import scale_of
from orchestrator.report.tuning.views import (
    arms_view,
    changes_view,
    chosen_view,
    groups_view,
    setting_text,
    short_names,
)
from orchestrator.report.views import View
from orchestrator.search.summary import GroupSummary, SearchSummary
from tests.helpers.pages import HOSTILE, Tags
from tests.helpers.records import Trial, by_key, record, right, trial
from tests.helpers.searches import group, realistic, search, tried
from trainables.storage.run_dir import RunDir

approx = pytest.approx
ENDINGS = ("md", "csv", "json", "html")


def hostile() -> SearchSummary:
    """A search with everything in it called something nasty."""
    nasty = {f"define.{HOSTILE}": HOSTILE, "other": "\x1b[31m$a$ \ud800 日本", "none": None}
    trials = [
        tried(0, settings=nasty, reason=HOSTILE),
        tried(1, math.nan, "failed", 0, {f"define.{HOSTILE}": 1.0}, f"{HOSTILE}\n\x1b[31mred\x07"),
    ]
    importances = {f"define.{HOSTILE}": 1.0}
    searched = GroupSummary(
        HOSTILE, HOSTILE, "single_task", HOSTILE, HOSTILE, "f1", tuple(trials), 0, importances
    )
    return SearchSummary(HOSTILE, HOSTILE, HOSTILE, 1, (searched,))


def final(**correct: tuple[int, ...]) -> tuple[TableRow, ...]:
    """Rows by ``ARM`` or ``ARM__tuned``: right ones of 10 in each class, seed by seed."""
    plan, records = [], []
    for name, scores in correct.items():
        arm, _, tuned = name.partition("__")
        for seed, n in enumerate(scores, 41):
            plan.append(trial(arm, ["sst2"], seed=seed, tuned=bool(tuned)))
            records.append(record(plan[-1], {"sst2": right(n, 10)}))
    return table_rows(plan, by_key(*records), "validation")


FINAL = {
    "single_task": (6, 7),
    "shared_encoder": (7, 9),
    "single_task__tuned": (8, 9),
    "shared_encoder__tuned": (8, 7),
}
EDGES = {
    "nothing tried": search(group()),
    "no group": search(),
    "one trial": search(group([tried(0)], 0)),
    "none finished": search(group([tried(0, None, "failed", 0), tried(1, math.nan, "diverged")])),
    "all equal": search(group([tried(i, 0.5) for i in range(3)], 0)),
    "no parameters": search(group([tried(0, settings={})], 0, importances={})),
    "zeros": search(group([tried(0, 0.0, settings={"a": 0})], 0, importances={"a": 0.0})),
    "mixed": search(group([tried(i, settings={"a": v}) for i, v in enumerate((1, "x", True))])),
    "importance unknown": search(group([tried(0)], 0, importances={"a": math.nan})),
}


def texts(view: View) -> list[str]:
    return ["|".join(field.text for field in row) for row in view.rows]


def one_group() -> SearchSummary:
    """The group with a conditional parameter, a divergence and a failure."""
    return search(realistic(12).groups[-1])


def printed(summary: SearchSummary, width: int, gained: tuple[Change, ...] = ()) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=True)
    print_tuning(console, summary, gained)
    return console.export_text()


def test_groups_and_arms_show_what_was_spent_and_saved() -> None:
    bad = tried(2, math.nan, "diverged", 300)
    summary = search(
        group([tried(0, 0.5), tried(1, 0.4, "stopped", 1500), bad], 0, "single_task", "cola"),
        group([tried(0, 0.75)] * 3, 0, "single_task", "sst2", "accuracy"),
    )
    assert texts(groups_view(summary)) == [
        # trials finished stopped diverged, examples, % spent, % saved, time, best
        "single_task, cola|minilm-l6|3|1|1|1|7.8 k|43.3|25.0|2.6 min|50.00",
        "single_task, sst2|minilm-l6|3|3|0|0|18.0 k|100.0|0.0|6.0 min|75.00",
    ]
    arm, whole = texts(arms_view(summary))
    assert arm == "single_task|minilm-l6|2|6|4|1|1|25.8 k|71.7|12.5|8.6 min"
    assert whole == arm.replace("single_task|minilm-l6", "all|–")


def test_chosen_settings_have_a_dash_where_a_group_has_no_such_parameter() -> None:
    summary = search(
        group([tried(0, settings={"training.learning_rate": 3e-4})], 0),
        group([tried(4, 0.5, settings={"sampling.name": "power"})], 4, arm="other"),
        group([tried(0)], None, arm="third"),
    )
    assert texts(chosen_view(summary)) == [
        "shared_encoder|minilm-l6|0|50.00|0.0003|–",
        "other|minilm-l6|4|50.00|–|power",
        "third|minilm-l6|–|–|–|–",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3e-4, "0.0003"),
        (1.23456e-5, "1.235e-05"),
        (32, "32"),
        (True, "true"),
        (None, "none"),
        ("a\nb", "a b"),
        ({"patience": 1}, '{"patience": 1}'),
        ([1, 2], "[1, 2]"),
    ],
)
def test_settings_are_short(value, text: str) -> None:
    assert setting_text(value) == text


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names(["training.lr", "a.b", "c.b", "sampling.name", "b"]) == {
        "training.lr": "lr",
        "a.b": "a.b",
        "c.b": "c.b",
        "sampling.name": "sampling.name",
        "b": "b",
    }


def test_tuning_changes_the_answer_by_paired_differences() -> None:
    single, shared = changes(final(**FINAL))
    assert (single.label, single.default, single.tuned) == ("single_task", None, None)
    default, tuned, gain = shared.stats(None)
    assert default is not None
    assert tuned is not None
    assert gain is not None
    assert default.by_seed == {41: approx(0.1), 42: approx(0.2)}
    assert tuned.by_seed == {41: approx(0.0), 42: approx(-0.2)}
    assert gain.by_seed == {41: approx(0.1), 42: approx(-0.2)}
    view = changes_view((single, shared))
    assert [(f.text, f.spread) for f in view.rows[2][2:]] == [
        ("macro", ""),
        ("+15.00", "(+10.00 to +20.00)"),
        ("-10.00", "(-20.00 to 0.00)"),
        ("-5.00", "(-20.00 to +10.00)"),
        ("2", ""),
    ]
    assert [field.text for field in view.rows[0][3:]] == ["–", "–", "+20.00", "2"]


def test_tuned_is_never_set_beside_untuned_single_task() -> None:
    (change,) = changes(final(single_task=(6,), shared_encoder=(7,), shared_encoder__tuned=(8,)))
    default, tuned, gain = change.stats("sst2")
    assert tuned is None
    assert default is not None
    assert gain is not None
    assert (default.mean, gain.mean) == (approx(0.1), approx(0.1))


def test_a_gain_that_has_to_do_with_longer_training_is_said() -> None:
    def row(epochs: int, seed: int = 41, *, tuned: bool = False) -> Trial:
        return trial("single_task", ["sst2"], seed=seed, tuned=tuned, training={"epochs": epochs})

    def notes_on(*plan: Trial) -> tuple[str, ...]:
        [change] = changes(table_rows(plan, by_key(*map(record, plan)), "validation"))
        return notes(search(), [change])

    assert notes_on(row(3), row(3, tuned=True)) == ()
    assert notes_on(row(3, tuned=True)) == ()
    [note] = notes_on(row(1), row(1, 42), row(3, tuned=True), row(5, 42, tuned=True))
    assert note.startswith("single_task, tiny: passes over the data: 3 to 5 tuned, 1 at the preset")


def test_rows_of_settings_that_are_no_longer_chosen_are_compared_with_nothing() -> None:
    current = changes(final(**FINAL))
    single, shared = outdated = changes(final(**FINAL), {("single_task", "tiny")})
    assert (single.gain, shared.tuned) == (None, None)
    assert (shared.default, shared.gain) == (current[1].default, current[1].gain)
    assert (single.notes != (), shared.notes) == (True, ())
    shown = printed(search(), 400, outdated) + tuning_html(search(), outdated)
    shown += tuning_markdown(search(), outdated) + tuning_json(search(), outdated)
    # In JSON beside the row and among the notes.
    assert shown.count("compared with nothing") == 3 + 2


def test_seeds_that_differ_are_counted_column_by_column() -> None:
    rows = changes_view(changes(final(**FINAL | {"single_task__tuned": (8,)}))).rows
    assert rows[2][-1].text == "2 / 1 / 2"


def test_without_tuned_rows_there_is_no_answer_to_compare() -> None:
    summary = search(group([tried(0)], 0))
    untuned = final(single_task=(6,), shared_encoder=(7,))
    assert changes(untuned) == ()
    assert "How much" not in tuning_html(summary) + printed(summary, 100, changes(untuned))


@pytest.mark.parametrize(
    ("trials", "chosen", "words"),
    [
        ([], None, "no trial was started"),
        ([tried(0)], 0, "one trial only"),
        ([tried(0, 0.5), tried(1, 0.5)], 0, "all 2 scores are equal"),
        ([tried(0, 0.5), tried(1, 0.5), tried(2, 0.4)], 0, "as good to the last digit: 1"),
        ([tried(0, None, "failed", 0, reason="boom")], None, "trial 0 failed (boom)"),
        ([tried(0, None, "failed", 0)], None, "no settings were chosen: no trial has finished"),
        ([tried(i, None, "diverged", reason="NaN") for i in (0, 3)], None, "trials 0, 3 diverged"),
        ([tried(0, 0.5), tried(1, 0.6, "stopped")], 0, "has a higher last score"),
    ],
)
def test_notes_own_up(trials, chosen, words: str) -> None:
    summary = search(group(trials, chosen))
    assert any(words in line for line in notes(summary))
    page = tuning_html(summary) + tuning_markdown(summary) + printed(summary, 200)
    assert page.count(words) == 3


def test_unequal_budgets_are_said() -> None:
    fair = search(group([tried(0), tried(1, 0.4)], 0), group([tried(0), tried(1, 0.4)], 0))
    assert notes(fair) == ()
    unfair = search(fair.groups[0], group([tried(0), tried(1, 0.4), tried(2, 0.3)], 0))
    assert "same number of trials" in notes(unfair)[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1e-5, 1e-3], "log"),
        ([1, 20], "linear"),
        ([0.0, 1e-5, 1.0], "linear"),
        ([-1, 100], "linear"),
        ([16, "auto"], "names"),
        ([True, False], "names"),
        ([math.inf, 1.0], "names"),
        ([], "linear"),
    ],
)
def test_axes_are_logarithmic_where_values_span_more_than_a_factor_20(values, kind) -> None:
    scale = scale_of(values)
    assert scale.kind == kind
    assert all(0 <= scale.position(value) <= 1 for value in values)
    assert all(0 <= position <= 1 for position, _ in scale.ticks)


def test_places_on_an_axis() -> None:
    assert scale_of([1e-5, 1e-4, 1e-3]).position(1e-4) == approx(0.5)
    assert scale_of([3.0, 3.0]).position(3.0) == 0.5
    assert scale_of([16, 32, 64]).ticks == ((0.0, "16"), (approx(1 / 3), "32"), (1.0, "64"))
    assert scale_of([2e-5, 8e-4]).ticks[0] == (0.0, "2e-5")
    many = scale_of([f"name{i:02}" for i in range(40)])
    assert len(many.ticks) <= 6


@pytest.mark.parametrize("name", EDGES)
def test_every_format_of_any_search(name: str, tmp_path: Path) -> None:
    write_tuning(RunDir(tmp_path), EDGES[name], changes(final(**FINAL)))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"tuning.{ending}" for ending in ENDINGS
    )
    for width in (60, 120):
        assert printed(EDGES[name], width)


def test_the_same_search_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_tuning(RunDir(tmp_path / "one"), one_group(), changes(final(**FINAL)))
    code = (
        "from tests.orchestrator.report.tuning.test_report import *\n"
        "import matplotlib\n"
        "matplotlib.rcParams['font.size'] = 30\n"
        f"write_tuning(RunDir({str(tmp_path / 'two')!r}), one_group(), "
        "changes(final(**FINAL)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for ending in ENDINGS:
        first, second = (RunDir(tmp_path / name).tuning(ending) for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("make", [hostile, one_group])
def test_html_is_whole_self_contained_and_escaped(make) -> None:
    page = tuning_html(make(), changes(final(**FINAL)))
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert "script" not in parser.tags
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids)), "figures share no inner names"
    assert set(re.findall(r'href="([^"]*)"', page)) <= {f"#{name}" for name in ids}


def test_html_has_all_charts_and_all_trials() -> None:
    page = tuning_html(one_group())
    assert page.count("<svg ") == 4
    for summary in one_group().groups[0].tried:
        assert f"<td>{summary.key}</td>" in re.sub(r">\s+|\s+<", lambda m: m[0].strip(), page)
    assert "CUDA error: out of memory" in page


def test_html_shows_names_as_they_are_and_charts_never_read_formulas() -> None:
    parser = Tags()
    parser.feed(tuning_html(hostile()))
    assert HOSTILE in parser.text
    assert HOSTILE[:15] in parser.text.replace(HOSTILE, ""), "names are cut in charts"
    assert "[31m$a$ 日本" in parser.text
    assert not {"\x1b", "\x07"} & set(parser.text)


def test_markdown_keeps_its_columns_whatever_the_names() -> None:
    text = tuning_markdown(hostile(), changes(final(**FINAL)))
    assert "<script" not in text
    assert r"a\|b" in text
    for block in text.split("### ")[1:]:
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace(r"\|", "").count("|") for line in lines}) <= 1


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_is_cut_on_any_terminal(width: int) -> None:
    text = printed(realistic(12), width, changes(final(**FINAL)))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in ("single_task, cola", "diverged", "CUDA", "exponent", "+10.00 to +20.00"):
        assert word in text


def test_the_terminal_gets_no_control_characters_from_names() -> None:
    assert not {"\x1b", "\x07"} & set(printed(hostile(), 100))


def test_csv_has_a_row_per_trial_and_a_column_per_parameter() -> None:
    summary = realistic(12)
    lines = list(csv.DictReader(io.StringIO(tuning_csv(summary))))
    assert len(lines) == 4 * 12
    for line, searched in zip(lines, summary.groups[0].tried, strict=False):
        assert line["key"] == searched.key
        assert line["status"] == searched.status
        assert float(line["training.learning_rate"]) == searched.settings["training.learning_rate"]
        assert line["sampling.exponent"] == ""
    assert lines[5]["score"] == "", "NaN is no score"
    assert float(lines[0]["score"]) == summary.groups[0].tried[0].score


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_csv_has_no_field_that_a_spreadsheet_computes(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    searched = tried(0, settings={name: name}, reason=name)
    summary = search(GroupSummary(name, name, "s", name, None, "macro", (searched,), 0, {}))
    fields = [field for row in csv.reader(io.StringIO(tuning_csv(summary))) for field in row]
    assert sum(field.startswith(f"'{start.strip()}") for field in fields) == 4
    assert not [field for field in fields if field.startswith(("=", "+", "-", "@"))]


def test_json_holds_everything_and_no_nan() -> None:
    summary = realistic(12)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = tuning_json(summary, changes(final(**FINAL)))
    content = json.loads(text, parse_constant=refuse)
    assert content["schema_version"] == 1
    assert content["spent"]["share"] == summary.spent.share
    assert content["arms"].keys() == {"single_task", "naive_concat", "shared_encoder"}
    first = content["groups"][0]
    assert [entry["status"] for entry in first["tried"]][5] == "diverged"
    assert first["tried"][5]["score"] is None
    assert first["best_so_far"][-1][0] == summary.groups[0].spent.examples
    assert content["changes"][1]["tuned"]["macro"]["by_seed"].keys() == {"41", "42"}


def test_matplotlib_is_loaded_only_where_something_is_drawn() -> None:
    code = (
        "import sys, orchestrator.report.tuning, orchestrator.cli\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
