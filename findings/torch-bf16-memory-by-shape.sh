#!/usr/bin/env bash
# Guess: on a CPU a linear layer in bfloat16 needs half the memory of one in float32, and none that
# depends on how many different batch sizes it has met.
# Seen (torch 2.13.0, CPUs with AVX-512, with AMX or without): 200 different numbers of rows through
# one layer of 384 x 1536 leave about 600 MB in bfloat16, 3 MB for each, and less than 100 MB in
# float32. The same shapes again leave nothing: what oneDNN makes for a shape is kept. Texts padded
# to many different lengths do this; padding to few lengths avoids it.
set -euo pipefail
grep -q avx512f /proc/cpuinfo || { echo "needs a CPU with AVX-512" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > shapes.py <<'PYTHON'
import resource
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def growth(dtype):
    """MB that 200 numbers of rows leave, and that the same leave again."""
    weight = torch.ones(1536, 384, dtype=dtype)
    inputs = torch.ones(1200, 384, dtype=dtype)
    torch.nn.functional.linear(inputs, weight)
    readings = [resident()]
    for _ in range(2):
        for rows in range(900, 1100):
            torch.nn.functional.linear(inputs[:rows], weight)
        readings.append(resident())
    return readings[1] - readings[0], readings[2] - readings[1]


grown = {dtype: growth(dtype) for dtype in (torch.float32, torch.bfloat16)}
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
for dtype, (first, again) in grown.items():
    print(f"{dtype}: 200 shapes {first:+.0f} MB, the same again {again:+.0f} MB")
(single, _), (half, again) = grown.values()
sys.exit(not (half > 300 and half > 5 * single and again < half / 10))
PYTHON
venv/bin/python shapes.py
