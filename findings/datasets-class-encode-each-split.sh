#!/usr/bin/env bash
# Guess: DatasetDict.class_encode_column gives a label the same number in every split; a split
# without some class leaves that number out.
# Seen (datasets 5.2.0): every split is numbered on its own, without a word. Where the validation
# split has no row of the first class, all its numbers move: the right answer of every row counts
# as wrong, and the answer that is one class off counts as right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1
cat > splits.py <<'PYTHON'
import os
import sys

os.environ |= {"HF_HOME": os.path.abspath("cache"), "HF_HUB_OFFLINE": "1"}
import datasets
from datasets import Dataset, DatasetDict

datasets.disable_progress_bars()
train = ["contradiction", "entailment", "neutral"] * 4
validation = ["entailment", "neutral"] * 3
splits = DatasetDict(
    train=Dataset.from_dict({"label": train}), validation=Dataset.from_dict({"label": validation})
).class_encode_column("label")
numbers = {
    split: dict(zip(texts, splits[split]["label"][:], strict=True))
    for split, texts in (("train", train), ("validation", validation))
}
print(f"datasets {datasets.__version__}: {numbers}")
right = [numbers["train"][text] for text in validation]
hits = sum(a == b for a, b in zip(right, splits["validation"]["label"], strict=True))
print(f"right answers, in the numbers of the training split: {hits} of {len(right)} count")
expected = {
    "train": {"contradiction": 0, "entailment": 1, "neutral": 2},
    "validation": {"entailment": 0, "neutral": 1},
}
sys.exit((numbers, hits) != (expected, 0))
PYTHON
venv/bin/python splits.py
