"""What the three strategies train on and how they answer."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from tests.helpers.methods import method
from tests.helpers.trials import ARMS
from trainables.config.arms import ArmConfig
from trainables.config.trial import TrainingConfig
from trainables.data.tokens import TokenSplit
from trainables.results.metrics import pooled, scores
from trainables.strategies import Strategy, TrainTask, make_strategy
from trainables.strategies.task_sampling import SAMPLERS, make_sampler

BATCHES = ("one_task", "mixed", "joint")
TRAINING = TrainingConfig(batch_size=8)


def tokens(first: int, sizes: list[int], classes: int) -> TokenSplit:
    """Examples whose every token is a number of their own, counted from ``first``."""
    ids = np.concatenate([np.full(n, first + i) for i, n in enumerate(sizes)]).astype(np.int32)
    offsets = np.cumsum([0, *sizes])
    labels = np.arange(len(sizes)) % classes
    return TokenSplit(ids, np.zeros_like(ids, dtype=np.uint8), None, offsets, labels, pad_id=0)


def tasks(classes: tuple[int, ...] = (2, 2, 2)) -> list[TrainTask]:
    rng = np.random.default_rng(5)
    sizes = (50, 21, 9)
    return [
        TrainTask(f"task{i}", n, tokens(1000 * (i + 1), rng.integers(3, 9, size).tolist(), n))
        for i, (n, size) in enumerate(zip(classes, sizes, strict=True))
    ]


def strategy(arm: dict[str, Any], seed: int = 41, which: list[TrainTask] | None = None) -> Strategy:
    config = TypeAdapter(ArmConfig).validate_python(arm)
    chosen = which or (tasks()[:1] if arm["strategy"] == "single_task" else tasks())
    return make_strategy(config, chosen, TRAINING, seed)


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_steps_go_on_from_anywhere_as_if_never_interrupted(arm: dict[str, Any]) -> None:
    whole = list(islice(strategy(arm).steps(0), 40))
    for start in (1, 10, 27):
        for ours, theirs in zip(
            islice(strategy(arm).steps(start), 40 - start), whole[start:], strict=True
        ):
            for part, other in zip(ours.parts, theirs.parts, strict=True):
                assert part.head == other.head
                np.testing.assert_array_equal(part.tasks, other.tasks)
                for name, tensor in part.tensors.items():
                    assert torch.equal(tensor, other.tensors[name])


EXACT = ["single_task", "naive_concat", "naive_concat_union", "shared_encoder"]


@pytest.mark.parametrize("arm", [ARMS[name] for name in [*EXACT, "shared_encoder_mixed"]])
def test_one_pass_has_every_example_of_every_task_once(arm: dict[str, Any]) -> None:
    trained = strategy(arm)
    trained_on: list[int] = []
    for step in islice(trained.steps(0), trained.steps_per_pass):
        trained_on += [i for part in step.parts for i in part.tensors["input_ids"][:, 0].tolist()]
    expected = [
        1000 * (i + 1) + k for i, t in enumerate(trained.tasks) for k in range(len(t.train))
    ]
    assert sorted(trained_on) == expected


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_a_batch_keeps_each_examples_task_label_and_tokens_together(arm: dict[str, Any]) -> None:
    trained = strategy(arm)
    for part in [part for step in islice(trained.steps(0), 12) for part in step.parts]:
        first = part.tensors["input_ids"][:, 0].numpy()
        np.testing.assert_array_equal(part.tasks, first // 1000 - 1)
        for task in np.unique(part.tasks):
            rows = part.tasks == task
            own = trained.own_labels(int(task), part.tensors["labels"][rows]).numpy()
            np.testing.assert_array_equal(own, first[rows] % 1000 % 2)
        mask = part.tensors["attention_mask"].bool()
        assert (part.tensors["input_ids"][~mask] == 0).all()
        assert (part.tensors["input_ids"][mask] >= 1000).all()
        assert part.tensors["labels"].max() < trained.heads[part.head]


def test_shared_encoder_sees_each_tasks_batches_in_the_order_of_single_task() -> None:
    shared = strategy(ARMS["shared_encoder"])
    single = strategy(ARMS["single_task"])
    alone = batches(single, "task0")
    together = batches(shared, "task0")
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def batches(trained: Strategy, head: str) -> list[torch.Tensor]:
    """One pass over what a head trains on."""
    steps = islice(trained.steps(0), trained.steps_per_pass)
    parts = [part for step in steps for part in step.parts]
    return [part.tensors["input_ids"] for part in parts if part.head == head]


SAMPLINGS = [{"name": name, "batch": batch} for name in SAMPLERS for batch in BATCHES]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: f"{s['name']}-{s['batch']}")
def test_with_one_task_every_sampler_gives_the_batches_of_single_task(sampling: dict) -> None:
    arm = {"strategy": "shared_encoder", "sampling": sampling}
    ours = batches(strategy(arm, which=tasks()[:1]), "task0")
    theirs = batches(strategy(ARMS["single_task"]), "task0")
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: f"{s['name']}-{s['batch']}")
def test_a_pass_has_as_many_examples_as_there_are(sampling: dict) -> None:
    trained = strategy({"strategy": "shared_encoder", "sampling": sampling})
    steps = list(islice(trained.steps(0), trained.steps_per_pass))
    assert all(len(step) <= TRAINING.batch_size for step in steps)
    # Only where whole batches are drawn with replacement can small last batches tip the balance.
    slack = 8 * 3 if sampling["batch"] == "one_task" else 0
    assert sum(map(len, steps)) == pytest.approx(80, abs=slack)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: f"{s['name']}-{s['batch']}")
def test_each_epochs_examples_are_shared_out_as_the_sampler_says(sampling: dict) -> None:
    sizes = np.array([80, 40, 24])  # Whole batches of 8, and in proportion 1 or more of each 8.
    which = [
        TrainTask(f"task{i}", 2, tokens(1000 * (i + 1), [3] * n, 2)) for i, n in enumerate(sizes)
    ]
    examples = np.zeros((TRAINING.epochs, 3))
    seeds = 12
    for seed in range(seeds):
        trained = strategy({"strategy": "shared_encoder", "sampling": sampling}, seed, which)
        for number, step in enumerate(islice(trained.steps(0), TRAINING.epochs * 18)):
            for part in step.parts:
                examples[number // 18, part.task] += len(part)
    sampler = make_sampler(method("sampling", **sampling))
    for epoch, counts in enumerate(examples):
        expected = sampler.shares(sizes, epoch / (TRAINING.epochs - 1))
        draws = seeds * (18 if sampling["batch"] == "one_task" else 144)
        slack = 5 * np.sqrt(expected * (1 - expected) / draws)
        assert (np.abs(counts / counts.sum() - expected) <= slack).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_joint_step_has_every_task_also_after_the_first_pass(name: str) -> None:
    arm = {"strategy": "shared_encoder", "sampling": {"name": name, "batch": "joint"}}
    for step in islice(strategy(arm).steps(0), 40):
        assert [part.task for part in step.parts] == [0, 1, 2]


def test_annealing_goes_from_proportional_to_nearly_uniform_over_the_epochs() -> None:
    sampling = {"name": "annealed", "batch": "joint"}
    trained = strategy({"strategy": "shared_encoder", "sampling": sampling})
    steps = list(islice(trained.steps(0), TRAINING.epochs * trained.steps_per_pass))
    first_part = [
        sum(len(part) for step in steps[k : k + trained.steps_per_pass] for part in step.parts[:1])
        for k in range(0, len(steps), trained.steps_per_pass)
    ]
    # Of 50, 21 and 9 examples: shares 5/8, then n ** 0.6, then n ** 0.2 (times 80).
    assert first_part == pytest.approx([50, 41, 31], abs=4)


def test_a_mixed_batch_holds_examples_of_several_tasks_in_one_step() -> None:
    steps = list(islice(strategy(ARMS["shared_encoder_mixed"]).steps(0), 10))
    assert max(len(step.parts) for step in steps) == 3
    assert {len(step) for step in steps} == {8}


def test_single_task_refuses_several_tasks() -> None:
    with pytest.raises(ValueError, match="trains one task, not 3"):
        strategy(ARMS["single_task"], which=tasks())


def test_shared_label_space_refuses_unequal_numbers_of_classes() -> None:
    with pytest.raises(ValueError, match="equal numbers of labels"):
        strategy(ARMS["naive_concat"], which=tasks((2, 3, 2)))


def test_naive_concat_pools_by_name() -> None:
    orders = (("no", "yes"), ("yes", "no"), ("no", "yes"))
    named = [replace(t, labels=order) for t, order in zip(tasks(), orders, strict=True)]
    pooled_by_name = strategy(ARMS["naive_concat"], which=named)
    for step in islice(pooled_by_name.steps(0), 12):
        [part] = step.parts
        # Each example's own label is the last bit of its tokens; the second task's are reversed.
        own = part.tensors["input_ids"][:, 0].numpy() % 1000 % 2
        np.testing.assert_array_equal(part.tensors["labels"], own ^ (part.tasks == 1))
    logits = torch.tensor([[0.0, 1.0], [3.0, 2.0]])
    assert [pooled_by_name.predictions(task, logits).tolist() for task in (0, 1)] == [
        [1, 0],
        [0, 1],
    ]
    assert pooled_by_name.own_logits(1, logits).tolist() == [[1.0, 0.0], [2.0, 3.0]]
    assert pooled_by_name.own_labels(1, torch.tensor([0, 1])).tolist() == [1, 0]
    assert pooled_by_name.leaked(1, logits) is None
    assert pooled_by_name.heads == {"pooled": 2}
    positions = ARMS["naive_concat"] | {"label_space": "positions"}
    assert strategy(positions, which=named).predictions(1, logits).tolist() == [1, 0]


def test_heads() -> None:
    assert strategy(ARMS["shared_encoder"]).heads == {"task0": 2, "task1": 2, "task2": 2}
    assert strategy(ARMS["single_task"]).heads == {"task0": 2}
    assert strategy(ARMS["naive_concat"]).heads == {"pooled": 2}
    union = strategy(ARMS["naive_concat_union"], which=tasks((2, 3, 2)))
    assert union.heads == {"pooled": 7}


LOGITS = torch.tensor([[0.0, 3.0, 1.0, 2.0, 9.0, 0.0, 0.0], [5.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0]])
"""Seven classes of tasks with 2, 3 and 2; the first row's largest is the second task's last."""


@pytest.mark.parametrize(("masked", "predicted"), [(True, [1, 0]), (False, [2, 0])])
def test_union_masks_other_tasks_or_counts_them_as_wrong(
    masked: bool, predicted: list[int]
) -> None:
    arm = {"strategy": "naive_concat", "label_space": "union", "mask_other_tasks": masked}
    union = strategy(arm, which=tasks((2, 3, 2)))
    assert union.predictions(0, LOGITS).tolist() == predicted
    assert union.own_logits(1, LOGITS).tolist() == LOGITS[:, 2:5].tolist()
    leaked = union.leaked(0, LOGITS)
    assert leaked is not None
    assert leaked.tolist() == [True, False]


def test_only_the_union_can_leak() -> None:
    assert strategy(ARMS["naive_concat"]).leaked(0, LOGITS) is None
    assert strategy(ARMS["shared_encoder"]).leaked(0, LOGITS) is None


def test_predictions_of_another_tasks_class_are_wrong_for_every_metric() -> None:
    # Labels 0 0 1 1 1, predictions 0 other 1 1 other: class 1 has precision 1 and recall 2/3.
    leaking = [[1, 0, 1], [0, 2, 1]]
    square = [[1, 0, 1], [0, 2, 1], [0, 0, 0]]
    assert scores(leaking)["accuracy"] == pytest.approx(3 / 5)
    assert scores(leaking)["f1"] == pytest.approx(0.8)
    assert scores(leaking)["matthews"] == pytest.approx(scores(square)["matthews"])
    together = pooled([leaking, [[1, 0], [0, 1]]])
    assert together is not None
    assert together["accuracy"] == pytest.approx(5 / 7)
