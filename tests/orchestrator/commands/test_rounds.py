"""Seeds in rounds: where they stop, what an interruption costs, and at which level one judges."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.commands import report as report_command
from orchestrator.commands import rounds
from orchestrator.commands.experiment import Experiment
from orchestrator.commands.report import Outcome, report
from tests.helpers.command import Command, small_grid
from tests.helpers.made_runs import Killed, MadeRuns
from tests.helpers.object_store import NewBucket
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

DIFFERENT = {"single_task": 0.6, "shared_encoder": 0.9}
ALIKE = {"single_task": 0.8, "shared_encoder": 0.8}
"""Within the noise, which is more than the margin."""
UNTIL = "seeds={until: decided, looks: [2, 3, 5], first: 1}"
PER_SEED = 3


class Grids:
    """The small grid with other seeds, planned once for each rule."""

    def __init__(self, encoder: Path, folder: Path) -> None:
        self.encoder, self.folder = encoder, folder
        self.said = ""
        self._planned: dict[tuple[str, ...], Experiment] = {}

    def experiment(self, *overrides: str) -> Experiment:
        if overrides not in self._planned:
            preset, *own = small_grid(self.encoder, "margins={macro: 0.1}", *overrides)
            self._planned[overrides] = Experiment.load(preset, own)
        return self._planned[overrides]

    def run(self, runs: MadeRuns, *overrides: str, to: str = "run") -> Outcome:
        console = Console(file=io.StringIO(), width=300)
        experiment = self.experiment(*overrides)
        try:
            return experiment.run(self.folder / to, console=console, executor=runs)
        finally:
            assert isinstance(console.file, io.StringIO)
            self.said = console.file.getvalue()


@pytest.fixture(scope="module")
def planned(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Grids:
    return Grids(tiny_bert, tmp_path_factory.mktemp("grids"))


@pytest.fixture(scope="module", autouse=True)
def without_drawing() -> Iterator[None]:
    """Drawing takes longer than all else, and has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            report_command, "write_report", lambda run_dir, *_: run_dir.report.write_text("")
        )
        yield


@pytest.fixture
def grids(planned: Grids, tmp_path: Path) -> Grids:
    planned.folder = tmp_path
    return planned


def files(run_dir: RunDir) -> dict[str, Any]:
    """What a run directory says of its trials and their comparison."""
    tables = {path.name: path.read_bytes() for path in run_dir.root.glob("table.*")}
    records = {
        key: one.model_dump(exclude={"finished"}) for key, one in records_of(run_dir).items()
    }
    plan = json.loads(run_dir.plan.read_text())
    return {**tables, "records": records, "plan": plan, "looks": run_dir.looks.read_text()}


def records_of(run_dir: RunDir) -> dict[str, Any]:
    return read_records(run_dir, {})


def look_of(outcome: Outcome) -> tuple[int, int, int, float]:
    look = outcome.table.look
    assert look is not None
    assert {c.level for c in outcome.table.comparisons} == {look.level}
    return look.number, look.of, look.seeds, look.level


def words(outcome: Outcome) -> set[str]:
    return {c.word for c in outcome.table.comparisons if c.primary}


