"""The Python API: ``Experiment`` loads, plans, runs and reports a grid, as the commands do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rich.console import Console

from orchestrator.commands.cost import cost_warnings
from orchestrator.commands.report import Outcome, report
from orchestrator.commands.rounds import rounds_left, run_rounds
from orchestrator.commands.session import MakeExecutor, open_session, preview_resources
from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.execution.tracking import publish_report
from orchestrator.planning.pending import trials_to_run
from orchestrator.planning.plan import Plan, make_plan
from orchestrator.planning.resources import TrialResources
from orchestrator.report.terminal import print_findings


@dataclass(frozen=True)
class Experiment:
    """A grid of trials: arms x models x seeds.

        experiment = Experiment.load("demo", ["seeds=[1,2]"])
        experiment.plan().trials
        outcome = experiment.run(local=True)
        print(outcome.table)

    Attributes:
        config: the validated configuration.
    """

    config: ExperimentConfig

    @classmethod
    def load(cls, preset: str, overrides: Sequence[str] = ()) -> "Experiment":
        """Load a preset.

        Args:
            preset: its name, or a .yaml file.
            overrides: ``key=value``.

        Raises:
            ConfigError: the first thing that is wrong, naming its key.
        """
        return cls(load_experiment(preset, list(overrides)))

    @property
    def default_run_dir(self) -> Path:
        """``runs/NAME`` in the working directory."""
        return Path("runs") / self.config.name

    def plan(self) -> Plan:
        """All trials, of seeds in rounds those of all rounds; nothing runs.

        Raises:
            InputError: data, an encoder or a combination of settings that cannot be used.
        """
        return self._plan

    @cached_property
    def _plan(self) -> Plan:
        return make_plan(self.config)

    def resources(self, *, local: bool = False) -> TrialResources:
        """What each trial would get of this machine, or of the cluster at ``ray.address``.

        Args:
            local: whether they would run in this process.

        Raises:
            ResourceError: no node can run a trial, or the cluster cannot be reached.
        """
        plan = self.plan()
        return preview_resources(self.config, plan, len(plan.trials), local=local)

    def run(
        self,
        run_dir: Path | str | None = None,
        *,
        local: bool = False,
        console: Console | None = None,
        executor: MakeExecutor | None = None,
        cost: bool = False,
    ) -> Outcome:
        """Run the trials that have not finished and compare the arms.

        Args:
            run_dir: path or URL; None: ``default_run_dir``.
            local: whether trials run in this process, without Ray.
            console: where progress is printed; None: standard output.
            executor: makes the executor, in place of the two usual ones.
            cost: whether to measure at the end what the arms' models cost to deploy, on this
                machine (see ``measure_cost``).

        Raises:
            InputError: bad input; nothing has been trained.
            KeyboardInterrupt: interrupted; finished trials are kept.
        """
        plan = self.plan()
        on_this_machine = local or self.config.ray.address is None
        # Found out before Ray starts, which takes seconds.
        preview = self.resources(local=local) if on_this_machine else None
        where, console = run_dir or self.default_run_dir, console or Console()
        with open_session(
            self.config,
            where,
            console,
            plan=plan,
            local=local,
            executor=executor,
        ) as session:
            part = rounds_left(session.config, plan, session.records)[0]
            waiting = trials_to_run(session.run_dir, part.trials, session.records)
            if preview is not None:
                session.check_room(part, waiting, preview)
            if waiting:
                print_findings(session.console, plan.facts)
            trained = run_rounds(session, plan)
            outcome = report(session.run_dir)
            publish_report(session.config, session.run_dir, session.console)
        if cost:
            # Ray has ended, and nothing else computes.
            why_not = cost_warnings(where, console)
            outcome = report(where)
            outcome = replace(outcome, warnings=(*outcome.warnings, *why_not))
        return replace(outcome, trained=trained)

    def report(self, run_dir: Path | str | None = None, *, texts: bool = False) -> Outcome:
        """Make the tables and the report of a run directory again from its records.

        Args:
            run_dir: path or URL; None: ``default_run_dir``.
            texts: see ``orchestrator.commands.report.report``.

        Raises:
            RunDirectoryError: there is no plan, or it is damaged.
        """
        return report(run_dir or self.default_run_dir, texts=texts)
