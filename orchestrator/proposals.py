"""Gives Ray Tune the trials one by one, in the order in which they are to start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher


class Proposals(Searcher):
    """What Tune asks for the next trial, until there is none.

    Given as a list, Tune would copy all of it for each of its trials.

    Args:
        next_cell: gives ``{"cell": ...}``.
    """

    def __init__(self, next_cell: Callable[[], dict[str, Any] | None]) -> None:
        super().__init__()
        self._next_cell = next_cell

    def set_search_properties(self, *properties: Any, **spec: Any) -> bool:
        """Nothing of Tune's own notion of metric and space is used."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration."""
        return self._next_cell() or self.FINISHED

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler and the records tell how trials end."""

    def save(self, checkpoint_path: str) -> None:
        """Records and ledger keep all; Tune wants a file."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
