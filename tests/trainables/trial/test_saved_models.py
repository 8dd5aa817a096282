"""A saved model, used as the documentation says, answers what its trial predicted."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.helpers import trials
from tests.helpers.trials import ARMS, TASKS, finished, trial_config
from trainables.errors import EncoderError
from trainables.models.saved import load_classifier
from trainables.trial.trial import Trial

MORE_ARMS = {
    "naive_concat_by_name": {"strategy": "naive_concat"},
    "answer_network": {"strategy": "shared_encoder", "task_heads": {"paraphrase": {"name": "san"}}},
}
SAVED = [
    "single_task",
    "naive_concat",
    "naive_concat_union",
    "naive_concat_by_name",
    "shared_encoder",
    "lora_shared",
    "answer_network",
]


@pytest.fixture
def trial(
    request: pytest.FixtureRequest,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Trial:
    """A finished trial of the arm, with labels of two orders, that kept its model."""
    arm: str = request.param
    monkeypatch.setattr(trials, "ARMS", ARMS | MORE_ARMS)
    if arm == "naive_concat_by_name":
        orders = (("no", "yes"), ("yes", "no"), ("no", "yes"))
        named = {
            name: task.model_copy(update={"labels": labels})
            for (name, task), labels in zip(TASKS.items(), orders, strict=True)
        }
        monkeypatch.setattr(trials, "TASKS", named)
    # Shorter than some examples, so that the saved tokenizer has to cut them too.
    config = trial_config(arm, tiny_bert, epochs=1, model={"max_length": 12})
    return finished(config, tmp_path, save_model=True)[1]


def answers(folder: Path, trial: Trial) -> list[tuple[str, str, str | None]]:
    """Of every validation example: task, what the saved model says, what the trial predicted."""
    model, tokenizer, metadata = load_classifier(folder)
    stored = pd.read_parquet(trial.run_dir.predictions(trial.config.key))
    said = []
    for task, data in trial.tasks.items():
        names = metadata["tasks"][task]
        rows = stored[(stored["task"] == task) & (stored["split"] == "validation")]
        predicted = dict(zip(rows["index"], rows["prediction"], strict=True))
        for index, texts in enumerate(data.splits["validation"].texts):
            text = metadata["prefixes"][task] + texts[0]
            second = [texts[1]] if data.pair else None
            inputs = tokenizer([text], second, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                answer = names[model(inputs, task).argmax()]
            # Without masking, a prediction may be another task's class.
            own = predicted[index] < len(names)
            said.append((task, answer, names[predicted[index]] if own else None))
    return said


@pytest.mark.parametrize("trial", SAVED, indirect=True)
def test_the_documented_lines_work_for_every_arm(trial: Trial) -> None:
    said = answers(trial.run_dir.model(trial.config.key), trial)
    assert len(said) == 24 * len(trial.tasks)
    assert sum(expected is not None for _, _, expected in said) > 8
    assert [(task, answer) for task, answer, expected in said if expected is not None] == [
        (task, expected) for task, _, expected in said if expected is not None
    ]


@pytest.mark.parametrize("trial", ["naive_concat", "shared_encoder"], indirect=True)
def test_examples_with_another_number_of_texts_are_refused(trial: Trial) -> None:
    model, tokenizer, _ = load_classifier(trial.run_dir.model(trial.config.key))
    empty = tokenizer(["a film"], [""], return_tensors="pt")
    model(empty, "paraphrase")
    # transformers leaves the empty text out.
    for left_out in (tokenizer("a film", "", return_tensors="pt"), tokenizer(["a film"])):
        with pytest.raises(ValueError, match=r"paraphrase has two texts: tokenizer\(\[first\]"):
            model(left_out, "paraphrase")
    with pytest.raises(ValueError, match="sentiment has one text"):
        model(empty, "sentiment")


@pytest.mark.parametrize("trial", ["naive_concat", "naive_concat_union"], indirect=True)
def test_a_pooled_model_of_an_earlier_version_is_read_too(trial: Trial) -> None:
    folder = trial.run_dir.model(trial.config.key)
    now = answers(folder, trial)
    path = folder / "heads.json"
    heads = json.loads(path.read_text())
    assert heads.pop("tasks").keys() == trial.tasks.keys()
    path.write_text(json.dumps(heads | {"schema_version": 2}))
    assert answers(folder, trial) == now


@pytest.mark.parametrize("trial", ["naive_concat_union"], indirect=True)
@pytest.mark.parametrize(
    "where", [{"head": "pooled", "classes": [0, 6]}, {"head": "other", "classes": [0]}]
)
def test_classes_that_a_head_has_not_are_refused(trial: Trial, where: dict) -> None:
    folder = trial.run_dir.model(trial.config.key)
    path = folder / "heads.json"
    heads = json.loads(path.read_text())
    heads["tasks"]["sentiment"] = where
    path.write_text(json.dumps(heads))
    with pytest.raises(EncoderError, match=r"heads\.json: tasks\.sentiment: head .* no such"):
        load_classifier(folder)
