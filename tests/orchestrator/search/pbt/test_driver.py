"""Population based training, run in this process: what is trained, copied, counted and chosen."""

import io
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from orchestrator.config.search import load_tuned_experiment
from orchestrator.planning.pending import failed
from orchestrator.report.tuning.views import chosen_view, scheduled
from orchestrator.search.engine import check_search, open_study, read_search, search_groups
from orchestrator.search.ledger import Ledger, SegmentStarted, TrialEnded
from orchestrator.search.pbt.driver import PbtDriver, groups_at_once, waiting_checkpoints
from orchestrator.search.pbt.state import Population, in_force
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import describe_search, final_score
from orchestrator.search.suggest import Suggester
from orchestrator.search.summary import GroupSummary, SearchSummary, Spent
from orchestrator.search.time_budget import TimeBudget
from orchestrator.search.warm_start import read_warm_start
from search_spaces.distributions import Choice, LogUniform, Uniform
from search_spaces.space import Space
from tests.helpers.check_decisions import check_decisions
from tests.helpers.forks import forked
from tests.helpers.shared_ray import search as run_search
from tests.helpers.shared_ray import search_in_session
from tests.helpers.trials import runtime
from trainables.errors import ConfigError, DivergedError
from trainables.results.record import read_record, read_records, write_record
from trainables.storage.run_dir import RunDir
from trainables.trial.trial import Trial, run_trial

RATE = "training.learning_rate"
SPACE = Space(
    name="some",
    parameters={
        RATE: LogUniform(low=1e-4, high=1e-2),
        "training.weight_decay": Choice(values=(0.0, 0.01, 0.1)),
        "training.label_smoothing": Uniform(low=0.0, high=0.2),
        "model.dropout": Choice(values=(0.0, 0.1)),
    },
)
PARTS, MEMBERS = 3, 5


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


class Budget(TimeBudget):
    """Exhausted when a test says so."""

    def __init__(self) -> None:
        super().__init__(None)
        self.is_exhausted = False

    @property
    def exhausted(self) -> bool:
        return self.is_exhausted


def settings_of(encoder: Path) -> tuple[str, ...]:
    return (
        f"define.models.tiny={{encoder: {encoder}, max_length: 32, num_layers: 1}}",
        "models=[tiny]",
        "arms=[single_task]",
        "tasks=[sentiment]",
        "seeds=[41]",
        "limits={max_train_examples: 54, max_validation_examples: 8}",
        "training={epochs: 2, batch_size: 8}",
        f"tune={{scheduler: pbt, trials: {MEMBERS}, generations: {PARTS}, rerank: null}}",
    )


def plan_of(encoder: Path, *overrides: str, space: Space = SPACE) -> SearchPlan:
    experiment = load_tuned_experiment("demo", space, [*settings_of(encoder), *overrides])
    return SearchPlan(experiment)


def start(
    plan: SearchPlan,
    folder: Path,
    budget: TimeBudget,
    warm_start: dict[str, GroupSummary] | None = None,
) -> tuple[Population, PbtDriver]:
    """A search as the command makes it, from nothing or from what there is."""
    run_dir = run_dir_of(folder)
    run_dir.root.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(run_dir.ledger)
    ledger.mend()
    description = describe_search(run_dir, plan.experiment, plan.groups)
    study = open_study(description, ledger, read_records(run_dir))
    assert isinstance(study, Population)
    study.catch_up()
    suggester = Suggester(study, plan, warm_start or {}, budget)
    return study, PbtDriver(study, plan, suggester, run_dir, budget)


def search(
    plan: SearchPlan,
    folder: Path,
    train: Callable[[Trial], None] | None = None,
    budget: TimeBudget | None = None,
    warm_start: dict[str, GroupSummary] | None = None,
) -> Population:
    """Run what is left; ``train`` is what becomes of a trial."""
    budget = budget or Budget()
    study, driver = start(plan, folder, budget, warm_start)
    if driver.more():
        for pending in driver.rounds(len(plan.groups)):
            for segment in pending:
                if budget.exhausted:
                    break
                where = runtime(folder, output_dir=str(run_dir_of(folder).root))
                trial = Trial(segment.trial.config, where)
                (train or whole)(trial)
                driver.ended(segment.trial.key)
    return study


