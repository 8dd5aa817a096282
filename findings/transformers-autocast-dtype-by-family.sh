#!/usr/bin/env bash
# Guess: within torch.autocast("cpu", torch.bfloat16) all BERT-like encoders of transformers return
# hidden states of one dtype, and layer normalisation computes in float32, as under CUDA's autocast.
# Seen (transformers 5.23.0, torch 2.13.0): BERT returns float32 and ELECTRA bfloat16. On a CPU
# layer_norm is not on autocast's list: it returns the dtype that it is given. BERT's embeddings are
# float32, and each residual sum with a layer's bfloat16 output makes float32 again, converted anew
# for every product; ELECTRA projects its embeddings by a linear layer first, whose output is
# bfloat16, and so it remains.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.13.0
cat > dtypes.py <<'PYTHON'
import sys

import torch
import transformers
from transformers import BertConfig, BertModel, ElectraConfig, ElectraModel

small = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
models = {
    "bert": BertModel(BertConfig(**small)),
    "electra": ElectraModel(ElectraConfig(**small, embedding_size=16)),
}
ids = torch.arange(4, 12).reshape(1, 8)
seen = {}
with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
    for name, model in models.items():
        seen[name] = str(model.eval()(input_ids=ids).last_hidden_state.dtype)
    norm = torch.nn.LayerNorm(32)
    for given in (torch.float32, torch.bfloat16):
        seen[f"layer_norm of {given}"] = str(norm(torch.ones(2, 32, dtype=given)).dtype)
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
for name, dtype in seen.items():
    print(f"{name}: {dtype}")
expected = ["torch.float32", "torch.bfloat16", "torch.float32", "torch.bfloat16"]
sys.exit(list(seen.values()) != expected)
PYTHON
venv/bin/python dtypes.py
