"""The Python API of a search: ``TunedExperiment``, as the command ``tune`` uses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from orchestrator.commands.cost import cost_warnings
from orchestrator.commands.rounds import run_rounds
from orchestrator.commands.session import MakeExecutor, Session, open_session, preview_resources
from orchestrator.commands.tune_report import TuningOutcome, report_tuning
from orchestrator.config.search import TunedExperimentConfig, load_tuned_experiment
from orchestrator.execution.tracking import publish_report
from orchestrator.planning.resources import TrialResources
from orchestrator.report.terminal import print_findings
from orchestrator.run_dir.directory import write_config
from orchestrator.run_dir.remote import search_of
from orchestrator.search.best_trial import Incumbent
from orchestrator.search.engine import check_search, search_groups
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Study
from orchestrator.search.warm_start import keep_warm_start, read_warm_start, warm_start_of
from search_spaces.space import Space
from trainables.errors import ConfigError, TrialError


@dataclass(frozen=True)
class SearchPreview:
    """A search before it runs.

    Attributes:
        experiment: what was asked for.
        plan: its groups.
        resources: what each trial gets.
    """

    experiment: TunedExperimentConfig
    plan: SearchPlan
    resources: TrialResources


@dataclass(frozen=True)
class TunedExperiment:
    """A grid whose settings are searched before the arms are compared.

        experiment = TunedExperiment.load("demo", "quick", ["tune.trials=4"])
        outcome = experiment.run(local=True)

    Attributes:
        config: the validated configuration.
    """

    config: TunedExperimentConfig

    @classmethod
    def load(
        cls, preset: str, space: str | Space, overrides: Sequence[str] = ()
    ) -> "TunedExperiment":
        """Load a preset and a search space.

        Args:
            preset: its name, or a .yaml file.
            space: its name, a .yaml file, or a space.
            overrides: ``key=value``.

        Raises:
            ConfigError: the first thing that is wrong, naming its key.
        """
        return cls(load_tuned_experiment(preset, space, list(overrides)))

    @property
    def default_run_dir(self) -> Path:
        """``runs/NAME-SPACE`` in the working directory."""
        return Path("runs") / f"{self.config.name}-{self.config.space.name}"

    def plan(self) -> SearchPreview:
        """All that a search needs; nothing runs.

        Raises:
            InputError: anything that would keep it from running.
        """
        plan = _checked(self.config)
        read_warm_start(self.config.tune.warm_start)
        return SearchPreview(self.config, plan, _preview(plan))

    def run(
        self,
        run_dir: Path | str | None = None,
        *,
        local: bool = False,
        console: Console | None = None,
        executor: MakeExecutor | None = None,
        cost: bool = False,
    ) -> TuningOutcome:
        """Search good settings for every group, then compare the arms with them.

        Trials of the run directory that have finished are not run again: the search resumes where
        it stood, and so does the comparison.

        Args:
            run_dir: path or URL; None: ``default_run_dir``.
            local: whether trials run in this process, without Ray.
            console: where progress is printed; None: standard output.
            executor: makes the executor, in place of the two usual ones.
            cost: see ``Experiment.run``.

        Raises:
            InputError: bad input; nothing has been trained.
            TrialError: no trial of a group has a score, so there is nothing to choose.
            KeyboardInterrupt: interrupted; the same command resumes.
        """
        plan = _checked(self.config)
        if local or self.config.ray.address is None:
            # Before Ray starts, which takes seconds.
            _preview(plan, local=local)
        where, console = run_dir or self.default_run_dir, console or Console()
        with open_session(
            self.config,
            where,
            console,
            check=lambda opened: warm_start_of(search_of(opened), self.config.tune.warm_start),
            local=local,
            executor=executor,
        ) as session:
            outcome = _run(plan, session)
        if cost:
            why_not = cost_warnings(where, console)
            made = report_tuning(where)
            outcome = replace(made, trained=outcome.trained, warnings=(*made.warnings, *why_not))
        return outcome

    def report(self, run_dir: Path | str | None = None) -> TuningOutcome:
        """Make the reports of a search and of its comparison again from their files.

        Args:
            run_dir: path or URL; None: ``default_run_dir``.

        Raises:
            RunDirectoryError: there is no search, or a file of it is damaged.
        """
        return report_tuning(run_dir or self.default_run_dir)


def _preview(plan: SearchPlan, *, local: bool = False) -> TrialResources:
    trials = len(plan.groups) * plan.experiment.tune.trials
    return preview_resources(plan.experiment, plan.largest, trials, local=local)


def _checked(experiment: TunedExperimentConfig) -> SearchPlan:
    plan = SearchPlan(experiment)
    check_search(plan)
    tune, groups = experiment.tune, len(plan.groups)
    if tune.refit and tune.max_trials is not None and tune.max_trials < groups:
        raise ConfigError(
            f"tune.max_trials={tune.max_trials}: there are {groups} groups, each of which needs a "
            f"trial to choose; give at least {groups}, or set tune.refit=false"
        )
    return plan


def _run(plan: SearchPlan, session: Session[TunedExperimentConfig]) -> TuningOutcome:
    experiment, run_dir, console = session.config, session.run_dir, session.console
    search = search_of(run_dir)
    print_findings(console, plan.facts)
    warm_start = warm_start_of(search, experiment.tune.warm_start)
    write_config(run_dir, experiment)
    search.root.mkdir(exist_ok=True)
    keep_warm_start(search, warm_start)
    study = search_groups(plan, search, warm_start, session.executor, console)
    incumbents = study.incumbents()
    trained = 0
    if experiment.tune.refit:
        _check_incumbents(study, incumbents)
        trained = run_rounds(session, plan.refit(incumbents), "comparison")
    outcome = report_tuning(run_dir)
    publish_report(experiment, run_dir, console)
    return replace(outcome, trained=trained)


def _check_incumbents(study: Study, incumbents: Mapping[str, Incumbent]) -> None:
    for name in study.groups:
        if name not in incumbents:
            raise TrialError(
                f"{name}: none of its trials has a score yet, so there is nothing to choose; "
                "run the command again, with more time or another space"
            )