def whole(trial: Trial) -> None:
    with suppress(DivergedError):
        run_trial(trial.config, trial.runtime)


def run_dir_of(folder: Path) -> RunDir:
    return RunDir(folder / "search")


def timeless(summary: SearchSummary) -> SearchSummary:
    """A summary without what depends on the clock."""
    groups = [
        replace(group, tried=tuple(replace(one, seconds=0.0) for one in group.tried))
        for group in summary.groups
    ]
    return replace(summary, groups=tuple(groups))


def segments(state: Population) -> list[SegmentStarted]:
    return [one for event in state.suggested.values() for one in state.member_segments(event)]


@pytest.fixture(scope="module")
def searched(
    tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SearchPlan, Path, Population]:
    folder, plan = tmp_path_factory.mktemp("searched"), plan_of(tiny_bert)
    return plan, folder, search(plan, folder)


def test_every_member_trains_as_much_as_one_full_training(
    searched: tuple[SearchPlan, Path, Population],
) -> None:
    plan, folder, state = searched
    [group] = state.summary().groups
    budget = plan.groups[0].budget
    assert [one.status for one in group.tried] == ["finished"] * MEMBERS
    assert all(one.examples == one.full == budget for one in group.tried)
    assert len({tuple(examples for examples, _ in one.rungs) for one in group.tried}) == 1
    assert all(len(one.rungs) == PARTS for one in group.tried)
    records = read_records(run_dir_of(folder)).values()
    assert (
        sum(r.examples - r.inherited for r in records) == MEMBERS * budget == group.spent.examples
    )
    assert Spent.of(group.tried).share == 1.0


def test_the_worst_goes_on_as_a_changed_copy_of_the_best(
    searched: tuple[SearchPlan, Path, Population],
) -> None:
    _, _, state = searched
    for generation in range(1, PARTS):
        before = {
            one.member: one for one in state.segments("single_task tiny sentiment", generation - 1)
        }
        scores = {m: final_score(state.records[one.key]) for m, one in before.items()}
        after = state.segments("single_task tiny sentiment", generation)
        assert [one.member for one in after] == list(range(MEMBERS))
        copies = [one for one in after if one.source != one.member]
        assert len(copies) == 1
        assert scores[copies[0].member] == min(scores.values())
        assert scores[copies[0].source] == max(scores.values())
        for one in after:
            source = before[one.source]
            assert one.parent == source.key
            assert one.settings == source.settings
            same = one.source == one.member
            assert one.changes[: len(source.changes)] == source.changes
            assert (one.changes == source.changes) == same
            assert same or one.changes[-1].at == generation / PARTS
            fixed = "model.dropout"
            assert in_force(one)[fixed] == in_force(source)[fixed]


def test_training_the_chosen_schedule_anew_gives_its_score(
    searched: tuple[SearchPlan, Path, Population], tmp_path: Path
) -> None:
    _, _, state = searched
    [group] = state.summary().groups
    assert group.choice is not None
    assert group.choice.value == group.best
    for one in group.tried:
        found = state.records[one.key]
        assert final_score(found) == one.score == one.rungs[-1][1]
        if one.schedule:
            trial = run_trial(found.config, runtime(tmp_path))
            again = read_record(trial.run_dir.record(one.key))
            assert (again.inherited, found.inherited > 0) == (0, True)
            assert again.results == found.results
            assert again.examples == found.examples
    assert any(one.schedule for one in group.tried)


