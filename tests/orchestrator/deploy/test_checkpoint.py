"""A checkpoint of transformers answers as the model, in every family that it is written for."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.deploy.checkpoint import (
    LAYOUTS,
    CheckpointPredictor,
    pipeline_logits,
    refusal,
    write_checkpoint,
)
from orchestrator.deploy.predictor import TaskOutput
from orchestrator.deploy.saved_model import read_saved_model
from tests.helpers.tiny_encoders import SPECIMENS
from tests.orchestrator.deploy.conftest import EXAMPLES, Save

PAIRS = [(name, kind) for name, own in SPECIMENS.items() for kind in LAYOUTS.get(own.kind, ())]
"""Specimen and kind of head, of all that can be a checkpoint."""


def checkpoint(saved: Path, folder: Path, task: str) -> tuple[Path, CheckpointPredictor]:
    model = read_saved_model(saved).of([task])
    assert refusal(model, task) == ""
    folder.mkdir()
    write_checkpoint(model, folder)
    own = model.description["tasks"][task]
    output = TaskOutput(tuple(own["labels"]), own["texts"])
    return folder, CheckpointPredictor(folder, task, output, "cpu")


@pytest.mark.parametrize(("specimen", "kind"), PAIRS)
def test_the_class_of_every_family_computes_the_same(
    specimen: str, kind: str, save: Save, tmp_path: Path
) -> None:
    saved = save(specimen, one=kind, two=kind)
    # A pipeline leaves an empty second text out.
    pairs = [texts for texts in EXAMPLES[2] if all(texts)]
    for task, examples in (("one", EXAMPLES[1]), ("two", pairs)):
        folder, predictor = checkpoint(saved, tmp_path / task, task)
        expected = read_saved_model(saved).bundle_model().logits(examples, [task])[task]
        np.testing.assert_allclose(predictor.logits(examples)[task], expected, atol=1e-5)
        for size in (1, 3):
            np.testing.assert_allclose(pipeline_logits(folder, examples, size), expected, atol=1e-5)
        assert np.ptp(expected, axis=0).max() > 1e-4
