"""How many trials share a GPU: as an earlier command of the run directory did, or measured now."""

from collections.abc import Mapping

from orchestrator.planning.gpu_sharing import GpuSharing
from orchestrator.planning.resources import GpuNeed, Measure

NOT_YET = "the run measures trials an hour first"


def kept_or(kept: GpuSharing | None, measure: Measure | None) -> Measure:
    """How an executor measures trials an hour.

    Args:
        kept: what was measured before; counts only for the same trial.
        measure: measures it; None: nothing is measured.
    """

    def measured(need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
        key = need.config.key if need.config is not None else ""
        if kept is not None and kept.trial == key:
            return kept
        if measure is None:
            return GpuSharing(trial=key, note=NOT_YET)
        return measure(need, threads, trials)

    return measured
