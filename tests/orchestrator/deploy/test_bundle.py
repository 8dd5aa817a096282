"""A bundle answers what the model answered that it was made of, also without this project."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.deploy.bundle import write_bundle
from orchestrator.deploy.bundle_model import KINDS
from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.saved_model import read_saved_model
from tests.helpers.tiny_encoders import SPECIMENS
from tests.orchestrator.deploy.conftest import EXAMPLES, MAX_LENGTH, Save
from trainables.errors import EncoderError
from trainables.models.heads import HEADS
from trainables.models.saved import load_classifier

CLEAN = """
import json, sys

class OnlyPublished:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("orchestrator", "search_spaces", "trainables", "ray"):
            raise ImportError(name)

sys.meta_path.insert(0, OnlyPublished())
sys.path.insert(0, sys.argv[1])
from model import load

model = load(sys.argv[1])
examples = {int(size): [tuple(e) for e in own] for size, own in json.loads(sys.argv[2]).items()}
logits = {}
labels = {}
for name, task in model.tasks.items():
    logits[name] = model.logits(examples[task.texts], [name])[name].tolist()
    labels[name] = model.predict(examples[task.texts], name, batch_size=2)
print(json.dumps({"logits": logits, "labels": labels}))
"""


def expected(folder: Path) -> dict[str, np.ndarray]:
    """What the saved model itself says of ``EXAMPLES``, in one padded batch: task -> logits."""
    model, tokenizer, extra = load_classifier(folder)
    answers = {}
    for task, own in model.tasks.items():
        assert own.texts is not None
        first, *second = (list(texts) for texts in zip(*EXAMPLES[own.texts], strict=True))
        batch = tokenizer(
            [extra["prefixes"][task] + text for text in first],
            second[0] if second else None,
            truncation=True,
            padding=True,
            return_tensors="pt",
        )
        assert batch["input_ids"].shape[1] == MAX_LENGTH  # truncated
        with torch.inference_mode():
            answers[task] = model(batch, task).numpy()
    return answers


def answered(folder: Path) -> dict[str, np.ndarray]:
    predictor = open_predictor(folder)
    assert predictor.max_length == MAX_LENGTH
    return {
        name: predictor.logits(EXAMPLES[task.texts], [name])[name]
        for name, task in predictor.tasks.items()
    }


def bundle(saved: Path, folder: Path) -> Path:
    folder.mkdir()
    write_bundle(read_saved_model(saved), folder)
    return folder


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, Any], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for task, logits in ours.items():
        np.testing.assert_allclose(logits, theirs[task], atol=tolerance, rtol=0)
        assert logits.argmax(1).tolist() == np.array(theirs[task]).argmax(1).tolist()
        assert np.ptp(logits, axis=0).max() > 1e-4


@pytest.mark.parametrize("specimen", SPECIMENS)
def test_every_encoder_answers_as_its_saved_model(
    specimen: str, save: Save, tmp_path: Path
) -> None:
    saved = save(specimen)
    logits = expected(saved)
    assert_same(answered(saved), logits, 2e-6)
    assert_same(answered(bundle(saved, tmp_path / "bundle")), logits, 2e-6)


def test_every_kind_of_head_has_its_class() -> None:
    assert KINDS.keys() == HEADS.keys()


@pytest.mark.parametrize("specimen", ["bert", "roberta", "qwen3", "t5", "fnet"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_head_answers_as_before(
    kind: str, specimen: str, save: Save, tmp_path: Path
) -> None:
    saved = save(specimen, one="mean" if kind == "san" else kind, two=kind)
    assert_same(answered(bundle(saved, tmp_path / "bundle")), expected(saved), 2e-6)


POOLED = {
    "positions": {"one": [0, 1], "two": [0, 1]},
    "names": {"one": [0, 1], "two": [1, 0]},
    "union": {"one": [0, 1], "two": [2, 3]},
}


@pytest.mark.parametrize("space", POOLED)
@pytest.mark.parametrize("prefix", [False, True])
def test_a_pooled_head_gives_each_task_its_own_classes(
    space: str, prefix: bool, save: Save, tmp_path: Path
) -> None:
    labels = {"one": ["no", "yes"], "two": ["yes", "no"]}
    saved = save("bert", classes=POOLED[space], labels=labels, prefix=prefix)
    made = bundle(saved, tmp_path / "bundle")
    assert_same(answered(made), expected(saved), 2e-6)
    assert open_predictor(made).tasks["two"].prefix == ("two: " if prefix else "")


def test_tasks_with_the_same_input_share_a_pass_of_the_encoder(save: Save) -> None:
    saved = save("bert", labels={"one": ["a", "b"], "one more": ["a", "b", "c"], "two": ["a", "b"]})
    model = read_saved_model(saved).bundle_model()
    passes = []
    model.encoder.register_forward_hook(lambda *_: passes.append(1))
    together = model.logits(EXAMPLES[1], ["one", "one more"])
    assert len(passes) == 1
    for name in together:
        assert np.array_equal(together[name], model.logits(EXAMPLES[1], [name])[name])


def test_a_bundle_runs_without_this_project(save: Save, tmp_path: Path) -> None:
    labels = {"one": ["no", "yes"], "two": ["a", "b"], "one.score": []}
    saved = save("roberta", labels=labels, two="san")
    made = bundle(saved, tmp_path / "bundle")
    ended = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", CLEAN, str(made), json.dumps(EXAMPLES)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    said = json.loads(ended.stdout)
    logits = expected(saved)
    assert_same(logits, said["logits"], 1e-5)
    for task in ("one", "two"):
        names = [labels[task][best] for best in logits[task].argmax(1)]
        assert [entry["label"] for entry in said["labels"][task]] == names
        for entry in said["labels"][task]:
            assert sum(entry["probabilities"].values()) == pytest.approx(1)
            assert entry["score"] == max(entry["probabilities"].values())
    scores = [entry["score"] for entry in said["labels"]["one.score"]]
    assert scores == pytest.approx(logits["one.score"][:, 0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("examples", "tasks", "message"),
    [
        ([("a dog",)], ["three"], "no task three; there are one, two"),
        ([("a", "b")], ["one"], "one is a tuple of 1; example 0"),
        ([("a", "b"), ("a",)], ["two"], "two is a tuple of 2; example 1 "),
        ([("a dog",)], None, "two is a tuple of 2"),
        (["a dog"], ["one"], "has a text alone"),
        ([], ["one"], "no example"),
    ],
)
def test_what_cannot_be_answered_is_a_value_error(
    examples: Any, tasks: list[str] | None, message: str, save: Save
) -> None:
    with pytest.raises(ValueError, match=message):
        open_predictor(save("bert")).logits(examples, tasks)


def test_a_text_without_a_token_is_named(save: Save) -> None:
    with pytest.raises(ValueError, match=r"example 1 \(from 0\) is empty"):
        open_predictor(save("qwen3")).logits([("a dog",), ("",)], ["one"])


def test_predict_answers_all_tasks_of_that_many_texts(save: Save) -> None:
    model = read_saved_model(save("bert")).bundle_model()
    assert model.predict(["a dog"]).keys() == {"one"}
    assert model.predict([("a dog", "a cat")]).keys() == {"two"}


def _drop(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def _cut(name: str) -> Any:
    def cut(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return cut


def _change(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        path = folder / "bundle.json"
        content = json.loads(path.read_text())
        for key, value in changes.items():
            *outer, last = key.split("__")
            part = content
            for name in outer:
                part = part[int(name) if isinstance(part, list) else name]
            part[last] = value
        path.write_text(json.dumps(content))

    return change


DAMAGE = {
    "no weights": (_drop("model.safetensors"), r"model\.safetensors"),
    "half the weights": (_cut("model.safetensors"), r"model\.safetensors"),
    "no heads": (_drop("heads.safetensors"), r"heads\.safetensors"),
    "half the heads": (_cut("heads.safetensors"), r"heads\.safetensors"),
    "no tokenizer": (_drop("tokenizer.json"), r"tokenizer\.json"),
    "half the tokenizer": (_cut("tokenizer.json"), r"tokenizer\.json"),
    "no architecture": (_drop("config.json"), r"model\.safetensors|config\.json"),
    "half the description": (_cut("bundle.json"), r"bundle\.json"),
    "another version": (_change(schema_version=9), "schema_version is 9, this file reads 1"),
    "no encoder": (_change(encoder=None), r"bundle\.json: .*encoder"),
    "foreign class": (_change(encoder__class="AutoTokenizer"), "no model AutoTokenizer"),
    "another architecture": (_change(encoder__class="T5EncoderModel"), "safetensors: missing"),
    "no such head": (_change(tasks__one__head=7), r"bundle\.json"),
    "no such class": (_change(tasks__one__classes=[0, 5]), r"tasks\.one\.classes"),
    "another kind": (_change(heads__0__kind="mean2"), r"bundle\.json: .*mean2"),
    "another head": (_change(heads__0__kind="san"), r"heads\.safetensors"),
    "no tasks": (_change(tasks=[]), r"bundle\.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_refused(damage: str, save: Save, tmp_path: Path) -> None:
    made = bundle(save("bert"), tmp_path / "bundle")
    harm, message = DAMAGE[damage]
    harm(made)
    with pytest.raises(EncoderError, match=message) as caught:
        open_predictor(made)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        EncoderError, match=r"no exported or saved model \(it has none of export\.json"
    ):
        open_predictor(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": {}}, "tasks.one: its labels or its number of texts are missing"),
        ({"tasks": {}}, "it names no tasks"),
    ],
)
def test_a_saved_model_that_does_not_name_its_tasks_is_refused(
    change: dict[str, Any], message: str, save: Save
) -> None:
    saved = save("bert")
    path = saved / "heads.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EncoderError, match=message):
        open_predictor(saved)
