"""ASHA against full random search, at the same trials: what it spends, and what it finds.

    python -m benchmarks.asha data.glue_dir=DIR

Two searches of the same groups with the same seed try the same settings: one trains every trial to
its end, the other lets ASHA stop them. The best settings of each are then trained with every seed
and measured on validation. Printed is, for each group, the share of the full search's examples that
ASHA spent, and the score of its choice beside the full search's, as mean and standard error over
the seeds.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from orchestrator.commands.tune import TunedExperiment
from orchestrator.commands.tune_report import TuningOutcome
from orchestrator.report.rows import TableRow
from orchestrator.search.summary import GroupSummary

SETTINGS = (
    "tasks=[cola,sst2]",
    "arms=[single_task]",
    "models=[minilm-l6]",
    "seeds=[41,42,43]",
    "limits.max_train_examples=400",
    "tune.trials=16",
    "tune.defaults=false",
    "resources.cpu=1",
)


@dataclass(frozen=True)
class Score:
    """A choice on validation, as fractions.

    Attributes:
        mean: over seeds.
        error: standard error of that mean, over seeds.
    """

    mean: float
    error: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both searches and print the comparison as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("settings", nargs="*", help="key=value, laid over the benchmark's own")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/benchmark-asha"))
    parser.add_argument("--preset", default="full")
    parser.add_argument("--space", default="small")
    given = parser.parse_args(arguments)
    outcomes = {
        scheduler: TunedExperiment.load(
            given.preset,
            given.space,
            [*SETTINGS, *given.settings, f"tune.scheduler={scheduler}"],
        ).run(given.run_dir / scheduler, console=Console(stderr=True, width=120))
        for scheduler in ("none", "asha")
    }
    print("\n".join(table(outcomes["none"], outcomes["asha"])))


def table(full: TuningOutcome, asha: TuningOutcome) -> list[str]:
    """The lines of the comparison."""
    lines = [
        "| group | trials | examples of the full search | of them ASHA | selection: full | ASHA | "
        "validation: full | ASHA | difference | larger standard error |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    pairs = zip(full.summary.groups, asha.summary.groups, strict=True)
    for one, other in pairs:
        before, after = score(full.rows, one), score(asha.rows, other)
        error = max(before.error, after.error)
        lines.append(
            f"| {one.arm} {one.task or ''} | {len(one.tried)} | {one.spent.examples:,} "
            f"| {100 * other.spent.examples / one.spent.examples:.1f} % "
            f"| {chosen_score(one):.3f} | {chosen_score(other):.3f} "
            f"| {before.mean:.3f} ± {before.error:.3f} | {after.mean:.3f} ± {after.error:.3f} "
            f"| {after.mean - before.mean:+.3f} | {error:.3f} |"
        )
    spent = asha.summary.spent.examples / full.summary.spent.examples
    lines += ["", f"ASHA spent {100 * spent:.1f} % of the examples of the full search."]
    return lines


def chosen_score(group: GroupSummary) -> float:
    """Score on selection of the settings that were taken."""
    choice = group.choice
    assert choice is not None
    assert choice.score is not None
    return choice.score


def score(rows: Sequence[TableRow], group: GroupSummary) -> Score:
    """What the choice of a group is worth on validation."""
    [row] = [r for r in rows if r.tuned and (r.arm, r.model) == (group.arm, group.model)]
    stat = row.macro() if group.task is None else row.headline(group.task)
    assert stat is not None
    return Score(stat.mean, (stat.std or 0.0) / math.sqrt(stat.n))


if __name__ == "__main__":
    main()
