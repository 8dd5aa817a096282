"""Freezing the encoder for good, or unfreezing its layers one after the other.

Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (gradual
unfreezing): at first only what lies above the encoder's layers is trained, then one layer more at a
time, from the last to the first, and the embeddings at the end. The paper unfreezes a layer per
epoch; here they are unfrozen evenly over a share of the training, so that few epochs reach them
all.
"""

from trainables.config.arms import FreezingConfig
from trainables.models.classifier import Classifier
from trainables.training.layer_depth import layer_depths


class Freezing:
    """Says which parameters are trained; it follows from the step alone.

    Args:
        model: whose parameters.
        config: how; ``none`` leaves all as they are.
        total_steps: of the training.
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
        progress = step / (self._config.until * self._total_steps)
        return max(0, self._top - int(progress * self._top + 1e-9))

    def apply(self, step: int) -> None:
        """Freeze and unfreeze parameters for step ``step``."""
        if self._config.name == "none":
            return
        first = self._top if self._config.name == "all" else self.first_trainable(step)
        if first == self._first_trainable:
            return
        self._first_trainable = first
        for parameter, depth, in_head in self._parameters:
            unfrozen = depth >= first and self._config.name == "gradual"
            parameter.requires_grad_(in_head or unfrozen)
