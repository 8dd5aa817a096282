#!/usr/bin/env bash
# Guess: UPGrad and DualProj never return a direction that makes a task worse, to first order,
# however long its gradient is; and if all gradients shrink, so does the result, and no more.
# Seen (torchjd 0.18.0, torch 2.13.0): this holds only for gradients that are alike in length and
# not too short. Where the whole Jacobian is shorter than 0.01 both return the plain mean, conflicts
# and all. And a task whose gradient is 30 times shorter than another's is made worse: the 1e-4 that
# is added to the Gramian's diagonal is not small beside that task's own part of it. With
# QuadprogProjector(norm_eps=0, reg_eps=1e-9) neither happens.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "torchjd[quadprog-projector]==0.18.0" torch==2.13.0 numpy==2.4.6
cat > small.py <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torchjd.aggregation import DualProj, Mean, UPGrad
from torchjd.linalg import QuadprogProjector

directions = torch.tensor([[1.0, 0.0], [-0.6, 0.8]], dtype=torch.float64)
precise = QuadprogProjector(norm_eps=0.0, reg_eps=1e-9)
methods = {
    "Mean": Mean(),
    "UPGrad": UPGrad(),
    "DualProj": DualProj(),
    "UPGrad, precise": UPGrad(projector=precise),
    "DualProj, precise": DualProj(projector=precise),
}


def cosines(method, jacobian):
    """How well the result goes with each task's gradient; below 0 it makes the task worse."""
    result = method(jacobian)
    products = jacobian @ result / jacobian.norm(dim=1) / result.norm()
    return [round(float(cosine), 2) for cosine in products]


print(f"torchjd {version('torchjd')}, cosines with the gradients of two tasks")
every = ["Mean", "UPGrad", "DualProj"]
for lengths, expected in (
    ((1, 1 / 3), ["Mean"]),
    ((1 / 1000, 1 / 3000), every),
    ((1, 1 / 30), every),
):
    jacobian = directions * torch.tensor(lengths, dtype=torch.float64)[:, None]
    seen = {name: cosines(method, jacobian) for name, method in methods.items()}
    print(f"lengths {lengths[0]:.4f} and {lengths[1]:.4f}: {seen}")
    worse = [name for name, (_, second) in seen.items() if second < -0.01]
    if worse != expected:
        sys.exit(f"worse: {worse}")
    if lengths[0] < 0.01:
        assert seen["UPGrad"] == seen["DualProj"] == seen["Mean"]
PYTHON
venv/bin/python small.py
