#!/usr/bin/env bash
# Guess: load_dataset finds the type of a CSV column once, so that equal cells of one column are
# equal values. A column that holds a word is text, and its cells stay as they are written.
# Seen (datasets 5.2.0, pandas 3.1.1): types are found anew for every 10,000 rows, then cast to the
# first ones. Below the 10,000th row, where all cells of such a column happen to look like numbers,
# 007 becomes the text "7", 1.10 becomes "1.1" and 1e3 "1000": one class has two names, and which
# rows are hit depends on their order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cat > chunks.py <<'PYTHON'
import csv
import os
import sys

os.environ |= {"HF_HOME": os.path.abspath("cache"), "HF_HUB_OFFLINE": "1"}
import datasets

datasets.disable_progress_bars()
header, block = ["agent", "version", "amount"], [["007", "1.10", "1e3"]] * 10_000
word = [["none", "none", "none"]]


def values(name, rows):
    """The different values of each column, in the file with these rows."""
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    table = datasets.load_dataset("csv", data_files=name, split="train")
    assert all(table.features[column].dtype.endswith("string") for column in header)
    return [sorted(set(table[column]) - {"none"}) for column in header]


early = values("early.csv", word + block)  # One cell of each column comes second in the file.
mixed = values("mixed.csv", word + block + word)
print(f"datasets {datasets.__version__}: 10,001 rows, the words in the first: {early}")
print(f"one more word in the last row: {mixed}")
split = [["007", "7"], ["1.1", "1.10"], ["1000", "1e3"]]
sys.exit((early, mixed) != (split, [["007"], ["1.10"], ["1e3"]]))
PYTHON
venv/bin/python chunks.py
