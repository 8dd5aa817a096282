"""Gradient aggregation: every property over every method, then known values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchjd.aggregation import IMTLG, MGDA, Aggregator, AlignedMTL, ConFIG, GradDrop

from tests.helpers.methods import method
from trainables.training.aggregation import GRAMIAN, make_aggregation
from trainables.training.aggregation.dual_cone import NonNegativeLeastSquares
from trainables.training.aggregation.nash_mtl import NashMTL

NAMES = [*GRAMIAN, "graddrop"]
SHARES = [0.5, 0.3, 0.2, 0.7, 0.1]
"""Of the examples; a row must not depend on them."""


def aggregate(name: str, matrix: Tensor, step: int = 0, **settings: float) -> Tensor:
    """The combined gradient ``(parameters,)`` of the rows ``(tasks, parameters)``.

    The parameters are two, and a third that no task reaches.
    """
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(matrix.shape[1] - 4))]
    unreached = nn.Parameter(torch.zeros(1))
    config = method("aggregation", name=name, **settings)
    made = make_aggregation(config, [*parameters, unreached], max(2, len(matrix)), seed=41)
    rows = []
    for row, share in zip(matrix, SHARES, strict=False):
        parameters[0].grad = row[:4].reshape(2, 2) * share
        parameters[1].grad = row[4:] * share
        rows += made.take(share)
        assert all(parameter.grad is None for parameter in parameters)
    made.combine(rows, step)
    assert unreached.grad is None
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def some_rows(tasks: int = 3, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((tasks, 9))).float()


@pytest.mark.parametrize("name", NAMES)
def test_a_single_row_stays_as_it_is(name: str) -> None:
    [row] = some_rows(1)
    torch.testing.assert_close(aggregate(name, row[None]), row * SHARES[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["sum", *NAMES])
def test_with_one_task_gradients_are_left_to_the_backward_passes(name: str) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    made = make_aggregation(method("aggregation", name=name), [parameter], 1, 41)
    parameter.grad = gradient = torch.ones(3)
    made.combine(made.take(1.0), 0)
    assert parameter.grad is gradient


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_agree_give_themselves(name: str) -> None:
    row = some_rows(1)
    torch.testing.assert_close(
        aggregate(name, row.repeat(3, 1)), row[0], rtol=1e-3, atol=1e-3, msg=name
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_result_scales_with_the_rows(name: str) -> None:
    rows = some_rows()
    for factor in (1e-6, 65536.0):
        torch.testing.assert_close(
            aggregate(name, rows * factor), aggregate(name, rows) * factor, rtol=1e-3, atol=0
        )


@pytest.mark.parametrize("name", sorted({*NAMES} - {"pcgrad", "random"}))
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    """Except where it is drawn, or the weights are."""
    rows = some_rows()
    torch.testing.assert_close(
        aggregate(name, rows[[2, 0, 1]]), aggregate(name, rows), rtol=1e-3, atol=2e-3
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(scales=st.lists(st.sampled_from([0.0, 1e-12, -1.0, 1.0, 1e8]), min_size=3, max_size=3))
def test_the_result_is_finite_also_with_rows_that_are_zero_or_dependent(
    name: str, scales: list[float]
) -> None:
    for rows in (some_rows(), some_rows(1).repeat(3, 1)):
        assert torch.isfinite(aggregate(name, rows * torch.tensor(scales)[:, None])).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_overflowed_is_not_hidden(name: str) -> None:
    rows = some_rows()
    rows[1] = torch.inf
    assert not torch.isfinite(aggregate(name, rows)).all()


@pytest.mark.parametrize("name", NAMES)
def test_chance_depends_on_the_step_alone(name: str) -> None:
    rows = some_rows(5)
    one = aggregate(name, rows, step=7)
    torch.manual_seed(5)
    assert torch.equal(one, aggregate(name, rows, step=7))


@pytest.mark.parametrize("name", ["random", "graddrop"])
def test_what_is_drawn_differs_from_step_to_step(name: str) -> None:
    assert not torch.equal(aggregate(name, some_rows(), 1), aggregate(name, some_rows(), 2))


CONFLICT = torch.zeros(2, 9)
CONFLICT[0, 0], CONFLICT[1, 0], CONFLICT[1, 1] = 1.0, -1.0, 1.0


@pytest.mark.parametrize(
    "name", ["mgda", "pcgrad", "cagrad", "imtl_g", "upgrad", "nash_mtl", "config"]
)
def test_of_two_rows_in_conflict_neither_is_worked_against(name: str) -> None:
    result = aggregate(name, CONFLICT, c=0.9) if name == "cagrad" else aggregate(name, CONFLICT)
    assert (CONFLICT @ result >= -1e-3).all()
    assert result.norm() > 0.1


def test_pcgrad_projects_each_row_onto_the_others_normal_plane() -> None:
    # (1, 0) becomes (1/2, 1/2), (-1, 1) becomes (0, 1); half their sum.
    expected = torch.tensor([0.25, 0.75, *[0.0] * 7])
    torch.testing.assert_close(aggregate("pcgrad", CONFLICT), expected)


def test_upgrad_is_the_mean_of_the_projected_rows() -> None:
    expected = torch.tensor([0.25, 0.75, *[0.0] * 7])
    torch.testing.assert_close(aggregate("upgrad", CONFLICT), expected, rtol=1e-3, atol=1e-3)


def test_cagrad_without_a_radius_is_the_mean() -> None:
    rows = some_rows()
    torch.testing.assert_close(aggregate("cagrad", rows, c=0.0), rows.mean(dim=0))


def test_cagrad_improves_the_worst_task_more_than_any_other_vector_of_the_ball() -> None:
    rows = some_rows(seed=4)
    mean = rows.mean(dim=0)
    found = aggregate("cagrad", rows, c=0.6) * 1.6
    assert (found - mean).norm() <= 0.6 * mean.norm() * (1 + 1e-3)
    best = (rows @ found).min()
    rng = torch.Generator().manual_seed(0)
    for _ in range(2000):
        step = torch.randn(9, generator=rng)
        other = mean + 0.6 * mean.norm() * step / step.norm()
        assert (rows @ other).min() <= best + 1e-3


def test_nash_mtl_of_orthogonal_rows_is_the_sum_of_their_directions() -> None:
    """Then a = 1 / length; and the result is as long as the rows in root mean square."""
    rows = torch.eye(9)[:3] * torch.tensor([[2.0], [1.0], [2.0]])
    expected = torch.tensor([*[1.0] * 3, *[0.0] * 6])
    torch.testing.assert_close(aggregate("nash_mtl", rows), expected)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), tasks=st.integers(1, 8))
def test_nash_mtl_solves_the_bargaining_equation(seed: int, tasks: int) -> None:
    """K a = 1 / a, up to the factor that its scale is chosen by."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((tasks, tasks + 2)) * 10.0 ** rng.integers(-4, 4, (tasks, 1))
    products = torch.from_numpy(rows @ rows.T)
    found = NashMTL()(products) * tasks / products.trace().sqrt()
    assert (found > 0).all()
    torch.testing.assert_close(
        found * (products @ found), torch.ones(tasks, dtype=torch.float64), rtol=0, atol=1e-3
    )


