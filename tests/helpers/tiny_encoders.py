"""Tiny, randomly initialised model folders, one or more for each row of the table of families.

``SPECIMENS`` names what is peculiar to each; the tokenizers are made of the words and letters of
``tiny_models``. ``python -m tests.helpers.tiny_encoders FOLDER`` writes them all, for other
versions of transformers to read (``tests/helpers/reference_pairs.py``).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel

from tests.helpers.tiny_models import LETTERS, WORDS, byte_level, unigram, word_piece
from trainables.models.quiet import quiet

LAYERS = 2
POSITIONS = 64


@dataclass(frozen=True)
class Vocabulary:
    """A kind of tokenizer: its special tokens with their roles, and how it writes texts."""

    make: Callable[[list[str], str], Tokenizer]
    special: tuple[str, ...]
    roles: dict[str, str]
    single: str
    pair: str


@dataclass(frozen=True)
class Specimen:
    """A tiny model: its type, tokenizer, the class that its repositories name, and settings."""

    kind: str
    vocabulary: Vocabulary
    tokenizer_class: str
    settings: dict[str, Any] = field(default_factory=dict)
    tokenizer_settings: dict[str, Any] = field(default_factory=dict)


def end_of_word(special: list[str], unknown: str) -> Tokenizer:
    """Letters, and merges that build each word letter by letter up to the sign of its end."""
    pieces = dict.fromkeys([*special, *LETTERS, *(f"{letter}</w>" for letter in LETTERS)])
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        *letters, last = word
        whole = ""
        for letter in [*letters, f"{last}</w>"]:
            if whole:
                merges[whole, letter] = None
            whole += letter
            pieces[whole] = None
    numbered = {piece: index for index, piece in enumerate(pieces)}
    model = models.BPE(numbered, list(merges), unk_token=unknown, end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


def byte_fallback(special: list[str], unknown: str) -> Tokenizer:
    """Letters with a sign for spaces, merges that build each word, and bytes for the rest."""
    pieces = dict.fromkeys([*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *LETTERS])
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        whole = "▁"
        for letter in word:
            merges[whole, letter] = None
            whole += letter
            pieces[whole] = None
    numbered = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(numbered, list(merges), unk_token=unknown, byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def roles(cls: str, sep: str, pad: str, unk: str, mask: str, **other: str) -> dict[str, str]:
    named = {"cls": cls, "sep": sep, "pad": pad, "unk": unk, "mask": mask, **other}
    return {f"{role}_token": token for role, token in named.items()}


SQUARE = roles("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
ANGLE = roles("<s>", "</s>", "<pad>", "<unk>", "<mask>", bos="<s>", eos="</s>")
ONE = "[CLS]:0 $A:0 [SEP]:0"
TWO = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
TWO_WITHOUT_SEGMENTS = "[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0"
ANGLE_ONE = "<s>:0 $A:0 </s>:0"
ANGLE_TWO = "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0"
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SENTENCE_PIECE_SPECIAL = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
EURO_SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|mask|>", "<|pad|>")

BERT = Vocabulary(word_piece, BERT_SPECIAL, SQUARE, ONE, TWO)
ROBERTA = Vocabulary(byte_level, ROBERTA_SPECIAL, ANGLE, ANGLE_ONE, ANGLE_TWO)
XLM_ROBERTA = Vocabulary(unigram, ROBERTA_SPECIAL, ANGLE, ANGLE_ONE, ANGLE_TWO)
HERBERT = Vocabulary(
    end_of_word, ROBERTA_SPECIAL, ANGLE, ANGLE_ONE, "<s>:0 $A:0 </s>:0 $B:1 </s>:1"
)
MPNET = Vocabulary(
    word_piece,
    ("<s>", "<pad>", "</s>", "[UNK]", "<mask>"),
    ANGLE | {"unk_token": "[UNK]"},
    ANGLE_ONE,
    ANGLE_TWO,
)
ALBERT = Vocabulary(
    unigram,
    SENTENCE_PIECE_SPECIAL,
    roles("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]", bos="[CLS]", eos="[SEP]"),
    ONE,
    TWO,
)
DEBERTA = Vocabulary(
    byte_level,
    ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"),
    SQUARE | {"bos_token": "[CLS]", "eos_token": "[SEP]"},
    ONE,
    TWO,
)
DEBERTA_3 = Vocabulary(
    unigram, ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"), DEBERTA.roles, ONE, TWO
)
BIG_BIRD = Vocabulary(
    unigram,
    ("<pad>", "</s>", "<s>", "<unk>", "[SEP]", "[MASK]", "[CLS]"),
    roles("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]", bos="<s>", eos="</s>"),
    ONE,
    TWO,
)
CAMEMBERT = Vocabulary(
    unigram,
    ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>"),
    ANGLE,
    ANGLE_ONE,
    ANGLE_TWO,
)
MODERNBERT = Vocabulary(byte_level, BERT_SPECIAL, SQUARE, ONE, TWO_WITHOUT_SEGMENTS)
EUROBERT = Vocabulary(
    byte_level,
    EURO_SPECIAL,
    {
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "mask_token": "<|mask|>",
        "pad_token": "<|pad|>",
    },
    "<|begin_of_text|>:0 $A:0 <|end_of_text|>:0",
    "<|begin_of_text|>:0 $A:0 <|end_of_text|>:0 $B:1 <|end_of_text|>:1",
)
LUKE = Vocabulary(byte_level, (*ROBERTA_SPECIAL, "<ent>", "<ent2>"), ANGLE, ANGLE_ONE, ANGLE_TWO)
XLM = Vocabulary(
    byte_level,
    ("<s>", "</s>", "<pad>", "<unk>"),
    {"bos_token": "<s>", "cls_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    | {"unk_token": "<unk>"},
    "<s>:0 $A:0 </s>:0",
    "<s>:0 $A:0 </s>:0 $B:1 </s>:1",
)
END = "<|endoftext|>"
QWEN = Vocabulary(
    byte_level, (END, "<|im_end|>"), {"eos_token": "<|im_end|>", "pad_token": END}, "", ""
)
QWEN_EMBEDDING = Vocabulary(
    byte_level, QWEN.special, QWEN.roles, f"$A:0 {END}:0", f"$A:0 {END}:0 $B:1 {END}:1"
)
LLAMA = Vocabulary(
    byte_level,
    EURO_SPECIAL[:2],
    {"bos_token": EURO_SPECIAL[0], "eos_token": EURO_SPECIAL[1]},
    f"{EURO_SPECIAL[0]}:0 $A:0",
    f"{EURO_SPECIAL[0]}:0 $A:0 {EURO_SPECIAL[0]}:1 $B:1",
)
GPT_2 = Vocabulary(
    byte_level, (END,), {f"{role}_token": END for role in ("bos", "eos", "unk")}, "", ""
)
GEMMA = Vocabulary(
    byte_fallback,
    ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"),
    {f"{role}_token": f"<{role}>" for role in ("pad", "eos", "bos", "unk", "mask")},
    "<bos>:0 $A:0",
    "<bos>:0 $A:0 <bos>:1 $B:1",
)
MISTRAL = Vocabulary(
    byte_fallback,
    ("<unk>", "<s>", "</s>"),
    {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "<s>:0 $A:0",
    "<s>:0 $A:0 <s>:1 $B:1",
)
XLNET = Vocabulary(
    unigram,
    ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"),
    roles("<cls>", "<sep>", "<pad>", "<unk>", "<mask>", bos="<s>", eos="</s>"),
    "$A:0 <sep>:0 <cls>:2",
    "$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
)
T5_ROLES = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
T5 = Vocabulary(
    unigram,
    ("<pad>", "</s>", "<unk>", *(f"<extra_id_{number}>" for number in range(100))),
    T5_ROLES,
    "$A:0 </s>:0",
    "$A:0 </s>:0 $B:0 </s>:0",
)
MT5 = Vocabulary(unigram, T5.special[:3], T5_ROLES, T5.single, T5.pair)

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
SEGMENTED = {"type_vocab_size": 2, "pad_token_id": 0}
OFFSET = {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1}
DISENTANGLED = {"relative_attention": True, "type_vocab_size": 0, "position_biased_input": False}
XLM_SHAPE = {"emb_dim": 32, "n_layers": LAYERS, "n_heads": 2}
GROUPED = {"num_key_value_heads": 1, "head_dim": 16}
WINDOWED = {
    **GROUPED,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
}
T5_SHAPE = {
    "max_position_embeddings": None,
    **{"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": LAYERS, "num_heads": 2},
}
BART_SHAPE = {"d_model": 32} | {
    f"{part}_{name}": size
    for part in ("encoder", "decoder")
    for name, size in (("layers", LAYERS), ("attention_heads", 2), ("ffn_dim", 64))
}
PLAIN = "PreTrainedTokenizerFast"
NO_SEGMENTS = {"model_input_names": ["input_ids", "attention_mask"]}

SPECIMENS: dict[str, Specimen] = {
    "albert": Specimen("albert", ALBERT, "AlbertTokenizer", {**SEGMENTED, "embedding_size": 16}),
    "bert": Specimen("bert", BERT, "BertTokenizer", SEGMENTED),
    "bert with a generic tokenizer": Specimen("bert", BERT, PLAIN, SEGMENTED),
    "herbert": Specimen("bert", HERBERT, "HerbertTokenizer", SEGMENTED | {"pad_token_id": 1}),
    "bart": Specimen("bart", ROBERTA, "BartTokenizer", BART_SHAPE),
    "big_bird": Specimen(
        "big_bird",
        BIG_BIRD,
        "BigBirdTokenizer",
        {**SEGMENTED, "block_size": 4, "num_random_blocks": 1},
    ),
    "camembert": Specimen(
        "camembert", CAMEMBERT, "CamembertTokenizer", {**OFFSET, "bos_token_id": 5}
    ),
    "convbert": Specimen(
        "convbert",
        BERT,
        "ConvBertTokenizer",
        {**SEGMENTED, "embedding_size": 16, "num_attention_heads": 4},
    ),
    "data2vec-text": Specimen("data2vec-text", ROBERTA, "RobertaTokenizer", OFFSET),
    "deberta": Specimen(
        "deberta", DEBERTA, "DebertaTokenizer", {**DISENTANGLED, "pos_att_type": ["c2p", "p2c"]}
    ),
    "deberta-v2": Specimen(
        "deberta-v2",
        DEBERTA_3,
        "DebertaV2Tokenizer",
        {
            **DISENTANGLED,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
    "distilbert": Specimen(
        "distilbert",
        BERT,
        "DistilBertTokenizer",
        {"dim": 32, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 64},
    ),
    "electra": Specimen("electra", BERT, "ElectraTokenizer", {**SEGMENTED, "embedding_size": 16}),
    "ernie": Specimen(
        "ernie",
        BERT,
        "BertTokenizer",
        {**SEGMENTED, "use_task_id": True, "task_type_vocab_size": 3},
    ),
    "eurobert": Specimen(
        "eurobert", EUROBERT, PLAIN, {"num_key_value_heads": 1, "head_dim": 16}, NO_SEGMENTS
    ),
    "flaubert": Specimen("flaubert", XLM, PLAIN, XLM_SHAPE),
    "fnet": Specimen(
        "fnet",
        ALBERT,
        "FNetTokenizer",
        {**SEGMENTED, "type_vocab_size": 4, "use_tpu_fourier_optimizations": False},
    ),
    "gemma": Specimen("gemma", GEMMA, "GemmaTokenizer", GROUPED),
    "gemma2": Specimen("gemma2", GEMMA, "GemmaTokenizer", WINDOWED),
    "gemma3_text": Specimen("gemma3_text", GEMMA, "GemmaTokenizer", WINDOWED),
    "embeddinggemma": Specimen(
        "gemma3_text",
        GEMMA,
        "GemmaTokenizer",
        {**WINDOWED, "use_bidirectional_attention": True},
    ),
    "gpt2": Specimen(
        "gpt2", GPT_2, "GPT2Tokenizer", {"n_embd": 32, "n_layer": LAYERS, "n_head": 2}
    ),
    "gte": Specimen(
        "gte", XLM_ROBERTA, "XLMRobertaTokenizer", {"type_vocab_size": 1, "pad_token_id": 1}
    ),
    "ibert": Specimen("ibert", ROBERTA, "RobertaTokenizer", OFFSET),
    "jina_embeddings_v3": Specimen(
        "jina_embeddings_v3",
        XLM_ROBERTA,
        "XLMRobertaTokenizer",
        OFFSET | {"max_position_embeddings": POSITIONS},
    ),
    "layoutlm": Specimen(
        "layoutlm", BERT, "LayoutLMTokenizer", {**SEGMENTED, "max_2d_position_embeddings": 16}
    ),
    "llama": Specimen("llama", LLAMA, PLAIN, GROUPED),
    "longformer": Specimen(
        "longformer", ROBERTA, "LongformerTokenizer", {**OFFSET, "attention_window": [8] * LAYERS}
    ),
    "luke": Specimen(
        "luke",
        LUKE,
        "LukeTokenizer",
        {**OFFSET, "entity_vocab_size": 10, "entity_emb_size": 16},
        {"additional_special_tokens": ["<ent>", "<ent2>"]},
    ),
    "megatron-bert": Specimen("megatron-bert", BERT, "BertTokenizer", SEGMENTED),
    "mistral": Specimen("mistral", MISTRAL, "LlamaTokenizer", GROUPED),
    "mobilebert": Specimen(
        "mobilebert",
        BERT,
        "MobileBertTokenizer",
        {
            **SEGMENTED,
            "embedding_size": 16,
            "intra_bottleneck_size": 16,
            "true_hidden_size": 16,
            "num_feedforward_networks": 2,
        },
    ),
    "modernbert": Specimen("modernbert", MODERNBERT, PLAIN, {"local_attention": 8}, NO_SEGMENTS),
    "modernbert-decoder": Specimen(
        "modernbert-decoder", MODERNBERT, PLAIN, {"local_attention": 8}, NO_SEGMENTS
    ),
    "mpnet": Specimen("mpnet", MPNET, "MPNetTokenizer", {**OFFSET, "type_vocab_size": None}),
    "mt5": Specimen("mt5", MT5, "T5Tokenizer", T5_SHAPE, {"extra_ids": 0}),
    "nomic_bert": Specimen("nomic_bert", BERT, "BertTokenizer", SEGMENTED),
    "nystromformer": Specimen("nystromformer", ALBERT, "AlbertTokenizer", SEGMENTED),
    "phi": Specimen("phi", GPT_2, "CodeGenTokenizer", {"partial_rotary_factor": 0.5}),
    "qwen2": Specimen("qwen2", QWEN, "Qwen2Tokenizer", GROUPED),
    "qwen3": Specimen("qwen3", QWEN, "Qwen2Tokenizer", GROUPED),
    "qwen3 embedding": Specimen("qwen3", QWEN_EMBEDDING, "Qwen2Tokenizer", GROUPED),
    "rembert": Specimen(
        "rembert",
        Vocabulary(
            unigram,
            ("<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
            ALBERT.roles,
            ONE,
            TWO,
        ),
        "RemBertTokenizer",
        {**SEGMENTED, "input_embedding_size": 16, "output_embedding_size": 16},
    ),
    "roberta": Specimen("roberta", ROBERTA, "RobertaTokenizer", OFFSET),
    "roberta-prelayernorm": Specimen("roberta-prelayernorm", ROBERTA, "RobertaTokenizer", OFFSET),
    "roc_bert": Specimen(
        "roc_bert",
        BERT,
        "BertTokenizer",
        {
            **SEGMENTED,
            "pronunciation_embed_dim": 8,
            "pronunciation_vocab_size": 20,
            "shape_embed_dim": 8,
            "shape_vocab_size": 20,
        },
    ),
    "smollm3": Specimen("smollm3", QWEN, PLAIN, {**GROUPED, "no_rope_layers": [0, 1]}, NO_SEGMENTS),
    "squeezebert": Specimen(
        "squeezebert",
        BERT,
        "SqueezeBertTokenizer",
        {**SEGMENTED, "embedding_size": 32}
        | {f"{part}_groups": 2 for part in ("q", "k", "v", "intermediate", "output")},
    ),
    "t5": Specimen("t5", T5, "T5Tokenizer", T5_SHAPE),
    "ultrabert": Specimen(
        "ultrabert",
        MODERNBERT,
        PLAIN,
        {
            "num_key_value_heads": 1,
            "head_dim": 16,
            "sliding_window": 8,
            "prediction_head_size": 16,
        },
    ),
    "umt5": Specimen("umt5", MT5, "T5Tokenizer", T5_SHAPE, {"extra_ids": 0}),
    "xlm": Specimen("xlm", XLM, PLAIN, XLM_SHAPE),
    "xlm-roberta": Specimen("xlm-roberta", XLM_ROBERTA, "XLMRobertaTokenizer", OFFSET),
    "xlm-roberta-xl": Specimen("xlm-roberta-xl", XLM_ROBERTA, "XLMRobertaTokenizer", OFFSET),
    "xlnet": Specimen(
        "xlnet",
        XLNET,
        "XLNetTokenizer",
        {"max_position_embeddings": None}
        | {"d_model": 32, "n_layer": LAYERS, "n_head": 2, "d_inner": 64},
    ),
    "xmod": Specimen(
        "xmod",
        XLM_ROBERTA,
        "XLMRobertaTokenizer",
        {**OFFSET, "languages": ["en_XX", "de_DE"], "default_language": "en_XX"},
    ),
}
"""Name -> tiny model; a model that is alone of its type bears the type's name."""


