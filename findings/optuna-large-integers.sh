#!/usr/bin/env bash
# Guess: what suggest_int returns to the trial is what the study stores, best_params and
# trials_dataframe give back. Python's integers are exact, and a seed may have 64 bits.
# Seen (optuna 5.0.0): values are stored as floats. An enqueued seed above 2^53 is handed to the
# trial exactly and recorded rounded, in memory and in SQLite alike, so a run that is repeated with
# best_params has another seed than the best run had. Seeds that a sampler draws are all even there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check optuna==5.0.0 pandas==3.1.1
cat > seeds.py <<'PYTHON'
import random
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
wanted = 4_611_686_018_427_387_905  # 2^62 + 1.
used = []


def objective(trial):
    used.append(trial.suggest_int("seed", 0, 2**63 - 1))
    return random.Random(used[-1]).random()


for storage in (None, "sqlite:///study.db"):
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"seed": wanted})
    study.optimize(objective, n_trials=1)
    again = random.Random(study.best_params["seed"]).random()
    print(f"optuna {optuna.__version__}, {'SQLite' if storage else 'in memory'}:")
    print(f"  used {used[-1]}, recorded {study.best_params['seed']}")
    print(f"  score {study.best_value:.4f}, repeated with best_params {again:.4f}")
    assert used[-1] == wanted
    assert study.best_params["seed"] == study.trials_dataframe()["params_seed"][0] == wanted - 1
    assert again != study.best_value
study.optimize(objective, n_trials=50)
odd = sum(seed % 2 for seed in used[2:])
print(f"odd seeds among 50 drawn: {odd}")
sys.exit(odd != 0)
PYTHON
venv/bin/python seeds.py
