"""What a task is: where its examples are, what they look like and how it is scored.

The built-in tasks are plain values in ``search_spaces/catalogue.yaml``.
"""

from typing import Literal

from pydantic import Field, model_validator

from trainables.config.base import Settings


class HubSource(Settings):
    """A data set on the Hugging Face Hub, loaded with ``datasets.load_dataset``."""

    name: str = Field(min_length=1, description="repository, for example nyu-mll/glue")
    config: str | None = Field(
        default=None, description="configuration inside it, for example cola"
    )
    revision: str | None = Field(default=None, description="branch, tag or commit")
    train: str = "train"
    validation: str = "validation"
    test: str | None = Field(default=None, description="only where its labels are not hidden")


class FileSource(Settings):
    """A user's own files: CSV, TSV, JSONL or Parquet, told apart by their ending."""

    train: str = Field(min_length=1)
    validation: str = Field(min_length=1)
    test: str | None = None


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
        description="label names in order; none: read from the training split",
    )
    headline: Literal["accuracy", "f1", "matthews"] = Field(
        default="accuracy", description="the metric that speaks for the task (higher is better)"
    )
    both_orders: bool = Field(
        default=False,
        description="train on each pair in both orders, where the order has no meaning (BAM, MRPC)",
    )
    hub: HubSource | None = None
    glue_dir: Literal["CoLA", "SST-2", "MRPC"] | None = Field(
        default=None, description="folder in GLUE's official download layout"
    )
    demo: Literal["acceptability", "sentiment", "paraphrase"] | None = Field(
        default=None, description="a corpus that the project generates itself"
    )
    files: FileSource | None = None

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
    def offered(self) -> tuple[str, ...]:
        """Names of the sources that offer this task."""
        return tuple(
            name for name in ("files", "hub", "glue_dir", "demo") if getattr(self, name) is not None
        )
