"""Runs a bundle: one encoder with a head for each of its tasks.

This file is copied into every bundle as ``model.py`` and needs nothing but torch, transformers and
safetensors, and what these need themselves:

    from model import load

    model = load("FOLDER")
    model.predict(["a charming film"], "sst2")
    # [{"label": "positive", "score": 0.98, "probabilities": {"negative": 0.02, "positive": 0.98}}]
    model.predict([("It rains.", "Rain is falling.")], "mrpc")  # a task of pairs
    model.predict(["a charming film"])  # every task of one text: task -> list, in one pass

The folder holds:

    bundle.json                  tasks, heads, and how the encoder is used
    config.json, model.safetensors    the encoder, as transformers reads it
    tokenizer.json ...           its tokenizer
    heads.safetensors            the heads' tensors, named NUMBER.LAYER by the order in bundle.json

No code is loaded from the folder, and no pickled weights.
"""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.models.bart.modeling_bart import BartEncoder

SCHEMA = 1
"""Version of ``bundle.json``."""
DESCRIPTION = "bundle.json"
HEADS = "heads.safetensors"

_UNLISTED = {"BartEncoder": BartEncoder}
"""Encoders that transformers has and does not name at its top."""


@dataclass(frozen=True)
class Task:
    """What the model says of an example for one of its tasks.

    Attributes:
        head: number of the head.
        classes: for each label, the head's class that it is.
        labels: names of the labels; empty for a regression, whose only logit is the number.
        texts: how many texts an example has, 1 or 2.
        prefix: stands before the first text, as in training.
    """

    head: int
    classes: tuple[int, ...]
    labels: tuple[str, ...]
    texts: int
    prefix: str = ""


@dataclass(frozen=True)
class Encoded:
    """What a head sees of a batch.

    Attributes:
        hidden: the encoder's hidden states, shape ``(B, T, H)``.
        summary: the hidden state that stands for each text, shape ``(B, H)``.
        pooled: the encoder's own pooled first token, shape ``(B, H)``; None without.
        mask: 1 for tokens and 0 for padding, shape ``(B, T)``.
        texts: 1 in the first text, 2 in the second, 0 elsewhere, shape ``(B, T)``; None where
            the batch has no pairs.
    """

    hidden: Tensor
    summary: Tensor
    pooled: Tensor | None
    mask: Tensor
    texts: Tensor | None


