"""Where in a model a parameter lies, in every encoder family."""

import re

from torch import nn

from trainables.models.classifier import Classifier

_LAYER = re.compile(r"\.layers?\.(\d+)\.")


def heights(model: nn.Module) -> dict[str, int]:
    """How far each parameter is from the text: name -> height.

    Embeddings are at 0, the encoder's layer i (counted from 0) at i + 1, and what comes after the
    last layer (a pooler, the heads) above it. An encoder whose layers share their weights
    (ALBERT's) has none that can be told apart: all but its embeddings counts as after the last.
    """
    found = {}
    for name, _ in model.named_parameters():
        layer = _LAYER.search(name)
        embedding = name.startswith("encoder.") and "embeddings" in name
        found[name] = 0 if embedding else int(layer[1]) + 1 if layer else None
    above = 1 + max(height or 0 for height in found.values())
    return {name: above if height is None else height for name, height in found.items()}


def last_shared_layer(model: Classifier) -> list[nn.Parameter]:
    """The encoder's last layer; all that is not an embedding where no layers can be told apart."""
    encoder = {f"encoder.{name}": p for name, p in model.encoder.named_parameters()}
    found = {name: height for name, height in heights(model).items() if name in encoder}
    layers = [height for name, height in found.items() if _LAYER.search(name)]
    last = max(layers or found.values())
    return [encoder[name] for name, height in found.items() if height == last]


class GradientNorm:
    """Measures what a part of a step adds to the gradients of some parameters."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self.mark()

    def mark(self) -> None:
        """Measure from here."""
        self._before = [None if p.grad is None else p.grad.clone() for p in self._parameters]

    def added(self, scale: float) -> float:
        """L2 norm of what has been added since the mark, over ``scale``; 0: nothing has been."""
        square = 0.0
        for parameter, before in zip(self._parameters, self._before, strict=True):
            if parameter.grad is not None:
                added = parameter.grad if before is None else parameter.grad - before
                square += float(added.double().square().sum())
        return square**0.5 / scale if square else 0.0
