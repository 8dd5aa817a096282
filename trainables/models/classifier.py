"""The model that is trained: one encoder and a head per name."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.config.methods import HeadConfig
from trainables.models.encoder import Encoder
from trainables.models.head import Encoded, Head
from trainables.models.heads import make_head


class Classifier(nn.Module):
    """An encoder with one head per name, of which each batch uses one.

    Attributes:
        encoder: the shared encoder.
        heads: the heads as modules (see ``head`` for one by its name).
        classes: name -> number of classes.
        kinds: name -> kind of head.
        dropout: dropout probability in heads that have none of their own.
    """

    def __init__(
        self,
        encoder: Encoder,
        heads: Mapping[str, int],
        seed: int,
        dropout: float | None = None,
        kinds: Mapping[str, HeadConfig] | None = None,
    ) -> None:
        """Make fresh heads; torch's global generator is left as it was.

        Args:
            encoder: the encoder, which is used as it is and not copied.
            heads: name -> number of classes.
            seed: the trial's seed; a head's start depends on it and on the head's name alone.
            dropout: in the heads; ``None`` for the encoder's own.
            kinds: name -> kind of head; the usual one where a name is not in it.
        """
        super().__init__()
        self.encoder = encoder
        self.classes = dict(heads)
        self.dropout = encoder.dropout if dropout is None else dropout
        self.kinds = {name: (kinds or {}).get(name, HeadConfig()) for name in heads}
        self.heads = nn.ModuleDict()
        with torch.random.fork_rng(devices=[]):
            for name, classes in heads.items():
                head = make_head(
                    self.kinds[name],
                    encoder.hidden_size,
                    classes,
                    self.dropout,
                    pooler=encoder.has_pooler,
                )
                head.initialise(seed, name)
                self.heads[_module_name(name)] = head

    def forward(self, batch: Mapping[str, Tensor], head: str) -> Tensor:
        """Classify a padded batch with one head.

        Args:
            batch: ``input_ids`` and ``attention_mask`` of shape ``(B, T)``, optionally
                ``token_type_ids`` and ``texts``; anything else in it is ignored.
            head: the head's name.

        Returns:
            Logits of shape ``(B, C)``, with C the head's classes.
        """
        hidden, pooled = self.encoder(
            batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids")
        )
        return self.head(head)(Encoded(hidden, pooled, batch["attention_mask"], batch.get("texts")))

    def head(self, name: str) -> Head:
        """One head by its name."""
        head = self.heads[_module_name(name)]
        assert isinstance(head, Head)
        return head

    @property
    def parameters_count(self) -> int:
        """Trainable and frozen parameters of encoder and heads together."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def trained_count(self) -> int:
        """Parameters that training changes."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def _module_name(head: str) -> str:
    # A module's name must have no dot and must not be that of a method (``items``, ``keys``).
    return "head_" + head.replace("%", "%25").replace(".", "%2E")