def test_the_comparison_trains_the_whole_schedule_with_every_seed(
    searched: tuple[SearchPlan, Path, Population], tiny_bert: Path
) -> None:
    _, _, state = searched
    [(name, best)] = state.incumbents().items()
    [group] = state.summary().groups
    copy = next(one for one in group.tried if one.schedule)
    line = next(
        state.member_segments(e) for e in state.suggested.values() if e.number == copy.index
    )
    plan = plan_of(tiny_bert, "seeds=[41,42]")
    for chosen in (best, replace(best, settings=line[-1].settings, changes=line[-1].changes)):
        tuned = [t.config for t in plan.refit({name: chosen}).trials if t.config.tuned]
        assert [config.seed for config in tuned] == [41, 42]
        for config in tuned:
            assert config.search is None
            assert config.changes == chosen.changes
            assert config.training.learning_rate == chosen.settings[RATE]


def test_no_checkpoint_stays_and_few_are_there_at_a_time(tiny_bert: Path, tmp_path: Path) -> None:
    run_dir = run_dir_of(tmp_path)
    most: list[int] = []

    def count(trial: Trial) -> None:
        whole(trial)
        most.append(len(list((run_dir.root / "checkpoints").glob("*/step-*"))))

    plan = plan_of(tiny_bert)
    search(plan, tmp_path, count)
    bound = waiting_checkpoints(plan.experiment.tune, 1, 1, keep=False)
    assert MEMBERS - 1 <= max(most) <= bound == MEMBERS + 1
    assert not list(run_dir.root.glob("checkpoints/*/*"))


@pytest.mark.parametrize("after", [1, 5, 7, 13])
def test_a_killed_search_goes_on_to_the_same_choice(
    after: int, searched: tuple[SearchPlan, Path, Population], tiny_bert: Path, tmp_path: Path
) -> None:
    trained = 0

    def die(trial: Trial) -> None:
        nonlocal trained
        trained += 1
        if trained > after:
            next(trial.run())
            raise Killed
        whole(trial)

    plan = plan_of(tiny_bert)
    with pytest.raises(Killed):
        search(plan, tmp_path, die)
    ledger = run_dir_of(tmp_path).ledger
    # What was written in part was never acted upon.
    ledger.write_bytes(ledger.read_bytes() + b'{"event": "contin')
    again = search(plan, tmp_path)
    assert timeless(again.summary()) == timeless(searched[2].summary())
    assert again.incumbents() == searched[2].incumbents()
    whole_ledger = run_dir_of(searched[1]).ledger
    assert ledger.read_bytes() == whole_ledger.read_bytes()
    check_decisions(run_dir_of(tmp_path).root, plan)
    read = read_search(run_dir_of(tmp_path))
    assert read.summary() == again.summary()
    assert not start(plan, tmp_path, Budget())[1].more()


@pytest.mark.ray
@pytest.mark.slow
def test_with_ray_a_killed_command_goes_on_to_the_choice_made_without(
    shared_ray: str, tiny_bert: Path, tmp_path: Path
) -> None:
    small = "tune={scheduler: pbt, trials: 4, generations: 2, refit: false}"
    without = search(plan_of(tiny_bert, small), tmp_path / "without")
    space = tmp_path / "some.yaml"
    values = {key: p.model_dump(mode="json") for key, p in SPACE.parameters.items()}
    content = {"name": SPACE.name, "parameters": values}
    space.write_text(yaml.safe_dump(content, sort_keys=False))
    cache = f"data.cache_dir={tmp_path / 'cache'}"
    settings = [*settings_of(tiny_bert), "checkpoint.every=300", small, cache]
    run_dir = run_dir_of(tmp_path / "run")
    command = (tmp_path / "run", str(space), settings, shared_ray)
    driver = forked(search_in_session, *command)
    while not run_dir.ledger.exists() or b"continued" not in run_dir.ledger.read_bytes():
        assert driver.is_alive()
        time.sleep(0.01)
    driver.kill()
    driver.join()
    run_search(*command)
    state = read_search(run_dir)
    assert state.incumbents() == without.incumbents()
    assert timeless(state.summary()) == timeless(without.summary())
    # Members of a generation end in any order.
    ledgers = [Ledger(path.ledger).read() for path in (run_dir, run_dir_of(tmp_path / "without"))]
    decisions = [[e for e in events if not isinstance(e, TrialEnded)] for events in ledgers]
    assert decisions[0] == decisions[1]
    check_decisions(run_dir.root, plan_of(tiny_bert, small))
    assert not list(run_dir.root.glob("checkpoints/*/*"))


