"""Where and how safely trials run: sections of a preset that change nothing that is measured."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from trainables.config.base import Settings


class CheckpointConfig(Settings):
    """How much work an interruption may cost."""

    every: NonNegativeFloat = Field(
        default=300.0, description="seconds between checkpoints; 0: no checkpoints"
    )
    keep: bool = Field(default=False, description="keep the checkpoints of finished trials")
    storage_timeout: NonNegativeFloat = Field(
        default=600.0,
        description="seconds that a trial waits, losing nothing, for a run directory that is gone "
        "or full",
    )


class ResourcesConfig(Settings):
    """What one trial gets."""

    cpu: PositiveInt | Literal["auto"] = Field(
        default="auto",
        description="CPU threads of a trial; auto: the cores divided by the trials that fit",
    )
    gpu: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        default="auto",
        description="one GPU or a share of it, since a trial computes on one; auto: a GPU where "
        "there is any, shared by as many trials as train fastest of those that fit into its memory",
    )
    memory: PositiveFloat | None = Field(
        default=None,
        description="GB of host memory of a trial: reserved, and a limit for trials without a GPU, "
        "which split their batches into smaller parts to keep it; None: no limit",
    )
    max_concurrent: PositiveInt | None = Field(
        default=None, description="most trials that run at once; None: as many as fit"
    )


class RayConfig(Settings):
    """The Ray instance that runs the trials."""

    address: str | None = Field(
        default=None, description="address of a cluster; None: start Ray on this machine"
    )
    dashboard: bool = Field(
        default=False,
        description="show the dashboard of Ray on this machine; a cluster has its own",
    )
    reuse: bool | Literal["auto"] = Field(
        default="auto",
        description="trials share processes, which saves each seconds of starting, but a dashboard "
        "then cannot tell them apart; auto: share them where no dashboard is shown",
    )

    @model_validator(mode="after")
    def _dashboard_is_ours(self) -> Self:
        if self.dashboard and self.address is not None:
            raise ValueError("dashboard: the cluster at ray.address has its own; leave it out")
        return self
