"""The registry of task sources, and the loading of a task from one of them.

To add a source, write a module with a function ``load(name, task, glue_dir) -> RawTask``, register
it below and add a field of that name to ``TaskConfig``.
"""

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from trainables.config.metrics import f1_of, undefined
from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.files import load as load_files
from trainables.data.glue_dir import load as load_glue_dir
from trainables.data.hub import load as load_hub
from trainables.data.profile import (
    Texts,
    check_columns,
    check_whole,
    held_out_texts,
    without,
)
from trainables.data.rows import suggestion
from trainables.data.splits import RawTask, cap, carve, check, fingerprint, in_both_orders
from trainables.data.task import Split, TaskData
from trainables.errors import DataError

CARVED_TOLERANCE = 0.02
"""By how much a carved share may miss the wanted one without being mentioned."""

Loader = Callable[[str, TaskConfig, str | None], RawTask]
"""(task name, task configuration, GLUE folder or None) -> the source's data."""


def load_demo(name: str, task: TaskConfig, glue_dir: str | None) -> RawTask:
    """Generate the task's demo corpus."""
    from trainables.data import demo

    assert task.demo is not None, "choose_source offers demo only where it is set"
    labels = task.labels or ("0", "1")
    return RawTask(labels, demo.generate(task.demo), "demo corpus (generated)")


LOADERS: dict[str, Loader] = {
    "files": load_files,
    "glue_dir": load_glue_dir,
    "hub": load_hub,
    "demo": load_demo,
}


def choose_source(name: str, task: TaskConfig, requested: str, glue_dir: str | None) -> str:
    """Choose the source to load a task from.

    Args:
        name: the task's name, for messages.
        task: the task's configuration.
        requested: ``auto``, ``hub``, ``glue_dir``, ``demo`` or ``files``. ``auto`` takes the first
            of files, GLUE folder (if one is given), Hub and demo that the task defines. A task
            that defines a single source is loaded from it, whatever is requested.
        glue_dir: the GLUE folder; None without one.

    Returns:
        A key of ``LOADERS``.

    Raises:
        DataError: the task defines several sources, but not the requested one.
    """
    offered = task.offered
    if len(offered) == 1 or requested in offered:
        return requested if requested in offered else offered[0]
    if requested == "auto":
        usable = [source for source in offered if source != "glue_dir" or glue_dir is not None]
        return next(source for source in LOADERS if source in usable)
    raise DataError(
        f"task {name} cannot come from {requested!r} (data.source): it offers "
        f"{', '.join(offered)}, or auto"
    )


def read_task(name: str, task: TaskConfig, source: str, glue_dir: str | None) -> RawTask:
    """Read one task's whole splits and check them.

    Args:
        name: the task's name.
        task: the task's configuration.
        source: the result of :func:`choose_source`.
        glue_dir: the GLUE folder; None without one.

    Raises:
        DataError: anything wrong with the data; the message names the file or key.
    """
    check_columns(name, task)
    _check_settings(name, task, source)
    raw = _with_validation(name, task, source, LOADERS[source](name, task, glue_dir))
    check(name, raw, len(task.text))
    check_whole(name, source, raw)
    return raw


def load_task(
    name: str,
    task: TaskConfig,
    source: str,
    *,
    glue_dir: str | None,
    limits: LimitsConfig,
    selection_fraction: float | None,
    drop_shared: bool = False,
    held_out: Collection[Texts] = (),
) -> TaskData:
    """Read one task (see :func:`read_task`) and prepare it (see :func:`prepare_task`)."""
    return prepare_task(
        name,
        task,
        read_task(name, task, source, glue_dir),
        limits=limits,
        selection_fraction=selection_fraction,
        drop_shared=drop_shared,
        held_out=held_out,
    )


