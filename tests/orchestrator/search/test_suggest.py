"""What a search tries: the same in all groups, nothing twice, the best of earlier ones first."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.config.search import load_tuned_experiment
from orchestrator.search.ledger import Ledger, TrialSuggested
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Description, Study
from orchestrator.search.suggest import Suggester
from orchestrator.search.summary import GroupSummary
from orchestrator.search.time_budget import TimeBudget
from tests.helpers.local_search import overrides, space_file
from tests.helpers.searches import group, tried

RATE = "training.learning_rate"


class Suggestions:
    """A search of which nothing is trained."""

    def __init__(
        self,
        folder: Path,
        encoder: Path,
        space: str,
        *more: str,
        warm_start: dict[str, GroupSummary] | None = None,
    ) -> None:
        experiment = load_tuned_experiment("demo", space, overrides(encoder, *more))
        self.plan = SearchPlan(experiment)
        description = Description(
            space=experiment.space, tune=experiment.tune, groups=self.plan.groups
        )
        self.study = Study(description, Ledger(folder / "ledger.jsonl"), {})
        self.suggester = Suggester(self.study, self.plan, warm_start or {}, TimeBudget(None))

    def all(self) -> list[TrialSuggested]:
        events = []
        while (suggestion := self.suggester.next()) is not None:
            event, trial = suggestion
            assert trial.key == event.key
            events.append(event)
        assert not self.suggester.suggestion()
        return events


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("method", ["random", "sobol", "optuna"])
def test_all_groups_get_the_same_settings_in_turn(
    method: str, tiny_bert: Path, tmp_path: Path
) -> None:
    search = Suggestions(tmp_path, tiny_bert, "quick", "tune.trials=4", f"tune.search={method}")
    events = search.all()
    names = [group.name for group in search.plan.groups]
    assert [event.group for event in events] == names * 4
    assert len({event.key for event in events}) == len(events)
    settings = {name: [e.settings for e in events if e.group == name] for name in names}
    assert settings[names[0]] == settings[names[1]] == settings[names[2]]
    again = Suggestions(tmp_path, tiny_bert, "quick", "tune.trials=4", f"tune.search={method}")
    # Another process is given what was not finished, before anything new.
    assert again.all() == events


@pytest.mark.parametrize("method", ["random", "grid"])
def test_no_settings_are_tried_twice_and_a_search_ends_when_there_are_no_more(
    method: str, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(
        tmp_path,
        training__learning_rate="{choice: [1.0e-4, 2.0e-4, 3.0e-4]}",
        training__batch_size="{choice: [8, 16]}",
    )
    search = Suggestions(tmp_path, tiny_bert, space, "tune.trials=50", f"tune.search={method}")
    events = search.all()
    assert Counter(event.group for event in events) == {g.name: 6 for g in search.plan.groups}
    assert len({(event.group, *event.settings.values()) for event in events}) == 18
    # What a grid has is known beforehand, and counts in what is announced.
    assert search.plan.experiment.tune.trials == {"random": 50, "grid": 6}[method]


def test_at_most_as_many_trials_as_asked_for_shared_out_among_the_groups(
    tiny_bert: Path, tmp_path: Path
) -> None:
    more = ("tune.trials=4", "tune.max_trials=7")
    search = Suggestions(tmp_path, tiny_bert, "quick", *more)
    assert sorted(Counter(event.group for event in search.all()).values()) == [2, 2, 3]
    assert Suggestions(tmp_path, tiny_bert, "quick", "tune.trials=4").all()[7:]


def test_the_best_of_an_earlier_search_is_tried_first(tiny_bert: Path, tmp_path: Path) -> None:
    single = "single_task tiny sentiment"
    best = tried(3, 0.9, settings={RATE: 2e-4})
    outside = tried(0, 0.9, settings={RATE: 0.5})
    earlier = {
        single: group([tried(0, 0.1, settings={RATE: 5e-5}), best], chosen=3),
        "shared_encoder tiny": group([outside], chosen=0),
        "another group": group([best], chosen=3),
    }
    search = Suggestions(tmp_path, tiny_bert, "quick", "tune.trials=2", warm_start=earlier)
    cold = Suggestions(tmp_path / "cold", tiny_bert, "quick", "tune.trials=2")
    cold.study._ledger.path.parent.mkdir()
    given, others = search.all(), cold.all()

    def rates(events: list[TrialSuggested], name: str) -> list[object]:
        return [event.settings[RATE] for event in events if event.group == name]

    assert rates(given, single) == [2e-4, rates(others, single)[0]]
    # What this space has not is not tried.
    assert rates(given, "shared_encoder tiny") == rates(others, "shared_encoder tiny")


def test_optuna_learns_from_earlier_trials_but_for_those_whose_settings_changed(
    tiny_bert: Path, tmp_path: Path
) -> None:
    fixed = [tried(n, n / 100, settings={RATE: 1e-4 + n * 1e-6}) for n in range(12)]
    changed = [replace(t, schedule=((0.0, {RATE: 3e-5}), (0.5, t.settings))) for t in fixed]
    more = ("tasks=[sentiment]", "arms=[single_task]", "tune.search=optuna", "tune.trials=6")
    suggested = []
    for name, trials in (("none", []), ("fixed", fixed), ("changed", changed)):
        (tmp_path / name).mkdir()
        earlier = {"single_task tiny sentiment": group(trials)}
        search = Suggestions(tmp_path / name, tiny_bert, "quick", *more, warm_start=earlier)
        suggested.append([event.settings for event in search.all()])
    assert suggested[0] == suggested[2] != suggested[1]


def test_trials_of_a_search_never_look_at_test(tiny_bert: Path, tmp_path: Path) -> None:
    own = ("define.arms.single_task.training.evaluate_test=true", "training.evaluate_test=true")
    search = Suggestions(tmp_path, tiny_bert, "quick", *own, "tune.trials=1")
    for event in search.all():
        trial = search.plan.trial(search.study.groups[event.group], event.settings)
        assert not trial.config.training.evaluate_test
    assert all(trial.config.training.evaluate_test for trial in search.plan.refit({}).trials)
