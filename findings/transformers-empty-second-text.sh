#!/usr/bin/env bash
# Guess: tokenizer(first, "") is a pair whose second text is empty, as tokenizer([first], [""]) is:
# the same special tokens, one separator after each text.
# Seen (transformers 5.23.0, tokenizers 0.23.3): given two strings, an empty second one counts as
# none, and the last separator is missing; given two lists, it does not. A model that was trained on
# batches sees other tokens when one pair is asked about.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cat > pairs.py <<'PYTHON'
import sys

import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "rain"])}
backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
backend.pre_tokenizer = pre_tokenizers.Whitespace()
backend.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]",
    pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
)
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]")
strings = tokenizer.convert_ids_to_tokens(tokenizer("rain", "")["input_ids"])
lists = tokenizer.convert_ids_to_tokens(tokenizer(["rain"], [""])["input_ids"][0])
print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
print(f"strings: {strings}")
print(f"lists:   {lists}")
alone = ["[CLS]", "rain", "[SEP]"]
sys.exit((strings, lists) != (alone, [*alone, "[SEP]"]))
PYTHON
venv/bin/python pairs.py
