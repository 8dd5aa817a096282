"""A prediction that was killed goes on, to the same bytes; changed inputs, models and options."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.deploy.bulk import block as blocks
from orchestrator.deploy.bulk.prediction import Progress, Request, predict_rows
from orchestrator.deploy.predictor import Texts
from tests.helpers.fake_predictor import FakePredictor
from trainables.errors import ConfigError, DataError

ROWS = 60
BLOCKS = 15


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks in a small file."""
    monkeypatch.setattr(blocks, "BLOCK_ROWS", ROWS // BLOCKS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    # The last block has a bad row.
    path.write_text("text,x\n" + "".join(f"text {n},{n}\n" for n in range(ROWS - 1)) + ",0\n")
    return path


class SlowPredictor(FakePredictor):
    """Takes a moment for every batch."""

    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        time.sleep(0.01)
        return super().logits(examples, tasks)


def predict(source: Path, target: Path, predictor: Any = None, **options: Any) -> Any:
    model = options.pop("model", "fingerprint")
    report = options.pop("report", lambda progress: None)
    request = Request(str(source), str(target), **options)
    return predict_rows(predictor or FakePredictor("tone"), model, request, report)


def interrupted(source: Path, target: Path, after: int) -> None:
    """Predict until so many blocks are finished."""

    def stop(progress: Progress) -> None:
        if progress.rows >= after * ROWS // BLOCKS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(source, target, report=stop)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    ending: str, source: Path, tmp_path: Path
) -> None:
    predict(source, tmp_path / f"whole.{ending}")
    target = tmp_path / f"out.{ending}"
    fork, draw = multiprocessing.get_context("fork"), random.Random(ending)
    manifest = tmp_path / f"out.{ending}.parts" / "manifest.json"
    kills = 0
    # From when it is whole, the same command refuses to overwrite it.
    while not target.exists() or manifest.exists():
        process = fork.Process(target=predict, args=(source, target, SlowPredictor("tone")))
        process.start()
        assert process.pid is not None
        process.join(draw.uniform(0.02, 0.15))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0
    assert kills > 0
    assert target.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_finished_blocks_are_not_answered_again(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(source, target, after=10)
    assert not target.exists()
    predictor = FakePredictor("tone")
    summary = predict(source, target, predictor)
    assert sum(map(len, predictor.batches)) == ROWS - 1 - 10 * ROWS // BLOCKS
    assert (summary.rows, summary.resumed, summary.bad) == (ROWS, 10 * ROWS // BLOCKS, 1)


@pytest.mark.parametrize("moment", ["joined", "replaced"])
def test_killed_while_it_ends_it_ends(
    moment: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.csv"
    with monkeypatch.context() as patched:
        if moment == "joined":
            patched.setattr(Path, "replace", _killed_on_joined(Path.replace))
        else:
            patched.setattr("orchestrator.deploy.bulk.parts.sync_folder", _killed)
        with pytest.raises(SystemError):
            predict(source, target)
    assert target.exists() == (moment == "replaced")
    predictor = FakePredictor("tone")
    assert predict(source, target, predictor).rows == ROWS
    assert predictor.batches == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def _killed(*arguments: Any) -> Any:
    raise SystemError("killed")


def _killed_on_joined(replace: Any) -> Any:
    def replaced(self: Path, target: Path) -> Path:
        return _killed() if self.name == "joined" else replace(self, target)

    return replaced


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("input", "begun with another input;"),
        ("time", "begun with another input;"),
        ("model", "begun with another model;"),
        ("keep", "begun with another options;"),
    ],
)
def test_parts_of_something_else_are_refused(
    change: str, message: str, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    interrupted(source, target, after=2)
    options: dict[str, Any] = {}
    if change == "input":
        status = source.stat()
        source.write_bytes(source.read_bytes().replace(b"text 9", b"text X"))
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(source, ns=(1, 1))
    else:
        options = {"model": "another"} if change == "model" else {"keep": ("x",)}
    with pytest.raises(DataError, match=message):
        predict(source, target, **options)
    assert not target.exists()


def test_a_damaged_manifest_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    interrupted(source, target, after=2)
    (tmp_path / "out.csv.parts" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"out\.csv\.parts: was begun with another"):
        predict(source, target)


def test_an_input_that_changes_meanwhile_makes_no_output(source: Path, tmp_path: Path) -> None:
    def change(progress: Progress) -> None:
        if progress.rows == ROWS:
            os.utime(source, ns=(1, 1))

    with pytest.raises(DataError, match="was changed while it was read"):
        predict(source, tmp_path / "out.csv", report=change)
    assert not (tmp_path / "out.csv").exists()


def test_what_is_there_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"in\.csv: is there already"):
        predict(source, source)
    assert source.read_text().startswith("text,x\n")


def test_two_processes_do_not_write_one_output(source: Path, tmp_path: Path) -> None:
    def second(progress: Progress) -> None:
        predict(source, tmp_path / "out.csv")

    with pytest.raises(ConfigError, match="another process writes it"):
        predict(source, tmp_path / "out.csv", report=second)


def test_a_stream_begins_anew(source: Path, tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    target = tmp_path / "out.csv"
    for attempt in range(2):
        os.mkfifo(stream)
        writer = multiprocessing.get_context("fork").Process(
            target=stream.write_bytes, args=[source.read_bytes()]
        )
        writer.start()
        predictor = FakePredictor("tone")
        if attempt == 0:
            with pytest.raises(KeyboardInterrupt):
                predict(stream, target, predictor, source_format="csv", report=_interrupt)
        else:
            predict(stream, target, predictor, source_format="csv")
            assert sum(map(len, predictor.batches)) == ROWS - 1
        writer.join()
        stream.unlink()
    assert target.exists()


def _interrupt(progress: Progress) -> None:
    raise KeyboardInterrupt
