"""What running trials say of themselves, as it can be seen from outside, and what a death cost."""

import threading
import time
from collections import defaultdict

import numpy as np

from trainables.progress import read_progress
from trainables.record import RunLayout


class Follower(threading.Thread):
    """Reads the progress files of a run directory many times a second.

    Attributes:
        said: trial -> (seconds on the monotonic clock, optimiser step), as they were said.
    """

    def __init__(self, layout: RunLayout) -> None:
        super().__init__(daemon=True)
        self.said: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._layout = layout
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.05):
            for path in self._layout.progress_folder.glob("*.json"):
                progress = read_progress(path)
                series = self.said[path.stem]
                if progress is not None and (not series or progress["step"] != series[-1][1]):
                    series.append((time.monotonic(), progress["step"]))

    def losses(self) -> list[float]:
        """Stop reading; seconds of training that were done twice, one number per step back.

        A trial speaks about once a second, so each may be that much larger.
        """
        self._enough.set()
        self.join()
        return [
            lost
            for key, series in self.said.items()
            if key in {path.stem for path in self._layout.records.glob("*.json")}
            for lost in steps_back(series)
        ]


def steps_back(series: list[tuple[float, int]]) -> list[float]:
    """Seconds between where a trial was and where it went on, as it went there the first time."""
    losses, segment = [], series[:1]
    for now, step in series[1:]:
        if step <= segment[-1][1]:
            times, steps = np.array(segment).T
            losses.append(float(times[-1] - np.interp(step, steps, times)))
            segment = []
        segment.append((now, step))
    return losses