class PoolerHead(nn.Module):
    """The pooled first token, or a dense layer and tanh of what stands for a text; then linear."""

    def __init__(self, width: int, classes: int, pooler: bool) -> None:
        super().__init__()
        self.dense = None if pooler else nn.Linear(width, width)
        self.out = nn.Linear(width, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """Logits of shape ``(B, classes)``."""
        if self.dense is not None:
            return self.out(torch.tanh(self.dense(encoded.summary)))
        return self.out(encoded.pooled)


class FirstTokenHead(nn.Module):
    """What stands for a text, and a linear layer."""

    def __init__(self, width: int, classes: int, pooler: bool) -> None:
        super().__init__()
        self.out = nn.Linear(width, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """Logits of shape ``(B, classes)``."""
        return self.out(encoded.summary)


class MeanHead(FirstTokenHead):
    """The mean of all tokens, and a linear layer."""

    def forward(self, encoded: Encoded) -> Tensor:
        """Logits of shape ``(B, classes)``."""
        return self.out(masked_mean(encoded.hidden, encoded.mask))


class MlpHead(nn.Module):
    """What stands for a text, a GELU layer as wide as the encoder, and a linear layer."""

    def __init__(self, width: int, classes: int, pooler: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """Logits of shape ``(B, classes)``."""
        return self.out(nn.functional.gelu(self.dense(encoded.summary)))


class AnswerNetworkHead(nn.Module):
    """The stochastic answer network of Liu, Duh and Gao 2018, for pairs of texts."""

    STEPS = 5

    def __init__(self, width: int, classes: int, pooler: bool) -> None:
        super().__init__()
        self.summary = nn.Linear(width, 1)
        self.attention = nn.Linear(width, width, bias=False)
        self.cell = nn.GRUCell(width, width)
        self.out = nn.Linear(4 * width, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """Logarithms of probabilities, shape ``(B, classes)``."""
        if encoded.texts is None:
            raise ValueError("this head is for pairs of texts")
        hidden = encoded.hidden.float()
        weights = _softmax(self.summary(hidden).squeeze(-1), encoded.texts == 2)
        state = torch.einsum("bt,bth->bh", weights, hidden)
        answers = []
        for _ in range(self.STEPS):
            scores = torch.einsum("bh,bth->bt", self.attention(state), hidden)
            read = torch.einsum("bt,bth->bh", _softmax(scores, encoded.texts == 1), hidden)
            features = torch.cat([state, read, (state - read).abs(), state * read], dim=-1)
            answers.append(self.out(features).softmax(dim=-1))
            state = self.cell(read, state)
        mean = torch.stack(answers).mean(dim=0)
        return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def _softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the tokens of a text, shape ``(B, T)``; even where none of them was kept."""
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens ``(B, T, H)`` that are no padding, shape ``(B, H)``."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


KINDS: dict[str, type[nn.Module]] = {
    "pooler": PoolerHead,
    "first_token": FirstTokenHead,
    "mean": MeanHead,
    "mlp": MlpHead,
    "san": AnswerNetworkHead,
}
"""Kind of a head in ``bundle.json`` -> its class."""


class BundleModel(nn.Module):
    """An encoder with its heads and tokenizer, in evaluation mode.

    Args:
        encoder: a transformers model without a head.
        tokenizer: texts -> tokens.
        description: the content of ``bundle.json``.

    Attributes:
        tasks: task -> what is said of it.
        max_length: tokens of an example, special ones among them; a longer one is cut.

    Raises:
        ValueError: the description lacks something, or says what cannot be.
    """

    def __init__(
        self, encoder: nn.Module, tokenizer: Tokenizer, description: Mapping[str, Any]
    ) -> None:
        super().__init__()
        own = description["encoder"]
        config: Any = encoder.config
        self.encoder = encoder
        if not own["pooler"] and getattr(encoder, "pooler", None) is not None:
            # Newly made by transformers: the weights were trained without one.
            encoder.pooler = nn.Identity()
        self.heads = nn.ModuleList(
            KINDS[head["kind"]](config.hidden_size, head["classes"], own["pooler"])
            for head in description["heads"]
        )
        self.tasks = {
            name: Task(
                task["head"],
                tuple(task["classes"]),
                tuple(task["labels"]),
                task["texts"],
                task["prefix"],
            )
            for name, task in description["tasks"].items()
        }
        self.max_length: int = description["max_length"]
        for name, task in self.tasks.items():
            if max(task.classes) >= description["heads"][task.head]["classes"]:
                raise ValueError(f"tasks.{name}.classes: head {task.head} has no such class")
        self._summary: str = own["summary"]
        self._pooler: bool = own["pooler"]
        self._segments: bool = own["segments"]
        self._global_attention: bool = own["global_attention"]
        # Of an encoder whose answers depend on the padding: all texts are padded to this length.
        self._length: int | None = own["length"]
        self._pad_id: int = description["pad_id"]
        self._accepts = frozenset(inspect.signature(encoder.forward).parameters)
        self._keep_nothing = {n: False for n in ("use_cache", "use_mems") if n in self._accepts}
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length, strategy="longest_first")
        self.eval()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        texts: Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """Answer a padded batch for several tasks in one pass of the encoder.

        Args:
            input_ids: int64, shape ``(B, T)``.
            attention_mask: 1 for tokens and 0 for padding, int64, shape ``(B, T)``.
            token_type_ids: segments, shape ``(B, T)``; ignored if the encoder has none.
            texts: see ``Encoded``.
            tasks: those to answer; None for all.

        Returns:
            Task -> logits of its labels, in their order, shape ``(B, labels)``; of a regression
            ``(B, 1)``.
        """
        encoded = self._encode(input_ids, attention_mask, token_type_ids, texts)
        logits: dict[str, Tensor] = {}
        heads: dict[int, Tensor] = {}
        for name in self.tasks if tasks is None else tasks:
            task = self.tasks[name]
            if task.head not in heads:
                heads[task.head] = self.heads[task.head](encoded)
            logits[name] = heads[task.head][:, list(task.classes)]
        return logits

    def _encode(
        self, input_ids: Tensor, mask: Tensor, segments: Tensor | None, texts: Tensor | None
    ) -> Encoded:
        inputs = {"input_ids": input_ids, "attention_mask": mask}
        if self._segments and segments is not None:
            inputs["token_type_ids"] = segments
        if self._length is not None:
            more = self._length - input_ids.shape[1]
            filled = inputs | {"input_ids": input_ids.masked_fill(mask == 0, self._pad_id)}
            inputs = {
                name: nn.functional.pad(
                    tensor, (0, more), value=self._pad_id if name == "input_ids" else 0
                )
                for name, tensor in filled.items()
            }
        if self._global_attention:
            first = torch.zeros_like(mask)
            first[:, 0] = 1
            inputs["global_attention_mask"] = first
        inputs = {name: tensor for name, tensor in inputs.items() if name in self._accepts}
        output = self.encoder(**inputs, **self._keep_nothing, return_dict=True)
        hidden = output.last_hidden_state[:, : input_ids.shape[1]]
        pooled = output.pooler_output if self._pooler else None
        return Encoded(hidden, self._summarise(hidden, mask), pooled, mask, texts)

    def _summarise(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """What stands for each text, shape ``(B, H)``."""
        if self._summary == "first":
            return hidden[:, 0]
        if self._summary == "mean":
            return masked_mean(hidden, mask)
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]

    def tokenize(self, examples: Sequence[Sequence[str]], prefix: str = "") -> dict[str, Tensor]:
        """Turn examples of one or of two texts into a batch, padded on the right.

        Returns:
            What ``forward`` takes, int64, each of shape ``(B, T)``, on the model's device.

        Raises:
            ValueError: an example has no token.
        """
        rows: list[Any] = [
            (prefix + first, *second) if second else prefix + first for first, *second in examples
        ]
        encodings = self._tokenizer.encode_batch(rows)
        longest = max(len(encoding.ids) for encoding in encodings)
        shape = (len(encodings), longest)
        batch = {name: np.zeros(shape, np.int64) for name in _INPUTS}
        batch["input_ids"][:] = self._pad_id
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            if not size:
                raise ValueError(f"example {row} (from 0) is empty: it has no token")
            batch["input_ids"][row, :size] = encoding.ids
            batch["attention_mask"][row, :size] = 1
            batch["token_type_ids"][row, :size] = encoding.type_ids
            batch["texts"][row, :size] = [0 if n is None else n + 1 for n in encoding.sequence_ids]
        device = next(self.parameters()).device
        return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}

    @torch.inference_mode()
    def logits(
        self, examples: Sequence[Sequence[str]], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Answer one batch; tasks with the same prefix share a pass of the encoder.

        Args:
            examples: at least one, each a sequence of one text or of two.
            tasks: those to answer; None for all.

        Returns:
            Task -> float32 of shape ``(len(examples), labels)``; of a regression
            ``(len(examples), 1)``.

        Raises:
            ValueError: there is no such task, no example, or one with another number of texts.
        """
        names = list(self.tasks if tasks is None else tasks)
        self._check(examples, names)
        by_prefix: dict[str, list[str]] = {}
        for name in names:
            by_prefix.setdefault(self.tasks[name].prefix, []).append(name)
        answers: dict[str, Tensor] = {}
        for prefix, group in by_prefix.items():
            answers |= self(**self.tokenize(examples, prefix), tasks=group)
        return {name: answers[name].float().cpu().numpy() for name in names}

    def predict(
        self,
        examples: Sequence[str | Sequence[str]],
        task: str | None = None,
        batch_size: int = 32,
    ) -> Any:
        """Predict labels with probabilities.

        Args:
            examples: texts, or pairs of texts.
            task: the task; None for all whose examples have as many texts.
            batch_size: examples that are computed together.

        Returns:
            An entry for each example: ``label``, ``score`` (its probability) and
            ``probabilities`` of all labels; of a regression ``score`` alone, the number. Without
            ``task``, a dictionary of task -> such a list.

        Raises:
            ValueError: see ``logits``.
        """
        rows = [(example,) if isinstance(example, str) else tuple(example) for example in examples]
        names = [task] if task is not None else self._of_size(rows)
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for start in range(0, len(rows), batch_size):
            for name, logits in self.logits(rows[start : start + batch_size], names).items():
                answers[name] += [_answer(self.tasks[name].labels, row) for row in logits]
        return answers if task is None else answers[task]

    def _of_size(self, rows: Sequence[tuple[str, ...]]) -> list[str]:
        """The tasks whose examples have as many texts as the first of ``rows``."""
        return [name for name, task in self.tasks.items() if rows and task.texts == len(rows[0])]

    def _check(self, examples: Sequence[Sequence[str]], names: Sequence[str]) -> None:
        if not examples:
            raise ValueError("there is no example")
        for name in names:
            if name not in self.tasks:
                raise ValueError(f"there is no task {name}; there are {', '.join(self.tasks)}")
            wanted = self.tasks[name].texts
            for row, texts in enumerate(examples):
                if isinstance(texts, str) or len(texts) != wanted:
                    size = "a text alone" if isinstance(texts, str) else f"{len(texts)} texts"
                    raise ValueError(
                        f"an example of {name} is a tuple of {wanted}; example {row} (from 0) has "
                        f"{size}"
                    )


_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "texts")


def _answer(labels: tuple[str, ...], logits: np.ndarray) -> dict[str, Any]:
    """One entry of what ``predict`` returns, from the logits of one example."""
    if not labels:
        return {"score": float(logits[0])}
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = (shifted / shifted.sum()).tolist()
    best = int(logits.argmax())
    return {
        "label": labels[best],
        "score": probabilities[best],
        "probabilities": dict(zip(labels, probabilities, strict=True)),
    }


def load(folder: Path | str, device: str = "cpu") -> BundleModel:
    """Load a bundle.

    Args:
        folder: the bundle.
        device: where to compute, for example ``cuda``.

    Raises:
        ValueError: the folder is no bundle, or is incomplete or damaged; names the file.
    """
    folder = Path(folder)
    description = read_description(folder)
    tokenizer = _tokenizer(folder)
    encoder = _encoder(folder, description["encoder"])
    try:
        model = BundleModel(encoder, tokenizer, description)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(folder / DESCRIPTION, error) from error
    try:
        model.heads.load_state_dict(load_file(folder / HEADS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _damaged(folder / HEADS, error) from error
    return model.to(device)


def read_description(folder: Path) -> dict[str, Any]:
    """The content of a bundle's description.

    Raises:
        ValueError: it is missing, damaged or of another version.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_bytes())
        version = description["schema_version"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if version != SCHEMA:
        raise ValueError(f"{path}: schema_version is {version!r}, this file reads {SCHEMA}")
    if not isinstance(description.get("encoder"), dict):
        raise _damaged(path, KeyError("encoder"))
    return description


def _tokenizer(folder: Path) -> Tokenizer:
    # As it was saved: the classes of transformers make parts of it anew.
    path = folder / "tokenizer.json"
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing more special
        raise _damaged(path, error) from error


def _encoder(folder: Path, own: Mapping[str, Any]) -> nn.Module:
    """The encoder in float32.

    Raises:
        ValueError: its class is none of transformers', or its weights are not all there.
    """
    name = own.get("class")
    kind: Any = _UNLISTED.get(str(name)) or getattr(transformers, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
        raise ValueError(f"{folder / DESCRIPTION}: encoder.class: transformers has no model {name}")
    try:
        with _quiet():
            loaded: Any = kind.from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # transformers and safetensors raise many kinds
        raise _damaged(folder / "model.safetensors", error) from error
    encoder, report = loaded
    pooler = own.get("pooler")
    if missing := sorted(k for k in report["missing_keys"] if pooler or not k.startswith("pooler")):
        raise _damaged(folder / "model.safetensors", KeyError(missing[0]))
    return encoder


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar, and its warning of a pooler that is not used anyway."""
    logging = transformers.logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ValueError(f"{path}: missing or damaged ({reason}); export the model again")
