"""The format ``transformers``: a checkpoint of a class of transformers, one for each task.

Such a class has one kind of head. ``LAYOUTS`` says for which of this project's heads, in which
family, the class computes the same; an export is refused for all others.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    pipeline,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from orchestrator.deploy.predictor import TaskOutput, Texts
from orchestrator.deploy.saved_model import SavedModel
from trainables.errors import EncoderError
from trainables.models.families import FAMILIES
from trainables.models.quiet import quiet

GENERIC_TOKENIZER = "PreTrainedTokenizerFast"
"""The class that reads tokenizer.json as it is, in all versions of transformers."""


@dataclass(frozen=True)
class Layout:
    """Where the layers of a head stand in a class of transformers.

    Attributes:
        out: the module that is the last layer.
        dense: the module that is the layer before it; empty: there is none.
        settings: of its configuration, with which it computes what the head does.
    """

    out: str
    dense: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


_ROBERTA = {"pooler": Layout("classifier.out_proj", "classifier.dense")}
_DEBERTA = {
    "pooler": Layout("classifier", "pooler.dense", {"pooler_hidden_act": "tanh"}),
    "mlp": Layout("classifier", "pooler.dense", {"pooler_hidden_act": "gelu"}),
}
_XLM = {
    "first_token": Layout(
        "sequence_summary.summary",
        settings={
            "summary_type": "first",
            "summary_use_proj": True,
            "summary_proj_to_labels": True,
            "summary_activation": None,
        },
    )
}
_XLNET = {
    "pooler": Layout(
        "logits_proj",
        "sequence_summary.summary",
        {
            "summary_type": "last",
            "summary_use_proj": True,
            "summary_proj_to_labels": False,
            "summary_activation": "tanh",
            # What it would keep for texts to come, a pipeline cannot divide into examples.
            "use_mems_eval": False,
        },
    )
}


def _pooled(base: str, dense: str = "pooler.dense") -> dict[str, Layout]:
    """A class with a linear layer on what the model ``base`` inside it pools."""
    return {"pooler": Layout("classifier", f"{base}.{dense}")}


LAYOUTS: dict[str, dict[str, Layout]] = {
    "albert": _pooled("albert", "pooler"),
    "bert": _pooled("bert"),
    "camembert": _ROBERTA,
    "data2vec-text": _ROBERTA,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "electra": {"mlp": Layout("classifier.out_proj", "classifier.dense")},
    "ernie": _pooled("ernie"),
    "eurobert": {"mlp": Layout("classifier", "dense", {"classifier_pooling": "bos"})},
    "flaubert": _XLM,
    "gte": _pooled("gte"),
    "ibert": _ROBERTA,
    "jina_embeddings_v3": _ROBERTA,
    "layoutlm": _pooled("layoutlm"),
    "longformer": _ROBERTA,
    "luke": _pooled("luke"),
    "megatron-bert": _pooled("bert"),
    "mobilebert": _pooled("mobilebert"),
    "mpnet": _ROBERTA,
    "nomic_bert": _pooled("nomic_bert"),
    "rembert": _pooled("rembert"),
    "roberta": _ROBERTA,
    "roberta-prelayernorm": _ROBERTA,
    "roc_bert": _pooled("roc_bert"),
    "squeezebert": _pooled("transformer"),
    "ultrabert": {
        "first_token": Layout("classifier", settings={"classifier_pooling": "cls"}),
        "mean": Layout("classifier", settings={"classifier_pooling": "mean"}),
    },
    "xlm": _XLM,
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": _ROBERTA,
    "xlnet": _XLNET,
    "xmod": _ROBERTA,
}
"""Type of an encoder -> kind of a head -> where that stands in the type's class."""


def refusal(saved: SavedModel, task: str) -> str:
    """Why a task of a model cannot be a checkpoint of transformers; empty: it can."""
    config, own = saved.encoder.config, saved.description["tasks"][task]
    kind = saved.description["heads"][own["head"]]["kind"]
    if FAMILIES[config.model_type].fixed_length:
        return (
            f"the answers of a {config.model_type} depend on the padding, and a pipeline pads in "
            "another way than training did"
        )
    if own["prefix"]:
        return (
            f"it was trained with {own['prefix']!r} before each text (task_prefix), which a "
            "pipeline does not put there"
        )
    layouts = LAYOUTS.get(config.model_type, {})
    if kind not in layouts:
        name = _class_name(config)
        others = f"; it has that of head={{name: {' or '.join(layouts)}}}" if layouts else ""
        return f"{name} does not have the head {kind} of task {task}{others}"
    return ""


def _class_name(config: PretrainedConfig) -> str:
    """The class of transformers for classification with models of this type."""
    kind: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    return "transformers" if kind is None else kind.__name__


def write_checkpoint(saved: SavedModel, folder: Path) -> None:
    """Write a model of one task as transformers itself reads it, into an empty folder.

    Raises:
        EncoderError: the class does not have the tensors of the model.
    """
    (task,) = saved.description["tasks"]
    model = _model(saved, task)
    with quiet():
        model.save_pretrained(folder)
        saved.tokenizer.save_pretrained(folder)
    _write_tokenizer_settings(saved, folder / "tokenizer_config.json")


