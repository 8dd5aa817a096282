"""What a task is: where its examples are, what they look like and how it is scored.

The built-in tasks are plain values in ``search_spaces/catalogue.yaml``.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from trainables.config.base import Settings


def _as_label(value: Any) -> Any:
    """A whole number as the label of that name."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


SPLITS = ("train", "validation", "mismatched", "test")
"""The splits that a source may have."""

_MISMATCHED = (
    "a second validation split, of other origin than train, which is measured and shown beside the "
    "first (MNLI); None: none"
)


class HubSource(Settings):
    """A data set on the Hugging Face Hub, loaded with ``datasets.load_dataset``."""

    name: str = Field(min_length=1, description="repository, for example nyu-mll/glue")
    config: str | None = Field(
        default=None, description="configuration inside it, for example cola; None: the only one"
    )
    revision: str | None = Field(
        default=None, description="branch, tag or commit; None: the main branch"
    )
    train: str = Field(default="train", description="name of the training split")
    validation: str = Field(default="validation", description="name of the validation split")
    mismatched: str | None = Field(default=None, description=_MISMATCHED)
    test: str | None = Field(
        default=None,
        description="name of the test split, only where its labels are not hidden; None: not used",
    )


class FileSource(Settings):
    """A user's own files: CSV, TSV, JSONL or Parquet, told apart by their ending."""

    train: str = Field(min_length=1, description="file of the training examples")
    validation: str = Field(min_length=1, description="file of the validation examples")
    mismatched: str | None = Field(default=None, description=_MISMATCHED)
    test: str | None = Field(default=None, description="file of the test examples; None if absent")


class TaskConfig(Settings):
    """One labelled text-classification problem.

    A task may be offered by several sources; ``data.source`` chooses among them.
    """

    text: tuple[str, ...] = Field(
        min_length=1, max_length=2, description="the one or two text columns"
    )
    label: str = Field(default="label", min_length=1, description="the label column")
    labels: tuple[str, ...] | None = Field(
        default=None,
        min_length=2,
        description="label names in order; None: those of the training split",
    )
    headline: Literal["accuracy", "f1", "matthews"] = Field(
        default="accuracy", description="the metric that speaks for the task; higher is better"
    )
    positive: Annotated[str, BeforeValidator(_as_label)] | None = Field(
        default=None,
        min_length=1,
        description="the label whose F1 is measured, or `macro`: the mean over the classes; None: "
        "the second of two labels, macro of more",
    )
    both_orders: bool = Field(
        default=False,
        description="train on each pair in both orders, where the order has no meaning (BAM, MRPC)",
    )
    hub: HubSource | None = Field(
        default=None, description="data set on the Hugging Face Hub; None if absent"
    )
    glue_dir: Literal["CoLA", "SST-2", "MRPC", "QQP", "MNLI", "QNLI", "RTE", "WNLI"] | None = Field(
        default=None,
        description="the task's folder in GLUE's official download layout; None if absent",
    )
    demo: Literal["acceptability", "sentiment", "paraphrase"] | None = Field(
        default=None, description="corpus that the project generates itself; None if absent"
    )
    files: FileSource | None = Field(default=None, description="own files; None if absent")

    @model_validator(mode="after")
    def _has_a_source(self) -> "TaskConfig":
        if not self.offered:
            raise ValueError("give at least one source: hub, glue_dir, demo or files")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeats a name")
        if self.both_orders and len(self.text) != 2:
            raise ValueError("both_orders is for tasks with two text columns")
        return self

    @property
    def measure(self) -> str | list[str]:
        """What of a task's measurement is part of a trial's key."""
        return self.headline if self.positive is None else [self.headline, self.positive]

    @property
    def offered(self) -> tuple[str, ...]:
        """Names of the sources that offer this task."""
        return tuple(
            name for name in ("files", "hub", "glue_dir", "demo") if getattr(self, name) is not None
        )
