"""Writes a trial's learning curves as CSV, whatever trackers are configured."""

import csv
import io
from collections.abc import Sequence

from trainables.atomic import write_text
from trainables.config.trial import TrialConfig
from trainables.results.record import EpochResult
from trainables.storage.run_dir import RunDir
from trainables.tracking.base import values_of


def write_curves(run_dir: RunDir, config: TrialConfig, history: Sequence[EpochResult]) -> None:
    """Write one row per epoch: ``step`` and the values of ``values_of``.

    The file is replaced as a whole, so an epoch that was trained twice is in it once. The record
    holds the same numbers as JSON, with the confusion matrices behind them.
    """
    rows = [{"step": epoch.step} | values_of(epoch, config) for epoch in history]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(run_dir.curves(config.key), text.getvalue())
