"""An exponential moving average of the weights."""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainables.models.classifier import Classifier


class WeightAverage(AveragedModel):
    """``average = decay * average + (1 - decay) * weights`` after every optimiser step.

    Polyak and Juditsky 1992 in its exponential form. It starts as the weights after the first
    step, so it is a mean of weights that training has passed through. It is what is evaluated,
    selected and kept; training goes on from the weights themselves.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay))

    @property
    def model(self) -> Classifier:
        """The model with the averaged weights."""
        assert isinstance(self.module, Classifier)
        return self.module
