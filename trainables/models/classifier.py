"""The classifier: the model to train, made of one encoder and one or more heads."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.config.methods import HeadConfig
from trainables.models.encoder import Encoder
from trainables.models.head import Encoded, Head
from trainables.models.heads import make_head
from trainables.models.shortcuts.vocabulary import UsedEmbeddings


class Classifier(nn.Module):
    """An encoder with named heads; each batch goes through one of them.

    Attributes:
        encoder: the shared encoder.
        heads: the heads as modules (use ``head`` to get one by its name).
        classes: name -> number of classes.
        kinds: name -> configuration of the head.
        dropout: dropout probability in heads that configure none.
    """

    def __init__(
        self,
        encoder: Encoder,
        heads: Mapping[str, int],
        seed: int,
        dropout: float | None = None,
        kinds: Mapping[str, HeadConfig] | None = None,
    ) -> None:
        """Initialise new heads, without changing torch's global random state.

        Args:
            encoder: the encoder; not copied.
            heads: name -> number of classes.
            seed: the trial's seed; a head's initial weights depend on it and the head's name alone.
            dropout: dropout probability in the heads; None for the encoder's own.
            kinds: name -> configuration of the head; the default one for missing names.
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
                ``token_type_ids`` and ``texts``; other keys are ignored.
            head: the head's name.

        Returns:
            Logits of shape ``(B, C)``, with C classes of the head.
        """
        return self.head(head)(self.encode(batch))

    def encode(self, batch: Mapping[str, Tensor]) -> Encoded:
        """What the heads see of a padded batch, see ``forward``."""
        mask = batch["attention_mask"]
        hidden, pooled, summary = self.encoder(
            batch["input_ids"], mask, batch.get("token_type_ids")
        )
        return Encoded(hidden, summary, pooled, mask, batch.get("texts"))

    def head(self, name: str) -> Head:
        """The head called ``name``."""
        head = self.heads[_module_name(name)]
        assert isinstance(head, Head)
        return head

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to save: those of ``state_dict``, each once.

        A text-to-text encoder has its word embeddings under two names, of which the first is here.
        ``load_state_dict`` with ``strict=False`` reads them back.
        """
        first: dict[int, str] = {}
        return {
            name: tensor.detach()
            for name, tensor in self.state_dict(keep_vars=True).items()
            if first.setdefault(id(tensor), name) == name
        }

    @property
    def parameters_count(self) -> int:
        """Number of all parameters, trainable or frozen, of encoder and heads."""
        return sum(parameter.numel() for parameter in self.parameters()) + sum(
            words.left_out for words in self._used_embeddings
        )

    @property
    def trained_count(self) -> int:
        """Number of trainable parameters; among them those of words that occur in no text."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad) + sum(
            words.left_out for words in self._used_embeddings if words.weight.requires_grad
        )

    @property
    def _used_embeddings(self) -> list[UsedEmbeddings]:
        return [module for module in self.modules() if isinstance(module, UsedEmbeddings)]


def _module_name(head: str) -> str:
    # A module's name must not contain a dot or equal a method's name (``items``, ``keys``).
    return "head_" + head.replace("%", "%25").replace(".", "%2E")