@pytest.mark.parametrize(
    ("runs", "look", "ended_as"),
    [
        (MadeRuns(DIFFERENT), (1, 3, 2, 0.025), {"better"}),
        (MadeRuns(ALIKE), (3, 3, 5, 0.025), {"undecided"}),
        (MadeRuns(DIFFERENT, collapsed=[1]), (3, 3, 5, 0.025), {"unstable"}),
    ],
    ids=["decided", "never decided", "unstable"],
)
def test_it_stops_where_every_comparison_is_decided(
    grids: Grids, runs: MadeRuns, look: tuple[int, int, int, float], ended_as: set[str]
) -> None:
    outcome = grids.run(runs, UNTIL)
    assert (look_of(outcome), words(outcome)) == (look, ended_as)
    assert outcome.trained == len(runs.started) == PER_SEED * look[2]
    # Every round is of all arms and tasks.
    seeds = {
        trial["seed"]
        for trial in json.loads(RunDir(grids.folder / "run").plan.read_text())["trials"]
    }
    assert seeds == set(range(1, look[2] + 1))
    assert dict(outcome.table.header)["look"].startswith(
        f"{look[0]} of 3 (verdicts at 2, 3 and 5 seeds), {look[2]} seeds; level 2.5 % each"
    )
    assert "chance of error of 2.5 %, in place of 5" in outcome.table.verdict[-1]
    again = grids.run(runs, UNTIL)
    assert (again.trained, again.table) == (0, outcome.table)
    # The answer is that of the records alone.
    assert report(grids.folder / "run").table == outcome.table


def test_trials_are_those_of_a_plain_list(grids: Grids) -> None:
    plain = grids.experiment("seeds=[1,2,3,4,5]").plan()
    assert [t.key for t in grids.experiment(UNTIL).plan().trials] == [t.key for t in plain.trials]
    grids.run(MadeRuns(ALIKE), "seeds=[1,2,3]")
    assert grids.run(MadeRuns(ALIKE), UNTIL).trained == 2 * PER_SEED


@pytest.fixture(scope="module")
def uninterrupted(planned: Grids, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    planned.folder = tmp_path_factory.mktemp("uninterrupted")
    planned.run(MadeRuns(ALIKE), UNTIL)
    return files(RunDir(planned.folder / "run"))


def kill_in(monkeypatch: pytest.MonkeyPatch, name: str, call: int, *, after: bool) -> None:
    """Let the process die before or after the n-th call of a function of ``rounds``."""
    real, calls = getattr(rounds, name), 0

    def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = real(*arguments, **options)
        if calls == call:
            raise Killed
        return result

    monkeypatch.setattr(rounds, name, dying)


@pytest.mark.parametrize("kill_at", [0, 2, 5, 6, 8, 9, 14])
def test_a_run_that_is_killed_goes_on_where_it_was(
    grids: Grids, uninterrupted: dict[str, Any], kill_at: int
) -> None:
    runs = MadeRuns(ALIKE)
    runs.kill_at = kill_at
    with pytest.raises(Killed):
        grids.run(runs, UNTIL)
    runs.kill_at = None
    grids.run(runs, UNTIL)
    assert len(runs.started) == len(set(runs.started)) == 5 * PER_SEED, "a trial was run again"
    assert files(RunDir(grids.folder / "run")) == uninterrupted


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("name", "call"),
    [("write_metadata", 1), ("report", 1), ("write_metadata", 2), ("run_stages", 3)],
)
def test_also_one_that_is_killed_between_two_rounds(
    grids: Grids,
    uninterrupted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    call: int,
    after: bool,
) -> None:
    runs = MadeRuns(ALIKE)
    with monkeypatch.context() as patch:
        kill_in(patch, name, call, after=after)
        with pytest.raises(Killed):
            grids.run(runs, UNTIL)
    grids.run(runs, UNTIL)
    assert len(runs.started) == len(set(runs.started)), "a trial was run again"
    assert files(RunDir(grids.folder / "run")) == uninterrupted


def test_a_report_between_looks_says_so(grids: Grids) -> None:
    runs = MadeRuns(ALIKE)
    runs.kill_at = 3 * PER_SEED - 1
    with pytest.raises(Killed):
        grids.run(runs, UNTIL)
    early = report(grids.folder / "run")
    assert look_of(early) == (2, 3, 3, 0.025)
    assert (
        "not complete (1 trial not ended, or without predictions)"
        in dict(early.table.header)["look"]
    )
    assert "its words may change" in early.table.verdict[-1]


