"""The command ``convert``."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.helpers.command import Command, small_grid
from tests.helpers.tiny_models import build


def test_the_command_that_the_refusal_names_makes_the_encoder_usable(
    command: Command, tmp_path: Path
) -> None:
    folder = build("bert", tmp_path / "old")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused = command("plan", *small_grid(folder))
    assert refused.code == 2
    assert f"python -m orchestrator convert {folder} NEW_FOLDER" in refused.err
    converted = command("convert", str(folder), "new")
    assert (converted.code, converted.err) == (0, "")
    assert converted.out.startswith("wrote new: 2 layers, ")
    assert command("plan", *small_grid(tmp_path / "new")).code == 0
    again = command("convert", str(folder), "new")
    assert (again.code, again.err.count("\n")) == (2, 1)
