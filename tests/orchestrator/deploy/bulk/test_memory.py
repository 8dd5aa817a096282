"""Memory does not grow with the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

SCRIPT = """
import sys
import numpy as np
from benchmarks.resident_memory import resident
from orchestrator.deploy.bulk.prediction import Request, predict_rows
from tests.helpers.fake_predictor import FakePredictor

class Constant(FakePredictor):
    def logits(self, examples, tasks=None):
        return {task: np.zeros((len(examples), 2), np.float32) for task in tasks}

seen = []
predict_rows(
    Constant("tone"), "", Request(*sys.argv[1:3]), lambda progress: seen.append(resident())
)
print(max(seen[:5]), max(seen))
"""

ROWS = 200_000
TEXT = "a text of some words that is as long as many texts are " * 4


@pytest.mark.serial
@pytest.mark.parametrize("formats", [("csv", "csv"), ("csv", "parquet"), ("parquet", "jsonl")])
def test_fifty_blocks_need_no_more_than_five(formats: tuple[str, str], tmp_path: Path) -> None:
    source = tmp_path / f"in.{formats[0]}"
    if formats[0] == "csv":
        with source.open("w") as file:
            file.write("id,text\n")
            file.writelines(f"{number},{TEXT}\n" for number in range(ROWS))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # One row group, as pandas writes it.
        pq.write_table(pa.table({"text": [f"{n} {TEXT}" for n in range(ROWS)]}), source)
    words = [sys.executable, "-c", SCRIPT, str(source), str(tmp_path / f"out.{formats[1]}")]
    ended = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    first, most = map(int, ended.stdout.split())
    # The texts alone are 45 MB.
    assert most - first < 25e6
