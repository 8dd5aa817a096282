"""``predict``: what the command prints and how it ends, with a saved model's heads."""

import csv
from pathlib import Path

import pytest

from orchestrator.commands.predict import fingerprint
from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.predictor import probabilities
from tests.helpers.command import Command
from tests.orchestrator.deploy.conftest import Save

TEXTS = ["a dog", "this film was not good", "the teacher reads a book in the old red house"]


@pytest.fixture
def model(save: Save) -> Path:
    """A task of one text with the classes no and yes, and one of pairs with a, b and c."""
    return save("bert", one="mean", two="mean")


def test_every_row_is_answered_as_by_the_model(model: Path, command: Command) -> None:
    Path("in.csv").write_text("id,text\n" + "".join(f"{n},{t}\n" for n, t in enumerate(TEXTS)))
    ended = command("predict", str(model), "--input", "in.csv", "--output", "out.csv")
    assert (ended.code, ended.out) == (0, "")
    assert "tasks: one from text (not two)" in ended.err
    assert ended.err.endswith("3 rows, 0 without an answer; wrote out.csv\n")
    logits = open_predictor(model).logits([(text,) for text in TEXTS], ["one"])["one"]
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["one"] for row in rows] == [["no", "yes"][best] for best in logits.argmax(axis=1)]
    for row, (no, yes) in zip(rows, probabilities(logits), strict=True):
        assert float(row["one.no"]) == pytest.approx(no, abs=2e-6)
        assert float(row["one.yes"]) == pytest.approx(yes, abs=2e-6)


def test_rows_without_an_answer_are_told_and_end_with_code_1(model: Path, command: Command) -> None:
    Path("in.tsv").write_text("first\tsecond\na dog\ta cat\n" + "\t\n" * 12)
    ended = command(
        "predict", str(model), "--input", "in.tsv", "--output", "out.jsonl", "--text", "first",
        "--text-pair", "second", "--keep", "",
    )  # fmt: skip
    assert ended.code == 1
    lines = ended.err.splitlines()
    assert "no answer: in.tsv:3: both texts are empty; remove the row or give it a text" in lines
    assert "no answer: 2 more rows; see the column error" in lines
    assert lines[-1] == "13 rows, 12 without an answer; wrote out.jsonl"
    assert len(Path("out.jsonl").read_text().splitlines()) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tasks", "tow"], "error: --tasks tow: the model has no such task; did you mean two?"),
        (["--strict"], "error: in.csv:3: the text is empty; remove the row or give it a text"),
        (["--output", "no/out.csv"], "error: no/out.csv: the folder no does not exist (--output)"),
        (["--input", "no.csv"], "error: no.csv: cannot be read: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], message: str, model: Path, command: Command
) -> None:
    Path("in.csv").write_text('text\na\n""\n')
    words = ["predict", str(model), "--input", "in.csv", "--output", "out.csv", *options]
    ended = command(*words)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith(message)
    assert not Path("out.csv").exists()


def test_a_folder_that_holds_no_model_is_named(command: Command) -> None:
    ended = command("predict", "nothing", "--input", "in.csv", "--output", "out.csv")
    assert ended.code == 2
    assert ended.err.startswith("error: nothing: no exported or saved model")


def test_the_fingerprint_is_that_of_names_and_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")
    assert fingerprint(first) == fingerprint(second)
    (second / "b").write_text("3")
    changed = fingerprint(second)
    (second / "b").rename(second / "c")
    assert len({fingerprint(first), changed, fingerprint(second)}) == 3
