#!/usr/bin/env bash
# Guess: where the classes are named by numbers, a label of a file is looked up among these names,
# whatever the format of the file, and a label that is none of them is refused.
# Seen (datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1): with the features of five stars, "1" to "5",
# the numbers 1 to 4 of a CSV file are names, but those of a JSON Lines file are positions, so every
# row gets one star more, without a word. And a text that is no name is taken for a position as
# well: where no class is called "2", "2" becomes the third class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cat > stars.py <<'PYTHON'
import os
import sys

os.environ |= {"HF_HOME": os.path.abspath("cache"), "HF_HUB_OFFLINE": "1"}
import datasets
from datasets import ClassLabel, Dataset, Features, Value, load_dataset

datasets.disable_progress_bars()
five = ClassLabel(names=["1", "2", "3", "4", "5"])
plain = Dataset.from_dict({"text": ["bad", "weak", "fair", "good"], "stars": [1, 2, 3, 4]})
plain.to_csv("reviews.csv")
plain.to_json("reviews.jsonl")
features = Features({"text": Value("string"), "stars": five})


def read(kind, path):
    rows = load_dataset(kind, data_files=path, features=features, split="train")
    return five.int2str(rows["stars"][:])


as_csv, as_json = read("csv", "reviews.csv"), read("json", "reviews.jsonl")
print(f"datasets {datasets.__version__}: 1 2 3 4 read from CSV as", *as_csv)
print("the same read from JSON Lines as", *as_json)

without_two = ClassLabel(names=["1", "3", "4", "5"])
texts = Dataset.from_dict({"stars": ["1", "2", "3"]}).cast_column("stars", without_two)
unknown = without_two.int2str(texts["stars"][:])
print("the texts 1 2 3 cast to the classes 1 3 4 5:", *unknown)
expected = (["1", "2", "3", "4"], ["2", "3", "4", "5"], ["1", "4", "3"])
sys.exit((as_csv, as_json, unknown) != expected)
PYTHON
venv/bin/python stars.py
