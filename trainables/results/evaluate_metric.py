"""The project's metrics as a metric of the ``evaluate`` library.

Importing this module imports ``evaluate`` and ``datasets``, which is slow: what only needs the
numbers imports ``trainables.results.metrics``.
"""

from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike

from trainables.config.metrics import Positive
from trainables.results.metrics import counts, scores, trimmed

_DESCRIPTION = "Confusion matrix, accuracy, F1 and Matthews correlation over a whole split."
_INPUTS = """
Args:
    predictions: predicted classes, integers from 0; the number of classes stands for another
        task's class, which is always wrong.
    references: true classes, integers from 0.
    classes: number of classes; without it, the largest that occurs plus one, and at least 2.
    positive: the class of f1, or "macro"; without it, class 1 of two and macro of more.

Returns:
    accuracy, f1 and matthews, as fractions (see trainables.results.metrics.scores; None for what
    the references leave undefined), and
    confusion, the counts that they follow from, with a column more than rows where another
    task's class was predicted.
"""


class Classification(evaluate.Metric):
    """``scores`` behind the interface of ``evaluate.Metric``.

    It needs no network and leaves no file behind: predictions are kept in memory.

    Example:
        >>> Classification().compute(predictions=[0, 1, 1], references=[0, 1, 0])["f1"]
        0.6666666666666666
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"keep_in_memory": True, "seed": 0, **options})

    def _build_data_dir(self) -> str:
        # The library's own creates a folder in the user's cache even when nothing is written.
        return self._data_dir_root if self.keep_in_memory else super()._build_data_dir()

    def _info(self) -> evaluate.MetricInfo:
        integer = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": integer, "references": integer}),
            format="numpy",
        )

    def compute(
        self, *, predictions: Any = None, references: Any = None, **options: Any
    ) -> dict[str, Any] | None:
        """See ``evaluate.Metric``; what is given at once is not written to an Arrow table first."""
        if predictions is None or references is None or self.writer is not None:
            given = {"predictions": predictions, "references": references}
            return super().compute(**{n: v for n, v in given.items() if v is not None}, **options)
        return self._compute(predictions=predictions, references=references, **options)

    def _compute(
        self,
        *,
        predictions: ArrayLike,
        references: ArrayLike,
        classes: int | None = None,
        positive: Positive | None = None,
    ) -> dict[str, Any]:
        if classes is None:
            classes = max(2, 1 + int(max(np.max(predictions), np.max(references))))
        confusion = trimmed(counts(references, predictions, classes))
        return scores(confusion, positive) | {"confusion": confusion.tolist()}
