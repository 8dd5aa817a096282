#!/usr/bin/env bash
# Guess: Ray Tune imports MLflow or W&B only where one of their callbacks is used; with usage
# statistics switched off it has no reason to know them at all.
# Seen (ray 2.60.0, mlflow-skinny 3.17.2, wandb 0.31.0): Tuner.fit with any callback of one's own
# imports every tracker that is installed, to count which callbacks are used, and does so although
# RAY_USAGE_STATS_ENABLED=0. Without a callback none is imported. It costs seconds at each start.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "ray[tune]==2.60.0" mlflow-skinny==3.17.2 wandb==0.31.0
cat > tune.py <<'PYTHON'
import os
import sys

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "WANDB_MODE": "offline"}
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import ray
from ray import tune


class Mine(tune.Callback):
    """Does nothing."""


def trial(config):
    tune.report({"score": 1})


if __name__ == "__main__":
    callbacks = [Mine()] if sys.argv[1] == "with" else []
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    before = {"mlflow", "wandb"} & set(sys.modules)
    assert not before, before
    run = tune.RunConfig(callbacks=callbacks, verbose=0, storage_path=os.path.abspath("results"))
    tune.Tuner(trial, run_config=run).fit()
    imported = sorted({"mlflow", "wandb"} & set(sys.modules))
    print(f"ray {ray.__version__} {sys.argv[1]} a callback:", *imported or ["none"])
PYTHON
venv/bin/python tune.py with 2>/dev/null | tee seen
grep -q "with a callback: mlflow wandb" seen
venv/bin/python tune.py without 2>/dev/null | tee seen
grep -q "without a callback: none" seen