def test_a_search_whose_time_is_up_has_a_best_so_far_and_goes_on(
    searched: tuple[SearchPlan, Path, Population], tiny_bert: Path, tmp_path: Path
) -> None:
    budget = Budget()
    trained = 0

    def until(trial: Trial) -> None:
        nonlocal trained
        whole(trial)
        trained += 1
        budget.is_exhausted = trained == MEMBERS + 2

    plan = plan_of(tiny_bert)
    state = search(plan, tmp_path, until, budget)
    [group] = state.summary().groups
    assert {one.status for one in group.tried} == {"unfinished"}
    assert group.chosen in (0, 1)
    assert all(one.score is not None for one in group.tried)
    [best] = state.incumbents().values()
    assert group.choice is not None
    newest = next(s for s in segments(state) if s.key == group.choice.key)
    assert (best.settings, best.changes) == (newest.settings, newest.changes)
    full = plan.groups[0].budget
    assert all(abs(one.full - full) <= 8 for one in group.tried)
    assert timeless(search(plan, tmp_path).summary()) == timeless(searched[2].summary())


def test_what_diverged_is_replaced_and_never_chosen(tiny_bert: Path, tmp_path: Path) -> None:
    parameters = {RATE: Choice(values=(1e-3, 1e30)), "model.dropout": Uniform(low=0.0, high=0.3)}
    space = Space(name="wild", parameters=parameters)
    plan = plan_of(tiny_bert, "tune.trials=4", space=space)
    state = search(plan, tmp_path)
    by_key = {one.key: one for one in segments(state)}
    status = {key: state.status(key) for key in by_key}
    bad = [one for one in by_key.values() if status[one.key] == "diverged"]
    assert any(one.generation == 0 for one in bad)
    assert all(status[one.parent] == "finished" for one in by_key.values() if one.parent)
    for one in bad:
        later = [s for s in by_key.values() if s.generation == one.generation + 1]
        assert all(s.source != s.member for s in later if s.member == one.member)
    [group] = state.summary().groups
    assert group.choice is not None
    assert group.choice.status == "finished"
    assert any("where it diverged" in one.reason for one in group.tried)


def test_where_all_diverged_the_search_ends(tiny_bert: Path, tmp_path: Path) -> None:
    space = Space(name="wild", parameters={RATE: LogUniform(low=1e29, high=1e30)})
    plan = plan_of(tiny_bert, space=space)
    state = search(plan, tmp_path)
    assert [one.status for one in state.summary().groups[0].tried] == ["diverged"] * MEMBERS
    assert state.incumbents() == {}
    assert not start(plan, tmp_path, Budget())[1].more()