def test_runs_that_failed_count_and_are_tried_again(grids: Grids) -> None:
    runs = MadeRuns(ALIKE, failing=[2])
    outcome = grids.run(runs, "seeds={until: decided, looks: [3, 4], first: 1}")
    assert look_of(outcome)[:3] == (2, 2, 4)
    assert [one.config.seed for one in outcome.failed] == [2]
    # Once in each round.
    assert len(runs.started) - len(set(runs.started)) == 1


def test_more_seeds_are_no_help_where_nothing_can_be_compared(grids: Grids) -> None:
    outcome = grids.run(MadeRuns(DIFFERENT, failing=range(9)), UNTIL)
    assert outcome.trained == 2 * PER_SEED
    assert "nothing could be compared" in grids.said


def test_nothing_is_decided_without_all_predictions(grids: Grids) -> None:
    runs = MadeRuns(ALIKE)
    runs.kill_at = 2 * PER_SEED
    with pytest.raises(Killed):
        grids.run(runs, UNTIL)
    run_dir = RunDir(grids.folder / "run")
    run_dir.predictions(runs.started[0]).unlink()
    run_dir.predictions_cache.unlink()
    runs.kill_at = None
    outcome = grids.run(runs, UNTIL)
    assert (look_of(outcome)[:3], outcome.trained) == ((1, 3, 2), 0)
    assert "1 trial not ended, or without predictions" in grids.said


def test_rounds_say_where_they_are(grids: Grids) -> None:
    grids.run(MadeRuns(ALIKE), UNTIL)
    lines = grids.said.splitlines()
    assert "look 1 of 3 (2 seeds): 6 trials" in lines
    assert (
        "look 2 of 3 (3 seeds): not decided: shared_encoder against single_task (tiny); going on "
        "with 5 seeds"
    ) in lines
    assert any(line.startswith("look 3 of 3 (5 seeds): 6 of 6 done") for line in lines)


EXTENDED = (2, 2, 5, 0.025)


@pytest.mark.parametrize("forgotten", [False, True], ids=["", "by an earlier version"])
def test_seeds_that_are_added_after_a_verdict_are_another_look(
    grids: Grids, forgotten: bool
) -> None:
    first = grids.run(MadeRuns(ALIKE), "seeds=[1,2,3]")
    assert look_of(first) == (1, 1, 3, 0.05)
    assert dict(first.table.header)["look"] == "1 of 1, 3 seeds; level 5 %"
    assert "chance of error" not in first.table.verdict[-1]
    if forgotten:
        RunDir(grids.folder / "run").looks.unlink()
    more = grids.run(MadeRuns(ALIKE), "seeds=[1,2,3,4,5]")
    assert (look_of(more), more.trained) == (EXTENDED, 2 * PER_SEED)
    assert dict(more.table.header)["look"].endswith(
        "5 seeds; level 2.5 % each; the plan was changed after a verdict at 3 seeds"
    )
    assert "planned anew after a verdict at 3" in more.table.verdict[-1]
    assert report(grids.folder / "run").table == more.table


def test_before_a_verdict_seeds_may_be_added_freely(grids: Grids) -> None:
    runs = MadeRuns(ALIKE)
    runs.kill_at = 4
    with pytest.raises(Killed):
        grids.run(runs, "seeds=[1,2,3]")
    assert look_of(grids.run(MadeRuns(ALIKE), "seeds=[1,2,3,4,5]")) == (1, 1, 5, 0.05)
    # One seed has no verdict to look at.
    grids.run(MadeRuns(ALIKE), "seeds=[1]", to="one")
    assert look_of(grids.run(MadeRuns(ALIKE), "seeds=[1,2,3]", to="one")) == (1, 1, 3, 0.05)


