"""What the records of a run directory say that reproducibility checklists ask for.

Each function answers one subject and names the files that say it. What no file says is not known:
nothing is guessed.
"""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.report.markup import LEGEND
from orchestrator.report.table import Row, Table
from orchestrator.search.summary import SearchSummary
from orchestrator.text import count, listed, number, plain
from trainables.config.trial import TrialConfig
from trainables.results.record import TrialRecord

CONFIG, PLAN, RECORDS, ENVIRONMENT, TABLE, TUNING = (
    "config.yaml",
    "plan.json",
    "records/",
    "environment.json",
    "table.json",
    "tuning.json",
)


@dataclass(frozen=True)
class Answer:
    """What is known of a subject.

    Attributes:
        text: the answer; where nothing is known, what is missing.
        sources: the files of the run directory that it came from; none where it is not known.
    """

    text: str
    sources: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether a record says it."""
        return bool(self.sources)


@dataclass(frozen=True)
class RunFacts:
    """A run directory, read.

    Attributes:
        name: as the user wrote it.
        configs: of all planned trials.
        records: of the planned trials that have ended.
        config: the resolved configuration, as plain values.
        environment: packages and hardware; empty where they were not recorded.
        table: the comparison.
        search: the hyperparameter search; None if there was none.
        search_records: of the search's trials.
    """

    name: str
    configs: Sequence[TrialConfig]
    records: Sequence[TrialRecord]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    table: Table
    search: SearchSummary | None = None
    search_records: Sequence[TrialRecord] = ()

    @property
    def rows(self) -> list[Row]:
        """Those of arms."""
        return [row for row in self.table.rows if not row.baseline]

    @cached_property
    def header(self) -> dict[str, str]:
        """The lines above the table."""
        return dict(self.table.header)

    @property
    def all_records(self) -> list[TrialRecord]:
        """Those of the comparison and of the search."""
        return [*self.records, *self.search_records]


def _methods(facts: RunFacts) -> Answer:
    arms = dict.fromkeys(f"{row.label}: {row.method}" for row in facts.rows)
    models = facts.header["models"]
    return Answer(f"{'. '.join(arms)}. Encoders: {models}", (CONFIG, PLAN))


def _parameters(facts: RunFacts) -> Answer:
    lines = [
        f"{row.label} {row.model} {count(row.parameters)} in {row.models} model"
        f"{'s' * (row.models > 1)}"
        for row in facts.rows
        if row.parameters is not None
    ]
    if not lines:
        return Answer("no trial has finished yet")
    return Answer(f"stored for all models of a row: {', '.join(lines)}", (RECORDS,))


def _time(records: Sequence[TrialRecord]) -> str:
    """Training and evaluation of trials, one after the other."""
    seconds = sum(r.train_seconds - r.inherited_seconds + r.eval_seconds for r in records)
    return number(seconds, "seconds")


def _compute(facts: RunFacts) -> Answer:
    records = facts.all_records
    if not records:
        return Answer("no trial has ended yet")
    kinds = dict.fromkeys(
        f"{r.device} in {r.precision} ({r.threads} CPU thread{'s' * (r.threads > 1)} a trial)"
        for r in records
    )
    spent = {"comparison": _time(facts.records)}
    if facts.search_records:
        spent["search"] = _time(facts.search_records)
    each = ", ".join(f"{name} {value}" for name, value in spent.items())
    return Answer(
        f"{listed(kinds)}; training and evaluation of {len(records)} trials, one after the other: "
        f"{each}. Attempts that left no record, and steps that were repeated after an "
        "interruption, are not counted",
        (RECORDS,),
    )


def _infrastructure(facts: RunFacts) -> Answer:
    known = facts.environment
    if not known:
        return Answer("the run directory has no environment.json")
    gpus = ", ".join(known.get("gpus") or []) or "none"
    parts = [
        f"CPU {known.get('cpu') or 'not known'}, {known.get('cores', '?')} cores",
        f"{known.get('memory_gib', '?')} GiB of memory",
        f"GPUs: {gpus}",
        f"{known.get('platform', '')}",
    ]
    return Answer(
        f"of the machine that started the command: {'; '.join(filter(None, parts))}", (ENVIRONMENT,)
    )


def _runtime(facts: RunFacts) -> Answer:
    lines = [
        f"{row.label} {row.model} {number(stat.mean, 'seconds')}"
        for row in facts.rows
        if (stat := row.cells["train_seconds"].stat) is not None
    ]
    if not lines:
        return Answer("no seed is complete yet")
    return Answer(
        f"mean training time of a row's models, evaluation left out: {', '.join(lines)}. Energy: "
        "not known",
        (TABLE, RECORDS),
    )


def _packages(facts: RunFacts) -> Answer:
    packages = facts.environment.get("packages")
    if not packages:
        return Answer("the run directory has no environment.json")
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return Answer(f"Python {facts.environment.get('python')}; {versions}", (ENVIRONMENT,))


def _code(facts: RunFacts) -> Answer:
    commit = facts.environment.get("git_commit")
    schema = ", ".join(map(str, sorted({config.code_schema for config in facts.configs})))
    own = f"commit {commit}" if commit else "the commit was not recorded"
    return Answer(
        f"{own}; version of the numbers (code_schema) {schema}. Where it is published: not known",
        (ENVIRONMENT, PLAN) if commit else (PLAN,),
    )


def _commands(facts: RunFacts) -> Answer:
    if facts.search is not None:
        return Answer(
            "config.yaml holds every setting of the search and of the comparison; the words of the "
            "command (preset and space) were not recorded. The table from the records: "
            f"python -m orchestrator report {shlex.quote(facts.name)}",
            (CONFIG,),
        )
    again = f"python -m orchestrator run {shlex.quote(f'{facts.name}/config.yaml')} --run-dir NEW"
    table = f"python -m orchestrator report {shlex.quote(facts.name)}"
    return Answer(
        f"train and evaluate everything again: {again}. The table from the records: {table}",
        (CONFIG,),
    )


def _hyperparameters(facts: RunFacts) -> Answer:
    training = facts.config.get("training", {})
    text = ", ".join(f"{key} {_value(value)}" for key, value in training.items())
    arms = [row.label for row in facts.rows if row.tuned]
    tuned = f"; tuned rows ({listed(arms)}) have those of tuning.json" if arms else ""
    return Answer(
        f"for all arms: {text}; what an arm sets for itself stands in its row's method{tuned}",
        (CONFIG, PLAN, *((TUNING,) if arms else ())),
    )


def _search(facts: RunFacts) -> Answer:
    search = facts.search
    if search is None:
        return Answer(
            "nothing was searched in this run directory: every arm has the settings of the "
            "configuration. How these were found is not known",
            (CONFIG,),
        )
    trials = dict.fromkeys(str(len(group.tried)) for group in search.groups)
    space = "; ".join(
        f"{key} {_value(value)}" for key, value in _leaves(facts.config.get("space", {}))
    )
    chosen = [
        f"{' '.join(filter(None, (g.arm, g.model, g.task)))}: "
        + ", ".join(f"{key} {_value(value)}" for key, value in g.choice.settings.items())
        for g in search.groups
        if g.choice is not None
    ]
    return Answer(
        f"space {search.space}: {space}. Method {search.search}, scheduler {search.scheduler}, "
        f"search seed {search.seed}; {listed(trials)} trials for each arm and model (of "
        "single_task: each task); best of a group by the last score on a selection split carved "
        f"from train. Chosen: {'. '.join(chosen) or 'nothing yet'}",
        (CONFIG, TUNING),
    )


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """The innermost objects of nested ones, by their dotted keys."""
    if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
        return [
            leaf
            for name, inner in value.items()
            for leaf in _leaves(inner, f"{key}.{name}" if key else name)
        ]
    return [(key, value)]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _runs(facts: RunFacts) -> Answer:
    text = (
        f"training runs: {facts.header['trials']}, each evaluated after every epoch; seeds "
        f"{facts.header['seeds']}; complete seeds of each row: "
        + ", ".join(f"{r.label} {r.model} {r.seeds_complete}/{r.seeds_planned}" for r in facts.rows)
    )
    if facts.search is not None:
        text += f"; {facts.search.spent.trials} runs of a hyperparameter search besides"
        return Answer(text, (PLAN, RECORDS, TUNING))
    return Answer(text, (PLAN, RECORDS))


def _failures(facts: RunFacts) -> Answer:
    notes = [note.text for note in facts.table.notes if note.kind != "labels"]
    text = "; ".join(notes) or "no run failed, diverged, predicted one class or is missing"
    return Answer(f"{text}; such runs stay in the table and are marked", (TABLE, RECORDS))


def _statistics(facts: RunFacts) -> Answer:
    made = facts.table.comparisons
    spread = "± is the sample standard deviation over seeds"
    if not made:
        return Answer(f"{spread}; nothing is compared yet", (TABLE,))
    levels = dict.fromkeys(f"{100 * (1 - c.level):g}" for c in made)
    comparisons = dict.fromkeys(str(c.comparisons) for c in made if c.primary)
    return Answer(
        f"{spread}. Differences of arms have {listed(levels)} % intervals for new seeds and new "
        "examples of the same kind: variance of seeds (unpaired) and of examples (paired, "
        "jackknife), added in closed form, Student's t with degrees of freedom by Welch and "
        "Satterthwaite; approximately normal errors are assumed. Words are corrected by Holm's "
        f"method over {listed(comparisons)} primary comparisons of a model; intervals are not",
        (TABLE,),
    )


def _results(facts: RunFacts) -> Answer:
    lines = []
    for row in facts.rows:
        stat = row.cells["macro"].stat
        if stat is not None:
            spread = "" if stat.std is None else f" ±{number(stat.std, 'percent')}"
            lines.append(
                f"{row.label} {row.model} {number(stat.mean, 'percent')}{spread} ({stat.n} seeds)"
            )
    if not lines:
        return Answer("no seed is complete on all tasks yet")
    return Answer(f"macro average in %: {', '.join(lines)}; all metrics: table.md", (TABLE,))


def _metrics(facts: RunFacts) -> Answer:
    tasks = ", ".join(f"{task.name} {task.headline}" for task in facts.table.tasks)
    return Answer(f"headline metrics: {tasks}. {facts.header['numbers']}", (CONFIG, TABLE))


def _margins(facts: RunFacts) -> Answer:
    margins = facts.header.get("margins")
    if margins is None:
        return Answer("nothing is compared yet")
    own = facts.config.get("margins")
    fixed = f"{_value(own)} and the defaults for the rest" if own else "the defaults"
    return Answer(
        f"{margins}; set before the first run, in a configuration that cannot change since: "
        f"{fixed}",
        (CONFIG, TABLE),
    )


def _sizes(facts: RunFacts) -> Answer:
    tasks = [
        f"{task.name} {', '.join(f'{n:,} {split}' for split, n in task.sizes.items())}"
        for task in facts.table.tasks
        if task.sizes
    ]
    if not tasks:
        return Answer("no trial has read the data yet")
    classes = [f"{k}: {v}" for k, v in facts.header.items() if k.startswith("data ")]
    whole = f". Before limits: {'. '.join(classes)}" if classes else ""
    return Answer(f"examples used: {'; '.join(tasks)}{whole}", (RECORDS, PLAN))


def _splits(facts: RunFacts) -> Answer:
    origins = ", ".join(
        f"{task.name} from {listed(task.origins) or 'not read yet'}" for task in facts.table.tasks
    )
    prints = ", ".join(
        f"{task.name} {listed(p[:12] for p in task.fingerprints)}" for task in facts.table.tasks
    )
    return Answer(
        f"{origins}; protocol: {facts.header['protocol']}; SHA-256 of texts, labels and splits: "
        f"{prints}",
        (PLAN, RECORDS),
    )


def _preprocessing(facts: RunFacts) -> Answer:
    data = facts.table.data
    lengths = dict.fromkeys(f"{c.model_name} {c.model.max_length} tokens" for c in facts.configs)
    parts = [f"the encoder's own tokenizer, texts cut at {listed(lengths)}"]
    if "cut texts" in facts.header:
        parts.append(f"cut: {facts.header['cut texts']}")
    limits = {key: value for key, value in (facts.config.get("limits") or {}).items() if value}
    parts.append(f"limits: {_value(limits)}" if limits else "no limits on examples")
    if data is not None:
        dropped = {task: n for task, n in data.dropped.items() if n}
        gone = ", ".join(f"{task} {n}" for task, n in dropped.items())
        parts.append(f"left out of train because evaluated elsewhere: {gone or 'none'}")
    if any(c.arm.strategy == "naive_concat" and c.arm.task_prefix for c in facts.configs):
        parts.append("an arm of naive_concat puts the task's name before each text")
    return Answer("; ".join(parts), (CONFIG, PLAN))


def _origins(facts: RunFacts) -> Answer:
    names: dict[str, None] = {}
    for config in facts.configs:
        for name, task in config.tasks.items():
            source = config.sources[name]
            where = {"demo": "generated by this project", "files": "the authors' own files"}
            if source == "hub" and task.hub is not None:
                where["hub"] = f"https://huggingface.co/datasets/{task.hub.name}"
            where["glue_dir"] = f"GLUE's official download, folder {task.glue_dir}"
            names[f"{plain(name)}: {where[source]}"] = None
    return Answer("; ".join(names), (PLAN,))


def _artifacts(facts: RunFacts) -> Answer:
    encoders = dict.fromkeys(plain(config.model.encoder) for config in facts.configs)
    return Answer(
        f"used: {_origins(facts).text}; encoders {', '.join(encoders)}. Whom to cite: not known",
        (PLAN,),
    )


def _licences(facts: RunFacts) -> Answer:
    return Answer("licences and terms of data and encoders: no record holds them")


def _models(facts: RunFacts) -> Answer:
    if facts.config.get("save_models"):
        return Answer("final models of all trials in models/; published: not known", (CONFIG,))
    return Answer("final models were not kept (save_models=false)", (CONFIG,))


def _code_of_training(facts: RunFacts) -> Answer:
    return Answer(f"one program trains and evaluates. {_commands(facts).text}", (CONFIG,))


def _results_table(facts: RunFacts) -> Answer:
    return Answer(f"table.md; in bold: {LEGEND}", (TABLE,))


SUBJECTS: dict[str, Callable[[RunFacts], Answer]] = {
    "artifacts": _artifacts,
    "code": _code,
    "commands": _commands,
    "compute": _compute,
    "failures": _failures,
    "hyperparameters": _hyperparameters,
    "infrastructure": _infrastructure,
    "licences": _licences,
    "margins": _margins,
    "methods": _methods,
    "metrics": _metrics,
    "models": _models,
    "origins": _origins,
    "packages": _packages,
    "parameters": _parameters,
    "preprocessing": _preprocessing,
    "results": _results,
    "results table": _results_table,
    "runs": _runs,
    "runtime": _runtime,
    "search": _search,
    "sizes": _sizes,
    "splits": _splits,
    "statistics": _statistics,
    "training code": _code_of_training,
}
"""Subject of a checklist's item -> what a run directory says about it."""
