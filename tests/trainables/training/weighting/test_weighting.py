"""Loss weighting: every property over every method, then known values of each."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchjd import scalarization

from tests.helpers.methods import method
from trainables.data.tokens import TokenSplit
from trainables.strategies.base import TrainTask
from trainables.training.weighting import WEIGHTINGS, Weighting, make_weighting

SIZES = (50, 21, 9)


def task(name: str, size: int) -> TrainTask:
    ids = np.zeros(size, dtype=np.int32)
    labels = np.zeros(size, dtype=np.int64)
    return TrainTask(name, 2, TokenSplit(ids, None, None, np.arange(size + 1), labels, pad_id=0))


TASKS = [task(f"task{i}", size) for i, size in enumerate(SIZES)]


def weighting(name: str, tasks: list[TrainTask] | None = None, **settings: Any) -> Weighting:
    given = {"fixed": {"weights": {"task0": 0.5, "task2": 2.0}}, "by_size": {"power": -0.5}}
    values = {"name": name, **given.get(name, {}), **settings}
    return make_weighting(method("weighting", **values), tasks or TASKS, seed=41)


def run(method: Weighting, steps: np.ndarray, order: list[int] | None = None) -> np.ndarray:
    """The weights in each step ``(steps, tasks)``; an epoch has three steps.

    ``steps`` holds losses before, norms, and losses after, shape ``(steps, 3, tasks)``; ``order``
    permutes the tasks.
    """
    order = order or list(range(steps.shape[2]))
    weights = []
    for number, (before, norms, after) in enumerate(steps[:, :, order]):
        weights.append(method.weights(number, before))
        method.update(before, norms, lambda after=after: after)
        if number % 3 == 2:
            method.end_epoch()
    return np.array(weights)


def some_steps(count: int = 12, tasks: int = 3) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.1, 1.5, (count, 3, tasks))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_with_one_task_the_weight_is_one(name: str) -> None:
    weights = run(weighting(name, TASKS[:1]), some_steps(tasks=1))
    np.testing.assert_array_equal(weights, np.ones((12, 1)))


@pytest.mark.parametrize("name", sorted(WEIGHTINGS.keys() - {"random"}))
def test_permuted_tasks_have_permuted_weights(name: str) -> None:
    order = [2, 0, 1]
    plain = run(weighting(name), some_steps())
    permuted = run(weighting(name, [TASKS[i] for i in order]), some_steps(), order)
    np.testing.assert_allclose(permuted, plain[:, order], rtol=1e-9)


@pytest.mark.parametrize("name", WEIGHTINGS)
@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 1e-30, 0.7, 1e6]), min_size=36, max_size=36))
def test_weights_are_finite_and_not_negative_whatever_losses_and_norms_are(
    name: str, values: list[float]
) -> None:
    steps = np.array(values).reshape(4, 3, 3)
    weights = run(weighting(name), steps)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_state_survives_a_checkpoint_bit_for_bit(name: str) -> None:
    steps = some_steps()
    whole = weighting(name)
    expected = run(whole, steps)
    first = weighting(name)
    run(first, steps[:6])
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second = weighting(name)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    continued = []
    for number, (before, norms, after) in enumerate(steps[6:], start=6):
        continued.append(second.weights(number, before))
        second.update(before, norms, lambda after=after: after)
        if number % 3 == 2:
            second.end_epoch()
    np.testing.assert_array_equal(np.array(continued), expected[6:])


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_asking_for_weights_again_changes_nothing(name: str) -> None:
    method = weighting(name)
    losses = some_steps()[0, 0]
    np.testing.assert_array_equal(method.weights(0, losses), method.weights(0, losses))


@pytest.mark.parametrize("name", sorted(WEIGHTINGS.keys() - {"gradnorm", "famo"}))
def test_steps_that_lack_tasks_are_learned_from(name: str) -> None:
    steps = some_steps()
    for number, step in enumerate(steps):
        step[:2, np.arange(3) != number % 3] = np.nan
    assert np.isfinite(run(weighting(name), steps)).all()


@pytest.mark.parametrize("name", ["equal", "by_size", "dwa", "random", "gradnorm", "famo"])
def test_weights_have_mean_one(name: str) -> None:
    np.testing.assert_allclose(run(weighting(name), some_steps()).mean(axis=1), 1.0)


def test_fixed_weights_are_those_given_and_one_elsewhere() -> None:
    np.testing.assert_array_equal(run(weighting("fixed"), some_steps(1)), [[0.5, 1.0, 2.0]])


def test_by_size_with_power_one_is_proportional() -> None:
    [weights] = run(weighting("by_size", power=1.0), some_steps(1))
    np.testing.assert_allclose(weights, np.array(SIZES) / np.mean(SIZES))


def test_log_descends_on_the_log_of_the_losses() -> None:
    losses = np.array([0.5, 2.0, np.nan])
    np.testing.assert_allclose(weighting("log").weights(0, losses), [2.0, 0.5, 1.0])


def test_uncertainty_is_torchjds_with_adam() -> None:
    steps = some_steps()
    theirs = scalarization.UW(3).double()
    adam = torch.optim.Adam(theirs.parameters(), lr=0.025)
    expected = []
    for before, _, _ in steps:
        expected.append(torch.exp(-theirs.log_var).detach().numpy())
        # Theirs halves the loss too, as for regression; the doubled loss is classification's.
        adam.zero_grad()
        theirs(2 * torch.from_numpy(before)).backward()
        adam.step()
    np.testing.assert_allclose(run(weighting("uncertainty"), steps), expected, rtol=1e-9)


def test_uncertainty_comes_to_rest_at_half_the_inverse_loss() -> None:
    steps = np.tile([[0.25], [0.0], [0.0]], (2000, 1, 3))
    assert run(weighting("uncertainty"), steps)[-1] == pytest.approx([2.0] * 3, rel=1e-2)


def test_dwa_is_torchjds() -> None:
    steps = some_steps(15)
    theirs = scalarization.DWA()
    expected = []
    for number, (before, _, _) in enumerate(steps):
        losses = torch.tensor(before, requires_grad=True)
        theirs(losses).backward()
        assert losses.grad is not None
        expected.append(losses.grad.numpy())
        if number % 3 == 2:
            theirs.step()
    np.testing.assert_allclose(run(weighting("dwa"), steps), expected, rtol=1e-9)


def test_famo_is_torchjds() -> None:
    steps = some_steps()
    theirs = scalarization.FAMO(3).double()
    expected = []
    for before, _, after in steps:
        losses = torch.tensor(before, requires_grad=True)
        theirs(losses).backward()
        assert losses.grad is not None
        expected.append(3 * losses.grad.numpy() / losses.grad.numpy().sum())
        theirs.update(torch.from_numpy(after))
    np.testing.assert_allclose(run(weighting("famo"), steps), expected, rtol=1e-5)


def test_gradnorm_lifts_small_gradients_and_slow_tasks() -> None:
    losses = np.full((400, 1, 3), 0.5)
    norms = np.tile([1.0, 2.0, 4.0], (400, 1, 1))
    balanced = run(weighting("gradnorm", alpha=0.0), np.concatenate([losses, norms, losses], 1))[-1]
    np.testing.assert_allclose(balanced * [1, 2, 4], np.mean(balanced * [1, 2, 4]), rtol=0.05)
    slow = losses * [1.5, 0.75, 0.75]
    weights = run(weighting("gradnorm"), np.concatenate([slow, norms * 0 + 1, slow], 1))[-1]
    assert weights[0] > 1.3
    assert weights[1] == pytest.approx(weights[2])


def test_random_weights_differ_by_step_and_seed_but_not_by_run() -> None:
    steps = some_steps()
    one = run(weighting("random"), steps)
    np.testing.assert_array_equal(one, run(weighting("random"), steps))
    other = make_weighting(method("weighting", name="random"), TASKS, seed=42)
    assert (one[0] != one[1]).all()
    assert (one != run(other, steps)).all()
