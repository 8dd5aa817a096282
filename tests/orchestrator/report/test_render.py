"""What a reader sees: every format, hostile names, narrow terminals, identical bytes."""

import csv
import io
import json
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.commands.csv_log import log_row
from orchestrator.report.markup import HEADER, latex, markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import print_table, table_csv, table_json, write_tables
from orchestrator.report.results import write_results
from orchestrator.report.table import Table, comparison
from orchestrator.text import clock, count, duration, number, plain, signed
from tests.helpers.pages import HOSTILE, Tags
from tests.helpers.records import TASKS, Trial, by_key, record, right, trial
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir


def grid(
    arms=("single_task", "naive_concat_union", "shared_encoder"),
    models=("minilm-l6", "minilm-l3"),
    seeds=(41, 42),
    tasks=tuple(TASKS),
) -> tuple[list[Trial], dict[str, TrialRecord]]:
    """A grid whose scores differ by arm, model and seed."""
    plan, records = [], []
    for m, model in enumerate(models):
        for a, arm in enumerate(arms):
            for seed in seeds:
                for names in [[t] for t in tasks] if arm == "single_task" else [list(tasks)]:
                    planned = trial(arm, names, model, seed)
                    confusion = right(700 + 37 * a - 61 * m + seed % 7, 1000)
                    leak = 0.01 if arm == "naive_concat_union" else None
                    results = {t: {"confusion": confusion, "leak": leak} for t in names}
                    plan.append(planned)
                    records.append(
                        record(
                            planned,
                            dict.fromkeys(names, confusion),
                            results={"validation": results},
                            parameters=22_713_216,
                            train_seconds=754.0,
                        )
                    )
    return plan, by_key(*records)


def hostile() -> Table:
    """One arm, model, task, label, origin and error, all of them called something nasty."""
    plan = [
        trial(
            HOSTILE,
            [HOSTILE],
            HOSTILE,
            seed,
            arm={"strategy": "shared_encoder", "label": HOSTILE},
        )
        for seed in (41, 42)
    ]
    good = record(
        plan[0],
        {HOSTILE: [[0, 5], [0, 9]]},
        origins={HOSTILE: HOSTILE},
        labels={HOSTILE: ["no", HOSTILE]},
        history=epochs(HOSTILE),
    )
    bad = record(plan[1], status="failed", error=f"{HOSTILE}\n\x1b[31mred\x07")
    return comparison(plan, by_key(good, bad))


def epochs(task: str) -> list[dict]:
    """The history of a trial of two epochs."""
    epoch = {
        "step": 1,
        "examples": 1,
        "seconds": 1.0,
        "learning_rate": 1e-5,
        "train_loss": 0.5,
        "splits": {"validation": {task: {"confusion": right(7, 10)}}},
    }
    return [{"epoch": 1} | epoch, {"epoch": 2} | epoch]


def printed(table: Table, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=True)
    print_table(console, table)
    return console.export_text()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.92737, "percent", "92.74"),
        (1.0, "percent", "100.00"),
        (-0.0000001, "percent", "0.00"),
        (0.5651, "fraction", "0.565"),
        (-0.0649, "fraction", "-0.065"),
        (61.0, "seconds", "1.0 min"),
    ],
)
def test_numbers(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "+1.23"), (-0.01234, "-1.23"), (-0.00001, "0.00")]
)
def test_differences_have_a_sign_and_zero_has_none(value: float, text: str) -> None:
    assert signed(value, "percent") == text


def test_times_and_counts() -> None:
    assert [duration(s) for s in (1.26, 90, 7200)] == ["1.3 s", "1.5 min", "2.0 h"]
    assert [clock(s) for s in (59.6, 3723, None)] == ["0:01:00", "1:02:03", "?"]
    assert [count(n) for n in (12, 340_000, 22_713_216)] == ["12", "340.0 k", "22.7 M"]


