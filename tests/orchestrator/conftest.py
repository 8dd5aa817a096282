"""Fixtures of the orchestrator's tests."""

import pytest

from tests.helpers.without_ray import WithoutRay


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> WithoutRay:
    """Searches without Ray."""
    without_ray = WithoutRay()
    without_ray.install(monkeypatch)
    return without_ray
