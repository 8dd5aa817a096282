"""What an export's check finds, and when it refuses."""

import numpy as np
import pytest

from orchestrator.deploy.bundle import BundlePredictor
from orchestrator.deploy.check import TaskExamples, answers_of, check, compare, refuse
from orchestrator.deploy.manifest import Comparison, Origin
from orchestrator.deploy.predictor import Texts
from orchestrator.deploy.saved_model import SavedModel, read_saved_model
from tests.orchestrator.deploy.conftest import EXAMPLES, Save
from trainables.errors import EncoderError


def origin(precision: str = "fp32") -> Origin:
    return Origin(arm="a", model="m", seed=1, tuned=False, key="k", precision=precision)


@pytest.fixture
def saved(save: Save) -> SavedModel:
    return read_saved_model(save("bert"))


class Shifted(BundlePredictor):
    """A model whose last logit is larger than it should be, in batches of certain sizes."""

    def __init__(self, saved: SavedModel, by: float, sizes: tuple[int, ...]) -> None:
        super().__init__(saved.bundle_model())
        self._by, self._sizes = by, sizes

    def logits(self, examples, tasks=None):  # type: ignore[no-untyped-def]
        """See ``Predictor.logits``."""
        logits = super().logits(examples, tasks)
        if len(examples) in self._sizes:
            for own in logits.values():
                own[:, -1] += self._by
        return logits


def examples_of(saved: SavedModel, task: str, count: int) -> TaskExamples:
    texts: list[Texts] = (EXAMPLES[2] if task == "two" else EXAMPLES[1]) * count
    model = saved.bundle_model()
    return TaskExamples(texts, model.logits(texts, [task])[task])


@pytest.mark.parametrize("task", ["one", "two"])
@pytest.mark.parametrize("count", [1, 40])
def test_the_same_model_is_found_to_be_the_same(task: str, count: int, saved: SavedModel) -> None:
    examples = examples_of(saved, task, count)
    seen: list[int] = []
    comparisons = check(
        saved,
        BundlePredictor(saved.bundle_model()),
        task,
        examples,
        batch_size=16,
        other_ways={"again": lambda texts, size: saved.bundle_model().logits(texts, [task])[task]},
        on_examples=seen.append,
    )
    assert sum(seen) == answers_of(len(examples.texts))
    empty = sum(not all(texts[1:]) for texts in examples.texts)
    total = len(examples.texts)
    assert [(c.beside, c.examples) for c in comparisons] == [
        ("saved model", total),
        ("other batches", min(total, 256)),
        ("record", total),
        ("again", total - empty),
    ]
    assert all(c.largest_difference < 1e-5 and not c.different for c in comparisons)
    refuse(task, origin(), comparisons, examples, 1e-3)


@pytest.mark.parametrize(("sizes", "beside"), [((16,), "saved model"), ((29,), "other batches")])
def test_an_export_that_is_wrong_in_some_batches_is_refused(
    sizes: tuple[int, ...], beside: str, saved: SavedModel
) -> None:
    examples = examples_of(saved, "one", 40)
    comparisons = check(
        saved, Shifted(saved, 5.0, sizes), "one", examples, batch_size=16, other_ways={}
    )
    found = {c.beside: c for c in comparisons}[beside]
    assert found.largest_difference == pytest.approx(5, abs=1e-4)
    with pytest.raises(EncoderError, match=rf"\({beside}: logits differ by up to 5"):
        refuse("one", origin(), comparisons, examples, 1e-3)
    refuse("one", origin(), comparisons, examples, None)


def test_rows_with_another_label_are_listed_with_their_margin() -> None:
    expected = np.array([[1.0, 0.0, -1.0], [0.0, 0.5, 0.25], [0.0, 0.0, 2.0]], np.float32)
    answered = expected.copy()
    answered[1] = [0.0, 0.2, 0.25]
    found = compare("record", ["a", "b", "c"], expected, answered, rows=[4, 7, 9])
    assert found.largest_difference == pytest.approx(0.3)
    [row] = found.different
    assert (row.row, row.expected, row.predicted, row.margin) == (7, "b", "c", 0.25)
    numbers = compare("record", [], expected[:, :1], answered[:, :1] + 1)
    assert (numbers.largest_difference, numbers.different) == (1.0, ())


@pytest.mark.parametrize(
    ("precision", "margin", "refused"),
    [("fp32", 0.005, False), ("fp32", 0.2, True), ("bf16", 0.2, False), ("bf16", 0.6, True)],
)
def test_a_record_may_differ_by_the_rounding_of_its_precision(
    precision: str, margin: float, refused: bool
) -> None:
    record = np.array([[margin, 0.0], [1.0, 0.0]], np.float32)
    answered = np.array([[0.0, margin], [1.0, 0.0]], np.float32)
    comparisons: list[Comparison] = [compare("record", ["a", "b"], record, answered)]
    examples = TaskExamples([("a",), ("b",)], record)
    if not refused:
        refuse("t", origin(precision), comparisons, examples, 1e-3)
        return
    with pytest.raises(EncoderError, match=r"1 of 2 predictions are others.* train it again"):
        refuse("t", origin(precision), comparisons, examples, 1e-3)


def test_what_is_not_a_number_is_refused(saved: SavedModel) -> None:
    examples, wrong = examples_of(saved, "one", 1), Shifted(saved, float("nan"), (3,))
    with pytest.raises(EncoderError, match=r"not all finite \(saved model\)"):
        check(saved, wrong, "one", examples, batch_size=3, other_ways={})