def build_encoder(name: str, folder: Path, **changes: Any) -> Path:
    """Write a specimen, as its repositories are laid out, and return the folder; deterministic.

    Args:
        name: which of ``SPECIMENS``.
        folder: where to write it.
        **changes: settings of its config.json.
    """
    specimen = SPECIMENS[name]
    vocabulary = specimen.vocabulary
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": specimen.tokenizer_class,
        "model_max_length": POSITIONS,
        **vocabulary.roles,
        **specimen.tokenizer_settings,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=1))
    if specimen.kind == "luke":
        _write_luke_files(tokenizer, folder)
    settings: dict[str, Any] = {**SHAPE, "vocab_size": tokenizer.get_vocab_size()}
    for role, token in vocabulary.roles.items():
        settings[f"{role}_id"] = tokenizer.token_to_id(token)
    if not {"n_layers", "n_layer", "d_model"}.isdisjoint(specimen.settings):
        settings = {k: v for k, v in settings.items() if k not in SHAPE}
        settings["max_position_embeddings"] = POSITIONS
    settings |= specimen.settings | changes
    settings = {key: value for key, value in settings.items() if value is not None}
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(specimen.kind, **settings))
        # Biases and norms too: where all are 0 or 1, one that is lost would not show.
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.05 * torch.randn_like(parameter))
        model.save_pretrained(folder)
    return folder


