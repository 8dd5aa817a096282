"""The facts about the data in every format of the report, and in a plan's table."""

import json
from html import unescape

from orchestrator.planning.data_facts import CutTexts, DataFacts, Finding, PooledClasses
from orchestrator.report.data import data_grid, data_lines
from orchestrator.report.markup import latex, markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import table_json
from orchestrator.report.table import comparison
from tests.helpers.records import by_key, record, trial
from tests.orchestrator.report.test_render import printed
from trainables.data.profile import Overlap, TaskProfile

COLA = TaskProfile(
    labels=("unacceptable", "acceptable"),
    sizes={"train": 8551, "validation": 1043},
    classes={"train": (2528, 6023), "validation": (322, 721)},
    repeated=19,
    copies=19,
    contradictions=11,
    in_train={"validation": Overlap(examples=16, other_label=2)},
)
NAMES = tuple(f"queue {i}" for i in range(14))
TICKETS = TaskProfile(
    labels=NAMES,
    sizes={"train": 105, "validation": 14},
    classes={"train": tuple(range(1, 15)), "validation": (1,) * 14},
    repeated=0,
    copies=0,
    contradictions=0,
    in_train={"validation": Overlap(examples=0, other_label=0)},
)
FACTS = DataFacts(
    tasks={"cola": COLA, "tickets": TICKETS},
    across={"cola": {"tickets": {"validation": 0}}, "tickets": {"cola": {"validation": 3}}},
    cut={
        "small": CutTexts(
            max_length=64,
            tasks={
                "cola": {"train": 0, "validation": 0},
                "tickets": {"train": 100, "validation": 14},
            },
        )
    },
    dropped={"cola": 16, "tickets": 0},
    pooled={
        "naive_concat": PooledClasses(
            by="name", classes=({"a": "no", "b": "no"}, {"a": "yes", "b": "yes"})
        ),
        "other": PooledClasses(by="position", classes=({"a": "no", "b": "con"},)),
        "naive_concat_union": PooledClasses(by="union", classes=({"a": "no"}, {"b": "no"})),
    },
    findings=(Finding(check="duplicates", task="cola", text="cola: 19 texts | twice"),),
)
TEXTS = [
    "train 8,551: unacceptable 2,528, acceptable 6,023 (19 texts more than once, 11 with different "
    "labels, 16 examples left out: they are evaluated somewhere)",
    "validation 1,043: unacceptable 322, acceptable 721 (16 in train, 2 only with another label)",
    "train 105: queue 13 14, queue 12 13,",
    "queue 2 3 and 2 more classes",
    "(3 in the train split of cola)",
    "small (64 tokens, define.models.small.max_length): tickets 100 of 105 train, 14 of 14 "
    "validation",
    "pooled by name over a, b: no, yes",
    "pooled by position: no (a) = con (b)",
    "2, one for each task and label",
]


def test_lines_above_a_table() -> None:
    lines = dict(data_lines(FACTS))
    assert list(lines) == [
        "data cola",
        "data tickets",
        "cut texts",
        "classes of naive_concat",
        "classes of other",
        "classes of naive_concat_union",
    ]
    for text in TEXTS:
        assert text in " ".join(lines.values()), text


def test_a_plans_table() -> None:
    heads, rows = data_grid(FACTS)
    assert heads == ("task", "split", "examples", "classes", "cut", "found")
    assert [row[:3] for row in rows] == [
        ("cola", "train", "8,551"),
        ("cola", "validation", "1,043"),
        ("tickets", "train", "105"),
        ("tickets", "validation", "14"),
    ]
    assert [row[4] for row in rows] == ["0", "0", "100", "14"]
    assert rows[2][5] == "–"
    heads, rows = data_grid(FACTS.model_copy(update={"cut": {}}))
    assert "cut" not in heads
    assert {len(row) for row in rows} == {5}


def test_every_format_shows_facts_and_findings() -> None:
    planned = trial("shared_encoder", ["cola"])
    plan, records = [planned], by_key(record(planned))
    table = comparison(plan, records, data=FACTS)
    for text in (
        printed(table, 200),
        markdown(table).replace("\\", ""),
        unescape(report_html(table)),
    ):
        flat = " ".join(text.split())
        assert "unacceptable 2,528, acceptable 6,023" in flat
        assert "cola: 19 texts | twice (checks.duplicates)" in flat
    assert "(checks.duplicates)" in latex(table)
    content = json.loads(table_json(table))
    assert DataFacts.model_validate(content["data"]) == FACTS
    without = comparison(plan, records)
    assert without.warnings == ()
    assert "data" not in json.loads(table_json(without))


def test_models_that_cut_alike_share_a_number() -> None:
    cut = FACTS.cut["small"]
    alike = FACTS.model_copy(update={"cut": {"a": cut, "b": cut}})
    assert [row[4] for row in data_grid(alike)[1]] == ["0", "0", "100", "14"]
    none = CutTexts(max_length=512, tasks={t: dict.fromkeys(c, 0) for t, c in cut.tasks.items()})
    differ = FACTS.model_copy(update={"cut": {"a": cut, "b": none}})
    assert data_grid(differ)[1][2][4] == "a 100, b 0"
    line = dict(data_lines(differ))["cut texts"]
    assert "b (512 tokens, define.models.b.max_length): none" in line
