#!/usr/bin/env bash
# Guess: a multi-task model of tasknet has a head of its own for each task, and a task with two texts
# keeps the tokenizer's segments (token_type_ids), as with transformers' own classes.
# Seen (tasknet 1.60, transformers 5.23.0): tasks whose labels have the same names, such as no and
# yes, get one classifier: the weights of their heads are one tensor. With other names they are two.
# Segments reach no encoder: of what the tokenizer gives for a pair, only input_ids and
# attention_mask go through the model. (Importing tasknet loads metrics from the Hugging Face Hub;
# here evaluate.load is replaced for the import.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tasknet==1.60 tasksource==0.1.1 \
    transformers==5.23.0 torch==2.13.0 datasets==5.2.0 evaluate==0.4.6 accelerate==1.15.0 \
    scikit-learn==1.9.1
cat > heads.py <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import BertConfig, BertModel, BertTokenizer

with patch("evaluate.load"):
    import tasknet

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
tokenizer.save_pretrained("encoder")
config = BertConfig(
    vocab_size=len(words),
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
)
BertModel(config).save_pretrained("encoder")


def task(name, labels):
    text = Value("string")
    columns = {"sentence1": text, "sentence2": text, "labels": ClassLabel(names=labels)}
    features = Features(columns)
    rows = {"sentence1": ["a b", "c"], "sentence2": ["c", "a"], "labels": [0, 1]}
    split = Dataset.from_dict(rows, features=features)
    splits = {"train": split, "validation": split, "test": split}
    return tasknet.Classification(DatasetDict(splits), name=name)


tasks = [task("first", ["no", "yes"]), task("second", ["no", "yes"]), task("third", ["bad", "good"])]
settings = {
    "model_name": "encoder",
    "output_dir": "out",
    "num_train_epochs": 1,
    "use_cpu": True,
    "batched": True,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
}
model = tasknet.Model(tasks, settings)
columns = set()
model.register_forward_pre_hook(lambda m, args, given: columns.update(given), with_kwargs=True)
trainer = tasknet.Trainer(model, tasks, settings)
trainer.train()


def head(name):
    [index] = [i for i, t in enumerate(tasks) if t.name == name]
    return model.task_models_list[index].classifier.weight


print("tasknet", version("tasknet"), "transformers", version("transformers"))
same = head("first").data_ptr() == head("second").data_ptr()
other = head("first").data_ptr() == head("third").data_ptr()
print("one head for equal label names:", same)
print("one head for other label names:", other)
print("given to the model:", sorted(columns))
segments = "token_type_ids" in tokenizer("a", "b")
print("segments from the tokenizer:", segments)
sys.exit(not (same and not other and segments and "token_type_ids" not in columns))
PYTHON
HF_HUB_OFFLINE=1 venv/bin/python heads.py
