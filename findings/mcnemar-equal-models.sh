#!/usr/bin/env bash
# Guess: McNemar's test of two classifiers whose errors balance, let alone of two that answer
# alike, says p = 1; with the continuity correction it is only more careful than without.
# Seen (mlxtend 0.25.0 by default, statsmodels 0.15.0 with exact=False): the corrected statistic is
# (|b - c| - 1)^2 / (b + c) also where b = c. Two copies of one model give an infinite statistic and
# p = 0, the strongest difference there is; 1 example each way gives p = 0.48, although 2 against 1
# gives p = 1. The exact tests of both say 1 every time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    mlxtend==0.25.0 statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1
cat > equal.py <<'PYTHON'
import sys
import warnings

import mlxtend
import numpy as np
import statsmodels
from mlxtend.evaluate import mcnemar, mcnemar_table
from statsmodels.stats.contingency_tables import mcnemar as test

warnings.simplefilter("ignore")
print(f"mlxtend {mlxtend.__version__}, statsmodels {statsmodels.__version__}")
labels = np.arange(100) % 2


def answers(wrong):
    """The labels, but for the examples that a model gets wrong."""
    return np.where(np.isin(np.arange(100), wrong), 1 - labels, labels)


pairs = {
    "the same answers": ([4, 7], [4, 7]),
    "1 error each": ([4], [7]),
    "2 errors and 1": ([4, 5], [7]),
}
seen = []
for name, (first, second) in pairs.items():
    table = mcnemar_table(labels, answers(first), answers(second))
    corrected = mcnemar(table)[1], test(table, exact=False).pvalue
    exact = mcnemar(table, exact=True)[1], test(table).pvalue
    seen.append([round(float(p), 2) for p in (*corrected, *exact)])
    print(f"{name}: corrected p = {seen[-1][:2]}, exact p = {seen[-1][2:]}")
sys.exit(seen != [[0, 0, 1, 1], [0.48, 0.48, 1, 1], [1, 1, 1, 1]])
PYTHON
venv/bin/python equal.py
