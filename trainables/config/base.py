"""Base class of every configuration section."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen section of the configuration that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
