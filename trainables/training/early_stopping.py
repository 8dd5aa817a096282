"""Early stopping and the best epoch."""

from trainables.config.trial import TrainingConfig
from trainables.training.state import LoopState


def select(
    state: LoopState, training: TrainingConfig, score: float, epoch: int, total_steps: int
) -> bool:
    """Take an epoch's score on the selection split into ``state``.

    Args:
        state: knows the best epoch so far, and is told whether training stops.
        training: says whether, and when, it stops early.
        score: headline of the epoch, higher is better.
        epoch: counted from 1.
        total_steps: after which training ends anyway.

    Returns:
        Whether the epoch is the best so far.
    """
    stopping = training.early_stopping
    if score > state.best_score + (stopping.min_delta if stopping else 0.0):
        state.best_score, state.best_epoch, state.epochs_without_gain = score, epoch, 0
        return True
    state.epochs_without_gain += 1
    state.stopped_early = (
        stopping is not None
        and state.epochs_without_gain >= stopping.patience
        and state.step < total_steps
    )
    return False
