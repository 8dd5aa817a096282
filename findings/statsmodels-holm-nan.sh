#!/usr/bin/env bash
# Guess: in a correction for several comparisons, one whose p value is not a number is never called
# significant, and the others are corrected as usual.
# Seen (statsmodels 0.15.0, scipy 1.17.1): a paired t test of two arms with equal scores gives NaN.
# Holm and Holm-Sidak then REJECT that hypothesis if all others are rejected; Bonferroni does not.
# Benjamini-Hochberg and Simes-Hochberg reject the others but turn all their p values to NaN; Hommel
# rejects nothing any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1
cat > holm.py <<'PYTHON'
import sys
import warnings

import numpy as np
import statsmodels
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

warnings.simplefilter("ignore")
baseline = np.array([81.2, 80.4, 81.9, 80.8, 81.5])
arms = {
    "shared": baseline + [2.1, 1.8, 2.4, 2.0, 2.2],
    "adapter": baseline - [3.0, 2.6, 3.1, 2.7, 2.9],
    "renamed": baseline.copy(),  # The same runs under another name.
}
p = [float(ttest_rel(scores, baseline).pvalue) for scores in arms.values()]
print(f"statsmodels {statsmodels.__version__}, p values of {', '.join(arms)}: {p}")
seen = {}
for method in ("bonferroni", "holm", "holm-sidak", "fdr_bh", "simes-hochberg", "hommel"):
    rejected, corrected, *_ = multipletests(p, method=method)
    seen[method] = rejected.tolist(), np.isnan(corrected).tolist()
    print(f"{method:>14}: rejected {rejected.tolist()}, corrected {corrected.round(6).tolist()}")
last, every = [False, False, True], [True, True, True]
expected = {
    "bonferroni": ([True, True, False], last),
    "holm": (every, last),
    "holm-sidak": (every, last),
    "fdr_bh": ([True, True, False], every),
    "simes-hochberg": ([True, True, False], every),
    "hommel": ([False, False, False], every),
}
sys.exit(seen != expected)
PYTHON
venv/bin/python holm.py
