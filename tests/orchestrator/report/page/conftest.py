"""One run directory for all tests of the page."""

from pathlib import Path

import pytest

from tests.helpers.reported_run import reported_run
from trainables.storage.run_dir import RunDir


@pytest.fixture(scope="package")
def run_dir(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Of three arms and two tasks, with predictions; not to be changed."""
    return reported_run(tmp_path_factory.mktemp("reported"), tiny_bert)