def test_a_rule_that_is_changed_after_a_verdict_forgets_no_look(grids: Grids) -> None:
    two = "seeds={until: decided, looks: [2, 3], first: 1}"
    grids.run(MadeRuns(ALIKE), two)
    # The same seeds as a list are not the only look.
    assert look_of(grids.run(MadeRuns(ALIKE), "seeds=[1,2,3]")) == (2, 2, 3, 0.025)
    assert look_of(grids.run(MadeRuns(ALIKE), "seeds=[1,2,3,4]")) == (3, 3, 4, 0.025)
    changed = grids.run(MadeRuns(ALIKE), UNTIL)
    assert look_of(changed) == (4, 4, 5, 0.025)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("seeds=[1,2]", r"was made with seeds=\[1, 2, 3\], this is seeds=\[1, 2\]; choose another"),
        ("seeds=[2,1,3,4]", "add seeds after those that are there"),
        ("seeds={until: decided, looks: [2, 3]}", "was made with"),
    ],
)
def test_seeds_are_added_after_the_others_alone(grids: Grids, seeds: str, message: str) -> None:
    grids.run(MadeRuns(ALIKE), "seeds=[1,2,3]")
    with pytest.raises(RunDirectoryError, match=message):
        grids.run(MadeRuns(ALIKE), seeds)


STUDENT = (
    "define.arms.student={strategy: shared_encoder, distillation: {teachers: single_task, "
    "seeds: all}}",
    "arms=[single_task,student]",
)


def test_trials_that_learn_from_all_seeds_are_others_with_more(grids: Grids) -> None:
    with pytest.raises(ConfigError, match=r"^define\.arms\.student\.distillation\.seeds=all: "):
        grids.experiment(UNTIL, *STUDENT).plan()
    runs = MadeRuns(ALIKE | {"student": 0.8})
    grids.run(runs, "seeds=[1,2]", *STUDENT)
    with pytest.raises(RunDirectoryError, match="trials of arm student learn from those of all"):
        grids.run(runs, "seeds=[1,2,3]", *STUDENT)


def test_a_grid_that_compares_nothing_has_no_rounds(grids: Grids) -> None:
    with pytest.raises(ConfigError, match=r"^seeds\.until=decided: .* add one to arms"):
        grids.experiment(UNTIL, "arms=[single_task]").plan()
    # Teachers are in the table, too.
    arms = (STUDENT[0].replace(", seeds: all", ""), "arms=[student]")
    assert len(grids.experiment(UNTIL, *arms).plan().trials) == 5 * PER_SEED


@pytest.mark.parametrize("text", ["", "{", "[]", '{"looks": []}', '{"looks": [1.5]}', '{"a": 1}'])
def test_damaged_looks_are_named(grids: Grids, command: Command, text: str) -> None:
    grids.run(MadeRuns(ALIKE), "seeds=[1,2]")
    RunDir(grids.folder / "run").looks.write_text(text)
    ended = command("report", "run")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith("error: run/looks.json: damaged; write into it ")


def test_a_plan_shows_the_first_and_the_largest_grid(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    grid = small_grid(tiny_bert, UNTIL)
    shown = command("plan", *grid).out
    assert "15 trials, the longest first" in shown
    assert "look 1 of 3: 2 seeds, 6 trials, 128 examples, 40 % of the work" in shown
    assert "look 3 of 3: 5 seeds, 15 trials, 320 examples, 100 % of the work" in shown
    assert "it stops at the first that decides every comparison; level 2.5 % at each" in shown
    content = json.loads(command("plan", *grid, "--json").out)
    assert len(content["trials"]) == 15
    assert [(k["seeds"], k["trials"], k["level"]) for k in content["looks"]] == [
        (2, 6, 0.025), (3, 9, 0.025), (5, 15, 0.025)
    ]  # fmt: skip


def test_looks_in_an_object_store_are_remembered_from_any_machine(
    grids: Grids, s3: NewBucket
) -> None:
    url = s3()
    for seeds in ("seeds=[1,2,3]", "seeds=[1,2,3,4,5]"):
        experiment = grids.experiment(seeds)
        outcome = experiment.run(url, console=Console(file=io.StringIO()), executor=MadeRuns(ALIKE))
    assert look_of(outcome)[:3] == EXTENDED[:3]
