"""Which trackers there are, and where they keep their runs."""

from typing import Literal

from pydantic import Field, field_validator

from trainables.config.base import Settings
from trainables.secrets import has_credentials

TrackerName = Literal["wandb", "tensorboard", "mlflow"]


class WandbConfig(Settings):
    """Weights & Biases."""

    project: str = "one-model-or-many"
    entity: str | None = None


MLFLOW_STORES = ("http://", "https://", "sqlite:///", "postgresql", "mysql", "mssql", "databricks")
"""How a place begins where MLflow keeps runs; folders it has given up."""


class MlflowConfig(Settings):
    """MLflow."""

    tracking_uri: str | None = Field(
        default=None,
        description="a server (http://HOST:PORT) or a database (sqlite:////FOLDER/FILE); none: "
        "the environment's MLFLOW_TRACKING_URI, else mlflow.db in the run directory",
    )
    experiment: str = Field(default="one-model-or-many", min_length=1)

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
