"""Search spaces: which settings are searched, from what they are drawn, and under which conditions.

A space is a name (a file in ``search_spaces/spaces``), the path of a user's own YAML file, or made
in Python: ``Space(name="mine", parameters={"training.learning_rate": LogUniform(...)})``.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Self

from omegaconf import OmegaConf
from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from search_spaces.checks import check_condition, check_key, check_values, named, parse_parameter
from search_spaces.distributions import Parameter, Value, same
from search_spaces.setting_keys import Setting, find_setting
from search_spaces.yaml_files import find_yaml, read_yaml
from trainables.config.base import Settings
from trainables.config.explain import explain
from trainables.errors import ConfigError

FOLDER = Path(__file__).parent / "spaces"


def space_names() -> list[str]:
    """Names of the spaces that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_space(space: str) -> "Space":
    """The space of a name or of the path of a YAML file.

    Raises:
        ConfigError: there is none, or the first thing that is wrong with it, naming its key.
    """
    path = find_yaml("space", space, FOLDER)
    values = OmegaConf.to_container(read_yaml(path), resolve=False)
    try:
        return Space.model_validate(values)
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error


class Space(Settings):
    """A search space.

    Attributes:
        name: how it is called.
        parameters: dotted key -> what the setting is drawn from.

    Raises:
        ConfigError: the first thing that is wrong, in one line that names the key.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80, description="name of the space"
    )
    parameters: dict[str, SerializeAsAny[Parameter]] = Field(
        min_length=1, description="dotted key of a setting -> what it is drawn from"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, values: Any, handler: Any) -> Self:
        name = values.get("name") if isinstance(values, dict) else None
        where = f"space {name:.80}" if isinstance(name, str) else "space"
        try:
            made = handler(values)
            made._check()
        except ValidationError as error:
            raise ConfigError(f"{where}: {explain(error, cls)}") from error
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        return made

    @field_validator("parameters", mode="before")
    @classmethod
    def _parsed(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        parsed = {}
        for key, value in values.items():
            with named(str(key)):
                check_key(str(key))
                parsed[str(key)] = value if isinstance(value, Parameter) else parse_parameter(value)
        return parsed

    def _check(self) -> None:
        """Raises ConfigError: a value or condition of a parameter is impossible."""
        for key, parameter in self.parameters.items():
            with named(key):
                check_values(key, parameter)
                for condition, values in parameter.when.items():
                    with named(f"when {condition}"):
                        # Of its own key, a parameter can only ask what was configured.
                        parameters = self.parameters if condition != key else {}
                        check_condition(condition, values, parameters)
        # Raises where the conditions run in a circle.
        assert len(self.keys) == len(self.parameters)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key, each behind those that its ``when`` asks for, and behind its method's name.

        Raises:
            ConfigError: the conditions run in a circle.
        """
        before = {
            key: [name for name in self.conditions(key) if name in self.parameters and name != key]
            for key in self.parameters
        }
        try:
            return tuple(TopologicalSorter(before).static_order())
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise ConfigError(f"{error.args[1][0]}: when runs in a circle: {circle}") from error

    def conditions(self, key: str) -> tuple[str, ...]:
        """Keys whose values decide whether a parameter is active."""
        return (*self.parameters[key].when, *_setting(key).choices)

    def active(self, key: str, facts: Mapping[str, Any], drawn: Mapping[str, Value]) -> bool:
        """Whether a parameter is searched, given what was drawn for the keys before it.

        A condition on another parameter of the space holds if that is active and was drawn so;
        any other, and one on the parameter's own key, if the group's fact is so. A setting that
        the group, or the method that was drawn, does not have is never active.
        """
        if not _setting(key).exists({**facts, **drawn}):
            return False
        for condition, wanted in self.parameters[key].when.items():
            other = condition in self.parameters and condition != key
            values = drawn if other else facts
            if condition not in values or not any(same(values[condition], w) for w in wanted):
                return False
        return True

    def resolve(
        self, facts: Mapping[str, Any], draw: Callable[[str, Parameter], Value]
    ) -> dict[str, Any]:
        """One setting: every active parameter with what ``draw`` gives for it.

        Args:
            facts: what is known of the group: ``strategy``, ``arm``, ``model``, ``task`` and the
                configured values by dotted key (see ``search_spaces/group_settings.py``).
            draw: called for the active keys alone, in the order of ``keys``.
        """
        drawn: dict[str, Value] = {}
        for key in self.keys:
            if self.active(key, facts, drawn):
                drawn[key] = draw(key, self.parameters[key])
        return drawn

    def holds(self, facts: Mapping[str, Any], setting: Mapping[str, Any]) -> bool:
        """Whether a setting could have been drawn from this space for the group of ``facts``."""
        try:
            expected = self.resolve(facts, lambda key, _: setting[key])
        except KeyError:
            return False
        return expected.keys() == setting.keys() and all(
            self.parameters[key].contains(value) for key, value in setting.items()
        )

    def keys_for(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The keys that some setting of the group has, in the order of ``keys``."""
        possible: list[str] = []
        for key in self.keys:
            setting, when = _setting(key), self.parameters[key].when
            # A method's name that is searched may be any of those that have the setting.
            fixed = {name: value for name, value in facts.items() if name not in possible}
            if setting.exists(fixed) and all(
                name in possible
                if name in self.parameters and name != key
                else name in facts and any(same(facts[name], w) for w in wanted)
                for name, wanted in when.items()
            ):
                possible.append(key)
        return tuple(possible)


def _setting(key: str) -> Setting:
    setting = find_setting(key)
    assert setting is not None, "the keys of a space are checked when it is made"
    return setting