@pytest.mark.parametrize("generation", [0, PARTS - 1])
def test_a_member_that_failed_is_replaced_or_tried_again(
    generation: int,
    searched: tuple[SearchPlan, Path, Population],
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    plan = plan_of(tiny_bert)
    victim = segments(searched[2])[generation].key

    def fail(trial: Trial) -> None:
        if trial.config.key != victim:
            whole(trial)
            return
        group = plan.groups[0]
        record = failed(plan.trial(group, {}), "its process died")
        record = record.model_copy(update={"key": victim, "config": trial.config})
        write_record(trial.run_dir, record)

    state = search(plan, tmp_path, fail)
    [group] = state.summary().groups
    if generation == 0:
        assert state.failed == ()
        assert group.tried[0].status == "finished"
        assert "where it failed" in group.tried[0].reason
        assert victim not in {one.parent for one in segments(state)}
        assert not start(plan, tmp_path, Budget())[1].more()
    else:
        assert [record.key for record in state.failed] == [victim]
        assert group.tried[0].status == "failed"
        assert group.chosen != 0
        assert timeless(search(plan, tmp_path).summary()) == timeless(searched[2].summary())


def test_checkpoints_that_a_killed_command_left_at_its_very_end_are_removed(
    searched: tuple[SearchPlan, Path, Population], tmp_path: Path
) -> None:
    plan, folder, state = searched
    shutil.copytree(folder / "search", tmp_path / "search")
    run_dir = run_dir_of(tmp_path)
    left = run_dir.checkpoints(next(iter(state.suggested)))
    left.mkdir(parents=True)
    # Nothing is left to be trained, so no cluster is asked for.
    search_groups(plan, run_dir, {}, None, Console(file=io.StringIO()))  # type: ignore[arg-type]
    assert not left.exists()


def test_members_may_be_added_later(tiny_bert: Path, tmp_path: Path) -> None:
    before = search(plan_of(tiny_bert, "tune.trials=4"), tmp_path)
    lines = [before.member_segments(event) for event in before.suggested.values()]
    state = search(plan_of(tiny_bert), tmp_path)
    assert [state.member_segments(event) for event in state.suggested.values()][:4] == lines
    assert [one.status for one in state.summary().groups[0].tried] == ["finished"] * MEMBERS


def test_an_earlier_search_gives_the_first_member(
    searched: tuple[SearchPlan, Path, Population], tiny_bert: Path, tmp_path: Path
) -> None:
    warm_start = read_warm_start(str(searched[1]))
    [group] = warm_start.values()
    assert group.choice is not None
    plan = plan_of(tiny_bert, "tune.seed=5")
    state, driver = start(plan, tmp_path, Budget(), warm_start)
    next(driver.rounds(1))
    assert next(iter(state.suggested.values())).settings == group.choice.settings


@pytest.mark.parametrize(
    ("overrides", "space", "told"),
    [
        ([], Space(name="fixed", parameters={"model.dropout": Choice(values=(0.0, 0.1))}), "fixed"),
        (["training.early_stopping={patience: 1}"], SPACE, r"training\.early_stopping"),
        (["tune.search=grid"], SPACE, "search=grid"),
        (["tune.search=optuna"], SPACE, "search=optuna"),
        (["tune.trials=3"], SPACE, "trials=3"),
    ],
)
def test_what_cannot_be_searched_so_is_one_line(
    overrides: Sequence[str], space: Space, told: str, tiny_bert: Path
) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        check_search(plan_of(tiny_bert, *overrides, space=space))
    assert "\n" not in str(refused.value)


def test_groups_are_side_by_side_as_the_machine_and_the_time_need(tiny_bert: Path) -> None:
    tune = plan_of(tiny_bert).experiment.tune
    assert [groups_at_once(tune, 6, slots) for slots in (1, 5, 6, 99)] == [1, 1, 2, 6]
    hurried = tune.model_copy(update={"max_hours": 1.0})
    assert groups_at_once(hurried, 6, 1) == 6
    assert waiting_checkpoints(tune, 6, 1, keep=True) == 6 * MEMBERS * (PARTS - 1)


def test_the_report_shows_the_schedule(searched: tuple[SearchPlan, Path, Population]) -> None:
    summary = searched[2].summary()
    [group] = summary.groups
    copy = next(one for one in group.tried if one.schedule)
    changed: Any = replace(
        copy, schedule=((0.0, {RATE: 1e-4, "model.dropout": 0.1}), (0.5, {RATE: 1.2e-4}))
    )
    assert scheduled(changed, RATE) == "0.0001, from 50 % on 0.00012"
    assert scheduled(changed, "model.dropout") == "0.1"
    view = chosen_view(replace(summary, groups=(replace(group, chosen=copy.index),)))
    assert any("% on" in field.text for field in view.rows[0])
    assert group.importances == {}
