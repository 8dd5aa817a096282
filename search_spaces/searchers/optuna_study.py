"""A search's history as a study of Optuna, which is imported only where it is needed."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from search_spaces.distributions import (
    Choice,
    IntUniform,
    LogUniform,
    Parameter,
    Uniform,
    Value,
    same,
)
from search_spaces.searchers.base import Observation
from search_spaces.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna says nothing of what it does, of experimental features, nor of few trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def usable(
    space: Space, facts: Mapping[str, Any], history: Sequence[Observation]
) -> list[Observation]:
    """The trials whose settings this space can have drawn for the group of ``facts``."""
    return [trial for trial in history if space.holds(facts, trial.settings)]


def as_optuna(space: Space, trial: Observation) -> "FrozenTrial":
    """A trial that has ended.

    Finished ones are COMPLETE, stopped ones PRUNED with the scores of their rungs. One that has
    no finite score at all is given as RUNNING: TPE takes these for bad whatever else there is
    (its constant liar), while the worst PRUNED ones count as good where only few have finished.
    """
    from optuna.trial import TrialState, create_trial

    score, rungs = trial.finite_score, trial.finite_rungs
    state = TrialState.RUNNING
    if score is not None:
        state = TrialState.COMPLETE
    elif rungs:
        state = TrialState.PRUNED
    parameters = {key: space.parameters[key] for key in trial.settings}
    return create_trial(
        state=state,
        value=score,
        params={key: _place(p, trial.settings[key]) for key, p in parameters.items()},
        distributions={key: _distribution(p) for key, p in parameters.items()},
        intermediate_values=rungs,
    )


def _distribution(parameter: Parameter) -> "BaseDistribution":
    """Optuna's distribution of a parameter; of a choice, that of the value's place in it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choice):
        return CategoricalDistribution(range(len(parameter.values)))
    if isinstance(parameter, IntUniform):
        return IntDistribution(parameter.low, parameter.high)
    assert isinstance(parameter, Uniform)
    return FloatDistribution(parameter.low, parameter.high, log=isinstance(parameter, LogUniform))


def suggest(trial: "Trial", key: str, parameter: Parameter) -> Value:
    """A parameter's value as Optuna's sampler has it for a new trial."""
    if isinstance(parameter, Choice):
        return parameter.values[trial.suggest_categorical(key, range(len(parameter.values)))]
    if isinstance(parameter, IntUniform):
        return trial.suggest_int(key, parameter.low, parameter.high)
    assert isinstance(parameter, Uniform)
    log = isinstance(parameter, LogUniform)
    return trial.suggest_float(key, parameter.low, parameter.high, log=log)


def _place(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return next(i for i, other in enumerate(parameter.values) if same(other, value))
    return int(value) if isinstance(parameter, IntUniform) else float(value)
