"""The layer that a parameter belongs to, in any encoder family."""

from torch import nn

from trainables.models.classifier import Classifier


def layer_depths(model: nn.Module) -> dict[str, int]:
    """The depth of each parameter, counted from the input: parameter name -> depth.

    Embeddings, and what else comes before the first layer, have depth 0, the encoder's layer i
    (counted from 0) has i + 1, and what follows the last layer (a pooler, the heads) has the
    largest depth. In an encoder whose layers share their weights (ALBERT) everything but the
    embeddings counts as following the last layer, and so it does in a module that is no classifier.
    """
    layer_of: dict[int, int] = {}
    embeddings: set[int] = set()
    if isinstance(model, Classifier):
        layer_of = model.encoder.layer_of()
        embeddings = {id(p) for p in model.encoder.word_embeddings.parameters()}
    top = 2 + max(layer_of.values(), default=-1)
    depths = {}
    reached = not layer_of
    for name, parameter in model.named_parameters():
        if id(parameter) in layer_of:
            reached = True
            depths[name] = layer_of[id(parameter)] + 1
        elif name.startswith("encoder.") and (
            not reached or id(parameter) in embeddings or "embedding" in name
        ):
            depths[name] = 0
        else:
            depths[name] = top
    return depths


def last_shared_layer(model: Classifier) -> list[nn.Parameter]:
    """Parameters of the encoder's last layer; of all layers where they share their weights."""
    depths = layer_depths(model)
    encoder = {name: p for name, p in model.named_parameters() if name.startswith("encoder.")}
    layer_of = model.encoder.layer_of()
    last = 1 + max(layer_of.values()) if layer_of else max(depths.values())
    return [parameter for name, parameter in encoder.items() if depths[name] == last]


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
