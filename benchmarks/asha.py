"""ASHA and full random search over the same trials: examples used, and scores of the choices.

    python -m benchmarks.asha data.glue_dir=DIR

Two searches of the same groups with the same seed try the same settings: one trains every trial to
its end, the other lets ASHA stop trials early. The best settings of each are then trained with
every seed and evaluated on validation. For each group, prints the share of the full search's
examples that ASHA used, and the scores of both choices as mean and standard error over the seeds.
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
    "tune.rerank=null",
    "resources.cpu=1",
)


@dataclass(frozen=True)
class Score:
    """Validation score of the chosen settings, a fraction.

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
    options = parser.parse_args(arguments)
    outcomes = {
        scheduler: TunedExperiment.load(
            options.preset,
            options.space,
            [*SETTINGS, *options.settings, f"tune.scheduler={scheduler}"],
        ).run(options.run_dir / scheduler, console=Console(stderr=True, width=120))
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
    for group, stopped in pairs:
        full_score, asha_score = score(full.rows, group), score(asha.rows, stopped)
        error = max(full_score.error, asha_score.error)
        lines.append(
            f"| {group.arm} {group.task or ''} | {len(group.tried)} | {group.spent.examples:,} "
            f"| {100 * stopped.spent.examples / group.spent.examples:.1f} % "
            f"| {chosen_score(group):.3f} | {chosen_score(stopped):.3f} "
            f"| {full_score.mean:.3f} ± {full_score.error:.3f} "
            f"| {asha_score.mean:.3f} ± {asha_score.error:.3f} "
            f"| {asha_score.mean - full_score.mean:+.3f} | {error:.3f} |"
        )
    spent = asha.summary.spent.examples / full.summary.spent.examples
    lines += ["", f"ASHA spent {100 * spent:.1f} % of the examples of the full search."]
    return lines


def chosen_score(group: GroupSummary) -> float:
    """Score on the selection split of the chosen settings of a group."""
    choice = group.choice
    assert choice is not None
    assert choice.score is not None
    return choice.score


def score(rows: Sequence[TableRow], group: GroupSummary) -> Score:
    """Score on the validation split of the chosen settings of a group."""
    [row] = [r for r in rows if r.tuned and (r.arm, r.model) == (group.arm, group.model)]
    stat = row.macro() if group.task is None else row.headline(group.task)
    assert stat is not None
    return Score(stat.mean, (stat.std or 0.0) / math.sqrt(stat.n))


if __name__ == "__main__":
    main()
