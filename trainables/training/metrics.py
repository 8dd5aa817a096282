"""Whole-split metrics from confusion matrices."""

from collections.abc import Sequence

import numpy as np

Confusion = Sequence[Sequence[int]]


def scores(confusion: Confusion) -> dict[str, float]:
    """Accuracy, F1 and Matthews correlation, as fractions.

    F1 is that of class 1 where there are two classes and the macro average otherwise. Matthews is
    Gorodkin's R_K (2004), which is the usual coefficient for two classes; 0 where undefined.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    total, correct = counts.sum(), np.trace(counts)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    sizes = true + predicted
    f1 = np.divide(2 * np.diag(counts), sizes, out=np.zeros_like(sizes), where=sizes > 0)
    spread = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
    return {
        "accuracy": float(correct / total),
        "f1": float(f1[1] if len(counts) == 2 else f1.mean()),
        "matthews": float((correct * total - true @ predicted) / spread) if spread > 0 else 0.0,
    }


def pooled(confusions: Sequence[Confusion]) -> dict[str, float] | None:
    """Scores over several tasks' examples together; only accuracy where class counts differ."""
    if not confusions:
        return None
    if len({len(confusion) for confusion in confusions}) == 1:
        return scores(np.sum([np.asarray(c) for c in confusions], axis=0).tolist())
    correct = sum(int(np.trace(np.asarray(c))) for c in confusions)
    return {"accuracy": correct / sum(int(np.asarray(c).sum()) for c in confusions)}


def macro(values: Sequence[float]) -> float:
    """Unweighted mean over tasks."""
    return float(np.mean(values))
