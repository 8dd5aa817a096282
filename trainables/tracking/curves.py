"""A trial's curves as CSV, whichever trackers are asked for."""

import csv
import io
from collections.abc import Sequence

from trainables.atomic import write_text
from trainables.config.trial import TrialConfig
from trainables.results.record import EpochResult
from trainables.storage.run_dir import RunDir
from trainables.tracking.base import values_of


def write_curves(layout: RunDir, config: TrialConfig, history: Sequence[EpochResult]) -> None:
    """Write all epochs so far, one a row: ``step`` and then what ``values_of`` gives.

    The file is replaced whole, so an epoch that was trained again stands in it once. The record has
    the same numbers, and the confusion matrices behind them, as JSON.
    """
    rows = [{"step": epoch.step} | values_of(epoch, config) for epoch in history]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(layout.curves(config.key), text.getvalue())
