"""Writes a bundle: encoder, heads, tokenizer, label names and the file that runs them."""

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file

from orchestrator.deploy import bundle_model
from orchestrator.deploy.saved_model import SavedModel
from trainables.models.quiet import quiet

RUNNER = "model.py"
"""The copy of ``bundle_model.py`` in a bundle."""


def write_bundle(saved: SavedModel, folder: Path) -> None:
    """Write a bundle into an empty folder.

    Args:
        saved: the model.
        folder: an empty folder; not written atomically.
    """
    with quiet():
        saved.encoder.save_pretrained(folder)
        saved.tokenizer.save_pretrained(folder)
    save_file(saved.heads, folder / bundle_model.HEADS)
    description = json.dumps(saved.description, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / bundle_model.DESCRIPTION).write_text(description + "\n", encoding="utf-8")
    shutil.copyfile(bundle_model.__file__, folder / RUNNER)
