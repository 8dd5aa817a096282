"""A frozen encoder, or one whose layers thaw one after the other.

Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (gradual
unfreezing): at first only what lies above the encoder's layers is trained, then one layer more at a
time, from the last to the first, and the embeddings at the end. The paper thaws a layer an epoch;
here they thaw evenly over a share of the training, so that few epochs reach them all.
"""

from trainables.config.arms import FreezingConfig
from trainables.models.classifier import Classifier
from trainables.training.layer_depth import heights


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
        found = heights(model)
        self._top = max(found.values())
        self._parameters = [
            (parameter, found[name], name.startswith("heads."))
            for name, parameter in model.named_parameters()
        ]
        self._lowest = 0

    def lowest(self, step: int) -> int:
        """The lowest height (see ``layers.heights``) that step ``step``, counted from 0, trains."""
        thawed = step / (self._config.until * self._total_steps)
        return max(0, self._top - int(thawed * self._top + 1e-9))

    def apply(self, step: int) -> None:
        """Freeze and thaw for step ``step``."""
        if self._config.name == "none":
            return
        lowest = self._top if self._config.name == "all" else self.lowest(step)
        if lowest == self._lowest:
            return
        self._lowest = lowest
        for parameter, height, in_head in self._parameters:
            thawed = height >= lowest and self._config.name == "gradual"
            parameter.requires_grad_(in_head or thawed)
