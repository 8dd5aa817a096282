"""Where and how safely trials run: sections of a preset that change nothing that is measured."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from trainables.config.base import Settings


class CheckpointConfig(Settings):
    """How much work an interruption may cost."""

    every: NonNegativeFloat = Field(
        default=300.0, description="seconds between checkpoints; 0: never"
    )
    keep: bool = Field(default=False, description="also those of finished trials")
    storage_timeout: NonNegativeFloat = Field(
        default=600.0,
        description="seconds that a trial waits, losing nothing, for a run directory that is gone "
        "or full",
    )


class ResourcesConfig(Settings):
    """What one trial gets."""

    cpu: PositiveInt | Literal["auto"] = Field(
        default="auto", description="CPU threads; auto divides the cores among the trials that fit"
    )
    gpu: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        default="auto",
        description="one GPU or a share of it, since a trial computes on one; auto: a GPU where "
        "there are any, divided by the memory that the largest trial needs",
    )
    memory: PositiveFloat | None = Field(
        default=None,
        description="GB of host memory: reserved, and kept to by trials without a GPU, which cut "
        "their batches into smaller parts where they must; none: whatever there is",
    )
    max_concurrent: PositiveInt | None = Field(
        default=None, description="trials at once; none: that fit"
    )


class RayConfig(Settings):
    """The Ray instance that runs the trials."""

    address: str | None = Field(default=None, description="of a cluster; none: one on this machine")
    dashboard: bool = Field(
        default=False, description="of a Ray on this machine; a cluster has its own"
    )
    reuse: bool | Literal["auto"] = Field(
        default="auto",
        description="trials share processes, which saves each seconds of starting; a dashboard "
        "then cannot tell them apart; auto: where no dashboard is shown",
    )

    @model_validator(mode="after")
    def _dashboard_is_ours(self) -> Self:
        if self.dashboard and self.address is not None:
            raise ValueError("dashboard: the cluster at ray.address has its own; leave it out")
        return self
