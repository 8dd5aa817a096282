"""Builds the runtime settings of a trial from the configuration of its command."""

from pathlib import Path

from orchestrator.config.experiment import SingleTrialConfig
from orchestrator.planning.grid import Config
from orchestrator.planning.resources import TrialResources
from trainables.config.trial import Runtime
from trainables.storage.run_dir import RunDir


def trial_runtime(
    config: Config,
    run_dir: RunDir,
    resources: TrialResources,
    *,
    glue_dir: str | None = None,
    artifacts: tuple[str, ...] = (),
) -> Runtime:
    """Where and how a trial of ``config`` runs.

    Args:
        config: the grid, or the single trial.
        run_dir: where its files go.
        resources: what it gets.
        glue_dir: the GLUE folder, if any.
        artifacts: what it must leave for trials that need it.
    """
    cache = config.data.cache_dir
    single = config if isinstance(config, SingleTrialConfig) else None
    resume_from = single.resume_from if single else None
    save_model = config.save_model if isinstance(config, SingleTrialConfig) else config.save_models
    return Runtime.model_validate(
        {
            "output_dir": str(run_dir.root.resolve()),
            "store": run_dir.url,
            "device": single.device if single else "cuda" if resources.gpu else "cpu",
            "threads": resources.cpu,
            "precision": resources.precision,
            "gpu": resources.gpu,
            "memory": resources.memory,
            "glue_dir": glue_dir,
            "cache_dir": str(Path(cache).expanduser().resolve()) if cache else None,
            "tracking": config.tracking,
            "resume_from": resume_from,
            "save_model": save_model,
            "artifacts": artifacts,
            "checkpoint_every": config.checkpoint.every,
            # The checkpoint to resume from may be one of the trial's own.
            "keep_checkpoints": config.checkpoint.keep or resume_from is not None,
            "storage_timeout": config.checkpoint.storage_timeout,
        }
    )
