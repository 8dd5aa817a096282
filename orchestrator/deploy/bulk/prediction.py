"""Answers every row of an input: block after block, each written before the next is read."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from orchestrator.deploy.bulk.batches import answer
from orchestrator.deploy.bulk.block import BLOCK_BYTES, BLOCK_ROWS, Block
from orchestrator.deploy.bulk.columns import Choice, answer_columns, answer_schema, choose
from orchestrator.deploy.bulk.inputs import Format, Input, Quoting, format_of, opened
from orchestrator.deploy.bulk.outputs import Columns, Output, TextOutput, make_output
from orchestrator.deploy.bulk.parts import Parts, pin_of
from orchestrator.deploy.predictor import Predictor
from trainables.config.explain import nearest
from trainables.data.examples import text_problem
from trainables.errors import ConfigError, DataError

STREAM = "-"
"""Standard input or output."""

PARTS_FORMAT = 1
"""Version of the parts of an output."""

REPORTED = 10
"""Rows without an answer that are named."""


@dataclass(frozen=True)
class Request:
    """What is predicted, and where it is written.

    Attributes:
        source: a file, or ``STREAM``.
        target: a file, or ``STREAM``.
        text, text_pair: text columns; see ``columns.choose``.
        tasks: those to answer; see ``columns.choose``.
        keep: the input's columns that stand in the output; None for all.
        source_format, target_format: formats; None for those of the files' endings.
        quoting: of a CSV or TSV input; see ``inputs.opened``.
        strict: whether a row without an answer is an error.
    """

    source: str
    target: str
    text: str | None = None
    text_pair: str | None = None
    tasks: tuple[str, ...] | None = None
    keep: tuple[str, ...] | None = None
    source_format: str | None = None
    target_format: str | None = None
    quoting: Quoting | None = None
    strict: bool = False


@dataclass
class Summary:
    """What was predicted.

    Attributes:
        tasks: the tasks that were answered.
        skipped: the model's other tasks.
        texts: the text columns.
        rows: rows of the output.
        resumed: rows among them that an interrupted command had answered.
        bad: rows among them that have no answer.
        reasons: of the first of these, which and why.
        late: columns of JSONL that the first rows lack, and so the output.
    """

    tasks: tuple[str, ...]
    skipped: tuple[str, ...]
    texts: tuple[str, ...]
    rows: int = 0
    resumed: int = 0
    bad: int = 0
    reasons: list[str] = field(default_factory=list)
    late: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Progress:
    """How far a prediction is.

    Attributes:
        rows: rows that are finished.
        resumed: rows among them that an interrupted command had answered.
        share: how much of the input was read, from 0 to 1; None of a stream.
    """

    rows: int
    resumed: int
    share: float | None


Report = Callable[[Progress], None]
"""Is told of every finished block."""


def predict_rows(
    predictor: Predictor,
    model: str,
    request: Request,
    report: Report = lambda progress: None,
) -> Summary:
    """Answer every row of the input and write it with its answers, in the same order.

    Rows that cannot be answered have no values there but the reason. The output appears when it is
    whole. Until then its finished blocks are in ``OUTPUT.parts``, from which the same request goes
    on; a stream is not resumed.

    Args:
        predictor: the model.
        model: its fingerprint.
        request: what to do.
        report: is told of every finished block.

    Raises:
        ConfigError: an option, task or format that cannot be used.
        DataError: the input cannot be read, or with ``strict``, a row cannot be answered.
    """
    source = Path("standard input" if request.source == STREAM else request.source)
    source_format = format_of(request.source, request.source_format, "--input-format")
    target_format = format_of(request.target, request.target_format, "--output-format")
    if request.target == STREAM and target_format == "parquet":
        raise ConfigError(f"--output {STREAM}: Parquet cannot be written there; choose a file")
    stream = sys.stdin.buffer if request.source == STREAM else None
    # Before it is opened, so that a change while it is read is noticed afterwards.
    pin = pin_of(source) if stream is None and source.is_file() else None
    with opened(source, source_format, request.quoting, stream) as rows, ExitStack() as stack:
        choice = choose(rows, predictor.tasks, request.text, request.text_pair, request.tasks)
        output = _output(target_format, rows, request.keep, predictor, choice)
        work = _Work(predictor, request, rows, choice, output, target_format, report)
        if request.target == STREAM:
            return work.to_stream(sys.stdout.buffer)
        pins = None
        if pin is not None:
            options = {
                "texts": choice.texts,
                "tasks": choice.tasks,
                "keep": request.keep,
                "quoting": request.quoting,
                "formats": [source_format, target_format],
                "parts": [PARTS_FORMAT, BLOCK_ROWS, BLOCK_BYTES],
            }
            pins = {"input": pin, "model": model, "options": options}
        parts = Parts(Path(request.target), pins)
        stack.callback(parts.close)
        summary = work.to_parts(parts)
        if pin is not None and pin_of(source) != pin:
            raise DataError(
                f"{source}: was changed while it was read; delete {parts.folder} and predict again"
            )
        parts.finish(work.blocks, output)
        return summary


def _output(
    kind: Format, rows: Input, keep: Sequence[str] | None, predictor: Predictor, choice: Choice
) -> Output:
    for column in keep or ():
        if column not in rows.columns:
            raise ConfigError(f"--keep {column}: is no column{nearest(column, rows.columns)}")
    answers = answer_schema({task: predictor.tasks[task] for task in choice.tasks})
    for column in rows.columns if keep is None else keep:
        if column in answers.names:
            raise ConfigError(
                f"{rows.name}: column {column!r} would stand beside an answer of that name; rename "
                "it, or name the other columns with --keep"
            )
    return make_output(kind, rows, keep, answers)


class _Work:
    """The blocks of one input, one after the other.

    Attributes:
        blocks: how many were read.
    """

    def __init__(
        self,
        predictor: Predictor,
        request: Request,
        rows: Input,
        choice: Choice,
        output: Output,
        kind: Format,
        report: Report,
    ) -> None:
        self._predictor = predictor
        self._request = request
        self._rows = rows
        self._choice = choice
        self._output = output
        self._tabular = kind != "jsonl"
        self._report = report
        self._summary = Summary(choice.tasks, choice.skipped, choice.texts)
        self.blocks = 0

    def to_parts(self, parts: Parts) -> Summary:
        """Answer what has no part."""
        for block in self._rows.blocks:
            number, self.blocks = self.blocks, self.blocks + 1
            examples, errors = self._examples(block)
            finished = parts.has(number)
            if not finished:
                answers = self._answers(examples, errors)
                parts.add(number, lambda path, b=block, a=answers: self._output.write(path, b, a))
            self._count(block, resumed=finished)
        return self._summary

    def to_stream(self, stream: BinaryIO) -> Summary:
        """Answer and write at once."""
        assert isinstance(self._output, TextOutput), "Parquet was refused"
        stream.write(self._output.header)
        for block in self._rows.blocks:
            answers = self._answers(*self._examples(block))
            stream.write(self._output.encode(block, answers))
            stream.flush()
            self._count(block, resumed=False)
        return self._summary

    def _examples(self, block: Block) -> tuple[list[tuple[str, ...]], list[str | None]]:
        """The texts of a block's rows, and why some cannot be answered; counts these."""
        examples: list[tuple[str, ...]] = []
        errors: list[str | None] = []
        for number, problem, values in zip(
            block.numbers, block.problems, block.values(self._choice.texts), strict=True
        ):
            if len(values) > 1 and None in values:
                values = tuple("" if value is None else value for value in values)
            problem = problem or text_problem(values)
            examples.append(values)
            errors.append(problem)
            if problem is not None:
                where = f"{self._rows.name}:{number}: {problem}"
                if self._request.strict:
                    raise DataError(f"{where} (--strict)")
                self._summary.bad += 1
                if len(self._summary.reasons) < REPORTED:
                    self._summary.reasons.append(where)
        return examples, errors

    def _answers(self, examples: list[tuple[str, ...]], errors: list[str | None]) -> Columns:
        answered = [row for row, error in enumerate(errors) if error is None]
        tasks = {task: self._predictor.tasks[task] for task in self._choice.tasks}
        logits = answer(self._predictor, [examples[row] for row in answered], self._choice.tasks)
        return answer_columns(tasks, logits, answered, errors)

    def _count(self, block: Block, *, resumed: bool) -> None:
        self._summary.rows += len(block)
        self._summary.resumed += len(block) * resumed
        if self._tabular and self._request.keep is None:
            self._summary.late |= {name for row in block.rows for name in row} - {
                *self._rows.columns
            }
        size = self._rows.size
        share = None if size is None else min(1.0, block.end / max(size, 1))
        self._report(Progress(self._summary.rows, self._summary.resumed, share))