def make_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """A tokenizer of a kind, made of the project's own words."""
    unknown = vocabulary.roles.get("unk_token", "")
    tokenizer = vocabulary.make(list(vocabulary.special), unknown)
    tokenizer.add_special_tokens(list(vocabulary.special))
    if not vocabulary.single:
        return tokenizer
    templates = f"{vocabulary.single} {vocabulary.pair}".split()
    used = {part.split(":")[0] for part in templates if not part.startswith("$")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=vocabulary.single,
        pair=vocabulary.pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(used)],
    )
    return tokenizer


SENTENCE_PIECE: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": (
        "spiece.model",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
        | {"control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    ),
    "deberta-v2": (
        "spm.model",
        {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]"}
        | {"bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
    ),
    "xlm-roberta": ("sentencepiece.bpe.model", {"unk_id": 0, "bos_id": 1, "eos_id": 2}),
    "big_bird": (
        "spiece.model",
        {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
        | {"control_symbols": ["[SEP]", "[MASK]", "[CLS]"]},
    ),
    "nystromformer": (
        "spiece.model",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
        | {"control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    ),
    "t5": ("spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "umt5": ("spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
}
"""Families that publish a SentencePiece model alone: its file, and how it numbers its tokens."""


def build_sentence_piece(name: str, folder: Path) -> Path:
    """As ``build_encoder``, but with a SentencePiece model in place of the tokenizer.json."""
    build_encoder(name, folder, vocab_size=200)
    (folder / "tokenizer.json").unlink()
    file, numbers = SENTENCE_PIECE[name]
    sentences = [" ".join(WORDS[start:]) for start in range(len(WORDS))]
    SentencePieceTrainer.Train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / "pieces"),
        vocab_size=90,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=3,
        num_threads=1,
        **numbers,
    )
    (folder / "pieces.model").rename(folder / file)
    (folder / "pieces.vocab").unlink()
    return folder


def _write_luke_files(tokenizer: Tokenizer, folder: Path) -> None:
    """The files of LUKE's own tokenizer, which had no fast one before transformers 5."""
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(pair) for pair in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    entities = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "[MASK2]": 3}
    (folder / "entity_vocab.json").write_text(json.dumps(entities))


if __name__ == "__main__":
    for specimen_name in SPECIMENS:
        build_encoder(specimen_name, Path(sys.argv[1]) / specimen_name)
    for specimen_name in SENTENCE_PIECE:
        build_sentence_piece(specimen_name, Path(sys.argv[1]) / f"{specimen_name} sentencepiece")
