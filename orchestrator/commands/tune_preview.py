"""Shows what would be searched."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from orchestrator.commands.plan import describe_rounds, planned_rounds
from orchestrator.commands.tune import SearchPreview
from orchestrator.report.terminal import print_facts, print_findings
from orchestrator.search.best_trial import Incumbent
from orchestrator.text import plain


def print_preview(console: Console, preview: SearchPreview) -> None:
    """Print the groups, what is searched of each, and their budgets."""
    plan, tune = preview.plan, preview.experiment.tune
    space = preview.experiment.space
    lines = [
        f"{tune.trials} trials a group: {tune.search} search in the space {plain(space.name)}, "
        f"scheduler {tune.scheduler}; each trial gets {preview.resources.describe()}",
        f"{preview.resources.slots} trials at once; examples are the most that one trial sees",
    ]
    if plan.rerank_seeds and tune.rerank is not None:
        seeds = ", ".join(map(str, plan.rerank_seeds))
        most = len(plan.groups) * min(tune.rerank.top, tune.trials) * tune.rerank.seeds
        lines.append(
            f"then the best {tune.rerank.top} settings of each group are ranked again with the "
            f"seeds {seeds}: at most {most} trials more"
        )
    if tune.refit:
        lines += _comparison(preview)
    if preview.resources.why:
        lines.append(preview.resources.why)
    if plan.upstream:
        lines.append(f"before the search: {len(plan.upstream)} trials that others need")
    table = Table(title="groups", caption="\n".join(lines), box=SIMPLE_HEAD)
    for column in ("group", "score on selection", "searched"):
        table.add_column(column, overflow="fold")
    table.add_column("examples", justify="right")
    table.add_column("measured after", justify="right", overflow="fold")
    for group in plan.groups:
        table.add_row(
            plain(group.name),
            group.metric,
            ", ".join(space.keys_for(group.facts)),
            f"{group.budget:,}",
            ", ".join(f"{rung:,}" for rung in group.rungs) or "its end",
        )
    print_facts(console, plan.facts)
    console.print(table, markup=False)
    print_findings(console, plan.facts)


def _comparison(preview: SearchPreview) -> list[str]:
    """Lines about the comparison that follows the search."""
    experiment = preview.experiment
    # What is chosen decides no number of trials.
    plan = preview.plan.refit({group.name: Incumbent({}) for group in preview.plan.groups})
    settings = "at the preset's settings and tuned" if experiment.tune.defaults else "tuned"
    first = f"then the arms are compared, {settings}: {len(plan.trials)} trials"
    return [first, *describe_rounds(planned_rounds(experiment, plan)).splitlines()]
