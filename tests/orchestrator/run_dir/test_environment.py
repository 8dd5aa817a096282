"""What is recorded of the machine and the code."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.run_dir import environment
from orchestrator.run_dir.environment import git_commit

ROOT = Path(__file__).resolve().parents[3]


def test_the_commit_of_this_checkout_is_recorded() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert git_commit() in (head, f"{head}+changes")


def test_code_that_was_sent_to_a_cluster_names_the_senders_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PROJECT", tmp_path)
    monkeypatch.delenv("ONE_OR_MANY_COMMIT", raising=False)
    assert git_commit() is None
    monkeypatch.setenv("ONE_OR_MANY_COMMIT", "abc+changes")
    assert git_commit() == "abc+changes"
