"""The ``checklist`` command: reproducibility checklists from a run directory's records."""

from typing import Any

from omegaconf import OmegaConf

from orchestrator.commands.report import read_predictions, table_of
from orchestrator.report.checklist.facts import RunFacts
from orchestrator.report.checklist.fill import fill, markdown, to_json
from orchestrator.run_dir.directory import (
    read_environment,
    read_plan,
)
from orchestrator.run_dir.looks import look_at, planned_looks
from orchestrator.run_dir.remote import Where, has_search, run_dir_at, search_of
from search_spaces.yaml_files import read_yaml
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


def checklist(where: Where, *, as_json: bool = False) -> str:
    """Fill in the checklists of ACL Rolling Review, NeurIPS and Pineau.

    Nothing is written into the run directory.

    Args:
        where: a run directory, a path or a URL; its trials may still be running.
        as_json: whether the text is JSON, else Markdown.

    Raises:
        RunDirectoryError: there is no plan, or it, a record or the configuration is damaged.
    """
    run_dir = run_dir_at(where)
    name = run_dir.url or (str(where) if not isinstance(where, RunDir) else str(run_dir.root))
    if not run_dir.plan.is_file():
        raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")
    filled = fill(_facts(name, run_dir))
    return to_json(name, filled) if as_json else markdown(name, filled)


def _facts(name: str, run_dir: RunDir) -> RunFacts:
    trials = read_plan(run_dir)
    records = read_records(run_dir)
    predictions, _ = read_predictions(run_dir, trials, records, keep=False)
    look = look_at(run_dir, trials, planned_looks(run_dir))
    table = table_of(run_dir, trials, records, predictions, look)
    search, of_search = None, {}
    if has_search(run_dir):
        # Imports torch, which takes seconds that a grid saves.
        from orchestrator.search.engine import read_search

        folder = search_of(run_dir)
        search, of_search = read_search(folder, {}).summary(), read_records(folder)
    return RunFacts(
        name=name,
        configs=[trial.config for trial in trials],
        records=[records[trial.key] for trial in trials if trial.key in records],
        config=_config(run_dir),
        environment=read_environment(run_dir),
        table=table,
        search=search,
        search_records=list(of_search.values()),
    )


def _config(run_dir: RunDir) -> dict[str, Any]:
    try:
        values: Any = OmegaConf.to_container(read_yaml(run_dir.config), resolve=False)
    except ConfigError as error:
        raise RunDirectoryError(
            f"{run_dir.config}: missing or damaged; run the experiment again, which writes it anew"
        ) from error
    return values