def prepare_task(
    name: str,
    task: TaskConfig,
    raw: RawTask,
    *,
    limits: LimitsConfig,
    selection_fraction: float | None,
    drop_shared: bool = False,
    held_out: Collection[Texts] = (),
) -> TaskData:
    """Apply the limits and carve out the selection split.

    Args:
        name: the task's name.
        task: the task's configuration.
        raw: its whole splits.
        limits: caps per split; the same examples are kept in every trial and seed.
        selection_fraction: share of ``train`` that becomes ``selection``; None for no such split.
        drop_shared: leave out of ``train`` what stands in another split of the task.
        held_out: texts that are left out of ``train`` besides.

    Raises:
        DataError: anything wrong with the data; the message names the file or key.
    """
    splits = dict(raw.splits)
    if drop_shared or held_out:
        own = held_out_texts(raw) if drop_shared else frozenset()
        splits["train"] = without(
            splits["train"], own.union(held_out), both_orders=task.both_orders
        )
        if len(np.unique(splits["train"].labels)) < 2:
            raise DataError(
                f"task {name} ({raw.origin}): without the texts that other splits share "
                f"{len(splits['train'])} train examples of fewer than 2 classes are left; do not "
                "set checks.shared_texts or checks.shared_across_tasks to drop"
            )
    most = limits.of(name).max_train_examples
    assert not isinstance(most, dict)
    splits["train"] = cap(splits["train"], most)
    if limits.train_fraction is not None:
        # Rounded first, so that a tenth of 70 is 7 whatever 0.1 is in binary.
        kept = math.ceil(round(limits.train_fraction * len(splits["train"]), 6))
        splits["train"] = cap(splits["train"], kept)
    for split in ("validation", "mismatched"):
        if split in splits:
            splits[split] = cap(splits[split], limits.max_validation_examples)
    if selection_fraction is not None:
        splits["train"], splits["selection"] = carve(
            splits["train"], selection_fraction, any_order=task.both_orders
        )
        _check_carved(name, task, splits["selection"], "selection")
    if task.both_orders:
        splits["train"] = in_both_orders(splits["train"])
    check(name, RawTask(raw.labels, splits, raw.origin), len(task.text))
    _check_measures(name, task, raw.labels, splits)
    return TaskData(
        name=name,
        labels=raw.labels,
        splits=splits,
        fingerprint=fingerprint(raw.labels, splits),
        origin=raw.origin,
        pair=len(task.text) == 2,
    )


def _check_settings(name: str, task: TaskConfig, source: str) -> None:
    """Check that settings about the rows of a task fit its source.

    Raises:
        DataError: the source has no such columns, none of the files has quotation marks, or names
            of numbered classes are other numbers.
    """
    key = f"define.tasks.{name}"
    if source not in ("files", "hub"):
        for number, label in enumerate(task.labels or ()):
            if label.isdigit() and label != str(number):
                raise DataError(
                    f"{key}.labels: {label!r} stands where {source} has class {number}; write "
                    "names, or the numbers in their order"
                )
        for setting, value in (("group", task.group), ("unlabelled", task.unlabelled)):
            if value not in (None, "refuse"):
                raise DataError(
                    f"{key}.{setting}={value} is for files and Hub data sets, and the task comes "
                    f"from {source} (data.source); remove it"
                )
    if task.quoting is not None:
        files = task.files.paths.values() if task.files is not None and source == "files" else ()
        if not any(path.lower().endswith((".csv", ".tsv")) for path in files):
            raise DataError(
                f"{key}.quoting={task.quoting} is for CSV and TSV files, and the task has none; "
                "remove it"
            )


def _with_validation(name: str, task: TaskConfig, source: str, raw: RawTask) -> RawTask:
    """The data with a validation split carved from train, where the task asks for one."""
    fraction = task.validation_fraction(source)
    if fraction is None:
        return raw
    train, validation = carve(
        raw.splits["train"], fraction, "validation", any_order=task.both_orders
    )
    _check_carved(name, task, validation, "validation")
    share, whole = (
        len(validation) / (len(train) + len(validation)),
        f"{100 * fraction:g} % of train",
    )
    if abs(share - fraction) >= CARVED_TOLERANCE:
        whole = f"{100 * share:.2g} % of train ({100 * fraction:g} % asked for)"
    return RawTask(
        raw.labels,
        raw.splits | {"train": train, "validation": validation},
        f"{raw.origin}; validation is {whole}, carved",
    )


def _check_carved(name: str, task: TaskConfig, split: Split, purpose: str) -> None:
    """Check that a carved split has examples.

    Raises:
        DataError: it has none.
    """
    if not len(split):
        group = f" and in {task.group!r}" if task.group is not None else ""
        raise DataError(
            f"task {name}: no {purpose} split can be carved from train: no class has two examples "
            f"that differ in their text{group}, and those that do not stay together; give it more"
        )


def _check_measures(
    name: str, task: TaskConfig, labels: tuple[str, ...], splits: Mapping[str, Split]
) -> None:
    """Check that the task's metrics can be measured where something depends on them.

    Raises:
        DataError: ``positive`` is no label, or the selection split leaves the headline undefined.
    """
    if task.positive not in (None, "macro", *labels):
        raise DataError(
            f"define.tasks.{name}.positive={task.positive}: it is neither macro nor a label; "
            f"{suggestion(str(task.positive), labels)}"
        )
    if "selection" not in splits:
        return
    if task.kind == "regression":
        if len(np.unique(splits["selection"].labels)) < 2:
            raise DataError(
                f"task {name}: the selection split that is carved from train has equal targets, "
                f"which leave the headline {task.headline} undefined; raise selection.fraction"
            )
    else:
        sizes = splits["selection"].class_sizes(len(labels))
        if task.headline in undefined(sizes, f1_of(labels, task.positive)):
            kinds = ", ".join(label for label, size in zip(labels, sizes, strict=True) if size)
            raise DataError(
                f"task {name}: the selection split that is carved from train has labels of "
                f"{kinds} alone, which leaves the headline {task.headline} undefined; raise "
                f"selection.fraction, or set define.tasks.{name}.headline=accuracy"
            )
