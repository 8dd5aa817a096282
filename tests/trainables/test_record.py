"""Records of earlier versions stay readable."""

import json
from pathlib import Path

from tests.records import record, trial
from trainables.record import RunLayout, read_record, write_record


def test_a_record_of_the_first_schema_is_read(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    written = record(trial(), interruptions=2, accumulation=((4, 2),))
    write_record(layout, written)
    path = layout.record(written.key)
    assert read_record(path) == written
    content = json.loads(path.read_text()) | {"schema_version": 1}
    for name in ("accumulation", "interruptions", "checkpoints_failed"):
        del content[name]
    path.write_text(json.dumps(content))
    old = read_record(path)
    assert (old.accumulation, old.interruptions, old.checkpoints_failed) == ((), 0, 0)
    assert old.results == written.results
