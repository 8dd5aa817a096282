"""Tiny, randomly initialised model folders of several encoder families, for tests.

Each folder has what a Hub repository of its family has (``config.json``, ``model.safetensors``,
fast tokenizer files), 2 layers, 32 wide, and a vocabulary made of the project's own words.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
from transformers.utils import logging

SENTENCE = (
    "the a one this small big red old cat dog bird child teacher river house tree book film song "
    "sees likes finds reads and or not very never often in on under with is was good bad dull"
)
WORDS = SENTENCE.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz.,!?"

_CLASS = {
    "bert": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "electra": "ElectraTokenizer",
}
FAMILIES = tuple(_CLASS)
_BERT_LIKE = {"bos": "[CLS]", "eos": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}
_ROBERTA_LIKE = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
_SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
_OWN: dict[str, dict[str, Any]] = {
    "roberta": {"max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 1},
    "mpnet": {"max_position_embeddings": 66, "pad_token_id": 1},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "type_vocab_size": 0,
    },
}


def build(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a tiny model of ``family`` into ``folder`` and return the folder; deterministic."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(family)
    tokenizer.save_pretrained(folder)
    # As in the families' own repositories, where the file names the family's class.
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text().replace("TokenizersBackend", _CLASS[family]))
    settings = {**_SHAPE, "pad_token_id": 0, "vocab_size": len(tokenizer), **_OWN.get(family, {})}
    if family == "distilbert":
        settings = {key: value for key, value in settings.items() if key not in _SHAPE} | {
            "max_position_embeddings": 64
        }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(family, **settings))
    verbose = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
    finally:
        if verbose:
            logging.enable_progress_bar()
    return folder


def _tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A fast tokenizer with the model, special tokens and pair template of ``family``."""
    names = _ROBERTA_LIKE if family in ("roberta", "mpnet") else _BERT_LIKE
    # In the order of the families' own vocabularies: padding is 1 in RoBERTa's, 0 in BERT's.
    order = ("bos", "pad", "eos", "unk") if names is _ROBERTA_LIKE else ("pad", "unk", "bos", "eos")
    special = [*(names[key] for key in order), names["mask"]]
    if family in ("roberta", "deberta"):
        tokenizer = byte_level(special, names["unk"])
    elif family == "deberta-v2":
        tokenizer = unigram(special, names["unk"])
    else:
        tokenizer = word_piece(special, names["unk"])
    tokenizer.add_special_tokens(special)
    first, last = names["bos"], names["eos"]
    segment = 0 if names is _ROBERTA_LIKE else 1
    middle = f"{last}:0 {last}:0" if names is _ROBERTA_LIKE else f"{last}:0"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {middle} $B:{segment} {last}:{segment}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    roles = {f"{role}_token": name for role, name in names.items()}
    with_segments = family in ("bert", "electra", "deberta", "deberta-v2")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        cls_token=first,
        sep_token=last,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"]
        if with_segments
        else ["input_ids", "attention_mask"],
        **roles,
    )


def word_piece(special: list[str], unknown: str) -> Tokenizer:
    pieces = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_level(special: list[str], unknown: str) -> Tokenizer:
    """Every byte is a piece, and merges build each word letter by letter, with its space.

    Nothing is ever ``unknown``.
    """
    vocabulary = dict.fromkeys([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    merges = {}
    for word in WORDS:
        whole = "Ġ"
        for letter in word:
            merges[whole, letter] = None
            whole += letter
            vocabulary[whole] = None
    tokenizer = Tokenizer(
        models.BPE({piece: index for index, piece in enumerate(vocabulary)}, list(merges))
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def unigram(special: list[str], unknown: str) -> Tokenizer:
    pieces = dict.fromkeys(special, 0.0)
    pieces |= dict.fromkeys(("▁", *LETTERS), -8.0)
    pieces |= {f"▁{word}": -4.0 - index / 100 for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.Unigram(list(pieces.items()), unk_id=special.index(unknown)))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer
