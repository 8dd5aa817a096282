#!/usr/bin/env bash
# Guess: merge_and_unload(adapter_names=["b"]) makes the model that set_adapter("b") and then
# merge_and_unload() make, the classification head that was trained with b included.
# Seen (peft 0.21.2): it adds b's matrices to the layers but keeps the head of the adapter that is
# active. The result is a model that was never trained: b's layers below a's head.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    peft==0.21.2 transformers==5.23.0 torch==2.13.0
cat > merge.py <<'PYTHON'
import copy
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import peft
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

torch.manual_seed(0)
small = BertConfig(
    vocab_size=64,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
)
lora = LoraConfig(task_type=TaskType.SEQ_CLS, r=4, target_modules=["query", "value"])
model = get_peft_model(BertForSequenceClassification(small), lora, adapter_name="a")
model.add_adapter("b", copy.deepcopy(lora))
with torch.no_grad():  # In place of two trainings.
    for name, weight in model.named_parameters():
        if ".a." in name or ".b." in name:
            weight.normal_(std=0.3)
model.eval()
texts = torch.randint(1, 64, (6, 12))


def logits(which):
    with torch.no_grad():
        return which(input_ids=texts).logits


adapted = {}
for name in ("b", "a"):  # a is the active one in the end.
    model.set_adapter(name)
    adapted[name] = logits(model)
by_name = copy.deepcopy(model).merge_and_unload(adapter_names=["b"])
heads = model.base_model.model.classifier.modules_to_save
whose = [name for name in heads if torch.equal(by_name.classifier.weight, heads[name].weight)]
model.set_adapter("b")
activated = model.merge_and_unload()
off = [float((logits(merged) - adapted["b"]).abs().max()) for merged in (by_name, activated)]
print(f"peft {peft.__version__}: merged by name, b's logits are off by {off[0]:.3f}")
print(f"its head is that of {whose}; with b made active first they are off by {off[1]:.0e}")
sys.exit(not (off[0] > 0.1 and whose == ["a"] and off[1] < 1e-5))
PYTHON
venv/bin/python merge.py 2>/dev/null
