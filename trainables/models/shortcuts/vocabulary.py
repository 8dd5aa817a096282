"""Word embeddings that train only the rows of tokens that occur.

A row of the embeddings whose token is in no text of the trial never has a gradient, yet costs
memory, time and room on the disk in gradients, optimiser and checkpoints: of BERT's 30,522 tokens
fewer than 6,000 occur in CoLA. Such rows are set aside during training and put back at its end,
unchanged. The numbers of a trial are the same, bit for bit. (Weight decay would shrink those rows,
without consequence for any result.)
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from trainables.models.encoder import Encoder


class UsedEmbeddings(nn.Module):
    """The rows of an embedding that are used.

    Attributes:
        weight: their vectors, shape ``(used, H)``.
        row_of: the row of each token, -1 for those that are left out, shape ``(vocabulary,)``.
    """

    row_of: Tensor

    def __init__(self, whole: nn.Embedding, tokens: Tensor) -> None:
        """Take the rows of ``tokens``, int64 of shape ``(used,)``, sorted."""
        super().__init__()
        weight = whole.weight.detach()
        self.weight = nn.Parameter(weight[tokens.to(weight.device)])
        # In a tuple they are no part of the module, and are neither moved nor saved with it.
        self._whole = (whole,)
        row_of = torch.full((whole.num_embeddings,), -1)
        row_of[tokens] = torch.arange(len(tokens))
        self.register_buffer("row_of", row_of, persistent=False)
        padding = whole.padding_idx
        self.padding_idx = None if padding is None else int(row_of[padding])

    @property
    def whole(self) -> nn.Embedding:
        """The embedding that the rows were taken from, as it was."""
        return self._whole[0]

    @property
    def left_out(self) -> int:
        """Number of parameters of the rows that were set aside."""
        return self.whole.weight.numel() - self.weight.numel()

    def forward(self, input: Tensor) -> Tensor:
        """Vectors of tokens: int64 of any shape ``S`` -> ``(*S, H)``."""
        rows = self.row_of[input]
        return nn.functional.embedding(rows, self.weight, self.padding_idx)

    def restored(self) -> nn.Embedding:
        """The whole embedding with the rows as they are now."""
        whole = self.whole.to(self.weight.device)
        with torch.no_grad():
            whole.weight[self.row_of >= 0] = self.weight
        whole.weight.requires_grad_(self.weight.requires_grad)
        return whole


def trim_vocabulary(encoder: Encoder, texts: Iterable[np.ndarray], pad_id: int) -> None:
    """Train the embeddings of some tokens alone, in place; the others are set aside.

    Embeddings remain whole where they are used elsewhere in the model too, are frozen, have an
    adapter, or are more than a table (some families scale them).

    Args:
        encoder: the encoder.
        texts: the token ids of all texts, each int64 or int32 of shape ``(tokens,)``.
        pad_id: the token of padding.
    """
    place = _place(encoder)
    if place is None:
        return
    parent, name, embedding = place
    used = np.zeros(embedding.num_embeddings, bool)
    for ids in texts:
        used[ids] = True
    used[[pad_id, pad_id if embedding.padding_idx is None else embedding.padding_idx]] = True
    for key, value in encoder.plain.config.to_dict().items():
        if key.endswith("_token_id") and isinstance(value, int) and 0 <= value < len(used):
            used[value] = True
    setattr(parent, name, UsedEmbeddings(embedding, torch.from_numpy(np.flatnonzero(used))))


def restore_vocabulary(encoder: Encoder) -> None:
    """Put back, in place, what ``trim_vocabulary`` set aside."""
    for parent in list(encoder.plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, UsedEmbeddings):
                setattr(parent, name, child.restored())


def _place(encoder: Encoder) -> tuple[nn.Module, str, nn.Embedding] | None:
    """The module that has the word embeddings, their name in it, and they; None: do not trim."""
    words = encoder.word_embeddings
    if type(words) is not nn.Embedding or not words.weight.requires_grad or words.max_norm:
        return None
    places = [
        (parent, name)
        for parent in encoder.modules()
        for name, child in parent.named_children()
        if child is words
    ]
    uses = [p for _, p in encoder.named_parameters(remove_duplicate=False) if p is words.weight]
    if len(places) != 1 or len(uses) != 1 or words.scale_grad_by_freq or words.sparse:
        return None
    return *places[0], words
