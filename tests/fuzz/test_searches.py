"""The run directory of a search in which anything is damaged: the right report, or one line."""

import shutil
from pathlib import Path
from random import Random

import pytest

from orchestrator.config.search import load_tuned_experiment
from orchestrator.report.tuning import report
from orchestrator.run_dir.directory import write_config
from orchestrator.search.engine import read_search
from orchestrator.search.ledger import Ledger, ScoreReported
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Study, describe_search
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
from tests.helpers.command import Command, small_grid
from tests.helpers.fuzz_campaign import Campaign, accepted
from tests.helpers.fuzz_damage import REPLACED, damaged, damaged_json, remove, replace
from tests.helpers.records import Trial, record, right
from trainables.results.record import write_record
from trainables.storage.run_dir import RunDir

REPORTS = ("md", "csv", "json")


@pytest.fixture
def run(
    command: Command, tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> RunDir:
    """A search of three groups: of each, one trial that finished, one stopped, one unfinished."""
    # Which draws, and has tests of its own.
    monkeypatch.setattr(report, "tuning_html", lambda *report: "")
    overrides = [*small_grid(tiny_bert)[1:], "tune.trials=3"]
    experiment = load_tuned_experiment("demo", "quick", overrides)
    plan, run_dir = SearchPlan(experiment), RunDir(tmp_path / "run" / "search")
    run_dir.root.mkdir(parents=True)
    write_config(RunDir(tmp_path / "run"), experiment)
    description = describe_search(run_dir, experiment, plan.groups)
    study = Study(description, Ledger(run_dir.ledger), {})
    suggester = Suggester(study, plan, {}, TimeBudget(None))
    while (suggestion := suggester.next()) is not None:
        event, trial = suggestion
        decision = "stop" if event.number == 1 else "continue"
        study.add(
            ScoreReported(
                key=event.key, examples=4, score=0.5, loss=0.7, seconds=1.0, decision=decision
            )
        )
        if event.number == 0:
            results = {task: {"confusion": right(8, 10)} for task in trial.config.tasks}
            planned = Trial(trial.key, trial.config)
            trial_record = record(planned, results={"selection": results})
            write_record(run_dir, trial_record)
            study.take_record(trial_record)
    assert command("report", "run").code == 0
    return RunDir(tmp_path / "run")


def reports(run_dir: RunDir) -> list[bytes]:
    return [run_dir.tuning(ending).read_bytes() for ending in REPORTS]


def test_any_damage_of_a_search_is_told(
    campaign: Campaign, run: RunDir, command: Command, tmp_path: Path
) -> None:
    expected = reports(run)
    copy, search = RunDir(tmp_path / "copy"), RunDir(tmp_path / "copy" / "search")

    def body(random: Random) -> bool:
        remove(copy.root)
        shutil.copytree(run.root, copy.root)
        path = random.choice([search.search, search.ledger, *search.records.iterdir()])
        whole = path.read_bytes()
        if random.random() < 0.15:
            replace(path, random.choice(list(REPLACED)))
        elif path.suffix == ".json" and random.random() < 0.5:
            path.write_bytes(damaged_json(random, whole))
        else:
            path.write_bytes(damaged(random, whole))
        ended = command("report", "copy")
        assert ended.code in (0, 1, 2), ended
        assert "Traceback" not in ended.err
        assert (ended.code == 0) == (not ended.err), ended.err
        if ended.code == 2:
            assert ended.err.startswith("error: ")
            assert ended.err.count("\n") == 1
            assert reports(copy) == expected
        if ended.code == 0 and path != search.ledger:
            # Of a ledger, whole lines at its end may be lost: then the search stood there before.
            missing = not path.exists() or not path.is_file()
            assert missing or reports(copy) == expected
        return ended.code == 0

    campaign.draw("searches", 120, body)


def test_any_damaged_ledger_is_a_search_that_stood_there_before_or_refused(
    campaign: Campaign, run: RunDir
) -> None:
    search = RunDir(run.root / "search")
    content = search.ledger.read_bytes()
    whole = Ledger(search.ledger).read()

    def body(random: Random) -> bool:
        search.ledger.write_bytes(damaged(random, content))

        def before() -> None:
            study = read_search(search)
            events = Ledger(search.ledger).read()
            assert events == whole[: len(events)]
            assert list(study.suggested.values()) == [e for e in events if e.event == "proposed"]

        return accepted(before)

    campaign.draw("ledgers", 500, body)