def _write_tokenizer_settings(saved: SavedModel, path: Path) -> None:
    """Say in tokenizer_config.json how the tokenizer is used; ``save_pretrained`` does not.

    It names the generic class, since the families' own classes make parts of a tokenizer anew.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    segments = ["token_type_ids"] * saved.description["encoder"]["segments"]
    # The class of XLNet reads the last column of a batch.
    left = saved.encoder.config.model_type == "xlnet"
    content |= {
        "tokenizer_class": GENERIC_TOKENIZER,
        "model_input_names": ["input_ids", *segments, "attention_mask"],
        "model_max_length": saved.description["max_length"],
        "padding_side": "left" if left else "right",
        "truncation_side": "right",
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _model(saved: SavedModel, task: str) -> Any:
    """The class of transformers with the model's tensors."""
    own = saved.description["tasks"][task]
    kind = saved.description["heads"][own["head"]]["kind"]
    config = copy.deepcopy(saved.encoder.config)
    layout = LAYOUTS[config.model_type][kind]
    labels = own["labels"] or [task]
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification" if own["labels"] else "regression"
    for name, value in layout.settings.items():
        setattr(config, name, value)
    with quiet(), torch.random.fork_rng(devices=[]):
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    try:
        model.load_state_dict(_tensors(saved, task, layout, model.base_model_prefix))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(
            f"{saved.folder}: does not fit into {type(model).__name__} ({reason}); export it as a "
            "bundle"
        ) from error
    return model.eval()


def _tensors(saved: SavedModel, task: str, layout: Layout, base: str) -> dict[str, Tensor]:
    own, encoder = saved.description["tasks"][task], saved.encoder.state_dict()
    head = {
        key.partition(".")[2]: tensor
        for key, tensor in saved.heads.items()
        if key.startswith(f"{own['head']}.")
    }
    # A head without a dense layer of its own reads what the encoder pools.
    dense = {key.removeprefix("dense."): t for key, t in head.items() if key.startswith("dense.")}
    pooler = {
        key.removeprefix("pooler.").removeprefix("dense."): tensor
        for key, tensor in encoder.items()
        if key.startswith("pooler.")
    }
    tensors = {f"{base}.{k}": t for k, t in encoder.items() if not k.startswith("pooler.")}
    if layout.dense:
        tensors |= {f"{layout.dense}.{key}": tensor for key, tensor in (dense or pooler).items()}
    classes = list(own["classes"])
    return tensors | {f"{layout.out}.{key}": head[f"out.{key}"][classes] for key in _LINEAR}


_LINEAR = ("weight", "bias")


class CheckpointPredictor:
    """A checkpoint of one task, as transformers reads it.

    Args:
        folder: the checkpoint.
        task: name of the task.
        output: what the model says of it.
        device: where to compute.

    Attributes:
        tasks, max_length: see ``Predictor``.

    Raises:
        EncoderError: the folder is incomplete or damaged.
    """

    def __init__(self, folder: Path, task: str, output: TaskOutput, device: str) -> None:
        try:
            with quiet():
                self._tokenizer: Any = AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                )
        except Exception as error:  # transformers, tokenizers and safetensors raise many kinds
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise EncoderError(f"{folder}: cannot be read ({reason}); export it again") from error
        if missing := sorted(report["missing_keys"]):
            raise EncoderError(f"{folder}: its weights lack {missing[0]}; export it again")
        self._model = model.eval().to(device)
        self._task, self._output = task, output
        self.tasks: Mapping[str, TaskOutput] = {task: output}
        self.max_length: int = self._tokenizer.model_max_length

    @torch.inference_mode()
    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """See ``Predictor.logits``."""
        for task in tasks or ():
            if task != self._task:
                raise ValueError(f"there is no task {task}; there are {self._task}")
        if not examples:
            raise ValueError("there is no example")
        for row, texts in enumerate(examples):
            if isinstance(texts, str) or len(texts) != self._output.texts:
                raise ValueError(
                    f"an example of {self._task} is a tuple of {self._output.texts}; example "
                    f"{row} (from 0) is another"
                )
        first, *second = (list(texts) for texts in zip(*examples, strict=True))
        batch = self._tokenizer(
            first,
            second[0] if second else None,
            truncation=True,
            padding=True,
            return_tensors="pt",
        )
        output = self._model(**batch.to(self._model.device))
        return {self._task: output.logits.float().cpu().numpy()}


def pipeline_logits(folder: Path, examples: Sequence[Texts], batch_size: int) -> np.ndarray:
    """What ``pipeline(folder)(texts, truncation=True)`` computes, float32 ``(examples, labels)``.

    Args:
        folder: a checkpoint.
        examples: of one text or of two.
        batch_size: examples that the pipeline takes at once.
    """
    rows = [
        texts[0] if len(texts) == 1 else {"text": texts[0], "text_pair": texts[1]}
        for texts in examples
    ]
    with quiet():
        classify: Any = pipeline("text-classification", model=str(folder), device="cpu")
        entries = classify(
            rows, truncation=True, top_k=None, function_to_apply="none", batch_size=batch_size
        )
    numbers = classify.model.config.label2id
    logits = np.zeros((len(rows), len(numbers)), np.float32)
    for row, scores in enumerate(entries):
        for entry in scores:
            logits[row, numbers[entry["label"]]] = entry["score"]
    return logits
