"""Early stopping, and which epoch is the best so far."""

from trainables.config.trial import TrainingConfig
from trainables.training.state import LoopState


def update_best(
    state: LoopState, training: TrainingConfig, score: float, epoch: int, total_steps: int
) -> bool:
    """Update the best epoch and ``stopped_early`` of ``state`` with an epoch's score.

    Args:
        state: the loop's state; changed in place.
        training: holds the early-stopping settings.
        score: headline metric on the selection split, higher is better.
        epoch: the epoch, counted from 1.
        total_steps: optimiser steps of the whole training.

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