def test_plain_leaves_one_printable_line() -> None:
    assert plain("a\n\x1b[31mb\tc\x07 ü") == "a [31mb c ü"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_nothing_is_cut_on_any_terminal(width: int) -> None:
    table = comparison(*grid())
    text = printed(table, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for row in table.rows:
        assert row.label in text
        for column in table.columns:
            stat = row.cells[column.key].stat
            if column.compact and stat is not None:
                assert number(stat.mean, column.unit) in text


@pytest.mark.parametrize("width", [100, 120])
def test_three_tasks_fit_one_table_at_100_columns(width: int) -> None:
    lines = printed(comparison(*grid()), width).splitlines()
    head = next(line for line in lines if "macro  " in line and "pooled  " in line)
    for word in ("cola", "sst2", "mrpc", "leak", "seeds", "models"):
        assert word in head


def test_many_long_tasks_are_spread_over_several_tables_each_with_the_names() -> None:
    tasks = [f"a_task_with_a_long_name_{i}" for i in range(6)]
    table = comparison(*grid(arms=("shared_encoder",), models=("tiny",), tasks=tasks))
    text = printed(table, 80)
    assert all(task in text for task in tasks)
    assert sum(line.startswith("shared_encoder ") for line in text.splitlines()) > 1


def test_one_seed_shows_no_spread_and_one_task_fits() -> None:
    table = comparison(*grid(seeds=(41,), tasks=("mrpc",)))
    assert "±" not in printed(table, 100).replace("mean ± sample", "")


def test_the_terminal_gets_no_control_characters_from_names() -> None:
    text = printed(hostile(), 100)
    assert not {"\x1b", "\x07"} & set(text)


@pytest.mark.parametrize("make", [hostile, lambda: comparison(*grid())])
def test_html_is_whole_self_contained_and_escaped(make) -> None:
    page = report_html(make())
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert page.count("<script") == 1, "the filter of the examples, which the policy names"
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in page
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page


def test_html_shows_names_as_they_are() -> None:
    parser = Tags()
    page = report_html(hostile())
    parser.feed(page)
    assert HOSTILE in parser.text
    label = page.split('aria-label="')[1].split('"')[0]
    assert HOSTILE in unescape(label), "the charts have their names too"


def test_html_draws_a_chart_where_there_is_a_history() -> None:
    planned = trial("shared_encoder", ["sst2"])
    with_history = comparison([planned], by_key(record(planned, history=epochs("sst2"))))
    assert report_html(with_history).count("<svg ") == 1
    assert "<svg " not in report_html(comparison([planned], by_key(record(planned))))


def test_markdown_keeps_its_columns_whatever_the_names() -> None:
    text = markdown(hostile())
    assert "<script" not in text
    assert r"a\|b" in text
    for block in text.split("### ")[1:]:
        table = [line for line in block.splitlines() if line.startswith("|")]
        bars = {line.replace(r"\|", "").count("|") for line in table}
        assert len(bars) == (0 if block.startswith(("Arms", HEADER)) else 1)


def test_markdown_leaves_the_names_of_arms_readable() -> None:
    assert "| shared_encoder | minilm-l6 |" in markdown(comparison(*grid()))


def test_the_detailed_table_says_how_many_seeds_where_some_are_missing() -> None:
    plan, records = grid(arms=("shared_encoder",), models=("tiny",))
    assert "(1)" not in markdown(comparison(plan, records))
    records.pop(plan[0].key)
    assert "70.00 (1) |" in markdown(comparison(plan, records)).split("### All metrics")[1]


def test_latex_escapes_every_command() -> None:
    text = latex(hostile())
    name = (
        r"\textless{}script\textgreater{}a\textbar{}b 50\%\_x\&y\textless{}/script\textgreater{} "
        r"\{\$\textasciicircum{}\textasciitilde{}\textbackslash{}\#\} *[m](x)*"
    )
    assert name in text
    assert HOSTILE not in text


def test_latex_rows_have_one_field_per_column() -> None:
    body = latex(comparison(*grid())).split(r"\end{tabular}")[0]
    spec = body.split(r"\begin{tabular}{")[1].split("}")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") + 1 for line in rows} == {len(spec)}


@pytest.mark.parametrize("form", ["markdown", "html", "latex", "csv", "json", "terminal"])
def test_every_format_says_what_an_arm_is_whatever_its_name(form: str) -> None:
    sections = {"sampling": {"batch": "joint"}, "aggregation": {"name": "pcgrad"}}
    planned = trial("foo", ["sst2"], arm={"strategy": "shared_encoder"} | sections)
    table = comparison([planned], by_key(record(planned)))
    shown = {
        "markdown": markdown,
        "html": report_html,
        "latex": latex,
        "csv": table_csv,
        "json": table_json,
        "terminal": lambda table: printed(table, 100),
    }[form](table)
    assert "sampling interleave (batch joint); aggregation pcgrad" in shown


def test_csv_holds_unrounded_mean_std_and_n() -> None:
    table = comparison(*grid())
    lines = list(csv.DictReader(io.StringIO(table_csv(table))))
    assert [line["label"] for line in lines] == [row.label for row in table.rows]
    stat = table.rows[1].cells["macro"].stat
    assert stat is not None
    assert stat.std is not None
    assert float(lines[1]["macro.mean"]) == stat.mean
    assert float(lines[1]["macro.std"]) == stat.std
    assert lines[1]["macro.n"] == "2"
    assert lines[0]["macro.n"] == "", "the baseline has no seeds"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_csv_has_no_field_that_a_spreadsheet_computes(start: str, tmp_path: Path) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    arm = {"strategy": "shared_encoder", "label": name}
    planned = [trial(name, [name], name, seed, arm=arm) for seed in (41, 42)]
    failed = record(planned[1], status="failed", error=name)
    records = by_key(record(planned[0]), failed)
    write_results(RunDir(tmp_path), records)
    texts = [
        table_csv(comparison(planned, records)),
        (tmp_path / "results.csv").read_text(),
        ",".join(log_row(records[planned[0].key]).values()),
    ]
    for text in texts:
        fields = [field for row in csv.reader(io.StringIO(text)) for field in row]
        assert any(field.startswith(f"'{start.strip()}") for field in fields)
        assert not [f for f in fields if f.startswith(("=", "+", "-", "@")) and not is_number(f)]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_csv_lines_carry_their_notes() -> None:
    line = list(csv.DictReader(io.StringIO(table_csv(hostile()))))[1]
    assert "failed" in line["notes"]
    assert "degenerate" in line["notes"]


def test_json_holds_everything_and_its_version() -> None:
    table = comparison(*grid())
    content = json.loads(table_json(table))
    assert content["schema_version"] == 2
    # Nothing is known of the data and no predictions: see test_data.py and test_comparisons.py.
    absent = {"data", "comparisons", "answers", "passages", "look", "cosines", "costs"}
    assert set(content) == set(vars(table)) - absent | {"verdict"}
    assert content["verdict"] == list(table.verdict)
    assert content["rows"][1]["cells"]["macro"]["stat"]["by_seed"].keys() == {"41", "42"}


def test_the_same_records_give_the_same_bytes(tmp_path) -> None:
    plan, records = grid()
    first, second = RunDir(tmp_path / "first"), RunDir(tmp_path / "second")
    write_tables(first, comparison(plan, records))
    write_tables(second, comparison(plan, dict(reversed(records.items()))))
    endings = ("md", "csv", "json", "tex")
    assert [first.table(e).read_bytes() for e in endings] == [
        second.table(e).read_bytes() for e in endings
    ]
    assert sorted(path.name for path in first.root.iterdir()) == sorted(
        f"table.{e}" for e in endings
    )


def test_an_unstarted_grid_can_be_rendered_in_every_format(tmp_path) -> None:
    table = comparison([trial(), trial("single_task", ["cola"])], {})
    write_tables(RunDir(tmp_path), table)
    assert "–" in printed(table, 80)
