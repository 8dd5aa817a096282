"""Exponential moving average (EMA) of a model's weights."""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainables.models.classifier import Classifier


class WeightAverage(AveragedModel):
    """``average = decay * average + (1 - decay) * weights`` after every optimiser step.

    Polyak and Juditsky 1992 in its exponential form. The average starts as the weights after the
    first step. The averaged weights are evaluated, selected and saved; training itself continues
    from the plain weights.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay))

    @property
    def model(self) -> Classifier:
        """The model with the averaged weights."""
        assert isinstance(self.module, Classifier)
        return self.module
