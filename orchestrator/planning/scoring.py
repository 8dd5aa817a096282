"""What the plan, a single trial and a table's header say of how a task is scored."""

from collections.abc import Sequence

from orchestrator.text import METRIC_NAMES
from trainables.config.metrics import CLASSIFICATION, REGRESSION, f1_name, f1_of, undefined
from trainables.config.task import TaskConfig
from trainables.data.outline import TaskOutline

EQUAL_TARGETS = "Pearson and Spearman are n/a and left out of macro: all {split} targets are equal"


def scoring(task: TaskConfig, data: TaskOutline) -> str:
    """How a task is scored on validation, in one line."""
    validation = data.splits["validation"]
    if task.kind == "regression":
        equal = [EQUAL_TARGETS.format(split="validation")] if validation.distinct == 1 else []
        return "; ".join([headline(task.headline, None), *equal])
    sizes = validation.class_sizes
    named = f1_name(data.labels, task.positive)
    found = caveats(data.labels, task.positive, "validation", sizes)
    return "; ".join([headline(task.headline, named), *dict.fromkeys(found.values())])


def headline(metric: str, f1: str | None) -> str:
    """The headline metric, and whose F1 it is or is shown beside it, if that is known.

    Of a regression, the headline metric and the other one.
    """
    if metric in REGRESSION:
        names = [METRIC_NAMES[name] for name in sorted(REGRESSION, key=lambda name: name != metric)]
        return f"headline {', '.join(names)}"
    if metric == "f1":
        return f"headline {f1 or METRIC_NAMES[metric]}"
    return ", ".join([f"headline {METRIC_NAMES[metric]}", *([f1] if f1 else [])])


def caveats(
    labels: Sequence[str], positive: str | None, split: str, class_sizes: Sequence[int]
) -> dict[str, str]:
    """What a split's labels leave undefined, or out of a mean: metric -> a sentence about it.

    Args:
        labels: the task's labels.
        positive: see ``TaskConfig``.
        split: the split's name.
        class_sizes: its examples of each class.
    """
    absent = [repr(label) for label, n in zip(labels, class_sizes, strict=True) if not n]
    present = [repr(label) for label, n in zip(labels, class_sizes, strict=True) if n]
    nothing = undefined(class_sizes, f1_of(labels, positive))
    if len(present) == 1:
        reason = f"every {split} label is {present[0]}"
        shown = " and ".join(METRIC_NAMES[metric] for metric in CLASSIFICATION if metric in nothing)
        text = f"{shown} are n/a and left out of macro: {reason}"
        return dict.fromkeys([metric for metric in CLASSIFICATION if metric in nothing], text)
    if nothing:
        return {"f1": f"F1 is n/a and left out of macro: no {split} label is {positive!r}"}
    if absent and f1_of(labels, positive) == "macro":
        kinds = ", ".join(absent[:20]) + (", ..." if len(absent) > 20 else "")
        return {
            "f1": f"macro F1 is the mean over the {len(present)} of {len(labels)} classes that "
            f"{split} has, and of the others those that are predicted: no {split} label is {kinds}"
        }
    return {}
