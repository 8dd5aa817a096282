"""An export is opened by its description, whatever its format; what is not one is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.deploy.bundle import write_bundle
from orchestrator.deploy.manifest import (
    Collection,
    ExportedModel,
    ExportedTask,
    Origin,
    read_manifest,
    write_manifest,
)
from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.saved_model import read_saved_model
from tests.orchestrator.deploy.conftest import EXAMPLES, Save
from trainables.errors import EncoderError

ORIGIN = Origin(arm="a", model="m", seed=1, tuned=False, key="k", precision="fp32")


@pytest.fixture
def several(save: Save, tmp_path: Path) -> Path:
    """A folder with a bundle for each of two tasks."""
    saved, folder = read_saved_model(save("bert")), tmp_path / "several"
    for task, own in saved.description["tasks"].items():
        (folder / task).mkdir(parents=True)
        write_bundle(saved.of([task]), folder / task)
        content = ExportedModel(
            version="1",
            packages={},
            format="bundle",
            origin=ORIGIN,
            max_length=24,
            tasks={task: ExportedTask(labels=tuple(own["labels"]), texts=own["texts"])},
            checks={},
            sha256={},
        )
        write_manifest(folder / task, content)
        assert read_manifest(folder / task) == content
    write_manifest(folder, Collection(version="1", models={"one": "one", "two": "two"}))
    return folder


def test_several_models_answer_as_one(several: Path, save: Save) -> None:
    predictor = open_predictor(several)
    whole = read_saved_model(save("bert")).bundle_model()
    for task, own in predictor.tasks.items():
        examples = EXAMPLES[own.texts]
        expected = whole.logits(examples, [task])[task]
        np.testing.assert_allclose(predictor.logits(examples, [task])[task], expected, atol=1e-5)
    with pytest.raises(ValueError, match="no task three; there are one, two"):
        predictor.logits(EXAMPLES[1], ["three"])


@pytest.mark.parametrize(
    ("folder", "change", "message"),
    [
        ("one", {"format": "of tomorrow"}, "format: this version does not know of tomorrow, only"),
        ("one", {"schema_version": 2}, "export.json: schema_version"),
        ("one", {"tasks": None}, "export.json: tasks"),
        (".", {"models": {"one": "gone"}}, "models: no model gone; export again"),
        (".", {"models": {"one": "../several/one/../../elsewhere"}}, "models: no model"),
    ],
)
def test_a_damaged_description_is_refused(
    folder: str, change: dict[str, Any], message: str, several: Path
) -> None:
    path = several / folder / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EncoderError, match=message):
        open_predictor(several)


def test_half_a_description_is_refused(several: Path) -> None:
    path = several / "one" / "export.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(EncoderError, match=r"export\.json: damaged"):
        open_predictor(several)
