"""Which columns of an input are texts, which tasks they answer, and the columns of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.deploy.bulk.inputs import Input
from orchestrator.deploy.predictor import TaskOutput, probabilities
from trainables.config.explain import nearest
from trainables.errors import ConfigError, DataError

PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text", "text_pair"),
)
"""Names of two text columns that need no option: those of the catalogue's tasks, and our own."""

SINGLES = ("text", "sentence", *(first for first, _ in PAIRS))
"""Names of a text column that needs no option."""

ERROR = "error"
"""The column that says why a row has no answer."""

DECIMALS = 6


@dataclass(frozen=True)
class Choice:
    """What is read and answered.

    Attributes:
        texts: the text columns, one or two.
        tasks: the tasks that are answered, in the model's order.
        skipped: the model's other tasks.
    """

    texts: tuple[str, ...]
    tasks: tuple[str, ...]
    skipped: tuple[str, ...]


def choose(
    opened: Input,
    model: Mapping[str, TaskOutput],
    text: str | None,
    text_pair: str | None,
    tasks: Sequence[str] | None,
) -> Choice:
    """Choose text columns and tasks.

    Without ``tasks``, those are answered whose examples have as many texts as there are text
    columns. A task of one text that is named beside pairs reads the first text.

    Args:
        opened: the input.
        model: the model's tasks.
        text: the column of the only or first text; None for the usual names.
        text_pair: the column of the second text; None for the usual names, or where ``text`` is
            given for none.
        tasks: those to answer; None for all that fit.

    Raises:
        ConfigError: there is no such task, none fits, or one needs a second text.
        DataError: there is no such column, or it holds no texts.
    """
    for task in tasks or ():
        if task not in model:
            raise ConfigError(
                f"--tasks {task}: the model has no such task{nearest(task, [*model])}"
            )
    wanted = [model[task].texts for task in (model if tasks is None else tasks)]
    texts = _text_columns(opened, text, text_pair, pairs=2 in wanted, singles=1 in wanted)
    if tasks is None:
        chosen = tuple(task for task in model if model[task].texts == len(texts))
    else:
        chosen = tuple(task for task in model if task in tasks)
        pair = next((task for task in chosen if model[task].texts > len(texts)), None)
        if pair is not None:
            raise ConfigError(
                f"--tasks {pair}: has two texts; name the second one's column with --text-pair: "
                f"{opened.name} has {_listed(opened.columns)}"
            )
    if not chosen:
        need = "two texts" if len(texts) == 1 else "one text; leave --text-pair out"
        raise ConfigError(
            f"{opened.name}: no task is answered from {_listed(texts)}: examples of "
            f"{', '.join(model)} have {need}"
        )
    return Choice(texts, chosen, tuple(task for task in model if task not in chosen))


def _text_columns(
    opened: Input, text: str | None, text_pair: str | None, *, pairs: bool, singles: bool
) -> tuple[str, ...]:
    columns = opened.columns
    if text is None and text_pair is None:
        for names in PAIRS if pairs else ():
            if set(names) <= set(columns):
                return _checked(opened, names)
    if text is None:
        usual = [name for name in SINGLES if name in columns and name != text_pair]
        if not usual or not (singles or text_pair is not None):
            option = "--text NAME and --text-pair NAME" if not singles else "--text NAME"
            raise DataError(
                f"{opened.name}: no column has a usual name of {'two texts' * (not singles)}"
                f"{'a text' * singles}; add {option}: it has {_listed(columns)}"
            )
        text = usual[0]
    return _checked(opened, (text,) if text_pair is None else (text, text_pair))


def _checked(opened: Input, texts: tuple[str, ...]) -> tuple[str, ...]:
    for option, column in zip(("--text", "--text-pair"), texts, strict=False):
        if column not in opened.columns:
            near = nearest(column, opened.columns).replace("there are", "it has")
            raise DataError(f"{opened.name}: no column {column!r} ({option}){near}")
        kind = opened.schema.field(column).type if opened.schema is not None else pa.string()
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (pa.types.is_null(kind) or _is_text(kind)):
            raise DataError(f"{opened.name}: column {column!r} ({option}) holds {kind}, no texts")
    return texts


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")


def answer_schema(tasks: Mapping[str, TaskOutput]) -> pa.Schema:
    """The columns of answers: TASK and, with classes, TASK.LABEL for each; then ``ERROR``.

    Raises:
        ConfigError: two would have the same name.
    """
    fields: list[pa.Field] = []
    for task, output in tasks.items():
        fields.append(pa.field(task, pa.float64() if output.regression else pa.string()))
        fields += [pa.field(f"{task}.{label}", pa.float64()) for label in output.labels]
    fields.append(pa.field(ERROR, pa.string()))
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two columns of answers would be {name!r}; choose with --tasks")
    return pa.schema(fields)


def answer_columns(
    tasks: Mapping[str, TaskOutput],
    logits: Mapping[str, np.ndarray],
    answered: Sequence[int],
    errors: Sequence[str | None],
) -> dict[str, list[Any]]:
    """The columns of ``answer_schema`` for some rows; None where a row has no answer.

    Probabilities and numbers have six decimals.

    Args:
        tasks: the tasks that were answered.
        logits: task -> logits, shape ``(len(answered), labels)``.
        answered: the rows that have an answer.
        errors: of each row, why it has none.
    """
    columns: dict[str, list[Any]] = {}

    def add(name: str, values: Sequence[Any]) -> None:
        column: list[Any] = [None] * len(errors)
        for row, value in zip(answered, values, strict=True):
            column[row] = value
        columns[name] = column

    for task, output in tasks.items():
        if output.regression:
            add(task, np.round(logits[task][:, 0].astype(np.float64), DECIMALS).tolist())
            continue
        add(task, [output.labels[best] for best in logits[task].argmax(axis=1)])
        shares = np.round(probabilities(logits[task]), DECIMALS)
        for label, share in zip(output.labels, shares.T, strict=True):
            add(f"{task}.{label}", share.tolist())
    return columns | {ERROR: list(errors)}
