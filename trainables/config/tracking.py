"""Experiment trackers and their settings."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from trainables.config.base import Settings, as_tuple
from trainables.secrets import has_credentials

TrackerName = Literal["wandb", "tensorboard", "mlflow"]


class WandbConfig(Settings):
    """Weights & Biases."""

    project: str = Field(default="one-model-or-many", description="project of the runs")
    entity: str | None = Field(
        default=None, description="user or team of the runs; None: the account's default"
    )


MLFLOW_STORES = ("http://", "https://", "sqlite:///", "postgresql", "mysql", "mssql", "databricks")
"""How a place begins where MLflow keeps runs; folders it has given up."""


class MlflowConfig(Settings):
    """MLflow."""

    tracking_uri: str | None = Field(
        default=None,
        description="a server (http://HOST:PORT) or a database (sqlite:////FOLDER/FILE); None: "
        "the environment's MLFLOW_TRACKING_URI, else mlflow.db in the run directory",
    )
    experiment: str = Field(
        default="one-model-or-many", min_length=1, description="MLflow experiment of the runs"
    )

    @field_validator("tracking_uri")
    @classmethod
    def _is_kept(cls, uri: str | None) -> str | None:
        if uri is not None and not uri.startswith(MLFLOW_STORES):
            raise ValueError(f"MLflow keeps no runs there; give one of {', '.join(MLFLOW_STORES)}")
        if uri is not None and has_credentials(uri):
            # Every setting is written to the run directory.
            raise ValueError(
                "has a user, password or token; give the address by MLFLOW_TRACKING_URI instead"
            )
        return uri


class TrackingConfig(Settings):
    """Experiment trackers."""

    trackers: Annotated[tuple[TrackerName, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="trackers that log the trials, one or several"
    )
    wandb: WandbConfig = Field(default=WandbConfig(), description="settings of Weights & Biases")
    mlflow: MlflowConfig = Field(default=MlflowConfig(), description="settings of MLflow")
