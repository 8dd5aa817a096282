"""The layer that a parameter belongs to, in any encoder family."""

import re

from torch import nn

from trainables.models.classifier import Classifier

_LAYER = re.compile(r"\.layers?\.(\d+)\.")


def layer_depths(model: nn.Module) -> dict[str, int]:
    """The depth of each parameter, counted from the input: parameter name -> depth.

    Embeddings have depth 0, the encoder's layer i (counted from 0) has i + 1, and what follows the
    last layer (a pooler, the heads) has the largest depth. In an encoder whose layers share their
    weights (ALBERT) everything but the embeddings counts as following the last layer.
    """
    depths = {}
    for name, _ in model.named_parameters():
        layer = _LAYER.search(name)
        is_embedding = name.startswith("encoder.") and "embeddings" in name
        depths[name] = 0 if is_embedding else int(layer[1]) + 1 if layer else None
    top = 1 + max(depth or 0 for depth in depths.values())
    return {name: top if depth is None else depth for name, depth in depths.items()}


def last_shared_layer(model: Classifier) -> list[nn.Parameter]:
    """Parameters of the encoder's last layer; of all layers where they share their weights."""
    encoder = {f"encoder.{name}": p for name, p in model.encoder.named_parameters()}
    depths = {name: depth for name, depth in layer_depths(model).items() if name in encoder}
    layers = [depth for name, depth in depths.items() if _LAYER.search(name)]
    last = max(layers or depths.values())
    return [encoder[name] for name, depth in depths.items() if depth == last]


class GradientNorm:
    """Norm of the gradient that one part of a step adds to a set of parameters."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self.mark()

    def mark(self) -> None:
        """Remember the gradients as they are now."""
        self._before = [None if p.grad is None else p.grad.clone() for p in self._parameters]

    def added(self, scale: float) -> float:
        """L2 norm of the gradient added since ``mark``, divided by ``scale``; 0.0 if none was."""
        square = 0.0
        for parameter, before in zip(self._parameters, self._before, strict=True):
            if parameter.grad is not None:
                added = parameter.grad if before is None else parameter.grad - before
                square += float(added.double().square().sum())
        return square**0.5 / scale if square else 0.0
