"""The command line, called in this process."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.cli import app

SMALL = [
    "limits.max_train_examples=16",
    "limits.max_validation_examples=12",
    "training.epochs=1",
    "training.batch_size=8",
]


@dataclass(frozen=True)
class Ended:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str


class Command:
    """Call it with arguments as a shell would pass them; the working directory is ``folder``."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, folder: Path
    ) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ONE_OR_MANY_CACHE", str(folder / "cache"))
        monkeypatch.delenv("GLUE_DIR", raising=False)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        self._capsys.readouterr()
        code = 0
        try:
            app.main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 0
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)


def tiny(folder: Path) -> str:
    """The override that defines the model ``tiny``; its encoder has 64 positions."""
    return f"define.models.tiny={{encoder: {folder}, max_length: 64}}"


def small_grid(encoder: Path, *overrides: str) -> list[str]:
    """A preset and overrides: one tiny model, two tasks, two arms, one seed: three trials."""
    return [
        "demo",
        tiny(encoder),
        "models=[tiny]",
        "tasks=[sentiment,acceptability]",
        "arms=[single_task,shared_encoder]",
        "seeds=[1]",
        *SMALL,
        *overrides,
    ]
