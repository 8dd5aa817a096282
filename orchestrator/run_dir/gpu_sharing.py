"""Keeps what was measured to divide a GPU, so that a continued run divides it the same way."""

from orchestrator.planning.gpu_sharing import GpuSharing
from orchestrator.planning.resources import TrialResources
from trainables.atomic import read_whole, write_text
from trainables.storage.run_dir import RunDir


def write_sharing(run_dir: RunDir, resources: TrialResources) -> None:
    """Write, and upload to an object store, what was measured, if anything was."""
    if resources.sharing is not None:
        write_text(run_dir.gpu_sharing, resources.sharing.model_dump_json(indent=1) + "\n")
        run_dir.publish(run_dir.gpu_sharing)


def read_sharing(run_dir: RunDir) -> GpuSharing | None:
    """What was measured to divide a GPU; None if nothing was, or its file is damaged."""
    try:
        return GpuSharing.model_validate_json(read_whole(run_dir.gpu_sharing))
    except (OSError, ValueError):
        return None
