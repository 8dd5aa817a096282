"""Settings of a search: each changes what is decided, or is refused."""

from typing import Any

import pytest

from orchestrator.config.search import TuneConfig, load_tuned_experiment
from orchestrator.search.rungs import rungs
from orchestrator.search.schedulers import time_of
from search_spaces.searchers.suggest import suggest
from search_spaces.space import load_space
from tests.helpers.groups import facts
from trainables.errors import ConfigError

OTHER_VALUES = {"reduction": 3.0, "grace": 0.3, "measurements": 4, "generations": 8}
SCHEDULERS = ("asha", "hyperband", "median", "pbt", "none")


def decided(scheduler: str, **settings: Any) -> tuple[Any, ...]:
    """When trials are measured, and the times that their scheduler is given."""
    overrides = [f"tune.{key}={value}" for key, value in settings.items()]
    experiment = load_tuned_experiment("demo", "quick", [f"tune.scheduler={scheduler}", *overrides])
    measured = rungs(experiment.tune, 10_000)
    return measured, [time_of(experiment.tune, n + 1) for n in range(len(measured))]


def test_every_setting_that_only_some_schedulers_have_is_here() -> None:
    assert OTHER_VALUES.keys() == TuneConfig.only_with.keys()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("key", OTHER_VALUES)
def test_a_setting_changes_what_is_decided_or_is_refused(scheduler: str, key: str) -> None:
    _, schedulers = TuneConfig.only_with[key]
    if scheduler in schedulers:
        assert decided(scheduler, **{key: OTHER_VALUES[key]}) != decided(scheduler)
        return
    with pytest.raises(ConfigError) as caught:
        decided(scheduler, **{key: OTHER_VALUES[key]})
    line = str(caught.value)
    assert line.startswith(f"tune.{key}: is not used with scheduler={scheduler}, only with ")
    assert all(name in line.partition("only with")[2] for name in schedulers)


def test_each_search_method_and_seed_gives_other_settings() -> None:
    space = load_space("quick")
    drawn = {
        (name, seed): [suggest(space, facts(), name, seed, index) for index in range(4)]
        for name in ("random", "sobol", "grid")
        for seed in (0, 1)
    }
    assert drawn["random", 0] != drawn["random", 1]
    assert drawn["sobol", 0] != drawn["sobol", 1]
    assert len({str(drawn[name, 0]) for name in ("random", "sobol", "grid")}) == 3
