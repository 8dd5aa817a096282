"""One campaign per run of the tests."""

import pytest

from tests.helpers.fuzz_campaign import Campaign
from tests.helpers.fuzz_totals import TOTALS


@pytest.fixture
def campaign(pytestconfig: pytest.Config) -> Campaign:
    """Takes cases, of which it makes more with ``--soak``."""
    return Campaign(pytestconfig.stash[TOTALS], bool(pytestconfig.getoption("--soak")))
