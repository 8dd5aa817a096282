"""The encoders that this project knows: a row per ``model_type`` of transformers.

A row says what is peculiar to a family and cannot be read from a model's files. A type without a
row is refused, since an encoder that is used in the wrong way gives wrong numbers without an error.
docs/encoders.md is made from this table, and tests/trainables/models/test_families.py holds every
row to one contract.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """What is peculiar to the models of one type.

    Attributes:
        name: the family's name.
        published: a well-known model of it on the Hub, or what else it is known by.
        speaks: what stands for a text: its first token, its last one that is no padding, or the
            mean of all.
        segments: whether the model is told the first text of a pair from the second by
            ``token_type_ids``, where it has embeddings of more than one type; ``always``: whatever
            its configuration says of types.
        separator: what stands between the two texts of a pair where the tokenizer puts nothing
            there, or only what it puts before every text.
        fixed_length: whether padding changes a text's hidden states, so that every batch is padded
            to ``max_length``. Of all others padding is invisible.
        global_attention: whether the token that stands for the text has to be named to the model
            as one that attends to all others.
        per_layer: lists in the configuration with an entry for each layer, which ``num_layers``
            cuts too.
        shared_layers: whether all layers are the same one, applied again and again.
        whole: why the first layers alone are not what they are in the whole model; empty: they
            are, and ``num_layers`` can be used.
        no_adapter: why LoRA cannot be used; empty: it can.
        idle: pattern of the names of layers that are never called, so that LoRA leaves them out.
        bert_layers: whether its layers are those of BERT, so that ``bert_layers.py`` has shortcuts
            through them.
        frozen: number format in which LoRA keeps the frozen matrices, where the configuration
            leaves that open.
        dropout: dropout of the head where the configuration of the model has none.
        unread: pattern of tokens that its tokenizers name and its text model has no embedding for;
            they are taken out of the tokenizer.
        changed: what of its encoding or training earlier versions did in another way; part of the
            trials' keys.
        note: what else a user should know.
    """

    name: str
    published: str
    speaks: Literal["first", "last", "mean"] = "first"
    segments: bool | Literal["always"] = True
    separator: str = ""
    fixed_length: bool = False
    global_attention: bool = False
    per_layer: tuple[str, ...] = ("layer_types",)
    shared_layers: bool = False
    whole: str = ""
    no_adapter: str = ""
    idle: str = ""
    bert_layers: bool = False
    frozen: Literal["fp32", "bf16"] = "fp32"
    dropout: float = 0.1
    unread: str = ""
    changed: tuple[str, ...] = ()
    note: str = ""


_NO_LINEAR = "its layers have no linear part that LoRA can take"
_SLOW = "models with a tokenizer.json; the family's own tokenizer is a slow one, which is refused"


def _decoder(
    name: str,
    published: str,
    note: str = "",
    per_layer: tuple[str, ...] = ("layer_types",),
    unread: str = "",
) -> Family:
    """A row for models that read from left to right."""
    return Family(
        name,
        published,
        speaks="last",
        segments=False,
        separator="\n",
        frozen="bf16",
        dropout=0.0,
        per_layer=per_layer,
        unread=unread,
        note=note,
    )


def _text_to_text(name: str, published: str, note: str = "") -> Family:
    """A row for models of which the encoder alone is used."""
    return Family(
        name,
        published,
        speaks="mean",
        segments=False,
        frozen="bf16",
        unread=r"<extra_id_\d+>",
        note=note,
    )


FAMILIES: dict[str, Family] = {
    "albert": Family(
        "ALBERT",
        "albert/albert-base-v2",
        shared_layers=True,
        note="one layer is applied again and again; num_layers needs a model with one group",
    ),
    "bart": _text_to_text("BART", "facebook/bart-base", note="its encoder alone"),
    "bert": Family(
        "BERT",
        "google-bert/bert-base-uncased, sentence-transformers, HerBERT",
        bert_layers=True,
    ),
    "big_bird": Family(
        "BigBird",
        "google/bigbird-roberta-base",
        segments=False,
        note="always with full attention; that of published models is sparse above 704 tokens",
    ),
    "camembert": Family("CamemBERT", "almanach/camembert-base", bert_layers=True),
    "convbert": Family(
        "ConvBERT",
        "YituTech/conv-bert-base",
        fixed_length=True,
        changed=("fixed length",),
        note="its convolutions read padding",
    ),
    "data2vec-text": Family("data2vec", "facebook/data2vec-text-base", bert_layers=True),
    "deberta": Family("DeBERTa", "microsoft/deberta-base"),
    "deberta-v2": Family("DeBERTa v2 and v3", "microsoft/deberta-v3-base"),
    "distilbert": Family("DistilBERT", "distilbert/distilbert-base-uncased"),
    "electra": Family("ELECTRA", "google/electra-base-discriminator", bert_layers=True),
    "ernie": Family(
        "ERNIE",
        "nghuyong/ernie-2.0-base-en",
        bert_layers=True,
        note="task types at their default",
    ),
    "eurobert": Family("EuroBERT", "EuroBERT/EuroBERT-210m", changed=("layers",)),
    "flaubert": Family("FlauBERT", _SLOW, segments=False, changed=("layers",)),
    "fnet": Family(
        "FNet",
        "google/fnet-base",
        fixed_length=True,
        changed=("fixed length",),
        note="it mixes padding with the text",
    ),
    "gemma": _decoder("Gemma", "google/gemma-2b"),
    "gemma2": _decoder("Gemma 2", "google/gemma-2-2b"),
    "gemma3_text": _decoder(
        "Gemma 3",
        "google/gemma-3-270m, EmbeddingGemma",
        unread="<image_soft_token>",
        note="where its attention is bidirectional (EmbeddingGemma) the mean speaks; models that "
        "read images too are refused",
    ),
    "gpt2": _decoder("GPT-2", "openai-community/gpt2, distilgpt2"),
    "gte": Family("GTE v1.5", "Alibaba-NLP models in the layout of transformers"),
    "ibert": Family(
        "I-BERT",
        "kssteven/ibert-roberta-base",
        no_adapter=_NO_LINEAR,
        note="its own quantised layers",
    ),
    "jina_embeddings_v3": Family("Jina embeddings v3", "jinaai/jina-embeddings-v3-hf"),
    "layoutlm": Family(
        "LayoutLM", "microsoft/layoutlm-base-uncased", note="without boxes, on text alone"
    ),
    "llama": _decoder("Llama", "meta-llama/Llama-3.2-1B, SmolLM2, TinyLlama"),
    "longformer": Family(
        "Longformer",
        "allenai/longformer-base-4096",
        global_attention=True,
        per_layer=("attention_window",),
        changed=("global attention",),
    ),
    "luke": Family(
        "LUKE",
        "studio-ousia/luke-base",
        unread=r"\[(UNK|PAD|MASK|MASK2)\]",
        idle=r"entity_embeddings\..*|.*\.(w2e|e2w|e2e)_query",
        note="without entities, on text alone",
    ),
    "megatron-bert": Family("Megatron-BERT", "nvidia/megatron-bert-uncased-345m"),
    "mistral": _decoder("Mistral", "mistralai/Mistral-7B-v0.3"),
    "mobilebert": Family("MobileBERT", "google/mobilebert-uncased"),
    "modernbert": Family("ModernBERT", "answerdotai/ModernBERT-base, mmBERT"),
    "modernbert-decoder": _decoder("ModernBERT decoder", "jhu-clsp/ettin-decoder-17m"),
    "mpnet": Family("MPNet", "microsoft/mpnet-base"),
    "mt5": _text_to_text("mT5", "google/mt5-small", note="its encoder alone"),
    "nomic_bert": Family("Nomic BERT", "nomic-ai models in the layout of transformers"),
    "nystromformer": Family(
        "Nystromformer",
        "uw-madison/nystromformer-512",
        fixed_length=True,
        changed=("fixed length",),
        note="its convolutions read padding",
    ),
    "phi": _decoder("Phi 1 and 2", "microsoft/phi-2"),
    "qwen2": _decoder("Qwen 2 and 2.5", "Qwen/Qwen2.5-0.5B"),
    "qwen3": _decoder("Qwen 3", "Qwen/Qwen3-0.6B, Qwen3-Embedding"),
    "rembert": Family("RemBERT", "google/rembert", changed=("layers",)),
    "roberta": Family("RoBERTa", "FacebookAI/roberta-base", bert_layers=True),
    "roberta-prelayernorm": Family("RoBERTa-PreLayerNorm", "andreasmadsen/efficient_mlm_m0.40"),
    "roc_bert": Family("RoCBert", _SLOW, note="without shapes and pronunciations"),
    "smollm3": _decoder(
        "SmolLM3", "HuggingFaceTB/SmolLM3-3B", per_layer=("layer_types", "no_rope_layers")
    ),
    "squeezebert": Family("SqueezeBERT", "squeezebert/squeezebert-uncased", no_adapter=_NO_LINEAR),
    "t5": _text_to_text("T5", "google-t5/t5-small, FLAN-T5", note="its encoder alone"),
    "ultrabert": Family("UltraBERT", "models of the type ultrabert", changed=("layers",)),
    "umt5": _text_to_text("UMT5", "google/umt5-small", note="its encoder alone"),
    "xlm": Family("XLM", _SLOW, segments=False, changed=("layers",)),
    "xlm-roberta": Family(
        "XLM-RoBERTa", "FacebookAI/xlm-roberta-base, multilingual E5", bert_layers=True
    ),
    "xlm-roberta-xl": Family("XLM-RoBERTa-XL", "facebook/xlm-roberta-xl"),
    "xlnet": Family(
        "XLNet",
        "xlnet/xlnet-base-cased",
        speaks="last",
        segments="always",
        frozen="bf16",
        note="LoRA reaches the feed-forward part of each layer; its attention has no linear "
        "layers, and stays in float32",
    ),
    "xmod": Family(
        "X-MOD",
        "facebook/xmod-base",
        idle=r".*\.adapter_modules\.(?!{default_language}\.).*",
        note="config.json has to name its default_language",
    ),
}
"""Type -> row."""

REFUSED: dict[str, str] = {
    "canine": "it reads characters and has no fast tokenizer",
    "esm": "it reads proteins, not text",
    "esmc": "it reads proteins, not text",
    "funnel": "its answers depend on the padding, and its layers shorten the text",
    "gemma3": "it reads images beside text",
    "mra": "its attention needs a kernel that is not built here, and gives zeros without it",
    "modernvbert": "it reads images beside text",
    "neomme": "it reads images beside text",
    "perceiver": "it reads bytes and has no fast tokenizer",
    "reformer": "it reads texts of certain lengths alone",
    "tapas": "it reads tables, not text",
    "ultravbert": "it reads images beside text",
    "yoso": "its answers depend on the padding, and on a GPU it fetches code from the Hub",
}
"""Types that are refused, and why; every other type without a row is refused as unknown."""


def why_refused(kind: str) -> str:
    """Why a type without a row is refused."""
    if kind in REFUSED:
        return f"a {kind} cannot be used: {REFUSED[kind]}; choose another encoder"
    return (
        f"a {kind} is none of the types of encoders that can be used ({', '.join(FAMILIES)}); see "
        "docs/encoders.md"
    )
