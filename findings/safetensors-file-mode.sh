#!/usr/bin/env bash
# Guess: save_file writes a file as open() does, with the mode that the umask leaves: 0644 under 022,
# so that a server running as another user can read an exported model.
# Seen (safetensors 0.8.0): 0600 whatever the umask; only the user who wrote it can read the weights
# beside a config.json that all can.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
umask 022
cat > mode.py <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save_file

save_file({"weight": np.zeros(3, np.float32)}, "model.safetensors")
Path("config.json").write_text("{}")
modes = {name: oct(Path(name).stat().st_mode & 0o777) for name in ("config.json", "model.safetensors")}
print(f"safetensors {safetensors.__version__}: {modes}")
sys.exit(modes != {"config.json": "0o644", "model.safetensors": "0o600"})
PYTHON
venv/bin/python mode.py
