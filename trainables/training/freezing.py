"""A frozen encoder, or one whose layers are unfrozen one after the other.

Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"
(https://arxiv.org/abs/1801.06146), gradual unfreezing: at first only what lies above the encoder's
layers is trained, then one layer more at a time, from the last to the first, and the embeddings at
the end. The paper unfreezes a layer per epoch; here they are unfrozen evenly over a share of the
training, so that few epochs reach them all.
"""

from trainables.config.methods import FreezingConfig, GradualFreezing
from trainables.models.classifier import Classifier
from trainables.training.layer_depth import layer_depths


class Freezing:
    """Chooses which parameters are trained; the choice depends on the step alone.

    Args:
        model: the model whose parameters are frozen and unfrozen.
        config: the method; ``none`` trains all of them.
        total_steps: optimiser steps of the whole training.
    """

    def __init__(self, model: Classifier, config: FreezingConfig, total_steps: int) -> None:
        self._config = config
        self._total_steps = total_steps
        depths = layer_depths(model)
        self._top = max(depths.values())
        self._parameters = [
            (parameter, depths[name], name.startswith("heads."))
            for name, parameter in model.named_parameters()
        ]
        self._first_trainable = 0

    def first_trainable(self, step: int) -> int:
        """Depth (see ``layer_depths``) of the first layer trained at ``step``, counted from 0."""
        if not isinstance(self._config, GradualFreezing):
            return self._top if self._config.name == "all" else 0
        progress = step / (self._config.until * self._total_steps)
        return max(0, self._top - int(progress * self._top + 1e-9))

    def apply(self, step: int) -> None:
        """Freeze and unfreeze parameters for step ``step``."""
        first = self.first_trainable(step)
        if first == self._first_trainable:
            return
        self._first_trainable = first
        for parameter, depth, in_head in self._parameters:
            unfrozen = depth >= first and self._config.name == "gradual"
            parameter.requires_grad_(in_head or unfrozen)
