"""The stochastic answer network, a head for pairs of texts.

Liu, Duh and Gao 2018, "Stochastic Answer Networks for Natural Language Inference" (section 2), as
MT-DNN has it (Liu et al. 2019, section 3, "Pairwise Text Classification Output"), with the
constants of its release 0.1: five steps, each step's answer dropped with probability 0.1, and
dropout where that code has it: before each attention, before each answer and on the state that the
GRU cell moves, for a text one mask for all its tokens.
"""

import torch
from torch import Tensor, nn

from trainables.models.head import Encoded, Head

STEPS = 5
ANSWER_DROPOUT = 0.1


class StochasticAnswerNetwork(Head):
    """Reads the first text again and again with a state that starts from the second.

    The state ``s_0`` is a weighted sum of the second text's tokens. At each step, bilinear
    attention of the state over the first text's tokens gives ``x_k``; the step's answer is a linear
    layer's softmax over ``[s_k; x_k; |s_k - x_k|; s_k * x_k]``, and a GRU cell moves the state to
    ``s_(k+1)`` with ``x_k`` as its input (the paper counts the answer's state one further; this is
    the order of the authors' code). The head's answer is the mean of the steps'
    distributions; in training each step's is left out of it with probability 0.1, but never all.
    """

    reads_all = True

    def __init__(self, hidden_size: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.summary = nn.Linear(hidden_size, 1)
        self.attention = nn.Linear(hidden_size, hidden_size, bias=False)
        self.cell = nn.GRUCell(hidden_size, hidden_size)
        self.out = nn.Linear(4 * hidden_size, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """See ``Head.forward``; the logits are logarithms of probabilities."""
        assert encoded.texts is not None, "this head is for tasks with two texts"
        # In float32 also where the encoder computes in half: probabilities are multiplied here.
        with torch.autocast(encoded.hidden.device.type, enabled=False):
            hidden = encoded.hidden.float()
            first, second = encoded.texts == 1, encoded.texts == 2
            weights = _softmax(self.summary(self._thinned(hidden)).squeeze(-1), second)
            state = torch.einsum("bt,bth->bh", weights, hidden)
            answers = []
            for _ in range(STEPS):
                asked = self.attention(self.dropout(state))
                scores = torch.einsum("bh,bth->bt", asked, self._thinned(hidden))
                read = torch.einsum("bt,bth->bh", _softmax(scores, first), hidden)
                features = torch.cat([state, read, (state - read).abs(), state * read], dim=-1)
                answers.append(self.out(self.dropout(features)).softmax(dim=-1))
                state = self.cell(read, self.dropout(state))
            shares = self._shares(len(hidden), hidden.device)
            mean = torch.einsum("bk,kbc->bc", shares, torch.stack(answers))
            return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()

    def _thinned(self, hidden: Tensor) -> Tensor:
        """Dropout of whole features of ``hidden`` ``(B, T, H)``, the same for all tokens."""
        return hidden * self.dropout(torch.ones_like(hidden[:, :1]))

    def _shares(self, batch: int, device: torch.device) -> Tensor:
        """Each step's share in the answer, shape ``(B, steps)``."""
        if not self.training:
            return torch.full((batch, STEPS), 1 / STEPS, device=device)
        kept = torch.rand(batch, STEPS, device=device) >= ANSWER_DROPOUT
        always = torch.randint(STEPS, (batch, 1), device=device)
        kept = kept.scatter(1, always, True).float()
        return kept / kept.sum(dim=1, keepdim=True)


def _softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the tokens of a text; even where none of them was kept."""
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
