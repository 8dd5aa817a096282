"""Fixtures of the tests of reports."""

import pytest


@pytest.fixture(autouse=True)
def blank_figures() -> None:
    """Here figures are drawn."""
