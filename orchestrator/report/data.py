"""The facts about the tasks' data, as texts for a plan and for the lines above a table."""

from orchestrator.planning.data_facts import CutTexts, DataFacts, PooledClasses
from orchestrator.text import DASH, listed, plain
from trainables.data.profile import TaskProfile

MOST_CLASSES = 12
"""Classes of a split that are named; of more, the largest."""


def data_lines(facts: DataFacts) -> tuple[tuple[str, str], ...]:
    """Name and text of the lines above a table: each task's data, then ``model_lines``."""
    lines = tuple(
        (plain(f"data {task}"), plain("; ".join(_splits(facts, task, profile))))
        for task, profile in facts.tasks.items()
    )
    return lines + model_lines(facts)


def model_lines(facts: DataFacts) -> tuple[tuple[str, str], ...]:
    """Name and text of the lines about texts that are cut and classes that are pooled."""
    lines = []
    if facts.cut:
        texts = (_cut_line(facts, model, cut) for model, cut in facts.cut.items())
        lines.append(("cut texts", " / ".join(texts)))
    lines += [(f"classes of {arm}", _pooled(pooled)) for arm, pooled in facts.pooled.items()]
    return tuple((plain(name), plain(text)) for name, text in lines)


def _splits(facts: DataFacts, task: str, profile: TaskProfile) -> list[str]:
    parts = []
    for split, size in profile.sizes.items():
        classes = f": {_classes(profile, split)}" if profile.labels else ""
        findings = _findings(facts, task, split)
        parts.append(f"{split} {size:,}{classes}" + (f" ({findings})" if findings else ""))
    return parts


def _classes(profile: TaskProfile, split: str) -> str:
    """The classes of a split with their examples."""
    counts = list(zip(profile.labels, profile.classes[split], strict=True))
    more = len(counts) - MOST_CLASSES
    if more > 0:
        counts = sorted(counts, key=lambda item: -item[1])[:MOST_CLASSES]
    named = ", ".join(f"{plain(name)} {number:,}" for name, number in counts)
    return named + (f" and {more} more classes" if more > 0 else "")


def _findings(facts: DataFacts, task: str, split: str) -> str:
    """What of a split stands twice, or somewhere else too."""
    profile, parts = facts.tasks[task], []
    if split == "train":
        if profile.repeated:
            parts.append(f"{profile.repeated:,} texts more than once")
        if profile.contradictions:
            parts.append(f"{profile.contradictions:,} with different labels")
        if facts.dropped.get(task):
            parts.append(f"{facts.dropped[task]:,} examples left out: they are evaluated somewhere")
        return ", ".join(parts)
    overlap = profile.in_train[split]
    if overlap.examples:
        other = f", {overlap.other_label:,} only with another label" * bool(overlap.other_label)
        parts.append(f"{overlap.examples:,} in train{other}")
    parts += [
        f"{shared[split]:,} in the train split of {plain(other)}"
        for other, shared in facts.across[task].items()
        if shared.get(split)
    ]
    return ", ".join(parts)


def _cut_line(facts: DataFacts, model: str, cut: CutTexts) -> str:
    tasks = [
        f"{task} "
        + ", ".join(
            f"{number:,} of {facts.tasks[task].sizes[split]:,} {split}"
            for split, number in counts.items()
        )
        for task, counts in cut.tasks.items()
        if any(counts.values())
    ]
    return f"{model} ({cut.max_length} tokens, define.models.{model}.max_length): " + (
        "; ".join(tasks) or "none"
    )


def _pooled(pooled: PooledClasses) -> str:
    """The classes of a naive_concat arm."""
    if pooled.by == "union":
        return f"{len(pooled.classes)}, one for each task and label"
    if pooled.by == "name":
        names = (next(iter(labels.values())) for labels in pooled.classes)
        tasks = ", ".join(pooled.classes[0])
        return f"pooled by name over {tasks}: {', '.join(names)}"
    classes = (
        " = ".join(f"{label} ({task})" for task, label in labels.items())
        for labels in pooled.classes
    )
    return f"pooled by position: {'; '.join(classes)}"


def data_grid(facts: DataFacts) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A plan's table of the tasks' data: the heads, and a row for every split of every task."""
    cut = ("cut",) if facts.cut else ()
    rows = [
        (
            plain(task),
            split,
            f"{size:,}",
            _classes(profile, split) if profile.labels else DASH,
            *(_cut_cell(facts, task, split) for _ in cut),
            _findings(facts, task, split) or DASH,
        )
        for task, profile in facts.tasks.items()
        for split, size in profile.sizes.items()
    ]
    return ("task", "split", "examples", "classes", *cut, "found"), rows


def _cut_cell(facts: DataFacts, task: str, split: str) -> str:
    """How many examples of a split each model cuts."""
    counts = {model: cut.tasks[task][split] for model, cut in facts.cut.items()}
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values())):,}"
    return listed([f"{plain(model)} {number:,}" for model, number in counts.items()])
