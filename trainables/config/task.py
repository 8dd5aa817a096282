"""What a task is: where its examples are, what they look like and how it is scored.

The built-in tasks are plain values in ``search_spaces/catalogue.yaml``.
"""

import math
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from trainables.config.base import Settings
from trainables.config.metrics import CLASSIFICATION, REGRESSION

SPLITS = ("train", "validation", "mismatched", "test")
"""The splits that a source may have."""

_MISMATCHED = (
    "a second validation split, of other origin than train, which is measured and shown beside the "
    "first (MNLI); None: none"
)


class CarvedSplit(Settings):
    """A split that the user does not have: a share of ``train``, which trains on the rest."""

    fraction: float = Field(
        gt=0,
        lt=1,
        description="share of the training examples that is carved instead, before any limits; "
        "copies of a text, and the rows of a `group`, stay on one side",
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
    validation: CarvedSplit | str = Field(
        default="validation", description="name of the validation split, or carved from train"
    )
    mismatched: str | None = Field(default=None, description=_MISMATCHED)
    test: str | None = Field(
        default=None,
        description="name of the test split, only where its labels are not hidden; None: not used",
    )


class FileSource(Settings):
    """A user's own files: CSV, TSV, JSONL or Parquet, told apart by their ending."""

    train: str = Field(min_length=1, description="file of the training examples")
    validation: CarvedSplit | Annotated[str, Field(min_length=1)] = Field(
        description="file of the validation examples, or carved from train"
    )
    mismatched: str | None = Field(default=None, description=_MISMATCHED)
    test: str | None = Field(default=None, description="file of the test examples; None if absent")

    @model_validator(mode="before")
    @classmethod
    def _needs_validation(cls, values: Any) -> Any:
        if isinstance(values, dict) and "train" in values and "validation" not in values:
            raise ValueError(
                "validation is missing; name a file, or carve it from train: "
                "validation: {fraction: 0.2}"
            )
        return values

    @property
    def paths(self) -> dict[str, str]:
        """Split -> file, of the splits that have one."""
        return {split: path for split, path in self if isinstance(path, str)}


def normalized(label: str) -> str:
    """A label's text in Unicode NFC, without surrounding spaces."""
    return unicodedata.normalize("NFC", label.strip())


def _as_name(label: Any) -> Any:
    """A label's name as YAML gives it, in Unicode NFC; a number becomes text.

    Raises:
        ValueError: YAML has made a value of a name.
    """
    if label is None or isinstance(label, bool):
        raise ValueError(
            "YAML reads yes, no, on, off, true and false as truth values and null as nothing; "
            'put such names in quotation marks, for example ["yes", "no"]'
        )
    if isinstance(label, float) and not math.isfinite(label):
        raise ValueError(f"put {label} in quotation marks if it is a name")
    if not isinstance(label, str | int | float):
        return label
    return normalized(str(label))


def _as_names(labels: Any) -> Any:
    """Each of the names, see ``_as_name``."""
    return tuple(map(_as_name, labels)) if isinstance(labels, list | tuple) else labels


class TaskConfig(Settings):
    """One labelled problem: texts to classify, or to give a number (regression).

    A task may be offered by several sources; ``data.source`` chooses among them.
    """

    text: tuple[str, ...] = Field(
        min_length=1, max_length=2, description="the one or two text columns"
    )
    label: str = Field(default="label", min_length=1, description="the label column")
    kind: Literal["classification", "regression"] = Field(
        default="classification",
        description="what the labels are: classes, or numbers (regression), which are predicted as "
        "they are",
    )
    labels: Annotated[tuple[str, ...] | None, BeforeValidator(_as_names)] = Field(
        default=None,
        min_length=2,
        description="label names in order, into which numbers count from 0; None: those that the "
        "data set declares, else those of the training split",
    )
    unlabelled: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="rows of files or of a Hub data set without a label: refused, or counted and "
        "left out, for a table that has the labels of several tasks (skip)",
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        description="column of files or of a Hub data set whose equal values, such as an author, "
        "stay on one side where a split is carved from train; where the validation split has it "
        "too, intervals count the examples of a group as one draw",
    )
    quoting: Literal["none", "rfc4180"] | None = Field(
        default=None,
        description="what a quotation mark is in CSV and TSV files: text (none), or as in RFC "
        "4180; None: RFC 4180 in CSV, what a file shows in TSV",
    )
    headline: Literal["accuracy", "f1", "matthews", "pearson", "spearman"] = Field(
        default_factory=lambda values: (
            REGRESSION[0] if values.get("kind") == "regression" else CLASSIFICATION[0]
        ),
        description="the metric that speaks for the task; higher is better; of a regression "
        "pearson, its default, or spearman",
        json_schema_extra={"default": CLASSIFICATION[0]},
    )
    positive: Annotated[str, Field(min_length=1), BeforeValidator(_as_name)] | None = Field(
        default=None,
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
    glue_dir: (
        Literal["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"] | None
    ) = Field(
        default=None,
        description="the task's folder in GLUE's official download layout; None if absent",
    )
    demo: Literal["acceptability", "sentiment", "paraphrase"] | None = Field(
        default=None, description="corpus that the project generates itself; None if absent"
    )
    files: FileSource | None = Field(default=None, description="own files; None if absent")

    @model_validator(mode="after")
    def _kind_fits(self) -> "TaskConfig":
        regression = self.kind == "regression"
        metrics = REGRESSION if regression else CLASSIFICATION
        if self.headline not in metrics:
            raise ValueError(
                f"headline={self.headline} does not go with kind={self.kind}, which has "
                f"{', '.join(metrics)}"
            )
        for key in ("labels", "positive"):
            if regression and getattr(self, key) is not None:
                raise ValueError(f"{key} is about classes, and kind=regression has none; remove it")
        if regression and self.demo is not None:
            raise ValueError("demo: the demo corpora have classes, and kind=regression has none")
        if self.glue_dir is not None and regression != (self.glue_dir == "STS-B"):
            needed = "classification" if regression else "regression"
            raise ValueError(f"glue_dir={self.glue_dir} needs kind={needed}")
        return self

    @model_validator(mode="after")
    def _has_a_source(self) -> "TaskConfig":
        if not self.offered:
            raise ValueError("give at least one source: hub, glue_dir, demo or files")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeats a name")
        if self.labels is not None and not all(self.labels):
            raise ValueError("labels has an empty name")
        if self.group == self.label:
            raise ValueError("group must be another column than label")
        if self.both_orders and len(self.text) != 2:
            raise ValueError("both_orders is for tasks with two text columns")
        return self

    def validation_fraction(self, source: str) -> float | None:
        """The share of ``train`` that is its validation split; None if ``source`` has one."""
        section = getattr(self, source)
        split = section.validation if isinstance(section, HubSource | FileSource) else None
        return split.fraction if isinstance(split, CarvedSplit) else None

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