def test_nash_mtl_of_rows_that_cancel_out_is_nothing() -> None:
    rows = some_rows(1).repeat(2, 1) * torch.tensor([[1.0], [-1.0]])
    assert aggregate("nash_mtl", rows).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("name", "theirs", "scale"),
    [
        ("mgda", MGDA(), 1),
        ("imtl_g", IMTLG(), 1),
        ("aligned_mtl", AlignedMTL(), 1),
        ("config", ConFIG(), 3),
    ],
)
def test_methods_on_the_gramian_are_torchjds_on_the_matrix(
    name: str, theirs: Aggregator, scale: int
) -> None:
    rows = some_rows(seed=2)
    torch.testing.assert_close(aggregate(name, rows), theirs(rows) / scale, rtol=2e-2, atol=2e-3)


def test_graddrop_keeps_one_sign_of_each_coordinate() -> None:
    rows = some_rows()
    result = aggregate("graddrop", rows)
    positive, negative = rows.clamp(min=0).sum(dim=0) / 3, rows.clamp(max=0).sum(dim=0) / 3
    assert (torch.isclose(result, positive) | torch.isclose(result, negative)).all()
    assert GradDrop()(rows).shape == result.shape


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), tasks=st.integers(1, 5))
def test_the_dual_cone_projection_is_optimal(seed: int, tasks: int) -> None:
    """Karush-Kuhn-Tucker: v >= u, G v >= 0, and (v - u) . G v = 0."""
    rows = torch.from_numpy(np.random.default_rng(seed).standard_normal((tasks, tasks + 2)))
    products = rows @ rows.T
    given_rows = torch.eye(tasks, dtype=torch.float64)
    found = NonNegativeLeastSquares()(given_rows, products)  # type: ignore[arg-type]
    regular = products + 1e-4 * products.diagonal().mean() * torch.eye(tasks)
    slopes = found @ regular
    assert (found >= given_rows - 1e-9).all()
    assert (slopes >= -1e-6).all()
    torch.testing.assert_close(((found - given_rows) * slopes).sum(), torch.zeros(()).double())
